package migration

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/plan"
)

func TestASurveySaysWhatWouldBeFound(t *testing.T) {
	clock := testclock.NewFakeClock(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))
	var source, target *memory.Cluster
	for number, into := range []**memory.Cluster{&source, &target} {
		*into = memory.New(memory.Options{Name: "c", Number: number + 1, Seed: uint64(number), Clock: clock})
	}
	labels := map[string]string{"app": "cart"}
	if err := source.Seed(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "cart", Namespace: "shop", Labels: labels},
			Spec: appsv1.DeploymentSpec{
				Replicas: ptr.To[int32](2), Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "cart", Image: "cart:1"}}},
				},
			},
		},
	); err != nil {
		t.Fatal(err)
	}
	m := &v1.Migration{
		ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "crossfade-system"},
		Spec:       v1.MigrationSpec{Source: "east", Target: "west"},
	}
	e := &Engine{Clock: clock}
	survey := func() Survey {
		t.Helper()
		s, err := e.Survey(t.Context(), m, seen(t, source), seen(t, target))
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Moves) != 1 || s.Moves[0].Spec.App != "cart" {
			t.Fatalf("moves = %+v, want one of the app cart", s.Moves)
		}
		return s
	}
	// No Service leads to it, so what it does cannot be told.
	if s := survey(); s.Moves[0].Status.State != v1.MoveUndecided || Through(s.Gates) == nil || Through(s.Gates).Reason != v1.DecisionNeeded {
		t.Errorf("%s, gates %+v; want one that needs a decision", s.Moves[0].Status.State, s.Gates)
	}
	m.Spec.Decisions = []v1.Decision{{Workload: "Deployment/shop/cart", Decide: v1.DecideMove}}
	if s := survey(); s.Moves[0].Status.State != v1.MoveWaiting || Through(s.Gates) != nil {
		t.Errorf("%s, gates %+v; want one that waits and gates that pass", s.Moves[0].Status.State, s.Gates)
	}
	if m.Status.Apps.Total != 0 {
		t.Error("the survey wrote into the migration")
	}
	var written v1.MoveList
	if err := source.List(t.Context(), &written); err != nil || len(written.Items) != 0 {
		t.Errorf("the survey wrote %d moves, %v", len(written.Items), err)
	}
	target = source
	if s, _ := e.Survey(t.Context(), m, seen(t, source), seen(t, target)); s.Gates[0].Name != plan.GateClusters || s.Gates[0].Verdict != v1.Failed {
		t.Errorf("one cluster twice: %+v", s.Gates[0])
	}
}

func seen(t *testing.T, c *memory.Cluster) Seen {
	t.Helper()
	var deployments appsv1.DeploymentList
	if err := c.List(t.Context(), &deployments); err != nil {
		t.Fatal(err)
	}
	s := Seen{Facts: c}
	for i := range deployments.Items {
		s.Objects.Add(&deployments.Items[i])
	}
	return s
}
