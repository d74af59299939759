package mirror

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
)

// A pace bounds the requests in flight. It rises by one for each round of answers
// that came as fast as ever, and halves when the API server asks for a pause or
// answers much more slowly than it can.
type pace struct {
	clock clock.PassiveClock
	most  int

	mu     sync.Mutex
	free   chan struct{} // closed and replaced when a place may have become free
	limit  float64
	flying int
	until  time.Time
	best   time.Duration // the fastest answers, creeping up
	recent time.Duration // moving average
	cut    time.Time     // of the last halving
}

const (
	// startingPace is how many requests are in flight at first.
	startingPace = 16
	// slow is how much longer than the fastest answers, and slowest how long at
	// least, answers take when the API server has too much to do.
	slow    = 8
	slowest = 200 * time.Millisecond
	// calm is how long a halving is left to work.
	calm = 500 * time.Millisecond
)

func newPace(workers int, clock clock.PassiveClock) *pace {
	return &pace{clock: clock, most: workers, limit: float64(min(workers, startingPace)), free: make(chan struct{})}
}

// acquire waits for a place. It returns an error when ctx ends before.
func (p *pace) acquire(ctx context.Context) error {
	for {
		p.mu.Lock()
		if float64(p.flying) < p.limit {
			p.flying++
			p.mu.Unlock()
			return nil
		}
		free := p.free
		p.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *pace) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying--
	close(p.free)
	p.free = make(chan struct{})
}

// timed runs one write and learns from how long it took.
func (p *pace) timed(do func() error) error {
	start := p.clock.Now()
	err := do()
	took := p.clock.Since(start)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.best == 0 || took < p.best {
		p.best = took
	}
	p.best += p.best / 1000
	p.recent += (took - p.recent) / 16
	if p.recent > slowest && p.recent > slow*p.best {
		p.halve()
	} else if p.limit < float64(p.most) {
		p.limit += 1 / p.limit
	}
	return err
}

func (p *pace) halve() {
	now := p.clock.Now()
	if now.Sub(p.cut) < calm {
		return
	}
	p.cut = now
	p.limit = max(1, p.limit/2)
}

// slower obeys an API server that asks for a pause.
func (p *pace) slower(err error) {
	pause := time.Second
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok && seconds > 0 {
		pause = time.Duration(seconds) * time.Second
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halve()
	if until := p.clock.Now().Add(pause); until.After(p.until) {
		p.until = until
	}
}

// ceiling is how many requests may be in flight.
func (p *pace) ceiling() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

func (p *pace) paused() bool { return p.pausedFor() > 0 }

// pausedFor is how long the API server asks not to be written to.
func (p *pace) pausedFor() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.until.Sub(p.clock.Now()))
}
