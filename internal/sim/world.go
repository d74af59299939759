package sim

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
)

// began is when every world begins.
var began = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)

const hubNamespace = "crossfade-system"

var migrationKey = client.ObjectKey{Namespace: hubNamespace, Name: "west"}

// A world is everything outside the engine, and the engines in it.
type world struct {
	o                   Options
	clock               *clocktesting.FakeClock
	source, target, hub *memory.Cluster
	// eyes see each side as it is, by what its API server told.
	eyes    map[v1.Side]*sight
	names   *names
	bucket  *blobtest.Store
	apps    []*app
	byName  map[string]*app
	foreign map[client.ObjectKey]bool // namespaces and names of other people's objects
	made    owners
	// teams are the objects that teams made in the target, removed those that they
	// removed, by name.
	teams, removed map[string]bool
	before         picture
	judge          *judge
	people         *people
	plan           *plan
	faults         *faults

	pace    *rand.Rand
	trace   *trace
	engines []*process
	// running is the engine whose pass is under way.
	running *process
	born    int
	passes  int
	tally   Tally
	// checkedAll is the pass after which every app was checked, asked the version of
	// the migration at which both sides were asked whether they take changes.
	checkedAll int
	// saw is when an engine last ended a pass without trouble.
	saw     time.Time
	asked   string
	m       *v1.Migration // as the hub holds it; not to be changed
	stirred bool
	changed bool // in a cluster, since the last check
	ctx     context.Context
	broken  *Broken
}

func newWorld(ctx context.Context, o Options) (*world, error) {
	w := &world{
		o: o, clock: clocktesting.NewFakeClock(began), trace: newTrace(o.Log), bucket: blobtest.New(),
		byName: map[string]*app{}, foreign: map[client.ObjectKey]bool{}, pace: stream(o.Seed, "pace"),
		made: owners{}, teams: map[string]bool{}, removed: map[string]bool{}, ctx: ctx,
	}
	w.faults = newFaults(w)
	w.makeClusters()
	chance := stream(o.Seed, "world")
	if err := w.makeEstate(chance); err != nil {
		return nil, err
	}
	w.settle()
	if err := w.makeNames(chance); err != nil {
		return nil, err
	}
	if err := w.makeMigration(chance); err != nil {
		return nil, err
	}
	w.judge, w.people, w.plan = newJudge(w), newPeople(w), newPlan(w)
	before, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	w.before = before
	return w, nil
}

func (w *world) end() {
	for _, p := range w.engines {
		p.cancel()
	}
}

func (w *world) makeClusters() {
	w.eyes = map[v1.Side]*sight{v1.Source: newSight(), v1.Target: newSight()}
	for i, at := range []**memory.Cluster{&w.source, &w.target, &w.hub} {
		name := []string{"source", "target", "hub"}[i]
		*at = memory.New(memory.Options{
			Name: name, Number: i + 1, Seed: w.o.Seed, Clock: w.clock, User: engineUser,
			Groups:  []string{"system:serviceaccounts", "system:serviceaccounts:" + hubNamespace, "system:authenticated"},
			Observe: w.observe, Start: w.startDelay, WatchBuffer: w.watchBuffer(),
		})
	}
	for _, c := range w.clusters() {
		c.SetFaults(w.faults.decide)
	}
	w.bucket.SetFaults(w.faults.blob)
}

// watchBuffer is small in a small world: now and then a watch is cut off.
func (w *world) watchBuffer() int {
	if w.o.Apps > 200 {
		return 1 << 13
	}
	return 1 << 8
}

func (w *world) clusters() []*memory.Cluster { return []*memory.Cluster{w.source, w.target, w.hub} }

func (w *world) cluster(side v1.Side) *memory.Cluster {
	if side == v1.Source {
		return w.source
	}
	return w.target
}

// startDelay is how long a pod takes until it is ready.
func (w *world) startDelay(pod *corev1.Pod) (time.Duration, bool) {
	h := fnv.New64a()
	h.Write([]byte(pod.Namespace + "/" + pod.Name))
	chance := rand.New(rand.NewPCG(w.o.Seed, h.Sum64())).Float64()
	least, most := 500*time.Millisecond, 20*time.Second
	if a := w.byName[pod.Labels["app"]]; a != nil && a.slow {
		least, most = 30*time.Second, 80*time.Second
	}
	return least + time.Duration(chance*float64(most-least)), true
}

