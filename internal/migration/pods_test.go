package migration

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

func TestAPodCountsForItsOwnDeploymentOnly(t *testing.T) {
	// Both are behind one Service, as a front and its admin pages may be.
	front, admin := serving("web", 2), serving("web-admin", 3)
	for _, o := range objects(front[0], admin[0]) {
		o.(*appsv1.Deployment).Spec.Template.Labels["tier"] = "front"
	}
	front[1].(*corev1.Service).Spec.Selector = map[string]string{"tier": "front"}
	w := newWorld(t, append(front, admin...), nil)
	for range 30 {
		w.pass(1e9)
	}
	v := w.visit()
	for name, want := range map[string]int32{"web": 2, "web-admin": 3} {
		workload := plan.Workload{Kind: "Deployment", Namespace: "shop", Name: name, Services: []string{"web"}}
		if got := v.reachable(&v.source, workload, 9); got != want {
			t.Errorf("%s has %d pods behind the Service, want %d", name, got, want)
		}
	}
}

func TestPodsThatNothingKeepsAreWorkloads(t *testing.T) {
	template := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "c:1"}}}
	w := newWorld(t, append(serving("web", 1),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-debug", Namespace: "shop"}, Spec: template},
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web-old", Namespace: "shop"}, Spec: appsv1.ReplicaSetSpec{
			Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "old"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "old"}}, Spec: template},
		}},
		&corev1.Pod{Spec: template, ObjectMeta: metav1.ObjectMeta{Name: "web-old-1", Namespace: "shop", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-old", UID: "u", Controller: ptr.To(true)}}}},
	), nil)
	for range 3 {
		w.pass(1e9)
	}
	found := map[string]v1.Decide{}
	for _, workload := range w.visit().estate.Workloads(func(plan.Workload) bool { return true }) {
		found[workload.ID()] = workload.Decide
	}
	if len(found) != 3 || found["Pod/shop/web-debug"] != v1.Undecided || found["ReplicaSet/shop/web-old"] != v1.Undecided {
		t.Errorf("found %v, want the Deployment, and a pod and a ReplicaSet that wait for a decision", found)
	}
}

func TestAWayBackEndsAtAStageThatWasReached(t *testing.T) {
	m := &v1.Migration{Spec: v1.MigrationSpec{Direction: v1.Back, BackTo: v1.Cutover}}
	if at := arrivedAt(m); at != v1.Nothing {
		t.Errorf("nothing was begun, and it stands at %s", at)
	}
	setFinished(m, v1.Preflight, metav1.ConditionTrue, v1.Finished, "")
	setFinished(m, v1.Prepare, metav1.ConditionFalse, v1.Busy, "")
	if at := arrivedAt(m); at != v1.Prepare {
		t.Errorf("it never came further than Prepare, and stands at %s", at)
	}
}
