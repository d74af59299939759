package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
)

// edit changes an object, in somebody's name.
func edit[T client.Object](t testing.TB, c *memory.Cluster, obj T, namespace, name string, change func(T)) {
	t.Helper()
	get(t, c, obj, namespace, name)
	change(obj)
	if err := c.Update(context.Background(), obj, client.FieldOwner("somebody")); err != nil {
		t.Fatalf("update %T %s/%s: %v", obj, namespace, name, err)
	}
}

func erase(t testing.TB, c *memory.Cluster, obj client.Object, namespace, name string) {
	t.Helper()
	get(t, c, obj, namespace, name)
	if err := c.Delete(context.Background(), obj); err != nil {
		t.Fatalf("delete %T %s/%s: %v", obj, namespace, name, err)
	}
}

func absent(t testing.TB, c *memory.Cluster, obj client.Object, namespace, name string) bool {
	t.Helper()
	err := c.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err != nil
}

// reasons lists what is held, by reason, without the namespace.
func reasons(r Report) []string {
	var out []string
	for _, h := range r.Held {
		out = append(out, fmt.Sprintf("%s %s %s", h.Reason, h.Object.Kind, h.Object.Name))
	}
	return out
}

// levelWorld is a small estate, mirrored.
func levelWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, 3)
	w.estate(3)
	if report := w.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	return w
}

func TestChangesFollow(t *testing.T) {
	w := levelWorld(t)
	edit(t, w.from, &corev1.ConfigMap{}, "team-0", "app-0", func(c *corev1.ConfigMap) { c.Data = map[string]string{"level": "debug"} })
	edit(t, w.from, &appsv1.Deployment{}, "team-0", "app-0", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "new:2" })
	edit(t, w.to, &appsv1.Deployment{}, "team-0", "app-0", func(d *appsv1.Deployment) { d.Spec.Replicas = ptr(int32(2)) }) // the engine
	if report := w.follow(); !report.Level() || len(report.Drift) > 0 {
		t.Fatalf("not level: %+v", report)
	}
	if c := get(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0"); c.Data["level"] != "debug" {
		t.Errorf("the copy says %v", c.Data)
	}
	d := get(t, w.to, &appsv1.Deployment{}, "team-0", "app-0")
	if *d.Spec.Replicas != 2 || d.Spec.Template.Spec.Containers[0].Image != "new:2" {
		t.Errorf("the copy has %d replicas of %s, want 2 of new:2", *d.Spec.Replicas, d.Spec.Template.Spec.Containers[0].Image)
	}
}

func TestAutoscalerFloorsAreTheEngines(t *testing.T) {
	w := levelWorld(t)
	if a := get(t, w.to, &autoscalingv2.HorizontalPodAutoscaler{}, "team-0", "app-0"); *a.Spec.MinReplicas != 2 {
		t.Fatalf("the copy is made with a floor of %d, want that of its origin, 2", *a.Spec.MinReplicas)
	}
	floor := func(n int32) func(*autoscalingv2.HorizontalPodAutoscaler) {
		return func(a *autoscalingv2.HorizontalPodAutoscaler) { a.Spec.MinReplicas = &n }
	}
	edit(t, w.from, &autoscalingv2.HorizontalPodAutoscaler{}, "team-0", "app-0", floor(1))
	edit(t, w.to, &autoscalingv2.HorizontalPodAutoscaler{}, "team-0", "app-0", floor(4))
	edit(t, w.from, &autoscalingv2.HorizontalPodAutoscaler{}, "team-0", "app-0", func(a *autoscalingv2.HorizontalPodAutoscaler) { a.Spec.MaxReplicas = 9 })
	if report := w.follow(); !report.Level() || len(report.Drift) > 0 {
		t.Fatalf("not level: %+v", report)
	}
	if a := get(t, w.to, &autoscalingv2.HorizontalPodAutoscaler{}, "team-0", "app-0"); *a.Spec.MinReplicas != 4 || a.Spec.MaxReplicas != 9 {
		t.Errorf("the copy goes from %d to %d, want 4 to 9", *a.Spec.MinReplicas, a.Spec.MaxReplicas)
	}
}

