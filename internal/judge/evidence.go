package judge

import (
	"math"
	"slices"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
)

// A Class is how one half of a pair ended.
type Class uint8

// The classes. Unconnected is a connection that was not made, or that broke
// before the answer was complete.
const (
	Success Class = iota
	Redirect
	ClientError
	ServerError
	TimedOut
	Unconnected
	classes = 6
)

func (c Class) String() string {
	return [classes]string{"2xx", "3xx", "4xx", "5xx", "timeout", "connect"}[c]
}

// rank orders classes from what a user wants to what none does. All failures are
// alike: a pair of which both halves failed does not tell the sides apart.
func (c Class) rank() int { return min(int(c), int(ServerError)) }

// Failed is true if a user got nothing of use.
func (c Class) Failed() bool { return c >= ServerError }

// Alike is true for halves that do not tell the sides apart.
func Alike(source, target Class) bool { return source.rank() == target.rank() }

// Discord counts trials in which one side alone was worse.
type Discord struct {
	Target int64 `json:"target"`
	Source int64 `json:"source"`
}

// Add counts what other counted.
func (d *Discord) Add(other Discord) {
	d.Target += other.Target
	d.Source += other.Source
}

// Pairs counts pairs by the class of the source's half, then of the target's.
type Pairs [classes][classes]int64

// Add counts what other counted.
func (p *Pairs) Add(other Pairs) {
	for s := range p {
		for t := range p[s] {
			p[s][t] += other[s][t]
		}
	}
}

// Total is the number of pairs.
func (p *Pairs) Total() int64 {
	var n int64
	for _, row := range p {
		for _, count := range row {
			n += count
		}
	}
	return n
}

// Alike is the number of pairs whose halves were equally good, or both failed.
func (p *Pairs) Alike() int64 {
	d := p.Discord()
	return p.Total() - d.Target - d.Source
}

// Discord counts the pairs of which one half was worse than the other.
func (p *Pairs) Discord() Discord {
	var d Discord
	p.each(func(s, t Class, n int64) {
		switch {
		case t.rank() > s.rank():
			d.Target += n
		case s.rank() > t.rank():
			d.Source += n
		}
	})
	return d
}

// class counts the pairs that tell the sides apart in one class. Of the class of
// successes the worse side is the one that lacks it; of every other, the one that
// has it while the other side fared better.
func (p *Pairs) class(c Class) Discord {
	var d Discord
	p.each(func(s, t Class, n int64) {
		switch {
		case t.rank() > s.rank() && (t == c || c == Success && s == c):
			d.Target += n
		case s.rank() > t.rank() && (s == c || c == Success && t == c):
			d.Source += n
		}
	})
	return d
}

// failed is how many halves of a side failed.
func (p *Pairs) failed(side v1.Side) int64 {
	var failed int64
	p.each(func(s, t Class, n int64) {
		if side == v1.Source && s.Failed() || side == v1.Target && t.Failed() {
			failed += n
		}
	})
	return failed
}

// answered is how many pairs were of use on both sides.
func (p *Pairs) answered() int64 {
	var answered int64
	p.each(func(s, t Class, n int64) {
		if !s.Failed() && !t.Failed() {
			answered += n
		}
	})
	return answered
}

func (p *Pairs) each(visit func(source, target Class, n int64)) {
	for s := range p {
		for t, n := range p[s] {
			if n > 0 {
				visit(Class(s), Class(t), n)
			}
		}
	}
}

// Levels is how many quantiles of latency are watched.
const Levels = 5

// P99 is the level by which margins of latency are measured.
const P99 = 3

var (
	levels     = [Levels]float64{0.50, 0.90, 0.95, 0.99, 0.995}
	levelNames = [Levels]string{"P50", "P90", "P95", "P99", "P99.5"}
)

// Before is what a name was like when it was first asked, on the source and on the
// target. It is frozen once the burn-in has ended.
type Before struct {
	// Pairs is how many the burn-in had; zero is that nothing is known yet.
	Pairs int64 `json:"pairs"`
	// Failed is how many halves failed, on the source and on the target.
	Failed [2]int64 `json:"failed"`
	// Latency is the quantiles of either side, in nanoseconds.
	Latency [2][Levels]time.Duration `json:"latency"`
}

// Slow is the latency above which an answer counts as slower than a quantile: half
// as much again, or 20 ms more, whichever is more. Less than that nobody notices,
// and two sides never are the same to the microsecond.
func Slow(quantile time.Duration) time.Duration {
	return max(quantile+quantile/2, quantile+20*time.Millisecond)
}

