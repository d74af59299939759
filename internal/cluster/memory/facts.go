package memory

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// An Endpoint is one address of a Service, as any slice of it tells.
type Endpoint struct {
	Address string
	// Manager is who manages the slice, for example endpointslice-controller.k8s.io.
	Manager                     string
	Ready, Serving, Terminating bool
}

// Endpoints returns the addresses of a Service over all its slices, whoever
// manages them, in the order of the slices' names.
func (c *Cluster) Endpoints(service types.NamespacedName) []Endpoint {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var found []Endpoint
	for _, r := range c.tables[slicesOf].in(service.Namespace) {
		slice := r.obj.(*discoveryv1.EndpointSlice)
		if slice.Labels[discoveryv1.LabelServiceName] != service.Name {
			continue
		}
		for _, e := range slice.Endpoints {
			for _, address := range e.Addresses {
				found = append(found, Endpoint{
					Address: address, Manager: slice.Labels[discoveryv1.LabelManagedBy],
					Ready: ptr.Deref(e.Conditions.Ready, true), Serving: ptr.Deref(e.Conditions.Serving, true),
					Terminating: ptr.Deref(e.Conditions.Terminating, false),
				})
			}
		}
	}
	return found
}

// Answers is true when a pod of this cluster has the address and would answer a
// new connection now: it is Ready, and was not told to stop longer ago than it
// goes on answering.
func (c *Cluster) Answers(address string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	key, ok := c.podAt[address]
	if !ok {
		return false
	}
	pod := c.tables[pods].get(key).(*corev1.Pod)
	if !podReady(pod) {
		return false
	}
	return pod.DeletionTimestamp == nil || c.options.Clock.Now().Before(toldToStop(pod).Add(lingers(pod)))
}

// ReadyPods counts the Ready pods that carry all of labels and were not told to stop.
func (c *Cluster) ReadyPods(namespace string, labels map[string]string) int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := 0
	for _, r := range c.tables[pods].in(namespace) {
		if pod := r.obj.(*corev1.Pod); active(pod) && podReady(pod) && selects(labels, pod.Labels) {
			n++
		}
	}
	return n
}

// Seed puts objects into the cluster as if somebody else had created them, and
// makes the namespaces that they need. It does not go through Faults. Objects are
// not changed.
func (c *Cluster) Seed(objects ...client.Object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := write{user: "team", groups: []string{"system:authenticated"}, manager: "kubectl"}
	for _, obj := range objects {
		k, err := c.kindOf(obj)
		if err != nil {
			return err
		}
		if ns := obj.GetNamespace(); k.namespaced && c.tables[namespaces].get(types.NamespacedName{Name: ns}) == nil {
			made := &corev1.Namespace{}
			made.Name = ns
			if _, err := c.create(c.kinds[namespaces], made, w); err != nil {
				return err
			}
		}
		in, err := k.stored(obj)
		if err != nil {
			return err
		}
		in.SetResourceVersion("")
		if _, err := c.create(k, in, w); err != nil {
			return err
		}
	}
	return nil
}

// Due is when the controllers have something to do next; zero if nothing is known.
func (c *Cluster) Due() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, due, _ := c.queue.next()
	return due
}

var _ cluster.API = (*speaker)(nil)
