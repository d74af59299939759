// Package reach measures whether two clusters' networks lead to each other, with pods
// of its own: in each cluster one that listens, and one whose readiness probes are made
// to the other's pod, to one of its nodes, and to what somebody declared. The kubelet
// makes those connections, so they start at a node of the cluster. Network policies and
// overlays that treat pods' own addresses otherwise are not seen by that.
//
// The pods stand in one namespace of each cluster, made for the purpose and removed
// with all that is in it, whatever happens: they end by themselves after two minutes
// even if the removal never came.
package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/plan"
)

// A Side is one cluster. Its API is one that may write: nobody asks for a fence here,
// because nothing is written that anybody else has.
type Side struct {
	Name string
	API  cluster.API
	// Addresses are declared by a person, as host and port: what the other side must
	// reach besides.
	Addresses []string
}

// Options say how to measure.
type Options struct {
	// Image listens on port 8080 when told "netexec --http-port=8080", and waits when
	// told "pause", as agnhost of the Kubernetes project does; empty means that.
	Image string
	// Namespace is made in both clusters. It must not be there.
	Namespace string
	// Patience is how long pods may take to start, and then a connection to be made;
	// zero means a minute and 10 seconds.
	StartPatience, Patience time.Duration
	Clock                   clock.Clock
}

// DefaultImage is the Kubernetes project's own image for tests of networks.
const DefaultImage = "registry.k8s.io/e2e-test-images/agnhost:2.53"

// poll is how often pods are looked at.
const poll = 300 * time.Millisecond

// Measure tries every way between both sides. What could not be tried is Held and says
// why. The error says what of ours may still be there, and is joined with that of ctx.
func Measure(ctx context.Context, source, target Side, o Options) (ways []plan.Way, err error) {
	o = o.filled()
	sides := []*measured{{Side: source, o: o}, {Side: target, o: o}}
	defer func() {
		// Also after ctx has ended: what was made is taken away.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		for _, s := range sides {
			err = errors.Join(err, s.remove(clean))
		}
		err = errors.Join(err, ctx.Err())
	}()
	both(func(i int) { sides[i].listen(ctx); sides[i].awaitListener(ctx) })
	both(func(i int) { sides[i].dial(ctx, sides[1-i]) })
	var found [2][]plan.Way
	both(func(i int) { found[i] = sides[i].results(ctx, sides[1-i]) })
	return slices.Concat(found[0], found[1]), nil
}

// both does something for either side at the same time. What one side finds out is read
// by the other only after both are done, but for trouble with a dialer, which is its own.
func both(do func(i int)) {
	var group sync.WaitGroup
	for i := range 2 {
		group.Go(func() { do(i) })
	}
	group.Wait()
}

