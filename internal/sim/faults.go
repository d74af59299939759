package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/dns"
	dnsmemory "crossfade.dev/internal/dns/memory"
)

// faults decide, request by request, what goes wrong, and which engine makes the
// next pass.
type faults struct {
	w      *world
	chance *rand.Rand
	// busy is true inside a fault: what happens there goes right.
	busy bool
	// asleep is the engine that stands still in the middle of a pass, if one does.
	asleep *process

	// Until weatherEnds a request goes wrong with the probability rate, and closed, if
	// it is not empty, is the cluster that answers nothing.
	weatherEnds time.Time
	rate        float64
	closed      string
	// revives is when the next engine starts after the last one died.
	revives time.Time
}

func newFaults(w *world) *faults { return &faults{w: w, chance: stream(w.o.Seed, "faults")} }

func (f *faults) oneIn(n int) bool { return f.chance.IntN(n) == 0 }

// weather changes every few seconds to a minute; most of it is fair.
func (f *faults) weather() {
	now := f.w.clock.Now()
	if now.Before(f.weatherEnds) {
		return
	}
	f.weatherEnds = now.Add(time.Duration(3+f.chance.IntN(50)) * time.Second)
	f.rate, f.closed = []float64{0, 0, 0, 0.005, 0.02, 0.05}[f.chance.IntN(6)], ""
	if f.w.big() {
		f.rate /= 50
	}
	if f.oneIn(15) {
		f.closed = []string{"source", "target", "hub"}[f.chance.IntN(3)]
		f.weatherEnds = now.Add(time.Duration(1+f.chance.IntN(15)) * time.Second)
	}
}

// decide implements memory.Faults. What an engine did before this request is checked
// first.
func (f *faults) decide(op memory.Op) memory.Fault {
	p := f.w.running
	if p == nil || f.busy || f.w.o.Calm {
		return memory.Fault{}
	}
	f.busy = true
	defer func() { f.busy = false }()
	if f.w.changed {
		f.w.check()
	}
	f.weather()
	f.w.tally.Requests++
	switch {
	case op.Cluster == f.closed:
		f.w.tally.Faults++
		return memory.TimedOut(op)
	case f.chance.Float64() >= f.rate:
		return memory.Fault{}
	}
	f.w.tally.Faults++
	if op.Write() {
		return f.write(p, op)
	}
	return f.read(p, op)
}

// write is what goes wrong with a write.
func (f *faults) write(p *process, op memory.Op) memory.Fault {
	n := f.chance.IntN(12)
	if n > 9 && op.Kind.Kind == "Lease" && !f.oneIn(4) {
		n = 0 // there are so many of them that it would die of nothing else
	}
	switch n {
	case 0, 1:
		return memory.Throttled()
	case 2, 3:
		return memory.TimedOut(op)
	case 4, 5:
		return memory.Conflicted(op)
	case 6, 7, 8:
		return memory.Lost(op)
	case 9:
		f.w.people.meanwhile(op)
		return memory.Fault{}
	case 10:
		return memory.Fault{Before: f.kill(p, "before", op)}
	default:
		return memory.Fault{After: f.kill(p, "after", op)}
	}
}

// read is what goes wrong with a read. Leases are never read from a cache.
func (f *faults) read(p *process, op memory.Op) memory.Fault {
	switch n := f.chance.IntN(8); {
	case n == 0:
		return memory.Throttled()
	case n == 1:
		return memory.TimedOut(op)
	case n == 2 && op.Kind.Kind != "Lease" && f.asleep == nil && !f.w.big():
		f.sleep(p)
		return memory.Fault{}
	case mayLag(op):
		return memory.Fault{Stale: 1 + f.chance.IntN(1<<(1+f.chance.IntN(6)))}
	}
	return memory.Fault{}
}

// mayLag is true of reads that production answers from a cache.
func mayLag(op memory.Op) bool {
	if op.Cluster == "hub" || op.Bare {
		return false
	}
	switch op.Kind.Kind {
	case "Deployment", "Service", "Ingress", "HorizontalPodAutoscaler", "EndpointSlice":
		return true
	}
	return op.Verb == "list"
}

