package memory

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// ownSlices is who manages the slices of the cluster's own controller.
	ownSlices = "endpointslice-controller.k8s.io"
	perSlice  = 100
)

// A podEndpoint is what slices tell of a pod.
type podEndpoint struct {
	ip                          string
	ready, serving, terminating bool
}

func endpointOf(pod *corev1.Pod) podEndpoint {
	serving, terminating := podReady(pod), pod.DeletionTimestamp != nil
	return podEndpoint{ip: pod.Status.PodIP, ready: serving && !terminating, serving: serving, terminating: terminating}
}

// syncSlices writes the ready pods of a Service into its slices.
func (c *Cluster) syncSlices(key types.NamespacedName) error {
	s, _ := c.tables[services].get(key).(*corev1.Service)
	if s == nil || s.DeletionTimestamp != nil || len(s.Spec.Selector) == 0 || s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	var endpoints []discoveryv1.Endpoint
	var ports []discoveryv1.EndpointPort
	for _, r := range c.tables[pods].in(s.Namespace) {
		pod := r.obj.(*corev1.Pod)
		if pod.Status.PodIP == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || !selects(s.Spec.Selector, pod.Labels) {
			continue
		}
		if ports == nil {
			ports = portsOf(s, pod)
		}
		endpoints = append(endpoints, endpointFor(s, pod))
	}
	have := c.ownSlices(s)
	chunks := slices.Collect(slices.Chunk(endpoints, perSlice))
	if len(chunks) == 0 {
		chunks = [][]discoveryv1.Endpoint{nil}
	}
	for i, chunk := range chunks {
		var old *discoveryv1.EndpointSlice
		if i < len(have) {
			old = have[i]
		}
		if err := c.writeSlice(s, old, chunk, ports); err != nil {
			return err
		}
	}
	for _, surplus := range have[min(len(have), len(chunks)):] {
		if err := c.settle(c.kinds[slicesOf], types.NamespacedName{Namespace: surplus.Namespace, Name: surplus.Name}, surplus, nil, system(sliceController)); err != nil {
			return err
		}
	}
	return nil
}

func endpointFor(s *corev1.Service, pod *corev1.Pod) discoveryv1.Endpoint {
	e := endpointOf(pod)
	return discoveryv1.Endpoint{
		Addresses: []string{e.ip}, NodeName: &pod.Spec.NodeName,
		Conditions: discoveryv1.EndpointConditions{
			Ready: new(e.ready || s.Spec.PublishNotReadyAddresses), Serving: &e.serving, Terminating: &e.terminating,
		},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
}

// portsOf resolves the ports of a Service by the names that a pod gives its own.
func portsOf(s *corev1.Service, pod *corev1.Pod) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for _, p := range s.Spec.Ports {
		number := p.TargetPort.IntVal
		if p.TargetPort.Type == intstr.String {
			number = 0
			for _, container := range pod.Spec.Containers {
				for _, port := range container.Ports {
					if port.Name == p.TargetPort.StrVal && port.Protocol == p.Protocol {
						number = port.ContainerPort
					}
				}
			}
		}
		if number != 0 {
			out = append(out, discoveryv1.EndpointPort{Name: new(p.Name), Protocol: new(p.Protocol), Port: new(number), AppProtocol: p.AppProtocol})
		}
	}
	return out
}

// ownSlices returns a Service's slices that the cluster's own controller manages.
func (c *Cluster) ownSlices(s *corev1.Service) []*discoveryv1.EndpointSlice {
	var have []*discoveryv1.EndpointSlice
	for _, r := range c.owned(s.UID) {
		if r.kind == slicesOf {
			if e := c.tables[slicesOf].get(r.key).(*discoveryv1.EndpointSlice); e.Labels[discoveryv1.LabelManagedBy] == ownSlices {
				have = append(have, e)
			}
		}
	}
	return have
}

func (c *Cluster) writeSlice(s *corev1.Service, old *discoveryv1.EndpointSlice, endpoints []discoveryv1.Endpoint, ports []discoveryv1.EndpointPort) error {
	k, w := c.kinds[slicesOf], system(sliceController)
	if old != nil && equality.Semantic.DeepEqual(old.Endpoints, endpoints) && equality.Semantic.DeepEqual(old.Ports, ports) {
		return nil
	}
	if old != nil {
		out := *old
		out.Endpoints, out.Ports = endpoints, ports
		out.Generation++
		return c.settle(k, types.NamespacedName{Namespace: s.Namespace, Name: old.Name}, old, &out, w)
	}
	labels := map[string]string{discoveryv1.LabelServiceName: s.Name, discoveryv1.LabelManagedBy: ownSlices}
	for key, value := range s.Labels {
		labels[key] = cmp.Or(labels[key], value)
	}
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		labels[corev1.IsHeadlessService] = ""
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.Name + "-" + c.suffix(), Namespace: s.Namespace, Labels: labels,
			UID: c.newUID(), CreationTimestamp: c.now(), Generation: 1,
			OwnerReferences: []metav1.OwnerReference{owner(s, c.kinds[services])},
		},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: endpoints, Ports: ports,
	}
	return c.settle(k, types.NamespacedName{Namespace: s.Namespace, Name: slice.Name}, nil, slice, w)
}

// addKubernetesService makes default/kubernetes, which leads to the API server.
func (c *Cluster) addKubernetesService() {
	meta := metav1.ObjectMeta{Name: "kubernetes", Namespace: "default", Labels: map[string]string{"component": "apiserver", "provider": "kubernetes"}}
	s := &corev1.Service{ObjectMeta: *meta.DeepCopy(), Spec: corev1.ServiceSpec{
		ClusterIP: fmt.Sprintf("10.%d.0.1", 100+c.options.Number),
		Ports:     []corev1.ServicePort{{Name: "https", Port: 443, TargetPort: intstr.FromInt32(6443)}},
	}}
	meta.Labels = map[string]string{discoveryv1.LabelServiceName: "kubernetes"}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{c.nodeAddress(-1)}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}},
		Ports:     []discoveryv1.EndpointPort{{Name: new("https"), Port: new(int32(6443))}},
	}
	if _, err := c.create(c.kinds[services], s, system("apiserver")); err != nil {
		panic(err)
	}
	if _, err := c.create(c.kinds[slicesOf], slice, system("apiserver")); err != nil {
		panic(err)
	}
}

// nodeAddress is a node's address; that of the API server comes before the first.
func (c *Cluster) nodeAddress(n int) string { return fmt.Sprintf("10.%d.0.%d", c.options.Number, n+2) }

// addNode makes one node, with room for everything.
func (c *Cluster) addNode(n int) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:   fmt.Sprintf("node-%d", n+1),
		Labels: map[string]string{corev1.LabelHostname: fmt.Sprintf("node-%d", n+1), corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", n%3+1)},
	}}
	made, err := c.create(c.kinds[nodes], node, system("apiserver"))
	if err != nil {
		panic(err)
	}
	out := made.(*corev1.Node).DeepCopy()
	room := corev1.ResourceList{corev1.ResourceCPU: resourceOf("4096"), corev1.ResourceMemory: resourceOf("16Ti"), corev1.ResourcePods: resourceOf("100000")}
	out.Status = corev1.NodeStatus{
		Capacity: room, Allocatable: room,
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: c.nodeAddress(n)}},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}
	if _, err := c.replace(c.kinds[nodes], made, out, system(kubelet).on("status")); err != nil {
		panic(err)
	}
}
