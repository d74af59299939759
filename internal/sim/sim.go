// Package sim leads whole migrations in a world of its own: the engine as it is,
// over three clusters in memory, DNS services in memory and a clock that only the
// simulation moves. Everything follows from a seed: the estate, what its teams and
// other people do meanwhile, what goes wrong inside each request, and when the
// engine dies. After every step the invariants are checked by eyes of their own,
// which share nothing with the engine. A run that breaks one says with which seed,
// and what came before; the same seed breaks it again.
//
// A run is one goroutine: nothing happens at the same time, everything may happen
// in between.
package sim

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
)

// Options say what to run. The zero value of each field lets the seed decide.
type Options struct {
	Seed uint64
	// Apps is the size of the estate.
	Apps int
	// Calm leaves out faults and deaths, Still leaves out people.
	Calm, Still bool
	// Log hears every line of the trace as it happens.
	Log func(string)
	// Forward leads to Release and stays there.
	Forward bool
}

// A Result is what a run came to.
type Result struct {
	Apps int
	// Passes counts the engine's, Simulated is how long they took in the world.
	Passes    int
	Simulated time.Duration
	// Plan says in words what the run was to do.
	Plan  string
	Tally Tally
	// Digest stands for everything that happened: equal seeds have equal digests.
	Digest uint64
}

// A Tally counts what a run was made of.
type Tally struct {
	// Requests are the engines', of which Faults went wrong in some way.
	Requests, Faults int
	// Deaths and Sleeps are the engines' in the middle of a pass, Deeds what people did,
	// Checks how often an app was held against the promises.
	Deaths, Sleeps, Deeds, Checks int
}

func (t Tally) String() string {
	return fmt.Sprintf("%d requests, %d faults, %d deaths, %d sleeps, %d deeds, %d checks", t.Requests, t.Faults, t.Deaths, t.Sleeps, t.Deeds, t.Checks)
}

// A Broken is a run that did not keep what Crossfade promises.
type Broken struct {
	Seed uint64
	// Rule is the invariant, as DESIGN.md counts them, or what else went wrong.
	Rule string
	Text string
	// Trace is what happened last.
	Trace string
}

func (b *Broken) Error() string {
	return fmt.Sprintf("seed %d breaks %s: %s\n%s", b.Seed, b.Rule, b.Text, b.Trace)
}

// Run leads one migration to where its plan ends. The error is a *Broken.
func Run(ctx context.Context, o Options) (Result, error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return Result{}, fmt.Errorf("seed %d: make the world: %w", o.Seed, err)
	}
	defer w.end()
	w.play(ctx)
	result := Result{
		Apps: len(w.apps), Passes: w.passes, Simulated: w.clock.Since(began), Plan: w.plan.String(), Tally: w.tally, Digest: w.trace.digest.Sum64(),
	}
	if w.broken != nil {
		return result, w.broken
	}
	return result, nil
}

// stream is a source of chance for one purpose: what is drawn for another does not
// change it.
func stream(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// longest is how long, in the world, each way of a migration may take: far more
// than any needs, and the end of every wait that never ends.
const longest = 90 * time.Minute

// play runs the world until the plan is done or a promise is broken.
func (w *world) play(ctx context.Context) {
	for w.broken == nil && ctx.Err() == nil {
		if !w.plan.advance(w) {
			w.finish()
			return
		}
		if w.clock.Since(w.plan.since) > longest {
			w.breaks("5 (every way ends)", "%s has not ended after %s: %s", w.plan.leg(), longest, w.status())
			return
		}
		w.people.act(w)
		wait := w.pass(ctx)
		w.check()
		w.advance(ctx, wait)
	}
}

// pass lets one engine make one pass, and says how long it wants to wait.
func (w *world) pass(ctx context.Context) time.Duration {
	p := w.turn(ctx)
	if p == nil {
		return time.Second
	}
	w.passes++
	w.running = p
	result, err := p.engine.Reconcile(p.ctx, migrationKey)
	w.running = nil
	w.trace.note(w.clock.Now(), "%s: %s", p.identity, outcome(w, err))
	if p.ctx.Err() != nil {
		w.bury(p)
		return 100 * time.Millisecond
	}
	if r := w.m.Status.Reason; err == nil && r != v1.ClusterUnreachable && r != v1.Stalled && r != v1.FenceLost {
		w.saw = w.clock.Now()
	}
	if err != nil {
		return time.Duration(100+w.pace.IntN(4000)) * time.Millisecond
	}
	return w.lazily(result.RequeueAfter)
}

// lazily stretches a wait: an engine may be later than it asked to be.
func (w *world) lazily(wait time.Duration) time.Duration {
	factor := []int{1, 2, 4, 6, 10}[w.pace.IntN(5)]
	if w.big() {
		factor = 4
	}
	if waits(w.m) {
		factor *= 8
	}
	return max(wait*time.Duration(factor), 10*time.Millisecond)
}

// waits is true of a migration that only lets time pass.
func waits(m *v1.Migration) bool {
	switch m.Status.Reason {
	case v1.OldTTLCached, v1.DelegationMoving, v1.EndpointMoving:
		return strings.Contains(m.Status.Message, " left")
	}
	return false
}

func outcome(w *world, err error) string {
	m := w.m
	if err != nil {
		return fmt.Sprintf("%s %s: error: %v", m.Spec.Direction, m.Status.Stage, err)
	}
	return fmt.Sprintf("%s %s %s: %s", m.Spec.Direction, m.Status.Stage, m.Status.Reason, m.Status.Message)
}

func (w *world) status() string {
	m := w.m
	var pending []string
	for _, g := range m.Status.Gates {
		if g.Verdict != v1.Passed {
			pending = append(pending, fmt.Sprintf("%s %s %s", g.Name, g.Verdict, g.Observed))
		}
	}
	return fmt.Sprintf("%s; gates: %s", outcome(w, nil), strings.Join(pending, ", "))
}

func (w *world) big() bool { return len(w.apps) > 200 }
