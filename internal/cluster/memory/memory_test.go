package memory_test

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster/memory"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newCluster(seed uint64) (*memory.Cluster, *clocktesting.FakePassiveClock) {
	clock := clocktesting.NewFakePassiveClock(start)
	return memory.New(memory.Options{Name: "source", Number: 1, Seed: seed, Clock: clock}), clock
}

// run ticks through everything that is due within d, step by step.
func run(c *memory.Cluster, clock *clocktesting.FakePassiveClock, d time.Duration) {
	end := clock.Now().Add(d)
	for {
		due := c.Tick()
		if due.IsZero() || due.After(end) {
			clock.SetTime(end)
			c.Tick()
			return
		}
		clock.SetTime(due)
	}
}

func deployment(ns, name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(replicas),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "app:1", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}},
			},
		},
	}
}

func service(ns, name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}}},
	}
}

func readyEndpoints(c *memory.Cluster, ns, name string) int {
	n := 0
	for _, e := range c.Endpoints(types.NamespacedName{Namespace: ns, Name: name}) {
		if e.Ready {
			n++
		}
	}
	return n
}

func TestDeploymentBecomesReadyAndServes(t *testing.T) {
	c, clock := newCluster(1)
	if err := c.Seed(deployment("shop", "web", 3), service("shop", "web")); err != nil {
		t.Fatal(err)
	}
	run(c, clock, 30*time.Second)
	var d appsv1.Deployment
	if err := c.Get(context.Background(), client.ObjectKey{Namespace: "shop", Name: "web"}, &d); err != nil {
		t.Fatal(err)
	}
	if d.Status.ReadyReplicas != 3 || d.Status.ObservedGeneration != d.Generation {
		t.Errorf("status %+v of generation %d, want 3 ready and observed", d.Status, d.Generation)
	}
	if n := readyEndpoints(c, "shop", "web"); n != 3 {
		t.Errorf("%d ready endpoints, want 3", n)
	}
}