func TestUpdateKeepsWhatTheClusterAllocated(t *testing.T) {
	w := levelWorld(t)
	before := get(t, w.to, &corev1.Service{}, "team-0", "app-0")
	edit(t, w.from, &corev1.Service{}, "team-0", "app-0", func(s *corev1.Service) {
		s.Spec.Ports = append([]corev1.ServicePort{{Name: "metrics", Port: 9090}}, s.Spec.Ports...)
	})
	if report := w.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	after := get(t, w.to, &corev1.Service{}, "team-0", "app-0")
	if after.Spec.ClusterIP != before.Spec.ClusterIP || len(after.Spec.Ports) != 2 || after.Spec.Ports[1].NodePort != before.Spec.Ports[0].NodePort {
		t.Errorf("before %+v, after %+v", before.Spec, after.Spec)
	}
}

func TestDriftIsShownAndNeverOverwritten(t *testing.T) {
	for _, policy := range []Policy{HoldDrift, AdoptDrift} {
		t.Run(string(policy), func(t *testing.T) {
			w := levelWorld(t)
			w.config.Drift = policy
			w.restart()
			edit(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0", func(c *corev1.ConfigMap) { c.Data["level"] = "foreign" })
			report := w.follow()
			if len(report.Drift) != 1 || report.Drift[0].Object.Name != "app-0" || report.Level() != (policy == AdoptDrift) {
				t.Fatalf("report %+v", report)
			}
			edit(t, w.from, &corev1.ConfigMap{}, "team-0", "app-0", func(c *corev1.ConfigMap) { c.Data["level"] = "debug" })
			if report = w.follow(); report.Level() {
				t.Error("level, though both sides were changed")
			}
			if c := get(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0"); c.Data["level"] != "foreign" {
				t.Errorf("the foreign change was overwritten: %v", c.Data)
			}
			edit(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0", func(c *corev1.ConfigMap) { c.Data["level"] = "debug" })
			if report = w.follow(); !report.Level() || len(report.Drift) > 0 {
				t.Errorf("both sides say the same, but the report is %+v", report)
			}
		})
	}
}

func TestCopyThatSomebodyDeletedIsDrift(t *testing.T) {
	w := levelWorld(t)
	erase(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0")
	if report := w.follow(); len(report.Drift) != 1 || report.Level() {
		t.Errorf("report %+v", report)
	}
}

func TestStrangersAreNeverTouched(t *testing.T) {
	w := newWorld(t, 3)
	w.estate(3)
	add(t, w.to, "other", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-0", Labels: map[string]string{"team": "team-0"}}})
	same := &corev1.Secret{ObjectMeta: named("team-0", "app-0"), Data: map[string][]byte{"password": []byte("hunter2")}}
	add(t, w.to, "other", same, &corev1.ConfigMap{ObjectMeta: named("team-0", "app-0"), Data: map[string]string{"level": "theirs"}})
	report := w.follow()
	if got := reasons(report); !slices.Equal(got, []string{"ObjectHeld ConfigMap app-0"}) {
		t.Errorf("held: %v", got)
	}
	if _, known := w.ledger["Secret/team-0/app-0"]; known {
		t.Error("an equal object of somebody else is in the ledger")
	}
	left, done, err := w.undo()
	if err != nil || !done || len(left) != 0 {
		t.Fatalf("undo: left %v, done %v, %v", left, done, err)
	}
	if absent(t, w.to, &corev1.Secret{}, "team-0", "app-0") || absent(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0") {
		t.Error("an object of somebody else is gone")
	}
}

// undo repeats Undo until it is done.
func (w *world) undo() (left []Left, done bool, err error) {
	for range 20 {
		if left, done, err = w.mirror.Undo(w.t.Context()); done || err != nil {
			return left, done, err
		}
		w.tick(time.Second)
	}
	return left, done, err
}

func TestUndoRemovesWhatTheMirrorMade(t *testing.T) {
	w := newWorld(t, 3)
	w.tick(time.Minute)
	before := w.everything(w.to)
	w.estate(3)
	w.follow()
	w.restart()
	left, done, err := w.undo()
	if err != nil || !done || len(left) > 0 {
		t.Fatalf("undo: left %v, done %v, %v", left, done, err)
	}
	w.tick(time.Minute)
	if found := Compare(before, w.everything(w.to), Options{Strict: true}); len(found) > 0 {
		t.Errorf("differences to what was before: %v", found)
	}
}

func TestUndoLeavesWhatOthersMadeAndChanged(t *testing.T) {
	w := levelWorld(t)
	add(t, w.to, "other", &corev1.ConfigMap{ObjectMeta: named("team-0", "theirs")})
	edit(t, w.to, &corev1.ConfigMap{}, "team-1", "app-1", func(c *corev1.ConfigMap) { c.Data["level"] = "theirs" })
	left, done, err := w.undo()
	if err != nil || !done {
		t.Fatalf("undo: done %v, %v", done, err)
	}
	var got []string
	for _, l := range left {
		got = append(got, l.Object.String()+": "+l.Text)
	}
	slices.Sort(got)
	want := []string{
		"ConfigMap/team-1/app-1: somebody changed it since",
		"Namespace//team-0: it holds what the mirror did not make: ConfigMap/team-0/theirs",
		"Namespace//team-1: it holds what the mirror did not make: ConfigMap/team-1/app-1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
}

// without hides a kind.
func without(kinds func(context.Context) ([]cluster.Kind, error), kind string) func(context.Context) ([]cluster.Kind, error) {
	return func(ctx context.Context) ([]cluster.Kind, error) {
		all, err := kinds(ctx)
		return slices.DeleteFunc(all, func(k cluster.Kind) bool { return k.Kind == kind }), err
	}
}

// everything lists the mirrored kinds of a cluster.
func (w *world) everything(c *memory.Cluster) []unstructured.Unstructured {
	w.t.Helper()
	var all []unstructured.Unstructured
	for _, kind := range must(c.Kinds(w.t.Context())) {
		if builtIn(kind.GroupKind()).Never != "" {
			continue
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersionKind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := c.List(w.t.Context(), list); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, list.Items...)
	}
	return all
}

func TestDeletionsFollowOneByOne(t *testing.T) {
	w := levelWorld(t)
	erase(t, w.from, &corev1.ConfigMap{}, "team-0", "app-0")
	erase(t, w.from, &appsv1.Deployment{}, "team-0", "app-0")
	if report := w.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	if !absent(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0") || !absent(t, w.to, &appsv1.Deployment{}, "team-0", "app-0") {
		t.Error("a copy stands though its origin is gone")
	}
	if !w.ledger["ConfigMap/team-0/app-0"].Gone {
		t.Error("the ledger still knows the copy")
	}
	add(t, w.from, "kubectl", &corev1.ConfigMap{ObjectMeta: named("team-0", "app-0")})
	if report := w.follow(); !report.Level() || absent(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0") {
		t.Errorf("the object was made again, but: %+v", report)
	}
}

func TestFuseHoldsManyDeletions(t *testing.T) {
	w := newWorld(t, 3)
	w.estate(9)
	w.follow()
	for i := range 9 {
		erase(t, w.from, &corev1.ConfigMap{}, fmt.Sprintf("team-%d", i%3), fmt.Sprintf("app-%d", i))
	}
	report := w.follow()
	if len(report.Held) != 9 || report.Held[0].Reason != v1.Fused {
		t.Fatalf("held: %v", report.Held)
	}
	w.restart()
	if report = w.follow(); len(report.Held) != 9 {
		t.Errorf("after a restart, held: %v", report.Held)
	}
	waived := false
	w.config.FuseWaived = func() bool { return waived }
	w.restart()
	waived = true
	if report = w.follow(); !report.Level() {
		t.Errorf("not level once a person let the deletions pass: %+v", report)
	}
}

func TestFuseHoldsALostKindAndAnOldSource(t *testing.T) {
	t.Run("lost kind", func(t *testing.T) {
		w := levelWorld(t)
		kinds := w.config.From.Kinds
		w.config.From.Kinds = without(kinds, "ConfigMap")
		w.restart()
		if got := reasons(w.follow()); !slices.Equal(got, []string{"Fused ConfigMap "}) {
			t.Errorf("held: %v", got)
		}
		if absent(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0") {
			t.Error("a copy was deleted because discovery was lost")
		}
	})
	t.Run("relist of nothing by another cluster", func(t *testing.T) {
		w := levelWorld(t)
		other := newWorld(t, 9)
		w.from = other.from // it is younger: its resourceVersions are lower
		w.config.From.API, w.config.From.Kinds = other.from, other.from.Kinds
		w.restart()
		report := w.follow()
		if len(report.Held) == 0 || report.Level() || report.Written > 0 {
			t.Errorf("report %+v", report)
		}
		if absent(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0") {
			t.Error("a copy was deleted because another cluster answered")
		}
	})
}

func TestOwnersComeFirst(t *testing.T) {
	w := levelWorld(t)
	owner := &corev1.Secret{ObjectMeta: named("team-0", "zz-owner")}
	add(t, w.from, "kubectl", owner)
	owned := &corev1.Secret{ObjectMeta: named("team-0", "aa-owned")}
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Secret", Name: owner.Name, UID: owner.UID}}
	add(t, w.from, "kubectl", owned)
	job := &batchv1.Job{ObjectMeta: named("team-0", "job"), Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "b"}}}}}}
	add(t, w.from, "kubectl", job)
	lone := &corev1.ConfigMap{ObjectMeta: named("team-0", "of-a-job")}
	lone.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID}}
	add(t, w.from, "kubectl", lone)
	report := w.follow()
	if got := reasons(report); !slices.Equal(got, []string{"DecisionNeeded ConfigMap of-a-job"}) {
		t.Errorf("held: %v", got)
	}
	copied := get(t, w.to, &corev1.Secret{}, "team-0", "aa-owned")
	if want := get(t, w.to, &corev1.Secret{}, "team-0", "zz-owner").UID; copied.OwnerReferences[0].UID != want {
		t.Errorf("the copy's owner is %s, want %s", copied.OwnerReferences[0].UID, want)
	}
}

