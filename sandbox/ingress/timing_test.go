package ingress

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/feed"
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

func TestEndpointsTakeEffectAfterTheirDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &edge{
			Options:   Options{Seed: 3, EndpointDelay: delay.Range{Min: 200 * time.Millisecond, Max: 3 * time.Second}},
			directory: newDirectory(time.Now, func(*endpoint) {}), queue: newQueue(t.Context()), drawn: map[string]int{},
		}
		e.directory.setService("shop/web", &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}})
		b := e.directory.backend(backendKey{"shop/web", "80", ""})
		state := func(ip string, gone, first bool) feed.Change[*discoveryv1.EndpointSlice] {
			return feed.Change[*discoveryv1.EndpointSlice]{Name: "shop/web-1", Gone: gone, First: first, Object: &discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
				Ports:      []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080))}},
				Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{ip}}},
			}}
		}
		used := func() string {
			synctest.Wait()
			if usable := *b.usable.Load(); len(usable) > 0 {
				return usable[0].pod.Addr().String()
			}
			return ""
		}
		e.slice(state("10.1.1.1", false, true))
		if got := used(); got != "10.1.1.1" {
			t.Fatalf("what was there at the start: %q, want it at once", got)
		}
		e.slice(state("10.1.1.2", false, false))
		e.slice(state("10.1.1.3", false, false))
		e.slice(state("10.1.1.3", true, false))
		want := []string{"10.1.1.1", "10.1.1.2", "10.1.1.3", ""}
		var seen []string
		for since := time.Duration(0); since < 3*time.Second+10*time.Millisecond; since += 10 * time.Millisecond {
			if got := used(); len(seen) == 0 || seen[len(seen)-1] != got {
				if since > 0 && since < 200*time.Millisecond {
					t.Errorf("a change took effect after %v", since)
				}
				seen = append(seen, got)
			}
			<-time.After(10 * time.Millisecond) // by the clock of the bubble
		}
		// A state whose delay ends together with the next one's may be passed over.
		if seen[0] != want[0] || seen[len(seen)-1] != "" || !ordered(seen, want) {
			t.Errorf("states %q, want them in the order %q", seen, want)
		}
	})
}

// ordered reports whether part holds elements of whole in their order.
func ordered(part, whole []string) bool {
	for _, element := range part {
		i := slices.Index(whole, element)
		if i < 0 {
			return false
		}
		whole = whole[i+1:]
	}
	return true
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
