package node

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"crossfade.dev/sandbox/delay"
)

// A pod runs one pod from its binding to this node until nothing of it is left.
type pod struct {
	node            *Node
	uid             types.UID
	namespace, name string
	ip              netip.Addr
	resumed         bool // ran before the node was restarted
	holdsAddress    bool // ip is nobody else's until the pod is gone
	restart         corev1.RestartPolicy

	ctx    context.Context // ends with the order to stop
	stop   context.CancelFunc
	forced chan struct{} // closed when nothing may wait any longer
	force  func()
	done   chan struct{} // closed when nothing of the pod runs any more

	inits, mains []*container

	mu       sync.Mutex
	object   *corev1.Pod // as last seen, with our addresses
	began    time.Time
	initDone bool
	over     bool // everything that ran has ended
	expired  bool // ran for as long as activeDeadlineSeconds allows
	// finishedBefore is whether the pod had come to its end before the node was
	// restarted: its status stays as it is.
	finishedBefore bool
	killAt         time.Time // end of the grace period, once told to stop
	conditions     []corev1.PodCondition
	reported       *corev1.PodStatus
	logged         atomic.Int64 // when a warning was last sent, Unix nanoseconds
}

func newPod(n *Node, object *corev1.Pod, ip netip.Addr, resumed bool) *pod {
	p := &pod{
		node: n, uid: object.UID, namespace: object.Namespace, name: object.Name, ip: ip, resumed: resumed, restart: object.Spec.RestartPolicy,
		forced: make(chan struct{}), done: make(chan struct{}), began: time.Now(),
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.force = sync.OnceFunc(func() { close(p.forced) })
	if object.Status.StartTime != nil {
		p.began = object.Status.StartTime.Time
	}
	p.conditions = slices.Clone(object.Status.Conditions)
	p.observe(object)
	for i := range object.Spec.InitContainers {
		c := &object.Spec.InitContainers[i]
		r := initRole
		if ptr.Deref(c.RestartPolicy, "") == corev1.ContainerRestartPolicyAlways {
			r = sidecarRole
		}
		p.inits = append(p.inits, p.container(c, r, object.Status.InitContainerStatuses))
	}
	for i := range object.Spec.Containers {
		p.mains = append(p.mains, p.container(&object.Spec.Containers[i], mainRole, object.Status.ContainerStatuses))
	}
	return p
}

// container carries on with the counts of a container that ran before.
func (p *pod) container(spec *corev1.Container, r role, before []corev1.ContainerStatus) *container {
	c := &container{pod: p, spec: spec, role: r, state: waiting("ContainerCreating", "")}
	if r != initRole && len(p.inits) > 0 {
		c.state = waiting("PodInitializing", "")
	}
	c.log = p.node.logbook(p, spec)
	i := slices.IndexFunc(before, func(s corev1.ContainerStatus) bool { return s.Name == spec.Name })
	if i >= 0 && p.resumed {
		c.restarts, c.last = before[i].RestartCount, before[i].LastTerminationState
		if run := before[i].State.Running; run != nil {
			c.restarts++
			c.last = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: killed.code, Signal: killed.signal, Reason: "NodeRestarted", StartedAt: run.StartedAt, FinishedAt: run.StartedAt,
			}}
		}
	}
	return c
}

// observe takes in a new version of the object.
func (p *pod) observe(object *corev1.Pod) {
	object = new(*object) // shallow: only what is set here is ours
	object.Status.PodIP, object.Status.PodIPs = p.ip.String(), []corev1.PodIP{{IP: p.ip.String()}}
	object.Status.HostIP = p.node.cfg.Cluster.Node().String()
	p.mu.Lock()
	p.object = object
	p.mu.Unlock()
	if object.DeletionTimestamp != nil {
		p.end(time.Duration(ptr.Deref(object.DeletionGracePeriodSeconds, 30)) * time.Second)
	}
}

func (p *pod) snapshot() *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.object
}

func (p *pod) spec() *corev1.PodSpec { return &p.snapshot().Spec }

// run runs the pod. It returns when nothing of the pod runs any more.
func (p *pod) run() {
	defer close(p.done)
	sidecars, endSidecars := context.WithCancel(context.Background())
	defer endSidecars()
	var running sync.WaitGroup
	if limit := p.spec().ActiveDeadlineSeconds; limit != nil {
		timer := time.AfterFunc(time.Until(p.began.Add(time.Duration(*limit)*time.Second)), p.expire)
		defer timer.Stop()
	}
	if p.prepare() && p.initialize(sidecars, &running) {
		p.change(func() { p.initDone = true })
		var mains sync.WaitGroup
		for _, c := range p.mains {
			mains.Go(func() { c.run(p.ctx) })
		}
		mains.Wait()
	}
	// Sidecars outlive what they serve.
	p.mu.Lock()
	if p.killAt.IsZero() {
		p.killAt = time.Now().Add(p.ownGrace())
	}
	p.mu.Unlock()
	endSidecars()
	running.Wait()
	p.change(func() { p.over = true })
}

