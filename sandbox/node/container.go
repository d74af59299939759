package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A role is what a container is in its pod.
type role int

const (
	mainRole    role = iota
	initRole         // runs to its end before the next starts
	sidecarRole      // an init container that goes on running
)

const (
	// configRetry is how often a container is tried whose ConfigMap or Secret is
	// not there.
	configRetry = 2 * time.Second
	// leastGrace is what a container gets after its preStop hook, even if the hook
	// took the whole grace period (as in the kubelet).
	leastGrace = 2 * time.Second
)

// A container runs one container of a pod, as often as it has to.
type container struct {
	pod  *pod
	spec *corev1.Container
	role role
	log  *logbook
	vars map[string]string // when they were last read; only run and what it calls use them

	// The rest is guarded by pod.mu.
	state, last corev1.ContainerState
	restarts    int32
	runs        int // instances that this node started
	started     bool
	ready       bool
	over        bool // will not run again
	current     instance
	env         []string // of the current instance, if it is a process
}

// run runs the container until it has ended for good or ctx, which is the order to
// stop, ends. Then its log is at an end too.
func (c *container) run(ctx context.Context) exit {
	defer c.log.close()
	again := c.pod.node.backoff
	for {
		began := time.Now()
		inst, err := c.begin(ctx)
		e := exit{code: 128, reason: "StartError"}
		switch {
		case ctx.Err() != nil && inst == nil:
			c.abandon()
			return e
		case err != nil:
			e.text = err.Error()
			c.pod.warn("Failed", "Error: "+err.Error())
		default:
			e = c.attend(ctx, inst)
		}
		if ctx.Err() != nil || !c.startsAgain(e) {
			c.ended(began, e, 0)
			return e
		}
		wait := again.after(time.Since(began))
		c.ended(began, e, wait)
		if !sleep(ctx, wait) {
			c.abandon()
			return e
		}
		c.pod.change(func() { c.restarts++ })
	}
}

// A backoff says how long to wait before a container is started again: not at all
// after the first end, and from then on twice as long each time.
type backoff struct{ base, limit, current time.Duration }

// after takes in that a run ended which lasted for ran. A long run is forgiven.
func (b *backoff) after(ran time.Duration) time.Duration {
	if ran > 2*b.limit {
		b.current = 0
	}
	wait := b.current
	b.current = min(max(2*b.current, b.base), b.limit)
	return wait
}

// startsAgain is whether a container that ended with e is started again.
func (c *container) startsAgain(e exit) bool {
	policy := c.pod.restart
	switch c.role {
	case sidecarRole:
		return true
	case initRole:
		return e.code != 0 && policy != corev1.RestartPolicyNever
	}
	return policy == corev1.RestartPolicyAlways || (policy == corev1.RestartPolicyOnFailure && e.code != 0)
}

// errUnmounted says that a container cannot start yet for want of a volume.
type errUnmounted struct{ error }

// begin starts an instance. It waits as long as something that the container
// refers to is missing; that is the only reason for a nil instance and a nil error,
// once ctx has ended.
func (c *container) begin(ctx context.Context) (instance, error) {
	for {
		why := "CreateContainerConfigError"
		vars, err := c.variables(ctx)
		if err == nil {
			var inst instance
			inst, err = c.pod.node.start(c, vars)
			if !errors.As(err, new(errUnmounted)) {
				return inst, err
			}
			why = "ContainerCreating"
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		c.pod.change(func() { c.state = waiting(why, err.Error()) })
		if !sleep(ctx, configRetry) {
			return nil, nil
		}
	}
}

// variables returns the container's variables. While the API server is away, they are
// those of the last time, as the kubelet has them.
func (c *container) variables(ctx context.Context) (map[string]string, error) {
	vars, err := c.pod.node.environmentOf(c.pod, c).variables(ctx, c.pod.snapshot(), c.spec)
	if err != nil && c.vars != nil && !errors.As(err, new(errMissing)) {
		return c.vars, nil
	}
	if err == nil {
		c.vars = vars
	}
	return vars, err
}

// A fault is why a container that runs has to end.
type fault struct {
	of    string // what failed
	grace time.Duration
}

// failed is the fault that a liveness or startup probe found.
func (c *container) failed(p *corev1.Probe) fault {
	grace := c.pod.grace()
	if p.TerminationGracePeriodSeconds != nil {
		grace = time.Duration(*p.TerminationGracePeriodSeconds) * time.Second
	}
	return fault{"probe", grace}
}

// attend looks after an instance until it has ended: by itself, because of a fault, or
// because ctx has ended.
func (c *container) attend(ctx context.Context, inst instance) exit {
	life, end := context.WithCancel(context.Background())
	defer end()
	c.pod.change(func() {
		c.current = inst
		c.runs++
		c.started = c.spec.StartupProbe == nil
		c.ready = c.started && c.spec.ReadinessProbe == nil
		c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	})
	faults := make(chan fault, 1)
	if c.role != initRole {
		c.postStart(life, faults)
		c.watch(life, ctx, faults)
	}
	select {
	case <-inst.done():
	case f := <-faults:
		c.pod.warn("Killing", fmt.Sprintf("Container %s failed its %s, will be restarted", c.spec.Name, f.of))
		c.stop(inst, f.grace)
	case <-ctx.Done():
		c.stop(inst, c.pod.remaining())
	}
	return inst.exit()
}

// stop ends an instance as the kubelet does: preStop, SIGTERM, the rest of the
// grace period, SIGKILL.
func (c *container) stop(inst instance, grace time.Duration) {
	if grace > 0 {
		end := time.Now().Add(grace)
		inst.drain()
		c.preStop(inst, grace)
		left := max(time.Until(end), leastGrace)
		inst.terminate(left)
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-inst.done():
			return
		case <-timer.C:
		case <-c.pod.forced:
		}
	}
	inst.kill()
	<-inst.done()
}