// Second makes one trial of the pairs of a second of which one half alone was slow,
// out of all that were timed. A difference within the margin of latency is none.
func Second(slow Discord, timed int64) Discord {
	margin := latencyMargin * float64(timed)
	switch difference := float64(slow.Target - slow.Source); {
	case difference > margin:
		return Discord{Target: 1}
	case -difference > margin:
		return Discord{Source: 1}
	}
	return Discord{}
}

// Quantiles returns the quantiles that are watched of latencies, which it sorts.
func Quantiles(latencies []time.Duration) [Levels]time.Duration {
	var out [Levels]time.Duration
	slices.Sort(latencies)
	for i, q := range levels {
		if n := len(latencies); n > 0 {
			out[i] = latencies[min(n-1, int(math.Ceil(q*float64(n)))-1)]
		}
	}
	return out
}

// Evidence is what is known of one name, over some period.
type Evidence struct {
	// Kept and Fresh are the pairs on connections that had been used before, and on
	// new ones.
	Kept  Pairs `json:"kept"`
	Fresh Pairs `json:"fresh"`
	// Slow counts, for each quantile of the source's Before, the seconds in which
	// more answers of one side than of the other were slower than that. Within a
	// second slow answers come together, so they are one trial.
	Slow [Levels]Discord `json:"slow"`
	// Timed is how many pairs had both latencies, and SlowPairs those of them of
	// which one half alone was slower than the source's P99.
	Timed     int64   `json:"timed"`
	SlowPairs Discord `json:"slowPairs"`
	// Unlike is how many pairs were asked before the name had been alike on both
	// sides for the first time, and Last how the last of them ended. They are not in
	// any other count: a name that is being set up is not compared yet.
	Unlike int64    `json:"unlike"`
	Last   [2]Class `json:"last"`
	// Invalid is how many pairs say nothing, for reasons of the prober's own.
	Invalid int64 `json:"invalid"`
	// Before is the same in every period.
	Before Before `json:"before"`
}

// Pairs is all pairs of the name.
func (e *Evidence) Pairs() Pairs {
	all := e.Kept
	all.Add(e.Fresh)
	return all
}

// Merge adds the evidence of another, later period.
func (e *Evidence) Merge(later Evidence) {
	e.Kept.Add(later.Kept)
	e.Fresh.Add(later.Fresh)
	for l := range e.Slow {
		e.Slow[l].Add(later.Slow[l])
	}
	e.Timed += later.Timed
	e.SlowPairs.Add(later.SlowPairs)
	if later.Unlike > 0 {
		e.Last = later.Last
	}
	e.Unlike += later.Unlike
	e.Invalid += later.Invalid
	if e.Before.Pairs == 0 {
		e.Before = later.Before
	}
}

func (e *Evidence) stranger(name string) *Stranger {
	pairs := e.Pairs()
	if pairs.Alike() > 0 {
		return nil
	}
	s := &Stranger{Name: name, Pairs: pairs.Total() + e.Unlike, Source: e.Last[0], Target: e.Last[1]}
	pairs.each(func(source, target Class, _ int64) { s.Source, s.Target = source, target })
	return s
}

// An Estate is the evidence of all names together.
type Estate struct {
	Names map[string]Evidence `json:"names"`
	// Slow is Evidence.Slow over the answers of all names: a second is one trial.
	Slow [Levels]Discord `json:"slow"`
	// Seconds is how many seconds had answers that could be timed, and SlowSeconds
	// in how many of them more than half of the answers of the source, and of the
	// target, were slower than the P99 of its own Before.
	Seconds     int64    `json:"seconds"`
	SlowSeconds [2]int64 `json:"slowSeconds"`
}

// Merge adds the evidence of another period, or of other names. Shards that saw
// the same seconds count them once each, which makes latency more certain than it
// is: give whole estates to a shard, or let it report other seconds.
func (e *Estate) Merge(later Estate) {
	if e.Names == nil {
		e.Names = map[string]Evidence{}
	}
	for name, add := range later.Names {
		sum := e.Names[name]
		sum.Merge(add)
		e.Names[name] = sum
	}
	for l := range e.Slow {
		e.Slow[l].Add(later.Slow[l])
	}
	e.Seconds += later.Seconds
	for i := range e.SlowSeconds {
		e.SlowSeconds[i] += later.SlowSeconds[i]
	}
}
