// Package pulse notices when this process itself stands still: a machine without a
// free core, a stopped process, a pause of the runtime. Whatever is measured meanwhile
// looks slow and may not be.
package pulse

import (
	"context"
	"sync/atomic"
	"time"
)

// A Pulse beats while the process runs. StoodStill may be called while Run runs.
type Pulse struct {
	limit, period time.Duration
	began         time.Time
	// Nanoseconds since began: of the last beat, and of the end of the last standstill.
	beat, still atomic.Int64
}

// New makes a pulse that beats once in a period, the first time at began, and of which
// a beat that is late by more than limit is a standstill. It beats when Run is called.
func New(limit, period time.Duration, began time.Time) *Pulse {
	return &Pulse{limit: limit, period: period, began: began}
}

// Run beats until ctx ends.
func (p *Pulse) Run(ctx context.Context) {
	ticks := time.NewTicker(p.period)
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

func (p *Pulse) note(now time.Time) {
	if p.late(now) {
		p.still.Store(int64(now.Sub(p.began)))
	}
	p.beat.Store(int64(now.Sub(p.began)))
}

// StoodStill tells whether the process stood still for longer than the limit at some
// time between from and now. A standstill that has just ended may be seen by the caller
// before the pulse sees it; hence the look at the last beat.
func (p *Pulse) StoodStill(from, now time.Time) bool {
	return p.still.Load() > int64(from.Sub(p.began)) || p.late(now)
}

// late tells whether the last beat is too long ago.
func (p *Pulse) late(now time.Time) bool {
	return int64(now.Sub(p.began))-p.beat.Load() > int64(p.limit+p.period)
}
