package probe

import (
	"context"
	"sync/atomic"
	"time"
)

// pulse notices when the prober itself stands still: a machine without a free
// core, a stopped process. Whatever is under way meanwhile looks slow and may not
// be.
type pulse struct {
	limit time.Duration
	began time.Time
	// Nanoseconds since began: of the last beat, and of the end of the last standstill.
	beat, still atomic.Int64
}

// pulsePeriod costs 100 wake-ups a second.
const pulsePeriod = 10 * time.Millisecond

func newPulse(limit time.Duration) *pulse { return &pulse{limit: limit, began: time.Now()} }

func (p *pulse) run(ctx context.Context) {
	ticks := time.NewTicker(pulsePeriod)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			p.note(time.Now())
		}
	}
}

func (p *pulse) note(now time.Time) {
	at := int64(now.Sub(p.began))
	if at-p.beat.Load() > int64(p.limit+pulsePeriod) {
		p.still.Store(at)
	}
	p.beat.Store(at)
}

// stoodStill reports whether the prober stood still for longer than its limit at
// some time between from and now. A standstill that has just ended may be seen by
// the caller before the pulse sees it; hence the look at the last beat.
func (p *pulse) stoodStill(from, now time.Time) bool {
	return p.still.Load() > int64(from.Sub(p.began)) ||
		int64(now.Sub(p.began))-p.beat.Load() > int64(p.limit+pulsePeriod)
}
