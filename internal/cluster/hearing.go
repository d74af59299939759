package cluster

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// hearing passes requests on and keeps which watches are open, so that a Cache can
// tell whether it would hear of a change.
type hearing struct {
	http.RoundTripper

	mu   sync.Mutex
	open map[string]int       // by path
	lost map[string]time.Time // since when a path that was watched no longer is
}

func newHearing(rt http.RoundTripper) *hearing {
	return &hearing{RoundTripper: rt, open: map[string]int{}, lost: map[string]time.Time{}}
}

// RoundTrip passes one request on.
func (h *hearing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(req)
	if err != nil || !req.URL.Query().Has("watch") || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	path := req.URL.Path
	h.begin(path)
	resp.Body = &heard{ReadCloser: resp.Body, end: sync.OnceFunc(func() { h.end(path) })}
	return resp, nil
}

func (h *hearing) begin(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[path]++
	delete(h.lost, path)
}

func (h *hearing) end(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[path]--; h.open[path] == 0 {
		h.lost[path] = time.Now()
	}
}

// deaf tells since when a watch is missing, if one is.
func (h *hearing) deaf() (since time.Time, deaf bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, at := range h.lost {
		if !deaf || at.Before(since) {
			since, deaf = at, true
		}
	}
	return since, deaf
}

// heard is the body of an open watch.
type heard struct {
	io.ReadCloser
	end func()
}

func (b *heard) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

func (b *heard) Close() error {
	b.end()
	return b.ReadCloser.Close()
}