func TestDefaultServiceAccountIsCompleted(t *testing.T) {
	w := newWorld(t, 3)
	w.estate(3)
	add(t, w.to, "other", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-0", Labels: map[string]string{"team": "team-0"}}})
	for _, c := range []*memory.Cluster{w.from, w.to} {
		if absent(t, c, &corev1.ServiceAccount{}, "team-0", "default") {
			add(t, c, "kube-controller-manager", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team-0", Name: "default"}})
		}
	}
	edit(t, w.from, &corev1.ServiceAccount{}, "team-0", "default", func(s *corev1.ServiceAccount) {
		s.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	})
	if report := w.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	if s := get(t, w.to, &corev1.ServiceAccount{}, "team-0", "default"); len(s.ImagePullSecrets) != 1 {
		t.Errorf("the copy is %+v", s)
	}
	if !w.ledger["ServiceAccount/team-0/default"].Found {
		t.Error("the ledger takes the account for the mirror's own")
	}
	if left, done, err := w.undo(); err != nil || !done || len(left) > 0 {
		t.Fatalf("undo: left %v, done %v, %v", left, done, err)
	}
	if s := get(t, w.to, &corev1.ServiceAccount{}, "team-0", "default"); len(s.ImagePullSecrets) != 0 {
		t.Errorf("after undo it is %+v", s)
	}
}

func TestKindsThatActWaitForARule(t *testing.T) {
	w := levelWorld(t)
	pod := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "agent"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "b"}}}}
	add(t, w.from, "kubectl", &appsv1.DaemonSet{ObjectMeta: named("team-0", "agent"), Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: pod.Labels}, Template: pod}})
	report := w.follow()
	if got := reasons(report); !slices.Equal(got, []string{"DecisionNeeded DaemonSet agent"}) || !report.Level() {
		t.Errorf("held: %v, level %v", got, report.Level())
	}
	w.config.Choices = []Choice{{Group: "apps", Kind: "DaemonSet", Mode: v1.Inert}}
	w.restart()
	if report = w.follow(); len(report.Held) > 0 || absent(t, w.to, &appsv1.DaemonSet{}, "team-0", "agent") {
		t.Errorf("with a rule: %+v", report)
	}
}

