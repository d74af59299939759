package pod

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Plain is the whole of a service that has no work of its own: it says its name.
func Plain(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s at %s\n", name, r.URL.Path)
	})
	mux.HandleFunc("GET /healthz", Healthy)
	mux.HandleFunc("GET /readyz", Healthy)
	return mux
}

// Healthy answers a probe that asks for no more than a running process.
func Healthy(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

// NotReady answers a readiness probe with the reason.
func NotReady(w http.ResponseWriter, reason string) {
	http.Error(w, reason, http.StatusServiceUnavailable)
}

// JSON answers with status and v.
func JSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A write that fails here means a client that has gone; nobody is left to tell.
	_ = json.NewEncoder(w).Encode(v)
}
