package sim

import (
	"context"
	"fmt"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
)

const engineUser = "system:serviceaccount:crossfade-system:crossfade"

// A fence's lease, and how long a write may take. Writes in memory take
// microseconds; the lease is short so that a death costs less than the time that a
// pod goes on answering after it was told to stop.
const (
	lease        = 4 * time.Second
	writeTimeout = time.Second
)

// A process is one engine with everything that it holds in memory. When it dies,
// all of that is gone.
type process struct {
	w        *world
	identity string
	engine   *migration.Engine
	fences   []*cluster.Fence
	apis     map[string]cluster.API
	// ctx ends when the process dies: whatever it still does then has no effect.
	ctx    context.Context
	cancel context.CancelFunc
	// renews is when it renews its leases next.
	renews time.Time
}

// terms are those of the fences of the source and the target.
func (p *process) terms() [2]int32 {
	var terms [2]int32
	for i, c := range p.w.clusters() {
		switch nameOf(p.w, c) {
		case "source":
			terms[0] = p.fences[i].Term()
		case "target":
			terms[1] = p.fences[i].Term()
		}
	}
	return terms
}

// launch starts an engine.
func (w *world) launch(ctx context.Context, identity string) *process {
	w.born++
	p := &process{w: w, identity: identity, apis: map[string]cluster.API{}, renews: w.clock.Now()}
	p.ctx, p.cancel = context.WithCancel(ctx)
	for _, c := range w.clusters() {
		fence := cluster.NewFence(c, cluster.FenceOptions{Identity: identity, Duration: lease, WriteTimeout: writeTimeout, Clock: w.clock})
		p.fences = append(p.fences, fence)
		p.apis[nameOf(w, c)] = cluster.Fenced(c, fence)
	}
	kept := ledger.New(p.apis["hub"], w.bucket.Bucket())
	p.engine = &migration.Engine{
		Clock: w.clock, Hub: p.apis["hub"], Workers: 1, User: engineUser,
		Clusters: p.connect,
		Ledger:   func(context.Context, *v1.Migration) (*ledger.Ledger, error) { return kept, nil },
		Follower: &migration.InTurn{
			Lasting: p.ctx, Clock: w.clock, Workers: 1, Terms: p.terms,
			Feed: func(ctx context.Context, api cluster.API) mirror.Feed { return mirror.Polled(ctx, api, w.clock) },
		},
		Zones: func(context.Context, *v1.Migration) (migration.Zones, error) {
			return migration.Zones{Old: w.names.old, New: w.names.fresh, Parent: w.names.parent}, nil
		},
		Servers: dns.Servers(w.names.servers()), Judge: w.judge, Archiver: archiver{},
		Tell: func(_ *v1.Migration, reason v1.Reason, message string) {
			w.trace.note(w.clock.Now(), "%s tells: %s: %s", identity, reason, message)
		},
	}
	w.trace.note(w.clock.Now(), "%s starts", identity)
	w.engines = append(w.engines, p)
	return p
}

func nameOf(w *world, c *memory.Cluster) string {
	switch c {
	case w.source:
		return "source"
	case w.target:
		return "target"
	}
	return "hub"
}

func (p *process) connect(_ context.Context, c *v1.Cluster) (migration.Connection, error) {
	for _, k := range []*memory.Cluster{p.w.source, p.w.target} {
		if name := nameOf(p.w, k); name == c.Name {
			return migration.Connection{API: p.apis[name], Facts: k}, nil
		}
	}
	return migration.Connection{}, fmt.Errorf("no cluster is called %s", c.Name)
}

// lives is false while the engine stands still, and once it has died.
func (p *process) lives() bool { return p.ctx.Err() == nil && p != p.w.faults.asleep }

// renew lets every engine renew the leases that are due.
func (w *world) renew(ctx context.Context) {
	for _, p := range w.engines {
		if w.clock.Now().Before(p.renews) || !p.lives() {
			continue
		}
		p.renews = w.clock.Now().Add(lease / 4)
		w.running = p
		for _, fence := range p.fences {
			_ = fence.Hold(p.ctx) // what was held runs out by itself
		}
		w.running = nil
	}
	_ = ctx
}

// turn is the engine that makes the next pass; nil while none runs.
func (w *world) turn(ctx context.Context) *process {
	return w.faults.turn(ctx)
}

// bury removes an engine that died.
func (w *world) bury(dead *process) {
	w.trace.note(w.clock.Now(), "%s is gone", dead.identity)
	dead.cancel()
	for i, p := range w.engines {
		if p == dead {
			w.engines = append(w.engines[:i:i], w.engines[i+1:]...)
			return
		}
	}
}

// An archiver says that it keeps the source: what archives are worth is proved
// elsewhere.
type archiver struct{}

func (archiver) Take(_ context.Context, s migration.Subject) (string, error) {
	return s.Migration.Name + "-archive", nil
}

func (archiver) Rehearse(context.Context, *v1.Migration, string) ([]string, bool, error) {
	return nil, true, nil
}