// ended records how an instance ended, and whether and when another follows.
func (c *container) ended(began time.Time, e exit, wait time.Duration) {
	c.pod.change(func() {
		done := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: e.code, Signal: e.signal, Reason: e.reason, Message: e.text,
			StartedAt: metav1.NewTime(began), FinishedAt: metav1.Now(), ContainerID: c.id(),
		}}
		c.current, c.started, c.ready = nil, false, false
		if !c.startsAgain(e) || c.pod.stopping() {
			c.state, c.over = done, true
			return
		}
		c.last, c.state = done, done
		if wait > 0 {
			c.state = waiting("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
				wait, c.spec.Name, c.pod.name, c.pod.namespace, c.pod.uid))
		}
	})
}

// abandon records that the container will not be started (again).
func (c *container) abandon() {
	c.pod.change(func() { c.over, c.started, c.ready = true, false, false })
}

// watch puts the container's probes into the rota. Readiness is asked until life
// ends, the others until stop does: a container that is being stopped is not to be
// restarted.
func (c *container) watch(life, stop context.Context, faults chan<- fault) {
	alive, endAlive := context.WithCancel(life)
	context.AfterFunc(stop, endAlive)
	rest := func() {
		if p := c.spec.LivenessProbe; p != nil {
			c.ask(alive, p, true, func(ok bool) {
				if !ok {
					offer(faults, c.failed(p))
				}
			})
		}
		if p := c.spec.ReadinessProbe; p != nil {
			c.ask(life, p, false, func(ok bool) { c.pod.change(func() { c.ready = ok }) })
		}
	}
	p := c.spec.StartupProbe
	if p == nil {
		rest()
		return
	}
	starting, started := context.WithCancel(alive)
	c.ask(starting, p, false, func(ok bool) {
		if !ok {
			offer(faults, c.failed(p))
			return
		}
		started()
		c.pod.change(func() { c.started, c.ready = true, c.spec.ReadinessProbe == nil })
		rest()
	})
}

// ask runs a probe until ctx ends, and tells each verdict that is reached anew.
func (c *container) ask(ctx context.Context, p *corev1.Probe, passed bool, tell func(ok bool)) {
	node := c.pod.node
	check := node.check(p, c)
	t := newTally(p, passed)
	told := false
	first := time.Now().Add(max(time.Duration(p.InitialDelaySeconds)*time.Second, node.firstProbe(c)))
	node.rota.add(ctx, first, time.Duration(max(p.PeriodSeconds, 1))*time.Second, func(ctx context.Context) {
		err := check(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.pod.warn("Unhealthy", fmt.Sprintf("probe of container %s: %v", c.spec.Name, err))
		}
		if reached, changed := t.observe(err == nil); reached && (changed || (!told && !t.passed)) {
			told = true
			tell(t.passed)
		}
	})
}

// firstProbe is when a container is asked first, at the earliest: a process that is
// asked before it listens would be asked again only a whole period later.
func (n *Node) firstProbe(c *container) time.Duration {
	if _, real := n.images.find(c.spec.Image); real {
		return 250 * time.Millisecond
	}
	return 0
}

// offer puts a value into a channel unless it is full: one fault is enough.
func offer[T any](to chan<- T, value T) {
	select {
	case to <- value:
	default:
	}
}

// id is the container's id in its status; it changes with each run.
func (c *container) id() string {
	return fmt.Sprintf("sandbox://%s-%s-%d", c.pod.uid, c.spec.Name, c.restarts)
}

// status must be called with pod.mu held.
func (c *container) status() corev1.ContainerStatus {
	s := corev1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, State: c.state, LastTerminationState: c.last,
		RestartCount: c.restarts, Ready: c.ready, Started: new(c.started),
	}
	if c.runs > 0 {
		s.ImageID, s.ContainerID = "sandbox://"+c.spec.Image, c.id()
	}
	if c.role == initRole {
		s.Ready = c.over && c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
	}
	return s
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// sleep is false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
