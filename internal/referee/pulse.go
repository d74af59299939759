package referee

import (
	"context"
	"sync/atomic"
	"time"
)

// pulse notices when the referee itself stands still: a machine without a free
// core, a stopped process, a pause of the runtime. Whatever was under way meanwhile
// looks slow and may not be.
type pulse struct {
	limit time.Duration
	began time.Time
	// Nanoseconds since began: of the last beat, and of the end of the last standstill.
	beat, still atomic.Int64
}

// pulsePeriod costs 200 wake-ups a second.
const pulsePeriod = 5 * time.Millisecond

func newPulse(limit time.Duration) *pulse {
	return &pulse{limit: limit, began: time.Now()}
}

func (p *pulse) run(ctx context.Context) {
	for {
		sleepUntil(ctx, time.Now().Add(pulsePeriod))
		if ctx.Err() != nil {
			return
		}
		p.note(time.Now())
	}
}

func (p *pulse) note(now time.Time) {
	at := int64(now.Sub(p.began))
	if at-p.beat.Load() > int64(p.limit+pulsePeriod) {
		p.still.Store(at)
	}
	p.beat.Store(at)
}

// stoodStill reports whether the referee stood still for longer than limit at some
// time between from and now. A standstill that has just ended may have been noticed
// by the caller before the pulse; hence the look at the last beat.
func (p *pulse) stoodStill(from, now time.Time) bool {
	return p.still.Load() > int64(from.Sub(p.began)) ||
		int64(now.Sub(p.began))-p.beat.Load() > int64(p.limit+pulsePeriod)
}

// sleepUntil returns at the time given, or when ctx ends.
func sleepUntil(ctx context.Context, until time.Time) {
	wait := time.Until(until)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
