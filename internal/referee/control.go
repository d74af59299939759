package referee

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// listen serves the control endpoint in the background until it is closed.
func (l *load) listen(ctx context.Context) (*http.Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("control endpoint: %w", err)
	}
	l.say("control endpoint: http://%s (GET /report, POST /mark?name=…, POST /stop)", listener.Addr())
	server := &http.Server{Handler: l.control(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with ErrServerClosed
	return server, nil
}

func (l *load) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		last := l.config.Window
		if text := r.URL.Query().Get("last"); text != "" {
			number, err := strconv.Atoi(text)
			if err != nil || number < 1 || number > maxWindow {
				http.Error(w, fmt.Sprintf("last %q: want 1 to %d", text, maxWindow), http.StatusBadRequest)
				return
			}
			last = number
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(l.report(last)) // an error means that the reader is gone
	})
	mux.HandleFunc("POST /mark", func(w http.ResponseWriter, r *http.Request) {
		if err := l.beginPeriod(r.FormValue("name")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		l.stopNow()
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}
