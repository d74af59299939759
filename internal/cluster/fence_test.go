package cluster_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A skewed clock runs at the same speed as another, but tells another time.
type skewed struct {
	*clocktesting.FakePassiveClock
	by time.Duration
}

func (s skewed) Now() time.Time                  { return s.FakePassiveClock.Now().Add(s.by) }
func (s skewed) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

func world(t *testing.T) (*memory.Cluster, *clocktesting.FakePassiveClock) {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(start)
	return memory.New(memory.Options{Name: "source", Number: 1, Seed: 3, Clock: clock}), clock
}

func fence(c *memory.Cluster, clock *clocktesting.FakePassiveClock, identity string, skew time.Duration) *cluster.Fence {
	return cluster.NewFence(c, cluster.FenceOptions{
		Identity: identity, Duration: 15 * time.Second, WriteTimeout: 5 * time.Second, Clock: skewed{clock, skew},
	})
}

func TestFenceIsClosedUntilHeld(t *testing.T) {
	c, clock := world(t)
	f := fence(c, clock, "one", 0)
	api := cluster.Fenced(c, f)
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one"}}
	if err := api.Create(t.Context(), cm); !errors.Is(err, cluster.ErrFenced) {
		t.Errorf("created before the lease was held: %v, want ErrFenced", err)
	}
	if err := f.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := api.Create(t.Context(), cm); err != nil {
		t.Errorf("created while the lease is held: %v", err)
	}
}

func TestFenceClosesBeforeTheLeaseRunsOut(t *testing.T) {
	c, clock := world(t)
	f := fence(c, clock, "one", 0)
	if err := f.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.SetFaults(func(op memory.Op) memory.Fault { return memory.TimedOut(op) })
	for _, step := range []struct {
		after time.Duration
		open  bool
	}{{9 * time.Second, true}, {10 * time.Second, false}, {14 * time.Second, false}, {20 * time.Second, false}} {
		clock.SetTime(start.Add(step.after))
		if err := f.Hold(t.Context()); err == nil {
			t.Fatal("renewed though no request gets through")
		}
		if err := f.Check(); (err == nil) != step.open || err != nil && !errors.Is(err, cluster.ErrFenced) {
			t.Errorf("%s after the renewal, with writes of up to 5 s and a lease of 15 s: %v", step.after, err)
		}
	}
	c.SetFaults(nil)
	if err := f.Hold(t.Context()); err != nil || f.Check() != nil {
		t.Errorf("renewed after the failure: %v, %v, want the fence open again", err, f.Check())
	}
}

func TestFenceIsTakenOverAfterAWholeLease(t *testing.T) {
	c, clock := world(t)
	one, two := fence(c, clock, "one", 0), fence(c, clock, "two", time.Hour)
	if err := one.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Duration{12 * time.Second, 20 * time.Second, 26 * time.Second} {
		clock.SetTime(start.Add(at))
		if err := two.Hold(t.Context()); !errors.Is(err, cluster.ErrFenced) {
			t.Errorf("taken over %s after it was first seen: %v, want ErrFenced for 15 s", at-12*time.Second, err)
		}
	}
	clock.SetTime(start.Add(27 * time.Second))
	if err := two.Hold(t.Context()); err != nil || two.Check() != nil {
		t.Errorf("taken over after a whole lease: %v, %v", err, two.Check())
	}
	if err := one.Hold(t.Context()); err == nil {
		t.Error("the first engine renewed what the second has taken")
	}
	if err := one.Hold(t.Context()); !errors.Is(err, cluster.ErrFenced) || one.Check() == nil {
		t.Errorf("the first engine: %v, want ErrFenced", err)
	}
}

func TestFenceReleasedIsFreeAtOnce(t *testing.T) {
	c, clock := world(t)
	one, two := fence(c, clock, "one", 0), fence(c, clock, "two", 0)
	if err := one.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := one.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := one.Check(); !errors.Is(err, cluster.ErrFenced) {
		t.Errorf("may write after the release: %v", err)
	}
	if err := two.Hold(t.Context()); err != nil {
		t.Errorf("hold what was released: %v", err)
	}
}

// A slowAPI answers updates when it is told to.
type slowAPI struct {
	cluster.API
	updating, answer chan struct{}
}

func (s slowAPI) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	s.updating <- struct{}{}
	<-s.answer
	return s.API.Update(ctx, obj, opts...)
}

