package plan

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// deployment is a plain one with one container, as a team would write it.
func deployment(name string, change func(*appsv1.Deployment)) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/shop/" + name + ":1"}}},
		}},
	}
	if change != nil {
		change(d)
	}
	return d
}

func service(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}},
	}
}

func TestDeploymentsAreToldApart(t *testing.T) {
	container := func(d *appsv1.Deployment) *corev1.Container { return &d.Spec.Template.Spec.Containers[0] }
	tests := []struct {
		name     string
		change   func(*appsv1.Deployment)
		serves   bool
		decide   v1.Decide
		trait    v1.Trait
		evidence string
	}{
		{"plain and served", nil, true, v1.DecideMove, v1.Serving, "reached through Service cart"},
		{"nothing leads to it", nil, false, v1.Undecided, "", ""},
		{"a claim", func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "cart-data"}}}}
		}, true, v1.Undecided, v1.Stateful, "mounts the claim cart-data"},
		{"scratch space is no state", func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		}, true, v1.DecideMove, v1.Serving, "reached through Service cart"},
		{"a store by its port", func(d *appsv1.Deployment) {
			container(d).Ports = []corev1.ContainerPort{{ContainerPort: 27017}}
		}, true, v1.Undecided, v1.Stateful, "listens on port 27017 (MongoDB)"},
		{"a store by its image", func(d *appsv1.Deployment) { container(d).Image = "docker.io/library/redis:alpine@sha256:00" },
			true, v1.Undecided, v1.Stateful, "runs the store image docker.io/library/redis:alpine@sha256:00"},
		{"not a store: its name only begins like one", func(d *appsv1.Deployment) { container(d).Image = "kbudde/redis-exporter:1" },
			true, v1.DecideMove, v1.Serving, "reached through Service cart"},
		{"recreate", func(d *appsv1.Deployment) { d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType },
			true, v1.Undecided, v1.Singleton, "its strategy is Recreate: two of its pods must not run at once"},
		{"leader election", func(d *appsv1.Deployment) { container(d).Args = []string{"--leader-elect"} },
			true, v1.Undecided, v1.LeaderElecting, "is started with --leader-elect"},
		{"leader election that is off", func(d *appsv1.Deployment) { container(d).Args = []string{"--leader-elect=false"} },
			true, v1.DecideMove, v1.Serving, "reached through Service cart"},
		{"queue client", func(d *appsv1.Deployment) { container(d).Env = []corev1.EnvVar{{Name: "KAFKA_BROKERS"}} },
			false, v1.Undecided, v1.QueueClient, "has KAFKA_BROKERS and no Service"},
		{"operated", func(d *appsv1.Deployment) {
			d.OwnerReferences = []metav1.OwnerReference{{Kind: "Shop", Name: "north", Controller: new(bool)}}
			*d.OwnerReferences[0].Controller = true
		}, true, v1.Undecided, v1.Operated, "controlled by Shop north"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Objects{Deployments: []*appsv1.Deployment{deployment("cart", tt.change)}}
			if tt.serves {
				o.Services = []*corev1.Service{service("cart")}
			}
			w := Inventory(o, nil).Apps[0].Workloads[0]
			if w.Decide != tt.decide {
				t.Errorf("decide = %s, want %s", w.Decide, tt.decide)
			}
			var first v1.TraitEvidence
			if len(w.Traits) > 0 {
				first = w.Traits[0]
			}
			if first.Trait != tt.trait || first.Evidence != tt.evidence {
				t.Errorf("first trait = %+v, want %s: %s", first, tt.trait, tt.evidence)
			}
		})
	}
}

func TestOtherKindsAskForADecision(t *testing.T) {
	o := Objects{
		StatefulSets: []*appsv1.StatefulSet{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}}},
		DaemonSets:   []*appsv1.DaemonSet{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "agent"}}},
		CronJobs:     []*batchv1.CronJob{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "nightly"}}},
		Jobs:         []*batchv1.Job{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "import"}}},
		Pods:         []*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "debug"}}},
	}
	want := map[string]v1.Trait{
		"StatefulSet/shop/db": v1.Stateful, "DaemonSet/shop/agent": v1.Daemon, "CronJob/shop/nightly": v1.Scheduled,
		"Job/shop/import": v1.JobTrait, "Pod/shop/debug": v1.JobTrait,
	}
	asked := Inventory(o, nil).Workloads(NeedsDecision)
	if len(asked) != len(want) {
		t.Fatalf("%d workloads ask for a decision, want %d", len(asked), len(want))
	}
	for _, w := range asked {
		if w.Traits[0].Trait != want[w.ID()] {
			t.Errorf("%s is %s, want %s", w.ID(), w.Traits[0].Trait, want[w.ID()])
		}
	}
}

func TestTheNearestDecisionCounts(t *testing.T) {
	o := Objects{Deployments: []*appsv1.Deployment{deployment("cart", nil), deployment("pay", nil)}}
	decisions := []v1.Decision{
		{Workload: "Deployment/*/*", Decide: v1.Undecided},
		{Workload: "Deployment/shop/*", Decide: v1.DecideStay},
		{Workload: "Deployment/shop/pay", Decide: v1.DecideMove},
	}
	got := map[string]v1.Decide{}
	for _, app := range Inventory(o, decisions).Apps {
		got[app.Name] = app.Workloads[0].Decide
	}
	if got["cart"] != v1.DecideStay || got["pay"] != v1.DecideMove {
		t.Errorf("decisions = %v, want cart to stay and pay to move", got)
	}
}

func TestAppsAreGroupedByInstanceNameAndApp(t *testing.T) {
	tests := []struct {
		labels map[string]string
		want   string
	}{
		{map[string]string{"app.kubernetes.io/instance": "i", "app.kubernetes.io/name": "n", "app": "a"}, "i"},
		{map[string]string{"app.kubernetes.io/name": "n", "app": "a"}, "n"},
		{map[string]string{"app": "a"}, "a"},
		{map[string]string{"tier": "front"}, "web"},
	}
	for _, tt := range tests {
		if got := AppOf(&metav1.ObjectMeta{Name: "web", Labels: tt.labels}); got != tt.want {
			t.Errorf("AppOf(%v) = %s, want %s", tt.labels, got, tt.want)
		}
	}
}
