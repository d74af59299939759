// Package probe asks the estate's public names on both sides at once, through the
// entry of either, and keeps what became of each pair.
//
// The load is open: slots are fixed before anything is asked, and latency counts
// from the slot, not from when the request left. Each slot of a name ends on either
// side in one of three ways, answered, failed or invalid, and is counted once. It
// is invalid if the prober itself was too late, or had spent its ports, and if the
// request before was still waited for: one hanging request is one failure.
package probe

import (
	"cmp"
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"crossfade.dev/internal/judge"
	"crossfade.dev/internal/pulse"
)

// A Name is one public name, and the address at which either side is entered.
type Name struct {
	// Host is what the request asks for; Source and Target are the addresses that
	// are forced, without port.
	Host, Source, Target string
	// Path begins with a slash. Port is the port of the entry; what stands there
	// speaks HTTP in clear.
	Path string
	Port int32
	// Entry tells the addresses of a name with several apart, from 0.
	Entry int
}

// String is the name as people read it, and as evidence is kept under.
func (n Name) String() string {
	s := n.Host
	if n.Port != 80 {
		s += ":" + strconv.Itoa(int(n.Port))
	}
	if n.Path != "/" {
		s += n.Path
	}
	if n.Entry > 0 {
		s += " (entry " + strconv.Itoa(n.Entry+1) + ")"
	}
	return s
}

// Options are what a Prober is made of.
type Options struct {
	// Dial connects to an entry. It obeys the deadline of its context.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Seed spreads the slots of different names over the interval.
	Seed uint64
	// Timeout is how long after its slot an answer may come; 2 s if zero.
	Timeout time.Duration
	// BurnIn is how many pairs of a name make its Before; 100 if zero. Latency is
	// compared from a fifth of them on.
	BurnIn int
	// MaxSlip is how late the prober may be, or stand still, before latencies and
	// timeouts say nothing; 50 ms if zero.
	MaxSlip time.Duration
}

// A Prober asks names, under keys: one for each migration. It may be used from
// several goroutines at once.
type Prober struct {
	ctx     context.Context
	options Options
	pulse   *pulse.Pulse
	tally   tally

	mu    sync.Mutex
	asked map[string]*asking
}

// New returns a Prober that asks nothing yet, and that stops when ctx ends.
func New(ctx context.Context, o Options) *Prober {
	o.Timeout = cmp.Or(o.Timeout, 2*time.Second)
	o.BurnIn = cmp.Or(o.BurnIn, 100)
	o.MaxSlip = cmp.Or(o.MaxSlip, 50*time.Millisecond)
	p := &Prober{ctx: ctx, options: o, asked: map[string]*asking{}, pulse: pulse.New(o.MaxSlip, pulsePeriod, time.Now())}
	go p.pulse.Run(ctx)
	go p.watch()
	return p
}

// pulsePeriod costs 100 wake-ups a second.
const pulsePeriod = 10 * time.Millisecond

// patience is for how long names are asked on when nobody wants to know.
const patience = 10 * time.Minute

// watch tends what is asked, also when nobody wants to know.
func (p *Prober) watch() {
	ticks := time.NewTicker(10 * time.Second)
	defer ticks.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-ticks.C:
		}
		p.mu.Lock()
		asked := slices.Collect(maps.Values(p.asked))
		p.mu.Unlock()
		for _, a := range asked {
			a.tend()
		}
	}
}

// Ask has these names asked under key from now on, each perSecond times a second
// on either side, and no others. It costs little when nothing has changed, and is to
// be repeated: after ten minutes without it, nothing is asked until it comes again.
// What is known of a name is kept while it is among the names; if an address of it
// changes, it counts as one that is being set up until both sides have answered
// alike again.
func (p *Prober) Ask(key string, names []Name, perSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.asked[key]
	if a == nil {
		a = newAsking(p)
		p.asked[key] = a
	}
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b Name) int { return cmp.Compare(a.String(), b.String()) })
	names = slices.CompactFunc(names, func(a, b Name) bool { return a.String() == b.String() })
	a.set(names, perSecond)
}

// Stop ends what is asked under key, and forgets it.
func (p *Prober) Stop(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.asked[key]; a != nil {
		a.set(nil, 0)
		delete(p.asked, key)
	}
}

// Evidence returns what is known of the names asked under key, over the slots from
// since on whose pairs have all ended. A moment that was asked for before is kept
// exactly; of others that lie more than two minutes back, up to the minute after
// them is left out.
func (p *Prober) Evidence(key string, since time.Time) judge.Estate {
	p.mu.Lock()
	a := p.asked[key]
	p.mu.Unlock()
	if a == nil {
		return judge.Estate{Names: map[string]judge.Evidence{}}
	}
	return a.evidence(since)
}
