package mirror

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"crossfade.dev/internal/cluster/memory"
)

// TestMirrorFollowsByWatchWithManyWorkers runs the mirror as production does: watches,
// writes at once, requests that fail.
func TestMirrorFollowsByWatchWithManyWorkers(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { followByWatch(t, seed+1) })
		})
	}
}

func followByWatch(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	w.from = memory.New(memory.Options{Name: "from", Number: 1, Seed: seed, Clock: clock.RealClock{}, WatchBuffer: 300})
	w.to = memory.New(memory.Options{Name: "to", Number: 2, Seed: seed + 1000, Clock: clock.RealClock{}, WatchBuffer: 300})
	var changed atomic.Bool
	w.config.Workers, w.config.Clock = 8, clock.RealClock{}
	w.config.From = Side{API: w.from, Feed: Watches(t.Context(), w.from, clock.RealClock{}, func() { changed.Store(true) }), Kinds: w.from.Kinds}
	w.config.To = Side{API: w.to, Feed: Watches(t.Context(), w.to, clock.RealClock{}, func() {}), Kinds: w.to.Kinds}
	w.mirror = New(w.config)
	w.estate(6)

	random := rand.New(rand.NewPCG(seed, 3))
	faults := &locked{chaos: chaos{random: rand.New(rand.NewPCG(seed, 5)), rate: 0.1}}
	w.from.SetFaults(faults.fault)
	w.to.SetFaults(faults.fault)
	for round := range 30 {
		_, _ = w.mirror.Sync(t.Context()) // the next pass goes on
		w.teamWrites(random, round)
		<-time.After(time.Duration(random.IntN(2000)) * time.Millisecond)
		w.from.Tick()
		w.to.Tick()
	}
	w.from.SetFaults(nil)
	w.to.SetFaults(nil)
	<-time.After(2 * time.Minute)
	var report Report
	for range 20 {
		report = w.sync()
		if report.Level() && report.Written == 0 {
			break
		}
		<-time.After(5 * time.Second)
	}
	if !report.Level() || len(report.Drift) > 0 {
		t.Fatalf("not level at the end: %+v", report)
	}
	if found := must(w.mirror.Differences(t.Context())); len(found) > 0 {
		t.Errorf("differences: %v", found)
	}
	noBodies(t, w.mirror)
	w.created(t)

	changed.Store(false)
	edit(t, w.from, &corev1.Secret{}, "team-0", "app-0", func(s *corev1.Secret) { s.Data["password"] = []byte("new") })
	synctest.Wait()
	if !changed.Load() {
		t.Error("the feed did not say that something changed")
	}
}