// kill ends an engine in the middle of what it does.
func (f *faults) kill(p *process, when string, what any) error {
	f.w.trace.note(f.w.clock.Now(), "%s dies %s %v", p.identity, when, what)
	f.w.tally.Deaths++
	p.cancel()
	f.revives = f.w.clock.Now().Add(time.Duration(f.chance.IntN(3000<<f.chance.IntN(3))) * time.Millisecond)
	return context.Canceled
}

// sleep lets an engine stand still in the middle of a pass for longer than its lease
// is good for, while another one takes over.
func (f *faults) sleep(p *process) {
	w := f.w
	w.trace.note(w.clock.Now(), "%s stands still", p.identity)
	w.tally.Sleeps++
	f.asleep, w.running, f.busy = p, nil, false
	end := w.clock.Now().Add(time.Duration(2+f.chance.IntN(20)) * time.Second)
	for w.broken == nil && w.clock.Now().Before(end) {
		wait := w.pass(w.ctx)
		w.check()
		w.advance(w.ctx, min(wait, end.Sub(w.clock.Now())))
	}
	f.asleep, w.running, f.busy = nil, p, true
	w.trace.note(w.clock.Now(), "%s goes on", p.identity)
}

// errLost is a reply that did not arrive.
var errLost = errors.New("connection reset")

// name is what goes wrong with a call to a DNS service, before it is made or after.
func (f *faults) name(_ context.Context, c dnsmemory.Call, before bool) error {
	p := f.w.running
	if p == nil || f.busy || f.w.o.Calm {
		return nil
	}
	f.busy = true
	defer func() { f.busy = false }()
	f.weather()
	f.w.tally.Requests++
	if f.chance.Float64() >= f.rate {
		return nil
	}
	f.w.tally.Faults++
	switch {
	case f.oneIn(8):
		return f.kill(p, map[bool]string{true: "before", false: "after"}[before], "a call to zone "+c.Zone)
	case before:
		return fmt.Errorf("%w: too many requests", dns.ErrTransient)
	}
	return errLost
}

// blob is what goes wrong with the journal. The store waits meanwhile.
func (f *faults) blob(op blobtest.Op) blobtest.Fault {
	p := f.w.running
	if p == nil || f.busy || f.w.o.Calm || f.chance.Float64() >= f.rate {
		return blobtest.Fault{}
	}
	f.w.tally.Faults++
	switch f.chance.IntN(8) {
	case 0:
		return blobtest.Fault{Before: f.kill(p, "before", "the journal's "+op.Verb)}
	case 1:
		return blobtest.Fault{After: f.kill(p, "after", "the journal's "+op.Verb)}
	case 2:
		return blobtest.Fault{Torn: op.Verb == "write"}
	case 3, 4:
		return blobtest.Fault{After: blobtest.ErrInjected}
	}
	return blobtest.Fault{Before: blobtest.ErrInjected}
}

// turn is the engine that makes the next pass; nil while none runs. Sometimes there
// are two.
func (f *faults) turn(ctx context.Context) *process {
	w := f.w
	var awake []*process
	for _, p := range w.engines {
		if p != f.asleep {
			awake = append(awake, p)
		}
	}
	switch {
	case len(awake) == 0 && w.clock.Now().Before(f.revives):
		return nil
	case len(awake) == 0 || !w.o.Calm && !w.big() && len(awake) == 1 && f.oneIn(400):
		p := w.launch(ctx, f.identity())
		w.renew(ctx)
		return p
	case len(awake) > 1 && f.oneIn(20):
		w.bury(awake[f.chance.IntN(len(awake))])
		return f.turn(ctx)
	}
	return awake[f.chance.IntN(len(awake))]
}

// identity is the name of the next engine. One that starts again after its own death
// may have its old name.
func (f *faults) identity() string {
	if f.w.born > 0 && len(f.w.engines) == 0 && f.oneIn(2) {
		return fmt.Sprintf("engine-%d", f.w.born)
	}
	return fmt.Sprintf("engine-%d", f.w.born+1)
}
