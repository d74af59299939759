package pod

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// longestDelay bounds what a caller may ask for with `?delay=`.
const longestDelay = 30 * time.Second

// answering wraps handler with what all pods of the estate do for every request:
// they say who answers, they wait as long as the query's `delay` asks, and when
// ending they ask the client to leave.
func (p Pod) answering(ending context.Context, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &answer{ResponseWriter: w, ending: ending}
		defer out.begin()
		out.Header().Set("X-Pod-Name", p.Namespace+"/"+p.Name)
		out.Header().Set("X-Pod-Ip", p.IP)

		delay, err := delayOf(r)
		if err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		if !waited(r.Context(), delay) {
			return // the client has gone
		}
		handler.ServeHTTP(out, r)
	})
}

func delayOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("delay")
	if text == "" {
		return 0, nil
	}
	delay, err := time.ParseDuration(text)
	if err != nil || delay < 0 || delay > longestDelay {
		return 0, fmt.Errorf("delay is %q: it must be a duration from 0s to %s", text, longestDelay)
	}
	return delay, nil
}

func waited(ctx context.Context, delay time.Duration) bool {
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// An answer decides about `Connection: close` as late as it can: a pod may be
// told to stop while a slow request is in flight, and that client has to leave too.
type answer struct {
	http.ResponseWriter
	ending context.Context
	begun  bool
}

func (a *answer) begin() {
	if a.begun {
		return
	}
	a.begun = true
	if a.ending.Err() != nil {
		a.Header().Set("Connection", "close")
	}
}

func (a *answer) WriteHeader(status int) {
	a.begin()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(b)
}
