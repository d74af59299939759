package migration

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// roomAsked is for how long the target may bring pods up before it is asked whether it
// has room for them, roomKnown for how long its answer is good.
const (
	roomAsked = 30 * time.Second
	roomKnown = 5 * time.Second
)

// rooms are the target's last answers, by migration. Without them it is asked again.
type rooms struct {
	mu sync.Mutex
	of map[types.UID]room
}

type room struct {
	asked time.Time
	// why a workload finds no room, "" if it does.
	workload, why string
}

// answer is that about a workload, which ask gives if none is good.
func (r *rooms) answer(migration types.UID, workload string, now time.Time, ask func() string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.of[migration]; last.workload == workload && now.Sub(last.asked) < roomKnown {
		return last.why
	}
	if r.of == nil {
		r.of = map[types.UID]room{}
	}
	r.of[migration] = room{now, workload, ask()}
	return r.of[migration].why
}

// cramped finds a workload that the target has no room for, and says so in the target's
// own words; "" if there is none. It only explains a wait, so what can't be read says
// nothing. Quotas are told of by the Deployments, which were read already; of the pods
// that wait for a node, only those of one workload are read.
func (e *Engine) cramped(ctx context.Context, v *visit, book *standings, loads []load) string {
	asked := false
	for _, l := range loads {
		since := book.replicas[l.workload.ID()].Asked
		target := l.balance.Target
		if target.Ready >= target.Spec || since.IsZero() || e.Clock.Since(since) < roomAsked {
			continue
		}
		why := refusedPods(l.target)
		if why == "" && !asked {
			asked = true
			why = e.rooms.answer(v.m.UID, l.workload.ID(), e.Clock.Now(), func() string { return unplaced(ctx, &v.target, l.target) })
		}
		if why != "" {
			return fmt.Sprintf("%s: target %d of %d ready: %s", l.workload.ID(), target.Ready, target.Spec, why)
		}
	}
	return ""
}

// refusedPods is what the API server said when it refused a Deployment's pods, mostly
// for a quota.
func refusedPods(d *appsv1.Deployment) string {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

// unplaced is what the scheduler says of a Deployment's pod that it finds no node for.
func unplaced(ctx context.Context, s *site, d *appsv1.Deployment) string {
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return ""
	}
	var pods corev1.PodList
	err = s.api.List(ctx, &pods, client.InNamespace(d.Namespace), client.MatchingLabelsSelector{Selector: selector},
		client.MatchingFields{"status.phase": string(corev1.PodPending)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return ""
	}
	for _, pod := range pods.Items {
		if s.podsOf[client.ObjectKeyFromObject(&pod)] != d.Name {
			continue
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
				return fmt.Sprintf("pod %s: %s", pod.Name, c.Message)
			}
		}
	}
	return ""
}