func TestCustomResourcesWaitForTheirDefinitionAndARule(t *testing.T) {
	w := levelWorld(t)
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: ptr(true)}}}},
		},
	}
	add(t, w.from, "kubectl", crd)
	w.tick(time.Second)
	widget := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"size": int64(3)}}}
	widget.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"})
	widget.SetNamespace("team-0")
	widget.SetName("one")
	add(t, w.from, "kubectl", widget)
	report := w.follow()
	if got := reasons(report); !slices.Equal(got, []string{"DecisionNeeded Widget one"}) {
		t.Errorf("held: %v", got)
	}
	w.config.Choices = []Choice{{Group: "example.com", Kind: "Widget", Mode: v1.Inert}}
	w.restart()
	if report = w.follow(); !report.Level() || len(report.Held) > 0 {
		t.Fatalf("with a rule: %+v", report)
	}
	if absent(t, w.to, widget.DeepCopy(), "team-0", "one") {
		t.Error("the custom resource was not copied")
	}
}

func TestScheduleCarriesItsLastRun(t *testing.T) {
	w := levelWorld(t)
	ran := func(at time.Time) {
		job := get(t, w.from, &batchv1.CronJob{}, "team-0", "app-0")
		job.Status.LastScheduleTime = &metav1.Time{Time: at}
		if err := w.from.Status().Update(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		w.follow()
	}
	ran(start)
	if got := get(t, w.to, &batchv1.CronJob{}, "team-0", "app-0").Status.LastScheduleTime; got == nil || !got.Time.Equal(start) {
		t.Fatalf("the copy last ran at %v, want %v", got, start)
	}
	edit(t, w.to, &batchv1.CronJob{}, "team-0", "app-0", func(c *batchv1.CronJob) { c.Spec.Suspend = ptr(false) }) // handed over
	ran(start.Add(time.Hour))
	if got := get(t, w.to, &batchv1.CronJob{}, "team-0", "app-0").Status.LastScheduleTime; !got.Time.Equal(start) {
		t.Errorf("the status of a schedule at work was overwritten: %v", got)
	}
}

func TestTurnedMirrorFollowsTheOtherWay(t *testing.T) {
	w := levelWorld(t)
	before := get(t, w.from, &appsv1.Deployment{}, "team-0", "app-0")
	back := map[string]Entry{}
	forward := w.config.Record
	w.config.Record, w.config.Back = w.record(back), &forward
	w.config.From, w.config.To = w.config.To, w.config.From
	w.from, w.to = w.to, w.from
	w.restart()
	if report := w.follow(); !report.Level() {
		t.Fatalf("the turned mirror is not level: %+v", report)
	}
	edit(t, w.from, &appsv1.Deployment{}, "team-0", "app-0", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "new:2" })
	add(t, w.from, "kubectl", &corev1.ConfigMap{ObjectMeta: named("team-0", "new")})
	erase(t, w.from, &corev1.Secret{}, "team-0", "app-0")
	report := w.follow()
	if got := reasons(report); len(got) > 0 {
		t.Errorf("held: %v", got)
	}
	after := get(t, w.to, &appsv1.Deployment{}, "team-0", "app-0")
	if *after.Spec.Replicas != *before.Spec.Replicas || after.Spec.Template.Spec.Containers[0].Image != "new:2" {
		t.Errorf("the origin has %d replicas of %s", *after.Spec.Replicas, after.Spec.Template.Spec.Containers[0].Image)
	}
	if absent(t, w.to, &corev1.ConfigMap{}, "team-0", "new") {
		t.Error("a new object did not follow")
	}
	if !absent(t, w.to, &corev1.Secret{}, "team-0", "app-0") {
		t.Error("what its team deleted where teams write is still there")
	}
	if left, done, err := w.undo(); err != nil || !done || len(left) == 0 {
		t.Errorf("undo: left %v, done %v, %v", left, done, err)
	}
	if absent(t, w.to, &appsv1.Deployment{}, "team-0", "app-0") || !absent(t, w.to, &corev1.ConfigMap{}, "team-0", "new") {
		t.Error("undo of the turned mirror must remove what it made, and nothing else")
	}
}

