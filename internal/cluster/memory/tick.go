package memory

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// A job is one object that one controller has to look at.
type job struct {
	controller string
	kind       schema.GroupKind
	key        types.NamespacedName
}

// The controllers, by the names under which they write in a real cluster.
const (
	namespaceController  = "namespace-controller"
	accountController    = "service-account-controller"
	collector            = "generic-garbage-collector"
	deploymentController = "deployment-controller"
	replicaSetController = "replicaset-controller"
	statefulController   = "statefulset-controller"
	sliceController      = "endpointslice-controller"
	autoscaler           = "horizontal-pod-autoscaler"
	balancerController   = "service-controller"
	ingressController    = "ingress-nginx"
	definitionController = "customresourcedefinition-controller"
	kubelet              = "kubelet"
)

// run does a job. It returns when the same job is due again, zero if nothing is.
func (c *Cluster) run(j job) (time.Time, error) {
	switch j.controller {
	case namespaceController:
		return time.Time{}, c.syncNamespace(j.key)
	case accountController:
		return time.Time{}, c.syncAccount(j.key)
	case collector:
		return time.Time{}, c.collect(ref{j.kind, j.key})
	case deploymentController:
		return time.Time{}, c.syncDeployment(j.key)
	case replicaSetController:
		return c.syncReplicaSet(j.key)
	case statefulController:
		return c.syncStatefulSet(j.key)
	case sliceController:
		return time.Time{}, c.syncSlices(j.key)
	case autoscaler:
		return time.Time{}, c.syncAutoscaler(j.key)
	case balancerController:
		return c.syncBalancer(j.key)
	case ingressController:
		return c.syncIngress(j.key)
	case definitionController:
		return time.Time{}, c.syncDefinition(j.key)
	case kubelet:
		return c.syncPod(j.key)
	}
	panic("no such controller: " + j.controller)
}

// Tick lets the controllers do everything that is due by now, and returns when
// the next thing will be; zero if nothing is. What a controller is refused, for
// example by admission, it tries again a second later.
func (c *Cluster) Tick() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.options.Clock.Now()
	for rounds := 0; ; rounds++ {
		j, due, ok := c.queue.next()
		if !ok || due.After(now) {
			return due
		}
		if rounds > 10_000_000 {
			panic(fmt.Sprintf("the controllers of %s find no rest: %v", c.options.Name, j))
		}
		c.queue.pop()
		again, err := c.run(j)
		if err != nil {
			again = now.Add(time.Second)
		}
		if !again.IsZero() {
			c.queue.push(j, again)
		}
	}
}

// system is a write by one of the cluster's own controllers.
func system(name string) write {
	w := write{manager: "kube-controller-manager", groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}}
	switch name {
	case kubelet:
		w.manager, w.user, w.groups = "kubelet", "system:node:node-1", []string{"system:nodes", "system:authenticated"}
	case "apiserver":
		w.manager, w.user, w.groups = "kube-apiserver", "system:apiserver", []string{"system:masters", "system:authenticated"}
	case ingressController:
		w.manager, w.user = "nginx-ingress-controller", "system:serviceaccount:ingress-nginx:ingress-nginx"
		w.groups = []string{"system:serviceaccounts", "system:serviceaccounts:ingress-nginx", "system:authenticated"}
	default:
		w.user = "system:serviceaccount:kube-system:" + name
	}
	return w
}

func (w write) on(subresource string) write {
	w.subresource = subresource
	return w
}

// settle stores what a controller makes of an object whose place nobody else
// changes meanwhile: no defaults, no managedFields. Old is nil for a creation;
// new is nil for a removal.
func (c *Cluster) settle(k *kind, key types.NamespacedName, old, new Object, w write) error {
	switch {
	case old == nil:
		w.operation = "CREATE"
	case new == nil:
		w.operation = "DELETE"
	default:
		w.operation = "UPDATE"
	}
	if err := c.policies.admit(k, old, new, w); err != nil {
		return err
	}
	c.put(k, key, old, new, w)
	return nil
}

// touched lets the controllers know of a change.
func (c *Cluster) touched(k *kind, key types.NamespacedName, old, new Object) {
	now := c.options.Clock.Now()
	wake := func(controller string) { c.queue.push(job{controller, k.GroupKind(), key}, now) }
	c.touchedOwners(k, key, old, new, now)
	switch k.GroupKind() {
	case namespaces:
		wake(namespaceController)
		wake(accountController)
	case deployments:
		wake(deploymentController)
		c.wakeAutoscalers(key, old, new)
	case replicaSets:
		wake(replicaSetController)
		c.wakeOwner(old, new, deploymentController, deployments)
	case statefulSets:
		wake(statefulController)
		c.wakeAutoscalers(key, old, new)
	case pods:
		wake(kubelet)
		c.wakeOwner(old, new, replicaSetController, replicaSets)
		c.wakeOwner(old, new, statefulController, statefulSets)
		c.wakeServices(old, new, now)
		c.place(old, new)
	case services:
		c.queue.push(job{sliceController, services, key}, now.Add(c.between(200*time.Millisecond, 3*time.Second, "slices", key.String())))
		wake(balancerController)
	case ingresses:
		wake(ingressController)
	case autoscalers:
		wake(autoscaler)
	case definitions:
		c.define(old, new)
		wake(definitionController)
	case admission, bindings:
		c.policies.changed(old, new)
	}
	if new == nil {
		c.networks.release(old)
	}
}

