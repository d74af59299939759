package mirror

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster/memory"
)

var start = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// A world is two clusters, a mirror between them and its ledger.
type world struct {
	t        testing.TB
	clock    *clocktesting.FakeClock
	from, to *memory.Cluster
	ledger   map[string]Entry
	saves    int
	config   Config
	mirror   *Mirror
}

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{t: t, clock: clocktesting.NewFakeClock(start), ledger: map[string]Entry{}}
	w.from = memory.New(memory.Options{Name: "from", Number: 1, Seed: seed, Clock: w.clock})
	w.to = memory.New(memory.Options{Name: "to", Number: 2, Seed: seed + 1000, Clock: w.clock})
	w.config = Config{
		From:       Side{API: w.from, Feed: Polled(w.t.Context(), w.from, w.clock), Kinds: w.from.Kinds},
		To:         Side{API: w.to, Feed: Polled(w.t.Context(), w.to, w.clock), Kinds: w.to.Kinds},
		Record:     w.record(w.ledger),
		Namespaces: func(name string) bool { return !strings.HasPrefix(name, "kube-") },
		Workers:    1, Clock: w.clock,
	}
	w.restart()
	return w
}

func (w *world) record(entries map[string]Entry) Record {
	return Record{
		Load: func(context.Context) (map[string]Entry, error) { return maps.Clone(entries), nil },
		Save: func(_ context.Context, changed map[string]Entry) error {
			w.saves++
			maps.Copy(entries, changed)
			return nil
		},
	}
}

// restart forgets everything that is not in the ledger or the clusters.
func (w *world) restart() {
	w.config.From.Feed, w.config.To.Feed = Polled(w.t.Context(), w.from, w.clock), Polled(w.t.Context(), w.to, w.clock)
	w.mirror = New(w.config)
}

func (w *world) sync() Report {
	w.t.Helper()
	report, err := w.mirror.Sync(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// tick lets time pass, and the clusters' controllers work.
func (w *world) tick(d time.Duration) {
	w.clock.Step(d)
	w.from.Tick()
	w.to.Tick()
}

// follow syncs until nothing is written any longer.
func (w *world) follow() Report {
	w.t.Helper()
	var report Report
	for range 20 {
		report = w.sync()
		if report.Level() && report.Written == 0 {
			return report
		}
		w.tick(time.Second)
	}
	return report
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func add(t testing.TB, c *memory.Cluster, manager string, objects ...client.Object) {
	t.Helper()
	for _, obj := range objects {
		if err := c.Create(context.Background(), obj, client.FieldOwner(manager)); err != nil {
			t.Fatalf("create %T %s/%s: %v", obj, obj.GetNamespace(), obj.GetName(), err)
		}
	}
}

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}}
}

func ptr[T any](v T) *T { return &v }

// app is what one application consists of.
func app(namespace, name string) []client.Object {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	pod := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{ServiceAccountName: name, Containers: []corev1.Container{{Name: "main", Image: "registry.example/" + name + ":1"}}},
	}
	return []client.Object{
		&corev1.ServiceAccount{ObjectMeta: named(namespace, name)},
		&corev1.ConfigMap{ObjectMeta: named(namespace, name), Data: map[string]string{"level": "info"}},
		&corev1.Secret{ObjectMeta: named(namespace, name), Data: map[string][]byte{"password": []byte("hunter2")}},
		&rbacv1.Role{ObjectMeta: named(namespace, name), Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}},
		&rbacv1.RoleBinding{ObjectMeta: named(namespace, name), RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: namespace}}},
		&corev1.Service{ObjectMeta: named(namespace, name), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: selector.MatchLabels,
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}}}},
		&appsv1.Deployment{ObjectMeta: named(namespace, name), Spec: appsv1.DeploymentSpec{Replicas: ptr(int32(3)), Selector: selector, Template: pod}},
		&policyv1.PodDisruptionBudget{ObjectMeta: named(namespace, name), Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr(intstr.FromInt32(1)), Selector: selector}},
		&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: named(namespace, name), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: name, APIVersion: "apps/v1"}, MinReplicas: ptr(int32(2)), MaxReplicas: 5}},
		&netv1.NetworkPolicy{ObjectMeta: named(namespace, name), Spec: netv1.NetworkPolicySpec{PodSelector: *selector, Ingress: []netv1.NetworkPolicyIngressRule{{}}}},
		&netv1.Ingress{ObjectMeta: named(namespace, name), Spec: netv1.IngressSpec{DefaultBackend: &netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: name, Port: netv1.ServiceBackendPort{Number: 80}}}}},
		&batchv1.CronJob{ObjectMeta: named(namespace, name), Spec: batchv1.CronJobSpec{Schedule: "* * * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: pod}}}},
	}
}

// estate fills the source with some apps.
func (w *world) estate(apps int) {
	w.t.Helper()
	for i := range apps {
		namespace := fmt.Sprintf("team-%d", i%3)
		if i < 3 {
			add(w.t, w.from, "kubectl", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"team": namespace}}})
		}
		objects := app(namespace, fmt.Sprintf("app-%d", i))
		for _, obj := range objects {
			if service, ok := obj.(*corev1.Service); ok && i >= 100 {
				service.Spec.Type = corev1.ServiceTypeClusterIP // a cluster has few addresses
			}
		}
		add(w.t, w.from, "kubectl", objects...)
	}
	for range 40 {
		w.tick(time.Second)
	}
}

func get[T client.Object](t testing.TB, c *memory.Cluster, obj T, namespace, name string) T {
	t.Helper()
	if err := c.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		t.Fatalf("get %T %s/%s: %v", obj, namespace, name, err)
	}
	return obj
}

func TestMirrorCopiesAnEstateAndThenRests(t *testing.T) {
	w := newWorld(t, 1)
	w.estate(6)
	report := w.follow()
	if !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	if want := 3 + 6*12; report.Objects < want {
		t.Errorf("follows %d objects, want at least %d", report.Objects, want)
	}
	if found := must(w.mirror.Differences(t.Context())); len(found) > 0 {
		t.Errorf("differences: %v", found)
	}
	if again := w.sync(); again.Written != 0 {
		t.Errorf("a level mirror wrote %d objects", again.Written)
	}
	d := get(t, w.to, &appsv1.Deployment{}, "team-0", "app-0")
	if *d.Spec.Replicas != 0 {
		t.Errorf("the copy has %d replicas, want 0", *d.Spec.Replicas)
	}
	if c := get(t, w.to, &batchv1.CronJob{}, "team-0", "app-0"); !*c.Spec.Suspend {
		t.Error("the copy of the schedule is not suspended")
	}
	for _, kind := range []client.Object{&corev1.ConfigMap{}, &rbacv1.RoleBinding{}, &corev1.Service{}} {
		obj := get(t, w.to, kind, "team-0", "app-0")
		if all := managers(obj); len(all) != 1 || all[0].Manager != "kubectl" {
			t.Errorf("the managers of the copy %T are %v, want kubectl alone", kind, all)
		}
	}
}

func TestRestartedMirrorWritesNothing(t *testing.T) {
	w := newWorld(t, 1)
	w.estate(6)
	w.follow()
	w.restart()
	if report := w.sync(); !report.Level() || report.Written != 0 {
		t.Errorf("after a restart: %+v", report)
	}
}
