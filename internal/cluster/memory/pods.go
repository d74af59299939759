package memory

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// syncPod is scheduler and kubelet: a pod gets a node and an address at once,
// becomes Ready after its start delay, and goes after its grace.
func (c *Cluster) syncPod(key types.NamespacedName) (time.Time, error) {
	pod, _ := c.tables[pods].get(key).(*corev1.Pod)
	if pod == nil {
		return time.Time{}, nil
	}
	now, w := c.options.Clock.Now(), system(kubelet).on("status")
	if pod.DeletionTimestamp != nil {
		if end := c.endOf(pod); now.Before(end) {
			return end, nil
		}
		if len(pod.Finalizers) > 0 {
			return time.Time{}, nil
		}
		return time.Time{}, c.settle(c.kinds[pods], key, pod, nil, w.on(""))
	}
	if pod.Spec.NodeName == "" {
		placed := c.schedule(pod)
		if err := c.settle(c.kinds[pods], key, pod, placed, w); err != nil {
			return time.Time{}, err
		}
		pod = placed
	}
	delay, starts := c.startDelay(pod)
	if !starts || podReady(pod) {
		return time.Time{}, nil
	}
	if due := pod.Status.StartTime.Add(delay); now.Before(due) {
		return due, nil
	}
	return time.Time{}, c.settle(c.kinds[pods], key, pod, c.started(pod), w)
}

// startDelay is how long a pod takes to be Ready; false if it never is.
func (c *Cluster) startDelay(pod *corev1.Pod) (time.Duration, bool) {
	if c.options.Start != nil {
		return c.options.Start(pod)
	}
	return c.between(500*time.Millisecond, 20*time.Second, "start", pod.Namespace, pod.Name), true
}

// schedule gives a pod its node and its address.
func (c *Cluster) schedule(pod *corev1.Pod) *corev1.Pod {
	out, n := *pod, c.hash("node", pod.Namespace, pod.Name)%uint64(c.options.Nodes)
	now := metav1.NewTime(c.options.Clock.Now())
	out.Spec.NodeName = fmt.Sprintf("node-%d", n+1)
	ip := c.networks.pod()
	out.Status = corev1.PodStatus{
		Phase: corev1.PodPending, StartTime: &now, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		HostIP: c.nodeAddress(int(n)),
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now},
			{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: now, Reason: "ContainersNotReady"},
		},
	}
	return &out
}

// started is the pod once its containers run and answer their probes.
func (c *Cluster) started(pod *corev1.Pod) *corev1.Pod {
	out, now := *pod, metav1.NewTime(c.options.Clock.Now())
	out.Status.Phase = corev1.PodRunning
	out.Status.Conditions = []corev1.PodCondition{
		pod.Status.Conditions[0],
		{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now},
		{Type: corev1.ContainersReady, Status: corev1.ConditionTrue, LastTransitionTime: now},
	}
	out.Status.ContainerStatuses = make([]corev1.ContainerStatus, len(pod.Spec.Containers))
	for i, container := range pod.Spec.Containers {
		out.Status.ContainerStatuses[i] = corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, Ready: true, Started: new(true),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		}
	}
	return &out
}

// lingers is how long a pod that was told to stop goes on answering: until a
// second before its grace ends, but not longer than 10 s.
func lingers(pod *corev1.Pod) time.Duration {
	grace := secondsOf(ptr.Deref(pod.DeletionGracePeriodSeconds, 0))
	return max(0, min(grace-time.Second, 10*time.Second))
}

// toldToStop is when a pod's deletion was asked for.
func toldToStop(pod *corev1.Pod) time.Time {
	return pod.DeletionTimestamp.Add(-secondsOf(ptr.Deref(pod.DeletionGracePeriodSeconds, 0)))
}

// endOf is when a pod that is being deleted is gone: when it no longer answers,
// and up to a second more for what is in flight.
func (c *Cluster) endOf(pod *corev1.Pod) time.Time {
	last := c.between(0, time.Second, "end", pod.Namespace, pod.Name)
	if !podReady(pod) {
		return toldToStop(pod).Add(min(last, secondsOf(*pod.DeletionGracePeriodSeconds)))
	}
	return toldToStop(pod).Add(min(lingers(pod)+last, secondsOf(*pod.DeletionGracePeriodSeconds)))
}

// place keeps which pod has which address.
func (c *Cluster) place(old, new Object) {
	if pod, ok := old.(*corev1.Pod); ok && new == nil {
		delete(c.podAt, pod.Status.PodIP)
	}
	if pod, ok := new.(*corev1.Pod); ok && pod.Status.PodIP != "" {
		c.podAt[pod.Status.PodIP] = types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	}
}

func podReady(pod *corev1.Pod) bool { return readySince(pod) != nil }

// readySince is since when a pod is Ready; nil if it is not.
func readySince(pod *corev1.Pod) *metav1.Time {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return &c.LastTransitionTime
		}
	}
	return nil
}

// active is true of a pod that counts for its workload.
func active(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// podsOf returns the pods that an owner controls and that count, by name.
func (c *Cluster) podsOf(owner types.UID) []*corev1.Pod {
	var found []*corev1.Pod
	for _, r := range c.owned(owner) {
		if r.kind == pods {
			if pod := c.tables[pods].get(r.key).(*corev1.Pod); active(pod) {
				found = append(found, pod)
			}
		}
	}
	return found
}

// newPod makes a pod from a template.
func (c *Cluster) newPod(owner Object, kind *kind, name string, template *corev1.PodTemplateSpec, w write) error {
	pod := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	pod.Name, pod.Namespace = name, owner.GetNamespace()
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, kind.GroupVersionKind)}
	pod.UID, pod.CreationTimestamp, pod.Generation = c.newUID(), c.now(), 1
	pod.Status.Phase = corev1.PodPending
	if err := c.placed(c.kinds[pods], pod); err != nil {
		return err
	}
	return c.settle(c.kinds[pods], types.NamespacedName{Namespace: pod.Namespace, Name: name}, nil, pod, w)
}

// stopPod tells a pod to stop.
func (c *Cluster) stopPod(pod *corev1.Pod, w write) error {
	return c.remove(c.kinds[pods], types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, noOptions, w)
}