func TestLag(t *testing.T) {
	w := newWorld(t, 3)
	if _, err := w.mirror.Lag(t.Context(), App{}); err == nil {
		t.Error("an unsynced mirror has no error for its lag")
	}
	w.estate(3)
	w.follow()
	if lag := must(w.mirror.Lag(t.Context(), App{})); lag != 0 {
		t.Errorf("level, but lag is %v", lag)
	}
	edit(t, w.from, &corev1.ConfigMap{}, "team-0", "app-0", func(c *corev1.ConfigMap) { c.Data["level"] = "debug" })
	w.to.SetFaults(func(op memory.Op) memory.Fault {
		if op.Write() {
			return memory.TimedOut(op)
		}
		return memory.Fault{}
	})
	w.sync()
	w.clock.Step(3 * time.Second)
	w.sync()
	for app, want := range map[App]time.Duration{{}: 3 * time.Second, {Namespace: "team-0"}: 3 * time.Second, {Namespace: "team-1"}: 0} {
		if lag := must(w.mirror.Lag(t.Context(), app)); lag != want {
			t.Errorf("lag of %v is %v, want %v", app, lag, want)
		}
	}
}

func TestRefusalOfASecretDoesNotShowIt(t *testing.T) {
	w := newWorld(t, 3)
	w.to.SetFaults(func(op memory.Op) memory.Fault {
		if op.Verb == "create" && op.Kind.Kind == "Secret" {
			return memory.Fault{Before: apierrors.NewBadRequest(`data: Invalid value: "hunter2"`)}
		}
		return memory.Fault{}
	})
	w.estate(3)
	report := w.follow()
	if len(report.Held) != 3 {
		t.Fatalf("held: %v", report.Held)
	}
	if text := fmt.Sprint(report); strings.Contains(text, "hunter2") {
		t.Errorf("the report shows a secret: %s", text)
	}
	if entries := fmt.Sprint(slices.Collect(maps.Values(w.ledger))); strings.Contains(entries, "hunter2") {
		t.Error("the ledger shows a secret")
	}
}

