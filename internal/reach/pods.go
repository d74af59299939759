package reach

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	listenPort  = 8080
	kubeletPort = 10250
	// lifetime is after how many seconds pods end that nobody removed.
	lifetime = 120
)

// Labels tell whose the namespace and its pods are.
var labels = map[string]string{"app.kubernetes.io/managed-by": "crossfade.dev", "app.kubernetes.io/name": "crossfade-reach"}

func namespaceOf(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// podOf is a pod that the strictest standard of pod security lets in.
func podOf(o Options, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			ActiveDeadlineSeconds: new(int64(lifetime)), TerminationGracePeriodSeconds: new(int64(0)),
			AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(65532)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		},
	}
}

func containerOf(o Options, name string, args ...string) corev1.Container {
	return corev1.Container{
		Name: name, Image: o.Image, Args: args,
		SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
	}
}

func listenerOf(o Options) *corev1.Pod {
	p := podOf(o, "listen")
	c := containerOf(o, "listen", "netexec", fmt.Sprintf("--http-port=%d", listenPort))
	c.Ports = []corev1.ContainerPort{{ContainerPort: listenPort}}
	c.ReadinessProbe = probeOf("", listenPort)
	p.Spec.Containers = []corev1.Container{c}
	return p
}

func dialerOf(o Options) *corev1.Pod { return podOf(o, "dial") }

// dialing is a container that is ready when its kubelet reaches an address.
func dialing(o Options, i int, address string) corev1.Container {
	c := containerOf(o, nameOf(i), "pause")
	host, port, _ := net.SplitHostPort(address) // checked where it was declared
	number, _ := strconv.Atoi(port)
	c.ReadinessProbe = probeOf(host, number)
	return c
}

func nameOf(i int) string { return fmt.Sprint("way-", i) }

func probeOf(host string, port int) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Host: host, Port: intstr.FromInt32(int32(port))}},
		PeriodSeconds: 1, TimeoutSeconds: 3, FailureThreshold: 1,
	}
}

// kubeletOf is where a kubelet of one of the nodes listens.
func kubeletOf(nodes []corev1.Node) string {
	for _, n := range nodes {
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				port := int(n.Status.DaemonEndpoints.KubeletEndpoint.Port)
				if port == 0 {
					port = kubeletPort
				}
				return net.JoinHostPort(a.Address, strconv.Itoa(port))
			}
		}
	}
	return ""
}

func ready(p *corev1.Pod, container string) bool {
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == container {
			return c.Ready
		}
	}
	return false
}

// stateOf says why a pod does not run.
func stateOf(p *corev1.Pod) string {
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason != "" {
			return strings.TrimSuffix(w.Reason+": "+w.Message, ": ")
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Message
		}
	}
	return fmt.Sprintf("phase %q", p.Status.Phase)
}

// said is what the kubelet last said about a container's probe.
func (m *measured) said(ctx context.Context, container string) string {
	events := &corev1.EventList{}
	if err := m.API.List(ctx, events, client.InNamespace(m.o.Namespace)); err == nil {
		for _, e := range events.Items {
			if e.Reason == "Unhealthy" && e.InvolvedObject.FieldPath == "spec.containers{"+container+"}" {
				return e.Message
			}
		}
	}
	return "the probe did not succeed, and no event says why"
}

// remove takes away what was made here, and only that.
func (m *measured) remove(ctx context.Context) error {
	if m.namespace == nil {
		return nil
	}
	for _, p := range []*corev1.Pod{m.listener, m.dialer} {
		if p != nil && p.UID != "" {
			err := m.API.Delete(ctx, p, client.Preconditions{UID: &p.UID}, client.GracePeriodSeconds(0))
			if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
				return fmt.Errorf("pod %s/%s may still be in %s (it ends by itself within %d s): %w", p.Namespace, p.Name, m.Name, lifetime, err)
			}
		}
	}
	uid := m.namespace.UID
	if err := client.IgnoreNotFound(m.API.Delete(ctx, m.namespace, client.Preconditions{UID: &uid})); err != nil {
		return fmt.Errorf("namespace %s may still be in %s: %w", m.namespace.Name, m.Name, err)
	}
	return nil
}
