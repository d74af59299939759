package migration

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
)

// crampedWorld leads cart to a target that brings no pod up, until it has waited long.
func crampedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, serving("cart", 4), nil)
	w.m.Status.Stage = v1.Shifting
	w.target = memory.New(memory.Options{
		Name: "c", Number: 2, Seed: 1, Clock: w.clock, Start: func(*corev1.Pod) (time.Duration, bool) { return 0, false },
	})
	shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	if err := w.target.Seed(append(objects(shop), serving("cart", 0)...)...); err != nil {
		t.Fatal(err)
	}
	w.until(v1.CapacityMoving, toTarget)
	w.pass(time.Second)
	if p := w.until(v1.CapacityMoving, toTarget); strings.Contains(p.Message, "room") {
		t.Errorf("it says %q before it can know", p.Message)
	}
	return w
}

func toTarget(e *Engine, ctx context.Context, v *visit) (Progress, error) {
	return e.carry(ctx, v, split(50))
}

func TestATargetWithoutRoomIsSaidToHaveNone(t *testing.T) {
	w := crampedWorld(t)
	var pods corev1.PodList
	if err := w.target.List(t.Context(), &pods, client.InNamespace("shop")); err != nil || len(pods.Items) == 0 {
		t.Fatalf("no pods in the target, %v", err)
	}
	for _, pod := range pods.Items {
		pod.Status.Conditions[0].Status, pod.Status.Conditions[0].Reason = corev1.ConditionFalse, corev1.PodReasonUnschedulable
		pod.Status.Conditions[0].Message = "0/3 nodes are available: 3 Insufficient cpu."
		if err := w.target.As("system:kube-scheduler").Status().Update(t.Context(), &pod); err != nil {
			t.Fatal(err)
		}
	}
	p := w.until(v1.CapacityShort, toTarget)
	if !strings.Contains(p.Message, "Deployment/shop/cart: target 0 of") || !strings.Contains(p.Message, "3 Insufficient cpu") {
		t.Errorf("it says %q", p.Message)
	}
	w.pass(time.Duration(w.m.Spec.Shift.ReadyMinutes) * time.Minute)
	w.until(v1.Finished, toTarget) // it is left in the source
}

func TestATargetWhoseQuotaIsSpentIsSaidToHaveNoRoom(t *testing.T) {
	w := crampedWorld(t)
	w.pass(roomAsked)
	d := &appsv1.Deployment{}
	if err := w.target.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "cart"}, d); err != nil {
		t.Fatal(err)
	}
	d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: `pods "cart-1" is forbidden: exceeded quota: team`,
	})
	if err := w.target.As("system:serviceaccount:kube-system:deployment-controller").Status().Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if p := w.until(v1.CapacityShort, toTarget); !strings.Contains(p.Message, "exceeded quota: team") {
		t.Errorf("it says %q", p.Message)
	}
}

// dying is a world in which cart is moved by half, and then no pod of the target is
// ready any longer, and none will be.
func dying(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, serving("cart", 4)[:1], nil) // without a Service nothing is to be bridged
	w.m.Spec.Decisions = []v1.Decision{{Workload: "Deployment/shop/cart", Decide: v1.DecideMove}}
	alive := true
	w.target = memory.New(memory.Options{Name: "c", Number: 2, Seed: 1, Clock: w.clock, Start: func(*corev1.Pod) (time.Duration, bool) { return time.Second, alive }})
	shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	if err := w.target.Seed(append(objects(shop), serving("cart", 0)[:1]...)...); err != nil {
		t.Fatal(err)
	}
	w.stand(v1.Shifting)
	w.until(v1.Finished, toTarget)
	alive = false
	var pods corev1.PodList
	if err := w.target.List(t.Context(), &pods, client.InNamespace("shop")); err != nil || len(pods.Items) != 2 {
		t.Fatalf("%d pods in the target, %v", len(pods.Items), err)
	}
	for _, pod := range pods.Items {
		if err := w.target.As("system:node:node-1").Delete(t.Context(), &pod, client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(time.Second)
	return w
}

func TestTheWayBackFromATargetThatServesNoLongerEnds(t *testing.T) {
	for _, warmed := range []int32{0, 1} {
		w := dying(t)
		w.m.Spec.Shift.Warm = warmed
		w.m.Spec.Direction, w.m.Spec.BackTo = v1.Back, v1.Snapshot
		for range 60 {
			w.act()
			w.pass(5 * time.Second)
		}
		if w.m.Begun(v1.Shifting) {
			t.Fatalf("with %d warm pods, Shift was not undone: %+v", warmed, w.act())
		}
		v := w.visit()
		key := client.ObjectKey{Namespace: "shop", Name: "cart"}
		if s, at := v.source.deployments[key], v.target.deployments[key]; s.Status.ReadyReplicas != 4 || *at.Spec.Replicas != 0 {
			t.Errorf("with %d warm pods, %d are ready in the source, %d told to run in the target; want 4 and 0", warmed, s.Status.ReadyReplicas, *at.Spec.Replicas)
		}
	}
}
