package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
)

// killings is how often chaos kills the controller.
const killings = 20

// dealtBy is how many of the killings may have been dealt when a stage ends, so that
// some are left for each that follows.
var dealtBy = map[v1.Stage]int{
	v1.Preflight: 3, v1.Prepare: 8, v1.Snapshot: 10, v1.Shifting: 13, v1.Cutover: 18, v1.Release: killings,
}

// A chaos is what goes wrong on purpose, all of it drawn from a seed.
type chaos struct {
	s      *show
	random *rand.Rand
	cancel context.CancelFunc
	done   chan struct{}

	mu sync.Mutex
	// left are killings of the controller that were not dealt yet.
	left int
	// aim is the next killing inside a write.
	aim aim
	// planes are control planes still to be killed; cut is true once the source was
	// cut off for its time.
	planes []string
	cut    bool
}

// An aim is a killing inside a write: the first write to a cluster after a moment,
// or to any cluster if that one is not written to for a while. Renewals of leases,
// which come all the time, are let through.
type aim struct {
	cluster      string
	from, anyway time.Time
}

// takeAim aims at one of the clusters, some seconds from now.
func (c *chaos) takeAim(now time.Time) {
	from := now.Add(2*time.Second + time.Duration(c.random.IntN(8000))*time.Millisecond)
	c.aim = aim{[]string{"source", "target", "hub"}[c.random.IntN(3)], from, from.Add(5 * time.Second)}
}

func (a aim) meets(cluster string, r *http.Request, now time.Time) bool {
	if strings.Contains(r.URL.Path, "/leases/") {
		return false
	}
	return cluster == a.cluster && now.After(a.from) || now.After(a.anyway)
}

// startChaos begins with the faults that the options ask for, which may be none.
func (s *show) startChaos(ctx context.Context) *chaos {
	ctx, cancel := context.WithCancel(ctx)
	c := &chaos{s: s, random: rand.New(rand.NewPCG(s.Chaos, 1)), cancel: cancel, done: make(chan struct{})}
	if s.Chaos == 0 {
		close(c.done)
		return c
	}
	c.left, c.planes = killings, []string{"hub", "source", "target"}
	c.takeAim(time.Now())
	for _, name := range []string{"source", "target", "hub"} {
		s.proxies[name].onWrite(func(r *http.Request) (bool, func()) { return c.strike(name, r) })
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
func (c *chaos) strike(cluster string, r *http.Request) (pass bool, then func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.due() || !c.aim.meets(cluster, r, now) {
		return true, nil
	}
	c.left--
	c.takeAim(now)
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
	for len(c.planes) > 0 {
		if c.wait(ctx) != nil {
			return
		}
		name := c.planes[0]
		c.note("the control plane of the %s was killed, and started again", name)
		p := c.s.controls[name]
		if name == clusterNames[hubNumber] {
			c.s.noteHubDown()
		}
		p.kill()
		if err := p.begin(); err != nil {
			c.s.abort(fmt.Errorf("the control plane of the %s does not start again: %w", name, err))
			return
		}
		c.planes = c.planes[1:]
	}
	if c.wait(ctx) != nil {
		return
	}
	c.note("the connection to the source is cut for 10 s")
	c.s.proxies["source"].set(true)
	err := pause(ctx, 10*time.Second)
	c.s.proxies["source"].set(false)
	c.cut = err == nil
	for err == nil {
		if err = c.wait(ctx); err == nil && c.take() {
			c.note("the controller was killed between two writes")
			c.s.controller.kill()
		}
	}
}

// undealt lists the faults that the migration did not last long enough for. It is
// to be asked after stop.
func (c *chaos) undealt() []string {
	if c.s.Chaos == 0 {
		return nil
	}
	var out []string
	if c.left > 0 {
		out = append(out, fmt.Sprintf("%d of %d killings of the controller", c.left, killings))
	}
	for _, name := range c.planes {
		out = append(out, "the killing of the control plane of the "+name)
	}
	if !c.cut {
		out = append(out, "the cut of the connection to the source")
	}
	return out
}

// take uses up one killing, if one is left.
func (c *chaos) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.due() {
		return false
	}
	c.left--
	return true
}

// due is true while the stage under way has a killing left.
func (c *chaos) due() bool { return killings-c.left < dealtBy[c.s.stage()] }

// wait lets the migration go on for a while.
func (c *chaos) wait(ctx context.Context) error {
	c.mu.Lock()
	d := 5*time.Second + time.Duration(c.random.IntN(8000))*time.Millisecond
	c.mu.Unlock()
	return pause(ctx, d)
}

func (c *chaos) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.s.say("chaos: %s", text)
	c.s.noteFault(text)
}
