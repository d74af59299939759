package mirror

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"crossfade.dev/internal/cluster/memory"
)

// answers lets n requests be answered after took each.
func answers(p *pace, clock *clocktesting.FakeClock, n int, took time.Duration) {
	for range n {
		_ = p.timed(func() error { clock.Step(took); return nil })
	}
}

func TestPaceFollowsWhatTheAPIServersBear(t *testing.T) {
	clock := clocktesting.NewFakeClock(start)
	p := newPace(32, clock)
	if got := p.ceiling(); got != startingPace {
		t.Fatalf("begins with %v requests, want %d", got, startingPace)
	}
	answers(p, clock, 2000, 5*time.Millisecond)
	if got := p.ceiling(); got < 32 || got >= 33 {
		t.Errorf("fast answers let %v requests be in flight, want 32", got)
	}
	answers(p, clock, 20, 100*time.Millisecond)
	if got := p.ceiling(); got < 32 {
		t.Errorf("answers within %s brought it down to %v", slowest, got)
	}
	answers(p, clock, 10, 2*time.Second)
	if got := p.ceiling(); got > 4 || got < 1 {
		t.Errorf("answers after 2 s leave %v requests in flight, want 1 to 4", got)
	}
	answers(p, clock, 3000, 5*time.Millisecond)
	if got := p.ceiling(); got < 32 {
		t.Errorf("after it was fast again, %v requests are in flight, want 32", got)
	}
}

func TestPaceObeysRetryAfter(t *testing.T) {
	clock := clocktesting.NewFakeClock(start)
	p := newPace(16, clock)
	p.slower(apierrors.NewTooManyRequests("wait", 7))
	p.slower(apierrors.NewTooManyRequests("wait", 2)) // the longer one counts
	if got := p.pausedFor(); got != 7*time.Second {
		t.Errorf("pauses for %s, want 7s", got)
	}
	if got := p.ceiling(); got != 8 {
		t.Errorf("%v requests in flight, want 8: two refusals at once halve it once", got)
	}
	clock.Step(7 * time.Second)
	if p.paused() {
		t.Error("still pauses after Retry-After")
	}
	p.slower(errors.New("no time is named"))
	if got := p.pausedFor(); got != time.Second {
		t.Errorf("pauses for %s where no time is named, want 1s", got)
	}
}

func TestPaceNeverLetsMoreThanItsCeilingBeInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(8, clock.RealClock{})
		var flying, most atomic.Int64
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				if p.acquire(t.Context()) != nil {
					return
				}
				defer p.release()
				now := flying.Add(1)
				for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
				}
				<-time.After(10 * time.Millisecond)
				flying.Add(-1)
			})
		}
		all.Wait()
		if got := most.Load(); got != 8 {
			t.Errorf("%d requests in flight, want 8", got)
		}
	})
}

// Either API server may ask for a pause, whatever it was asked.
func TestMirrorPausesForEitherSide(t *testing.T) {
	for _, verb := range []string{"list", "get", "update"} {
		t.Run(verb, func(t *testing.T) {
			w := levelWorld(t)
			edit(t, w.from, &corev1.ConfigMap{}, "team-0", "app-0", func(c *corev1.ConfigMap) { c.Data["level"] = "debug" })
			if verb == "list" {
				w.restart()
			}
			busy := func(op memory.Op) memory.Fault {
				if op.Verb == verb && op.Kind.Kind == "ConfigMap" {
					return memory.Fault{Before: apierrors.NewTooManyRequests("wait", 9)}
				}
				return memory.Fault{}
			}
			side := w.to
			if verb == "list" {
				side = w.from
			}
			side.SetFaults(busy)
			if report := w.sync(); report.Level() || report.Again != 9*time.Second {
				t.Errorf("asked to wait 9s: level %v, again in %s", report.Level(), report.Again)
			}
			side.SetFaults(nil)
			w.clock.Step(9 * time.Second)
			if report := w.follow(); !report.Level() {
				t.Errorf("not level afterwards: %+v", report)
			}
		})
	}
}
