package memory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
)

// syncStatefulSet makes pods by ordinal, one after the other unless the set says
// Parallel, replaces those of an old template from the highest down, and stops
// the highest first. Volume claims are not made.
func (c *Cluster) syncStatefulSet(key types.NamespacedName) (time.Time, error) {
	k, w := c.kinds[statefulSets], system(statefulController)
	set, _ := c.tables[statefulSets].get(key).(*appsv1.StatefulSet)
	if set == nil {
		return time.Time{}, nil
	}
	revision := set.Name + "-" + templateHash(&set.Spec.Template)
	if set.DeletionTimestamp == nil {
		if err := c.nextOrdinal(set, k, revision, w); err != nil {
			return time.Time{}, err
		}
	}
	have := c.podsOf(set.UID)
	ready, available, due := c.count(have, set.Spec.MinReadySeconds)
	status := appsv1.StatefulSetStatus{
		ObservedGeneration: set.Generation, Replicas: int32(len(have)), ReadyReplicas: ready, AvailableReplicas: available,
		UpdateRevision: revision, CurrentRevision: set.Status.CurrentRevision, CollisionCount: new(int32),
	}
	for _, pod := range have {
		if pod.Labels[appsv1.ControllerRevisionHashLabelKey] == revision {
			status.UpdatedReplicas++
		}
	}
	if status.UpdatedReplicas == *set.Spec.Replicas || status.CurrentRevision == "" {
		status.CurrentRevision = revision
	}
	if status.CurrentRevision == revision {
		status.CurrentReplicas = status.UpdatedReplicas
	} else {
		status.CurrentReplicas = status.Replicas - status.UpdatedReplicas
	}
	if equality.Semantic.DeepEqual(status, set.Status) {
		return due, nil
	}
	out := *set
	out.Status = status
	return due, c.settle(k, key, set, &out, w.on("status"))
}

// nextOrdinal makes or stops what is next in order.
func (c *Cluster) nextOrdinal(set *appsv1.StatefulSet, k *kind, revision string, w write) error {
	first := 0
	if set.Spec.Ordinals != nil {
		first = int(set.Spec.Ordinals.Start)
	}
	want, parallel := map[string]bool{}, set.Spec.PodManagementPolicy == appsv1.ParallelPodManagement
	for n := first; n < first+int(*set.Spec.Replicas); n++ {
		name := fmt.Sprintf("%s-%d", set.Name, n)
		want[name] = true
		pod, _ := c.tables[pods].get(types.NamespacedName{Namespace: set.Namespace, Name: name}).(*corev1.Pod)
		if pod == nil {
			template := set.Spec.Template.DeepCopy()
			template.Labels = with(with(template.Labels, appsv1.ControllerRevisionHashLabelKey, revision), appsv1.StatefulSetPodNameLabel, name)
			if err := c.newPod(set, k, name, template, w); err != nil {
				return err
			}
		}
		if !parallel && (pod == nil || !active(pod) || !podReady(pod)) {
			return nil
		}
	}
	if !parallel && c.podsEnd(set.UID) {
		return nil
	}
	have := c.podsOf(set.UID)
	slices.SortFunc(have, func(a, b *corev1.Pod) int { return ordinal(b) - ordinal(a) })
	for _, pod := range have {
		stale := pod.Labels[appsv1.ControllerRevisionHashLabelKey] != revision && set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType
		if !want[pod.Name] || stale {
			if err := c.stopPod(pod, w); err != nil || !parallel || stale {
				return err
			}
		}
		if stale || !parallel && !podReady(pod) {
			return nil
		}
	}
	return nil
}

// podsEnd is true while a pod of the owner is on its way out.
func (c *Cluster) podsEnd(owner types.UID) bool {
	return slices.ContainsFunc(c.owned(owner), func(r ref) bool {
		return r.kind == pods && c.tables[pods].get(r.key).GetDeletionTimestamp() != nil
	})
}

func ordinal(pod *corev1.Pod) (n int) {
	_, _ = fmt.Sscanf(pod.Name[strings.LastIndexByte(pod.Name, '-')+1:], "%d", &n)
	return n
}
