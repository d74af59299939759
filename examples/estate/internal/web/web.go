// Package web is the front of the platform, where viewers enter: it renders the
// titles that the core API lists, and passes events on to it.
package web

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"sync/atomic"

	"crossfade.dev/examples/estate/internal/pod"
)

// longestBody bounds a request's body in bytes.
const longestBody = 4 << 10

var page = template.Must(template.New("titles").Parse(`<!doctype html>
<html lang="en">
<title>Streaming</title>
<h1>Titles</h1>
<ul>
{{- range .}}
<li>{{.Name}} ({{.Minutes}} min)</li>
{{- end}}
</ul>
</html>
`))

type title struct {
	Name    string `json:"name"`
	Minutes int    `json:"minutes"`
}

// Handler serves the front over the API at apiURL.
func Handler(apiURL string) http.Handler {
	f := &front{api: newClient(apiURL)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", f.titles)
	mux.HandleFunc("POST /v1/events", f.pass)
	mux.HandleFunc("GET /v1/events/{id}", f.pass)
	mux.HandleFunc("GET /healthz", pod.Healthy)
	mux.HandleFunc("GET /readyz", f.ready)
	return mux
}

type front struct {
	api     *client
	reached atomic.Bool // the API has answered at least once
}

func (f *front) titles(w http.ResponseWriter, r *http.Request) {
	list, err := f.catalog(r.Context())
	if err != nil {
		http.Error(w, "read the catalogue: "+err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, list) // fails only when the client has gone
}

func (f *front) catalog(ctx context.Context) ([]title, error) {
	answer, err := f.api.call(ctx, http.MethodGet, "/v1/catalog", nil)
	if err != nil {
		return nil, err
	}
	if answer.status != http.StatusOK {
		return nil, fmt.Errorf("the core API answers %d", answer.status)
	}
	var list []title
	if err := json.Unmarshal(answer.body, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// pass hands a request to the API and its answer back.
func (f *front) pass(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestBody))
	if err != nil {
		http.Error(w, "read the body: "+err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := f.api.call(r.Context(), r.Method, r.URL.EscapedPath(), body)
	if err != nil {
		http.Error(w, "ask the core API: "+err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", answer.contentType)
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // fails only when the client has gone
}

// ready holds a new pod back until it has reached the API once. Later it does not
// ask again: a front that left with its API would take the whole site with it.
func (f *front) ready(w http.ResponseWriter, r *http.Request) {
	if !f.reached.Load() {
		if _, err := f.api.call(r.Context(), http.MethodGet, "/healthz", nil); err != nil {
			pod.NotReady(w, "the core API was not reached yet: "+err.Error())
			return
		}
		f.reached.Store(true)
	}
	pod.Healthy(w, r)
}
