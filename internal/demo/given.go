package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/examples/estate"
	"crossfade.dev/internal/vantage"
)

// A Given is a cluster that stands already. The demo neither starts nor stops it,
// and deletes nothing there that it did not make.
//
// The engine and the team are users of their own in every cluster. In a given one
// the person's user acts as them (impersonation), through a proxy of the demo's for
// each, so that one name and one sign-on lead teams into either cluster.
type Given struct {
	// Flag and Context are how a person named the cluster.
	Flag, Context string
	// Config reaches it as that person.
	Config *rest.Config
}

func (g *Given) String() string { return fmt.Sprintf("%s %q", g.Flag, g.Context) }

// Groups that the engine and the team belong to in a given cluster: both may do
// everything there, as in the sandbox.
var everything = []string{"system:masters", "system:authenticated"}

// as is how the demo reaches the cluster in the name of another user.
func (g *Given) as(user string) *rest.Config {
	config := rest.CopyConfig(g.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: everything}
	return config
}

// answering is how long a given cluster may take to answer a question, and a pod to
// take a connection.
const answering = 5 * time.Second

// A survey is what the demo must know of a given cluster before it changes anything.
type survey struct {
	given *Given
	nodes []corev1.Node
	pods  []corev1.Pod
}

// checkGiven refuses clusters that the demo cannot run on, in a sentence that names
// the flag and what was found. It changes nothing.
func (s *show) checkGiven(ctx context.Context) error {
	if s.Source == nil {
		return nil
	}
	if s.Chaos != 0 {
		return fmt.Errorf("--chaos %d: it kills control planes, and that of %s is not the demo's to kill", s.Chaos, s.Source)
	}
	var surveys []survey
	for _, g := range []*Given{s.Source, s.Target} {
		found, err := look(ctx, g)
		if err != nil {
			return fmt.Errorf("%s: %w", g, err)
		}
		if s.Apps > 0 && !found.sandbox() {
			return fmt.Errorf("--apps %d: the images of the built-in estate exist only in the sandbox, and %s is another cluster; --estate brings manifests", s.Apps, g)
		}
		if err := found.reach(ctx, s.translation); err != nil {
			return fmt.Errorf("%s: %w", g, err)
		}
		surveys = append(surveys, found)
	}
	if here, there, overlap := overlapping(surveys[0].nodes, surveys[1].nodes); overlap {
		return fmt.Errorf("%s has pods in %s and %s in %s: the bridge cannot tell them apart", s.Source, here, s.Target, there)
	}
	return nil
}

// look asks a given cluster what is in it, and whether the demo may act there as
// another user.
func look(ctx context.Context, g *Given) (survey, error) {
	ctx, cancel := context.WithTimeout(ctx, answering)
	defer cancel()
	found := survey{given: g}
	k, err := kubernetes.NewForConfig(g.as(engineUser))
	if err != nil {
		return found, err
	}
	who, err := k.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return found, fmt.Errorf("act as user %s there: %w", engineUser, err)
	}
	if name := who.Status.UserInfo.Username; name != engineUser {
		return found, fmt.Errorf("act as user %s there: it takes the demo for %s", engineUser, name)
	}
	nodes, err := k.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return found, err
	}
	pods, err := k.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running"})
	if err != nil {
		return found, err
	}
	if len(nodes.Items) == 0 {
		return found, errors.New("it has no node to run pods on")
	}
	found.nodes, found.pods = nodes.Items, pods.Items
	return found, nil
}

// sandbox tells whether every node is one of the sandbox's.
func (s survey) sandbox() bool {
	for _, n := range s.nodes {
		if !strings.HasPrefix(n.Status.NodeInfo.ContainerRuntimeVersion, "sandbox://") {
			return false
		}
	}
	return true
}

// attempts is how many pods of a cluster are tried before it counts as out of reach.
const attempts = 5

// reach connects to a ready pod from here, on a port that the pod names: the probes
// of the engine and the pods of the other cluster must come through as well. One
// that takes the connection is enough. A cluster without such a pod cannot be tried,
// and passes.
func (s survey) reach(ctx context.Context, from vantage.Translation) error {
	var failure error
	tried := 0
	for _, p := range s.pods {
		port, named := portOf(p)
		if p.Spec.HostNetwork || p.Status.PodIP == "" || !named || !ready(p) {
			continue
		}
		err := knock(ctx, from, net.JoinHostPort(p.Status.PodIP, fmt.Sprint(port)))
		if err == nil {
			return nil
		}
		failure = fmt.Errorf("pod %s/%s cannot be reached at %s from here, and so neither by the other cluster over the bridge: %w (route its pods' addresses here, or say with --translate where they are)",
			p.Namespace, p.Name, p.Status.PodIP, err)
		if tried++; tried == attempts {
			break
		}
	}
	return failure
}