func TestNoWriteWaitsForARenewal(t *testing.T) {
	c, clock := world(t)
	slow := slowAPI{API: c, updating: make(chan struct{}), answer: make(chan struct{})}
	f := cluster.NewFence(slow, cluster.FenceOptions{Identity: "one", Duration: 15 * time.Second, WriteTimeout: 5 * time.Second, Clock: clock})
	if err := f.Hold(t.Context()); err != nil { // creates the lease
		t.Fatal(err)
	}
	renewed := make(chan error)
	go func() { renewed <- f.Hold(t.Context()) }()
	<-slow.updating
	checked := make(chan error)
	go func() { checked <- f.Check() }()
	select {
	case err := <-checked:
		if err != nil {
			t.Errorf("while the lease is renewed: %v, want the fence open", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the check waits for the renewal")
	}
	clock.SetTime(clock.Now().Add(11 * time.Second))
	if err := f.Check(); !errors.Is(err, cluster.ErrFenced) {
		t.Errorf("11 s after the last renewal, while the next one has no answer: %v, want ErrFenced", err)
	}
	close(slow.answer)
	if err := <-renewed; err != nil {
		t.Fatal(err)
	}
}

func TestTheTermCountsHowOftenTheLeaseWasTaken(t *testing.T) {
	c, clock := world(t)
	one, two := fence(c, clock, "one", 0), fence(c, clock, "two", 0)
	hold := func(f *cluster.Fence) {
		t.Helper()
		if err := f.Hold(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	hold(one)
	first := one.Term()
	hold(one)
	if one.Term() != first {
		t.Error("a renewal began another term")
	}
	if err := one.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	hold(two)
	if err := two.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	hold(one)
	if one.Term() == first {
		t.Error("the lease was another engine's meanwhile, and the term is the same")
	}
}

func TestFencedWritesAreConditional(t *testing.T) {
	c, clock := world(t)
	f := fence(c, clock, "one", 0)
	if err := f.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	api := cluster.Fenced(c, f)
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one"}}
	if err := api.Create(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	bare := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one"}}
	for what, err := range map[string]error{
		"update": api.Update(t.Context(), bare),
		"delete": api.Delete(t.Context(), bare),
		"status": api.Status().Update(t.Context(), bare),
	} {
		if !errors.Is(err, cluster.ErrUnconditional) {
			t.Errorf("%s without UID: %v, want ErrUnconditional", what, err)
		}
	}
	if who := cm.ManagedFields[0].Manager; who != cluster.FieldManager {
		t.Errorf("written as %s, want %s", who, cluster.FieldManager)
	}
	if err := api.Delete(t.Context(), cm, client.Preconditions{UID: &cm.UID}); err != nil {
		t.Error(err)
	}
}

// TestNeverTwoEnginesMayWrite lets two engines with skewed clocks renew, sleep and
// lose requests and replies at random. Whenever one may write, the other's last
// write must have ended: it was allowed at least WriteTimeout ago.
func TestNeverTwoEnginesMayWrite(t *testing.T) {
	const timeout = 5 * time.Second
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		c, clock := world(t)
		c.SetFaults(func(op memory.Op) memory.Fault {
			switch random.IntN(6) {
			case 0:
				return memory.TimedOut(op)
			case 1:
				return memory.Lost(op)
			case 2:
				return memory.Fault{Stale: 1}
			}
			return memory.Fault{}
		})
		fences := []*cluster.Fence{fence(c, clock, "one", 0), fence(c, clock, "two", time.Duration(random.IntN(100))*time.Minute)}
		allowed := []time.Time{{}, {}}
		asleep := []time.Time{{}, {}}
		held := 0
		for range 400 {
			clock.SetTime(clock.Now().Add(time.Duration(random.IntN(2500)) * time.Millisecond))
			i := random.IntN(2)
			if random.IntN(30) == 0 {
				asleep[i] = clock.Now().Add(time.Duration(random.IntN(60)) * time.Second)
			}
			if clock.Now().After(asleep[i]) {
				_ = fences[i].Hold(context.Background())
			}
			for me, f := range fences {
				if f.Check() != nil {
					continue
				}
				held++
				allowed[me] = clock.Now()
				if other := allowed[1-me]; !other.IsZero() && clock.Now().Before(other.Add(timeout)) {
					t.Fatalf("seed %d: engine %d may write at %s, engine %d was allowed to at %s", seed, me, clock.Now(), 1-me, other)
				}
			}
		}
		if held == 0 {
			t.Fatalf("seed %d: nobody ever held the lease", seed)
		}
	}
}