func TestImmutableObjectIsMadeAgain(t *testing.T) {
	w := levelWorld(t)
	erase(t, w.from, &corev1.ConfigMap{}, "team-0", "app-0")
	add(t, w.from, "kubectl", &corev1.ConfigMap{ObjectMeta: named("team-0", "app-0"), Data: map[string]string{"level": "debug"}, Immutable: ptr(true)})
	w.to.SetFaults(func(op memory.Op) memory.Fault {
		if op.Verb == "update" && op.Kind.Kind == "ConfigMap" {
			return memory.Fault{Before: apierrors.NewInvalid(op.Kind.GroupKind(), op.Name, nil)}
		}
		return memory.Fault{}
	})
	if report := w.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	if c := get(t, w.to, &corev1.ConfigMap{}, "team-0", "app-0"); c.Data["level"] != "debug" {
		t.Errorf("the copy says %v", c.Data)
	}
}

func TestCrossfadesOwnObjectsAreNobodysBusiness(t *testing.T) {
	w := levelWorld(t)
	add(t, w.from, "crossfade",
		&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "crossfade-freeze-move"}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{}, Validations: []admissionv1.Validation{{Expression: "true"}}}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "crossfade-engine"}})
	if report := w.follow(); !report.Level() || len(report.Held) > 0 {
		t.Errorf("report %+v", report)
	}
	if !absent(t, w.to, &rbacv1.ClusterRole{}, "", "crossfade-engine") {
		t.Error("Crossfade's own role was copied")
	}
}

func TestDefinitionWithAConversionWebhookWaits(t *testing.T) {
	w := levelWorld(t)
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
			Names:      apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
			Versions:   []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true}},
			Conversion: &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter},
		},
	}
	add(t, w.from, "kubectl", crd)
	report := w.follow()
	if got := reasons(report); !slices.Equal(got, []string{"DecisionNeeded CustomResourceDefinition widgets.example.com"}) {
		t.Errorf("held: %v", got)
	}
	edit(t, w.from, &apiextensionsv1.CustomResourceDefinition{}, "", crd.Name, func(c *apiextensionsv1.CustomResourceDefinition) { c.Spec.Conversion = nil })
	if report = w.follow(); !report.Level() || len(report.Held) > 0 || absent(t, w.to, crd, "", crd.Name) {
		t.Errorf("without a webhook: %+v", report)
	}
}

func TestKindThatCannotBeListedDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t, 3)
	w.estate(3)
	w.from.SetFaults(func(op memory.Op) memory.Fault {
		if op.Verb == "list" && op.Kind.Kind == "Secret" {
			return memory.Fault{Before: apierrors.NewInternalError(errors.New("conversion webhook: connection refused"))}
		}
		return memory.Fault{}
	})
	report := w.follow()
	if report.Level() || len(report.Busy) != 1 || report.Busy[0].Object.Kind != "Secret" {
		t.Errorf("report %+v", report)
	}
	if _, err := w.mirror.Lag(t.Context(), App{}); !errors.Is(err, ErrUnsynced) {
		t.Errorf("the lag of a mirror that has not seen everything: %v", err)
	}
	if absent(t, w.to, &appsv1.Deployment{}, "team-0", "app-0") {
		t.Error("a kind of a later rank was not followed")
	}
	w.from.SetFaults(nil)
	if report = w.follow(); !report.Level() {
		t.Errorf("not level: %+v", report)
	}
}