// touchedOwners wakes what follows from owner references and from namespaces that
// wait to be empty.
func (c *Cluster) touchedOwners(k *kind, key types.NamespacedName, old, new Object, now time.Time) {
	collectLater := func(r ref) { c.queue.push(job{collector, r.kind, r.key}, now) }
	if new != nil && (len(new.GetOwnerReferences()) > 0 && (old == nil || !equality.Semantic.DeepEqual(old.GetOwnerReferences(), new.GetOwnerReferences())) ||
		slices.Contains(new.GetFinalizers(), metav1.FinalizerDeleteDependents)) {
		collectLater(ref{k.GroupKind(), key})
	}
	if new != nil {
		return
	}
	for _, r := range c.owned(old.GetUID()) {
		collectLater(r)
	}
	for _, o := range old.GetOwnerReferences() {
		if r, ok := c.byUID[o.UID]; ok {
			if owner := c.tables[r.kind].get(r.key); owner.GetDeletionTimestamp() != nil {
				collectLater(r)
			}
		}
	}
	if key.Namespace != "" {
		ns := types.NamespacedName{Name: key.Namespace}
		if holder := c.tables[namespaces].get(ns); holder != nil && holder.GetDeletionTimestamp() != nil {
			c.queue.push(job{namespaceController, namespaces, ns}, now)
		}
	}
}

// wakeOwner wakes the controller of an object's owner, if that is of the given kind.
func (c *Cluster) wakeOwner(old, new Object, controller string, kind schema.GroupKind) {
	obj := cmp.Or(new, old)
	if o := metav1.GetControllerOf(obj); o != nil && o.Kind == kind.Kind {
		key := types.NamespacedName{Namespace: obj.GetNamespace(), Name: o.Name}
		c.queue.push(job{controller, kind, key}, c.options.Clock.Now())
	}
}

// wakeServices lets the Services hear of a pod, each after its own delay, if
// anything that their slices tell has changed.
func (c *Cluster) wakeServices(old, new Object, now time.Time) {
	was, _ := old.(*corev1.Pod)
	is, _ := new.(*corev1.Pod)
	if was != nil && is != nil && endpointOf(was) == endpointOf(is) && equality.Semantic.DeepEqual(was.Labels, is.Labels) {
		return
	}
	pod := cmp.Or(is, was)
	for _, r := range c.tables[services].in(pod.Namespace) {
		selector := r.obj.(*corev1.Service).Spec.Selector
		if len(selector) > 0 && (was != nil && selects(selector, was.Labels) || is != nil && selects(selector, is.Labels)) {
			delay := c.between(200*time.Millisecond, 3*time.Second, "slices", r.key.String(), pod.Name, pod.ResourceVersion)
			c.queue.push(job{sliceController, services, r.key}, now.Add(delay))
		}
	}
}

// selects is true when labels has every pair of selector.
func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// wakeAutoscalers wakes those of a workload whose replicas changed, when they
// would look next.
func (c *Cluster) wakeAutoscalers(key types.NamespacedName, old, new Object) {
	if new == nil {
		return
	}
	was, is := replicasOf(old), replicasOf(new)
	if was != nil && is != nil && *was == *is {
		return
	}
	for _, r := range c.tables[autoscalers].in(key.Namespace) {
		if r.obj.(*autoscalingv2.HorizontalPodAutoscaler).Spec.ScaleTargetRef.Name == key.Name {
			at := c.options.Clock.Now().Add(c.between(time.Second, 15*time.Second, "autoscaler", r.key.String(), new.GetResourceVersion()))
			c.queue.push(job{autoscaler, autoscalers, r.key}, at)
		}
	}
}

// define makes the kind of a definition known; with the definition go its objects.
func (c *Cluster) define(old, new Object) {
	if new == nil {
		gk := definedKind(old.(*apiextensionsv1.CustomResourceDefinition)).GroupKind()
		for _, r := range slices.Clone(c.tables[gk].order) {
			c.put(c.tables[gk].kind, r.key, r.obj, nil, system(definitionController))
		}
		delete(c.kinds, gk)
		return
	}
	k := definedKind(new.(*apiextensionsv1.CustomResourceDefinition))
	if had := c.kinds[k.GroupKind()]; had != nil && had.GroupVersionKind == k.GroupVersionKind {
		return
	}
	c.kinds[k.GroupKind()] = k
	if c.tables[k.GroupKind()] == nil {
		c.tables[k.GroupKind()] = newTable(k)
	}
}

// A queue holds the jobs by the time at which they are due; each once, at the
// earliest time asked for.
type queue struct {
	items  items
	queued map[job]time.Time
	seq    uint64
}

type item struct {
	job
	due time.Time
	seq uint64
}

func (q *queue) push(j job, due time.Time) {
	if at, ok := q.queued[j]; ok && !due.Before(at) {
		return
	}
	q.seq++
	q.queued[j] = due
	heap.Push(&q.items, item{j, due, q.seq})
}

// next is the first job, which stays; false if there is none.
func (q *queue) next() (job, time.Time, bool) {
	for len(q.items) > 0 {
		first := q.items[0]
		if at, ok := q.queued[first.job]; ok && at.Equal(first.due) {
			return first.job, first.due, true
		}
		heap.Pop(&q.items) // an earlier one has taken its place
	}
	return job{}, time.Time{}, false
}

func (q *queue) pop() {
	first := heap.Pop(&q.items).(item)
	delete(q.queued, first.job)
}

type items []item

func (h items) Len() int { return len(h) }
func (h items) Less(i, j int) bool {
	return h[i].due.Before(h[j].due) || h[i].due.Equal(h[j].due) && h[i].seq < h[j].seq
}
func (h items) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *items) Push(x any)   { *h = append(*h, x.(item)) }
func (h *items) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
