package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// killings is how often chaos kills the controller.
const killings = 20

// A chaos is what goes wrong on purpose, all of it drawn from a seed.
type chaos struct {
	s      *show
	random *rand.Rand
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	left int
	next int
	seen int
}

// startChaos begins with the faults that the options ask for, which may be none.
func (s *show) startChaos(ctx context.Context) *chaos {
	ctx, cancel := context.WithCancel(ctx)
	c := &chaos{s: s, random: rand.New(rand.NewPCG(s.Chaos, 1)), cancel: cancel, done: make(chan struct{}), left: killings}
	if s.Chaos == 0 {
		close(c.done)
		return c
	}
	c.next = 1 + c.random.IntN(10)
	for _, name := range []string{"source", "target", "hub"} {
		s.proxies[name].onWrite(func(int) (bool, func()) { return c.strike(name) })
	}
	go c.run(ctx)
	return c
}

func (c *chaos) stop() {
	c.cancel()
	<-c.done
	for _, p := range c.s.proxies {
		p.onWrite(nil)
		p.set(false)
	}
}

// strike kills the controller inside one of its writes, before the write arrives
// or after it has but before the reply does.
func (c *chaos) strike(cluster string) (pass bool, then func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen++; c.left <= killings/4 || c.seen < c.next {
		return true, nil
	}
	c.left--
	c.seen, c.next = 0, 5+c.random.IntN(60)
	if c.random.IntN(2) == 0 {
		c.note("the controller was killed before a write to the %s arrived", cluster)
		c.s.controller.kill()
		return false, nil
	}
	c.note("the controller was killed before the reply to a write to the %s", cluster)
	return true, c.s.controller.kill
}

// run deals the faults that come between writes: the controller killed, each
// control plane killed and started again, the source cut off for ten seconds.
func (c *chaos) run(ctx context.Context) {
	defer close(c.done)
	for _, name := range []string{"hub", "source", "target"} {
		if c.wait(ctx) != nil {
			return
		}
		c.note("the control plane of the %s was killed, and started again", name)
		p := c.s.controls[name]
		p.kill()
		if err := p.begin(); err != nil {
			c.note("%s does not start again: %v", name, err)
		}
	}
	if c.wait(ctx) != nil {
		return
	}
	c.note("the connection to the source is cut for 10 s")
	c.s.proxies["source"].set(true)
	err := pause(ctx, 10*time.Second)
	c.s.proxies["source"].set(false)
	for err == nil {
		if err = c.wait(ctx); err == nil && c.take() {
			c.note("the controller was killed between two writes")
			c.s.controller.kill()
		}
	}
}

// take uses up one killing, if one is left.
func (c *chaos) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return false
	}
	c.left--
	return true
}

// wait lets the migration go on for a while.
func (c *chaos) wait(ctx context.Context) error {
	c.mu.Lock()
	d := 8*time.Second + time.Duration(c.random.IntN(12000))*time.Millisecond
	c.mu.Unlock()
	return pause(ctx, d)
}

func (c *chaos) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.s.say("chaos: %s", text)
	c.s.noteFault(text)
}
