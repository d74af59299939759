package ingress

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueueKeepsOrderAndTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		q := newQueue(t.Context())
		type done struct {
			what string
			at   time.Duration
		}
		var got []done
		finished := make(chan done)
		note := func(what string) func(context.Context) {
			return func(context.Context) { finished <- done{what, time.Since(began)} }
		}
		q.after(3*time.Second, "a", note("a1"))
		q.after(time.Second, "a", note("a2")) // not before a1
		q.after(2*time.Second, "b", note("b1"))
		for range 3 {
			got = append(got, <-finished)
		}
		want := []done{{"b1", 2 * time.Second}, {"a1", 3 * time.Second}, {"a2", 3 * time.Second}}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

func TestAnnouncedTimeout(t *testing.T) {
	tests := []struct {
		header string
		want   time.Duration
		is     bool
	}{
		{"timeout=5", 5 * time.Second, true},
		{"timeout=5, max=1000", 5 * time.Second, true},
		{"max=1000, Timeout=2", 2 * time.Second, true},
		{"", 0, false},
		{"timeout=soon", 0, false},
	}
	for _, test := range tests {
		got, is := announcedTimeout(&http.Response{Header: http.Header{"Keep-Alive": {test.header}}})
		if is != test.is || (is && got != test.want) {
			t.Errorf("Keep-Alive: %s: %v, %v; want %v, %v", test.header, got, is, test.want, test.is)
		}
	}
}