// observe hears of every change in any cluster.
func (w *world) observe(c memory.Change) {
	w.trace.hash(c)
	if telling(c) {
		w.trace.change(w.clock.Now(), c)
	}
	if c.Cluster == "hub" {
		if m, ok := c.New.(*v1.Migration); ok {
			w.m = m
		}
		return
	}
	side := v1.Source
	if c.Cluster == "target" {
		side = v1.Target
	}
	w.eyes[side].see(c)
	w.changed = true
	w.stirred = w.stirred || c.User != engineUser
	w.judgeChange(side, c)
}

// settle lets the clusters come to rest.
func (w *world) settle() {
	for range 300 {
		w.clock.Step(time.Second)
		for _, c := range w.clusters() {
			c.Tick()
		}
	}
}

// advance lets time pass: what is due happens when it is due, and what engines do
// beside their passes. A change that an engine would hear of makes it look sooner.
func (w *world) advance(ctx context.Context, wait time.Duration) {
	end := w.clock.Now().Add(wait)
	heard := false
	for w.broken == nil && w.clock.Now().Before(end) {
		next := end
		for _, c := range w.clusters() {
			if due := c.Due(); !due.IsZero() && due.Before(next) {
				next = due
			}
		}
		for _, p := range w.engines {
			if p.lives() && p.renews.Before(next) {
				next = p.renews
			}
		}
		if next.After(w.clock.Now()) {
			w.clock.SetTime(next)
		}
		w.stirred = false
		for _, c := range w.clusters() {
			c.Tick()
		}
		w.renew(ctx)
		w.check()
		if w.stirred && !heard {
			heard = true
			if soon := w.clock.Now().Add(w.reaction()); soon.Before(end) {
				end = soon
			}
		}
	}
}

// reaction is how long an engine takes from a change to its next pass.
func (w *world) reaction() time.Duration {
	if w.big() {
		return 3 * time.Second
	}
	return time.Duration(50+w.pace.IntN(4000)) * time.Millisecond
}

// breaks notes that a promise is broken; the first counts.
func (w *world) breaks(rule, format string, args ...any) {
	if w.broken != nil {
		return
	}
	w.broken = &Broken{Seed: w.o.Seed, Rule: rule, Text: fmt.Sprintf(format, args...)}
	w.trace.note(w.clock.Now(), "BROKEN %s: %s", rule, w.broken.Text)
	w.broken.Trace = w.trace.String()
}

// outside is the API of a cluster as people have it: no fault touches it.
func outside(c *memory.Cluster, user string) cluster.API { return c.As(user, "team") }

func (w *world) makeMigration(chance *rand.Rand) error {
	m := &v1.Migration{ObjectMeta: metav1.ObjectMeta{Namespace: hubNamespace, Name: migrationKey.Name}, Spec: v1.MigrationSpec{
		Source: "source", Target: "target", Direction: v1.Forward, BackTo: v1.Prepare,
		Shift: v1.Shift{
			SharePercent: int32(20 + 10*chance.IntN(7)), MaxTotalPercent: []int32{100, 110, 125, 150, 200}[chance.IntN(5)],
			Warm: int32(chance.IntN(3)), SettleSeconds: int32(chance.IntN(12)), ReadyMinutes: 10,
		},
		Freeze:     v1.FreezePolicy{Window: []v1.FreezeWindow{v1.Handover, v1.Sitting}[chance.IntN(2)], Contact: "#platform", MaxMinutes: 240},
		Objectives: v1.Objectives{MarginPermille: 1, ProbesPerSecond: 10},
		Archive:    &v1.Archive{URL: "mem://archive", RehearseIn: "rehearsal"}, Journal: "mem://journal",
	}}
	if chance.IntN(2) == 0 {
		for _, a := range w.apps {
			if !slices.Contains(m.Spec.Namespaces, a.namespace) {
				m.Spec.Namespaces = append(m.Spec.Namespaces, a.namespace)
			}
		}
	}
	for _, a := range w.apps {
		switch {
		case a.stays():
			m.Spec.Decisions = append(m.Spec.Decisions, v1.Decision{Workload: a.id(), Decide: v1.DecideStay, By: "sim"})
		case a.kind == worker:
			m.Spec.Decisions = append(m.Spec.Decisions, v1.Decision{Workload: a.id(), Decide: v1.DecideMove, By: "sim"})
		}
	}
	if chance.IntN(8) > 0 {
		m.Spec.DNS = w.names.spec(chance)
	}
	objects := []client.Object{m}
	for _, name := range []string{"source", "target", "rehearsal"} {
		objects = append(objects, &v1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: hubNamespace, Name: name},
			Spec:       v1.ClusterSpec{Kubeconfig: v1.SecretKey{Name: name, Key: "kubeconfig"}},
		})
	}
	return w.hub.Seed(objects...)
}