// prepare waits for the pod's start delay and for what its volumes refer to. It is
// false if the pod was told to stop first.
func (p *pod) prepare() bool {
	p.changed()
	if !p.resumed && !sleep(p.ctx, p.node.startDelay(p)) {
		return false
	}
	for {
		err := p.node.volumes.check(p.ctx, p.snapshot())
		if err == nil {
			return p.ctx.Err() == nil
		}
		p.warn("FailedMount", "MountVolume.SetUp failed: "+err.Error())
		if !sleep(p.ctx, configRetry) {
			return false
		}
	}
}

// initialize runs the init containers, one after the other, and leaves sidecars
// running. It is false if one failed for good or the pod was told to stop.
func (p *pod) initialize(sidecars context.Context, running *sync.WaitGroup) bool {
	for _, c := range p.inits {
		if c.role == initRole {
			if e := c.run(p.ctx); e.code != 0 || p.ctx.Err() != nil {
				return false
			}
			continue
		}
		running.Go(func() { c.run(sidecars) })
		for !p.hasStarted(c) {
			if !sleep(p.ctx, 50*time.Millisecond) {
				return false
			}
		}
	}
	return true
}

func (p *pod) hasStarted(c *container) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return c.started
}

// expire ends a pod that has run for as long as it may.
func (p *pod) expire() {
	p.change(func() { p.expired = true })
	p.end(p.grace())
}

// end tells the pod to stop within grace. A later call may shorten the grace.
func (p *pod) end(grace time.Duration) {
	p.mu.Lock()
	at := time.Now().Add(grace)
	first := p.killAt.IsZero() || p.ctx.Err() == nil
	shorter := !first && at.Before(p.killAt)
	if first || shorter {
		p.killAt = at
	}
	p.mu.Unlock()
	if first {
		p.stop()
	}
	if shorter {
		time.AfterFunc(grace, p.force)
	}
	p.changed()
}

// remaining is what is left of the grace period.
func (p *pod) remaining() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(time.Until(p.killAt), 0)
}

// grace is the pod's own grace period.
func (p *pod) grace() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ownGrace()
}

// ownGrace must be called with p.mu held.
func (p *pod) ownGrace() time.Duration {
	return time.Duration(ptr.Deref(p.object.Spec.TerminationGracePeriodSeconds, 30)) * time.Second
}

func (p *pod) stopping() bool { return p.ctx.Err() != nil }

// change changes what p.mu guards and has the status reported.
func (p *pod) change(f func()) {
	p.mu.Lock()
	f()
	p.mu.Unlock()
	p.changed()
}

func (p *pod) closeLogs() {
	for _, c := range slices.Concat(p.inits, p.mains) {
		c.log.close()
	}
}

func (p *pod) changed() { p.node.reporter.add(p.uid) }

// warningEvery bounds how often a pod writes an event.
const warningEvery = 5 * time.Second

// warn writes an event about the pod, unless it just wrote one.
func (p *pod) warn(reason, message string) {
	p.node.log.Info(reason, "pod", p.namespace+"/"+p.name, "message", message)
	now := time.Now().UnixNano()
	if last := p.logged.Load(); now-last < int64(warningEvery) || !p.logged.CompareAndSwap(last, now) {
		return
	}
	p.node.events.Event(p.snapshot(), corev1.EventTypeWarning, reason, message)
}

// startDelay is what pulling the image and starting it takes: the same for the
// same name and seed. Short ones are more frequent, as with images that are there
// already: the logarithm is spread evenly.
func (n *Node) startDelay(p *pod) time.Duration {
	r := n.cfg.StartDelay
	if r.Min <= 0 || r.Max <= r.Min {
		return r.For(n.cfg.Seed, p.purpose("start"))
	}
	share := delay.Random(n.cfg.Seed, p.purpose("start")).Float64()
	return time.Duration(float64(r.Min) * math.Pow(float64(r.Max)/float64(r.Min), share))
}

func (p *pod) purpose(of string) string { return of + " of " + p.namespace + "/" + p.name }