func (o Options) filled() Options {
	if o.Image == "" {
		o.Image = DefaultImage
	}
	if o.StartPatience == 0 {
		o.StartPatience = time.Minute
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	return o
}

// measured is one side at work.
type measured struct {
	Side
	o         Options
	namespace *corev1.Namespace
	listener  *corev1.Pod
	dialer    *corev1.Pod
	node      string // host and port of one of its kubelets; "" if none was seen
	asked     time.Time
	// unheard is why nothing listens here, mute why nothing can be asked from here.
	unheard, mute error
}

// listen makes the namespace and the pod that listens, and finds a node to ask.
func (m *measured) listen(ctx context.Context) {
	ns := namespaceOf(m.o.Namespace)
	if err := m.API.Create(ctx, ns); err != nil {
		m.unheard = fmt.Errorf("make namespace %s in %s: %w", ns.Name, m.Name, err)
		return
	}
	m.namespace = ns
	nodes := &corev1.NodeList{}
	if err := m.API.List(ctx, nodes); err == nil {
		m.node = kubeletOf(nodes.Items)
	}
	m.listener = listenerOf(m.o)
	if err := m.API.Create(ctx, m.listener); err != nil {
		m.unheard = fmt.Errorf("make pod %s/%s in %s: %w", ns.Name, m.listener.Name, m.Name, err)
	}
}

// awaitListener waits until the pod has an address and runs.
func (m *measured) awaitListener(ctx context.Context) {
	if m.unheard != nil {
		return
	}
	up := m.await(ctx, m.listener, m.o.StartPatience, func(p *corev1.Pod) bool { return p.Status.PodIP != "" && ready(p, "listen") })
	if !up {
		m.unheard = fmt.Errorf("pod %s/%s in %s does not run after %s: %s", m.o.Namespace, m.listener.Name, m.Name, m.o.StartPatience, stateOf(m.listener))
	}
}

// address is where a way to this side leads; "" if there is none.
func (m *measured) address(what string) string {
	switch {
	case what == plan.NodeRange:
		return m.node
	case what != plan.PodRange:
		return what
	case m.listener == nil || m.listener.Status.PodIP == "":
		return ""
	}
	return net.JoinHostPort(m.listener.Status.PodIP, strconv.Itoa(listenPort))
}

// ranges are what is asked of a side.
func (m *measured) ranges() []string {
	return append([]string{plan.PodRange, plan.NodeRange}, m.Addresses...)
}

// dial makes the pod whose probes lead to the other side.
func (m *measured) dial(ctx context.Context, to *measured) {
	if m.namespace == nil {
		m.mute = m.unheard
		return
	}
	m.dialer = dialerOf(m.o)
	for i, what := range to.ranges() {
		if address := to.address(what); address != "" && (what != plan.PodRange || to.unheard == nil) {
			m.dialer.Spec.Containers = append(m.dialer.Spec.Containers, dialing(m.o, i, address))
		}
	}
	if len(m.dialer.Spec.Containers) == 0 {
		m.dialer = nil
		return
	}
	m.asked = m.o.Clock.Now()
	if err := m.API.Create(ctx, m.dialer); err != nil {
		m.mute = fmt.Errorf("make pod %s/%s in %s: %w", m.o.Namespace, m.dialer.Name, m.Name, err)
	}
}

// results waits for the probes, and says what came of each.
func (m *measured) results(ctx context.Context, to *measured) []plan.Way {
	took := map[string]time.Duration{}
	if m.mute == nil && m.dialer != nil {
		running := m.await(ctx, m.dialer, m.o.StartPatience, func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
		if !running {
			m.mute = fmt.Errorf("pod %s/%s in %s does not run after %s: %s", m.o.Namespace, m.dialer.Name, m.Name, m.o.StartPatience, stateOf(m.dialer))
		}
		m.asked = m.o.Clock.Now()
		m.await(ctx, m.dialer, m.o.Patience, func(p *corev1.Pod) bool {
			for _, c := range p.Spec.Containers {
				if ready(p, c.Name) && took[c.Name] == 0 {
					took[c.Name] = max(m.o.Clock.Since(m.asked), time.Millisecond)
				}
			}
			return len(took) == len(p.Spec.Containers)
		})
	}
	var ways []plan.Way
	for i, what := range to.ranges() {
		ways = append(ways, m.way(ctx, to, what, nameOf(i), took))
	}
	return ways
}

// way judges one of them.
func (m *measured) way(ctx context.Context, to *measured, what, container string, took map[string]time.Duration) plan.Way {
	w := plan.Way{From: m.Name, To: to.Name, Range: what, Address: to.address(what), Verdict: v1.Held}
	switch {
	case m.mute != nil:
		w.Observed = m.mute.Error()
	case what == plan.PodRange && to.unheard != nil:
		w.Observed = to.unheard.Error()
	case w.Address == "":
		w.Observed = "no address of a node was seen in " + to.Name
	case ctx.Err() != nil:
		w.Observed = ctx.Err().Error()
	case took[container] > 0:
		w.Verdict, w.Seconds = v1.Passed, took[container].Seconds()
	default:
		w.Verdict, w.Seconds = v1.Failed, m.o.Patience.Seconds()
		w.Observed = m.said(ctx, container)
	}
	return w
}

// await looks at a pod until it is as wanted or patience has run out.
func (m *measured) await(ctx context.Context, p *corev1.Pod, patience time.Duration, wanted func(*corev1.Pod) bool) bool {
	end := m.o.Clock.Now().Add(patience)
	for {
		if err := m.API.Get(ctx, client.ObjectKeyFromObject(p), p); err == nil && wanted(p) {
			return true
		}
		if !m.o.Clock.Now().Before(end) {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-m.o.Clock.After(poll):
		}
	}
}