// knock opens a connection and closes it.
func knock(ctx context.Context, from vantage.Translation, address string) error {
	ctx, cancel := context.WithTimeout(ctx, answering)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func ready(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// portOf is a TCP port that a pod says it listens on.
func portOf(p corev1.Pod) (int32, bool) {
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			if port.Protocol == corev1.ProtocolTCP || port.Protocol == "" {
				return port.ContainerPort, true
			}
		}
	}
	return 0, false
}

// overlapping finds a range of pods' addresses that both clusters use.
func overlapping(source, target []corev1.Node) (here, there netip.Prefix, overlap bool) {
	for _, here := range ranges(source) {
		for _, there := range ranges(target) {
			if here.Overlaps(there) {
				return here, there, true
			}
		}
	}
	return netip.Prefix{}, netip.Prefix{}, false
}

func ranges(nodes []corev1.Node) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range nodes {
		for _, text := range n.Spec.PodCIDRs {
			if p, err := netip.ParsePrefix(text); err == nil {
				out = append(out, p)
			}
		}
	}
	return out
}

// standing is the estate that a given source holds already: whatever is asked under
// names of the demo's zone, or behind a balancer.
func standing(ctx context.Context, g *Given) (estate.Estate, error) {
	k, err := openSite("source", g.Config)
	if err != nil {
		return estate.Estate{}, err
	}
	var e estate.Estate
	for _, kind := range []schema.GroupVersionKind{
		appsv1.SchemeGroupVersion.WithKind("Deployment"), appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
		appsv1.SchemeGroupVersion.WithKind("DaemonSet"), corev1.SchemeGroupVersion.WithKind("Service"),
		netv1.SchemeGroupVersion.WithKind("Ingress"),
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := k.client.List(ctx, list); err != nil {
			return e, fmt.Errorf("%s: list %s: %w", g, kind.Kind, err)
		}
		for i := range list.Items {
			if o := &list.Items[i]; !strings.HasPrefix(o.GetNamespace(), "kube-") {
				e.Objects = append(e.Objects, o)
			}
		}
	}
	e.Names = estate.Names(e.Objects, demoZone)
	return e, nil
}

// checkEntries refuses a given source whose names lead to addresses that do not
// answer here.
func (w *world) checkEntries(ctx context.Context) error {
	if w.source.given == nil {
		return nil
	}
	for _, n := range w.asked {
		address, err := w.source.entry(ctx, n.Entry)
		if err != nil {
			return err
		}
		if err := knock(ctx, w.translation, net.JoinHostPort(address, fmt.Sprint(n.Port))); err != nil {
			return fmt.Errorf("%s: %s %s/%s cannot be reached at %s from here: %w (say with --translate where it is)",
				w.source.given, n.Entry.Kind, n.Entry.Namespace, n.Entry.Name, address, err)
		}
	}
	return nil
}

// confess says how given clusters are left by a demo that was cut short.
func (s *show) confess() {
	if s.Source == nil || s.controller == nil {
		return
	}
	s.say("the clusters stay as they are in the middle of the move; `crossfade freeze lift --context NAME`, with %s or %s, lets teams change things there again",
		s.Source.Context, s.Target.Context)
}

// putBack leads the migration back in clusters that were given, and removes what the
// engine and the team leave there by their nature. The estate stays in the source.
func (s *show) putBack(ctx context.Context) error {
	if s.Source == nil {
		return nil
	}
	if !s.Back {
		s.say("putting everything back, because the clusters are not the demo's own")
		if err := s.rollBack(ctx, v1.Nothing); err != nil {
			return err
		}
	}
	s.retired.Store(true)
	<-s.controller.signal(syscall.SIGTERM)
	for _, c := range []site{s.world.source, s.world.target} {
		namespace, name, _ := strings.Cut(fence, "/")
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		if err := client.IgnoreNotFound(c.client.Delete(ctx, lease)); err != nil {
			return fmt.Errorf("delete the fence in the %s: %w", c.name, err)
		}
	}
	return s.team.remove(ctx)
}
