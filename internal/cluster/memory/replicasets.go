package memory

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var noOptions = &client.DeleteOptions{}

// syncReplicaSet makes and stops pods. It is due again when a pod will have been
// Ready for minReadySeconds.
func (c *Cluster) syncReplicaSet(key types.NamespacedName) (time.Time, error) {
	k, w := c.kinds[replicaSets], system(replicaSetController)
	rs, _ := c.tables[replicaSets].get(key).(*appsv1.ReplicaSet)
	if rs == nil {
		return time.Time{}, nil
	}
	have := c.podsOf(rs.UID)
	if rs.DeletionTimestamp == nil {
		for range int(*rs.Spec.Replicas) - len(have) {
			if err := c.newPod(rs, k, rs.Name+"-"+c.suffix(), &rs.Spec.Template, w); err != nil {
				return time.Time{}, err
			}
		}
		if surplus := len(have) - int(*rs.Spec.Replicas); surplus > 0 {
			slices.SortFunc(have, leavesFirst)
			for _, pod := range have[:surplus] {
				if err := c.stopPod(pod, w); err != nil {
					return time.Time{}, err
				}
			}
		}
		have = c.podsOf(rs.UID)
	}
	ready, available, due := c.count(have, rs.Spec.MinReadySeconds)
	status := appsv1.ReplicaSetStatus{
		Replicas: int32(len(have)), FullyLabeledReplicas: int32(len(have)),
		ReadyReplicas: ready, AvailableReplicas: available, ObservedGeneration: rs.Generation,
	}
	if equality.Semantic.DeepEqual(status, rs.Status) {
		return due, nil
	}
	out := *rs
	out.Status = status
	return due, c.settle(k, key, rs, &out, w.on("status"))
}

// leavesFirst orders pods as a ReplicaSet does that has too many: those that are
// not Ready, then those Ready for the shortest time, then the newest.
func leavesFirst(a, b *corev1.Pod) int {
	readyA, readyB := readySince(a), readySince(b)
	if (readyA == nil) != (readyB == nil) {
		if readyA == nil {
			return -1
		}
		return 1
	}
	if readyA != nil && !readyA.Equal(readyB) {
		return readyB.Compare(readyA.Time)
	}
	return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// count tells how many pods are Ready and how many have been for long enough, and
// when that number will grow by itself.
func (c *Cluster) count(have []*corev1.Pod, minReadySeconds int32) (ready, available int32, due time.Time) {
	now := c.options.Clock.Now()
	for _, pod := range have {
		since := readySince(pod)
		if since == nil {
			continue
		}
		ready++
		at := since.Add(time.Duration(minReadySeconds) * time.Second)
		if !now.Before(at) {
			available++
		} else if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return ready, available, due
}
