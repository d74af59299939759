package probe

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Counts is what a Prober has done so far, in halves of pairs.
type Counts struct {
	// Slots is how many were due. Each is in one of the other three.
	Slots, Answered, Failed, Invalid int64
	// Slip is how late the prober itself was: the median and the 99th percentile, to
	// a factor of two.
	SlipP50, SlipP99 time.Duration
}

// tally counts halves. Slips are counted by the number of bits of their
// microseconds.
type tally struct {
	slots, answered, failed, invalid atomic.Int64
	slips                            [40]atomic.Int64
}

func (t *tally) slip(late time.Duration) {
	t.slips[min(bits.Len64(uint64(max(late.Microseconds(), 0))), len(t.slips)-1)].Add(1)
}

func (t *tally) count(h half) {
	t.slots.Add(1)
	switch {
	case h.invalid:
		t.invalid.Add(1)
	case h.class.Failed():
		t.failed.Add(1)
	default:
		t.answered.Add(1)
	}
}

// Counts returns what was done so far, over all keys.
func (p *Prober) Counts() Counts {
	t := &p.tally
	return Counts{
		Slots: t.slots.Load(), Answered: t.answered.Load(), Failed: t.failed.Load(), Invalid: t.invalid.Load(),
		SlipP50: t.slipQuantile(0.5), SlipP99: t.slipQuantile(0.99),
	}
}

func (t *tally) slipQuantile(q float64) time.Duration {
	var total, seen int64
	for i := range t.slips {
		total += t.slips[i].Load()
	}
	for i := range t.slips {
		if seen += t.slips[i].Load(); total > 0 && float64(seen) >= q*float64(total) {
			return time.Duration(1<<i) * time.Microsecond
		}
	}
	return 0
}
