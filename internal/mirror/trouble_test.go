package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// emptied is a cluster whose lists are empty, as those of an API server that has lost
// its storage.
type emptied struct{ cluster.API }

func (e emptied) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := e.API.List(ctx, list, opts...); err != nil {
		return err
	}
	switch list := list.(type) {
	case *corev1.ConfigMapList:
		list.Items = nil
	case *corev1.SecretList:
		list.Items = nil
	case *unstructured.UnstructuredList:
		list.Items = nil
	}
	return nil
}

func TestASourceThatListsNothingLosesNothing(t *testing.T) {
	w := newWorld(t, 12)
	w.estate(12)
	w.follow()
	broken := emptied{w.from}
	w.config.From.API, w.config.From.Feed = broken, Polled(t.Context(), broken, w.clock)
	w.mirror = New(w.config)
	for range 10 {
		w.sync()
		w.tick(time.Minute)
	}
	for i := range 12 {
		namespace, name := fmt.Sprintf("team-%d", i%3), fmt.Sprintf("app-%d", i)
		if absent(t, w.to, &corev1.ConfigMap{}, namespace, name) || absent(t, w.to, &corev1.Secret{}, namespace, name) {
			t.Errorf("a copy of %s/%s is gone", namespace, name)
		}
	}
	w.config.From.API = w.from
	w.restart()
	if report := w.follow(); !report.Level() || report.Written != 0 {
		t.Errorf("when it lists again: %+v", report)
	}
}

// tardy is a cluster that takes its time to answer.
type tardy struct {
	cluster.API
	clock *clocktesting.FakeClock
}

func (s tardy) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	s.clock.Step(3 * time.Second)
	return s.API.Get(ctx, key, obj, opts...)
}

func (s tardy) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	s.clock.Step(3 * time.Second)
	return s.API.Create(ctx, obj, opts...)
}

func (s tardy) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	s.clock.Step(3 * time.Second)
	return s.API.Update(ctx, obj, opts...)
}

func TestSlowAPIServersEndLevel(t *testing.T) {
	w := newWorld(t, 13)
	w.estate(3)
	w.config.From.API, w.config.To.API = tardy{w.from, w.clock}, tardy{w.to, w.clock}
	w.mirror = New(w.config)
	if report := w.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	edit(t, w.from, &corev1.ConfigMap{}, "team-0", "app-0", func(c *corev1.ConfigMap) { c.Data["level"] = "debug" })
	erase(t, w.from, &corev1.Secret{}, "team-2", "app-2")
	if report := w.follow(); !report.Level() || len(report.Drift) > 0 {
		t.Errorf("not level: %+v", report)
	}
}

// definition is the text of a CustomResourceDefinition. All versions are
// served, the first one is stored.
func definition(kind, constraint string, versions ...string) string {
	text := fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[1]ss.trouble.example.com}
spec:
  group: trouble.example.com
  scope: Namespaced
  names: {kind: %[2]s, plural: %[1]ss}
  versions:`, strings.ToLower(kind), kind)
	for i, version := range versions {
		text += fmt.Sprintf(`
  - name: %s
    served: true
    storage: %t
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer%s}}}, status: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}`,
			version, i == 0, constraint)
	}
	return text
}

func thing(kind, version, name string, size int) string {
	return fmt.Sprintf(`{apiVersion: trouble.example.com/%s, kind: %s, metadata: {name: %s, namespace: shop}, spec: {size: %d}}`, version, kind, name, size)
}

func TestTroubleOnRealServers(t *testing.T) {
	s := startServers(t)
	s.config.Choices = must(Choices([]v1.MirrorRule{
		{Group: "trouble.example.com", Kind: "Kept", Mode: v1.Inert, Status: true, Finalizers: []string{"trouble.example.com/runs-in-both"}},
		{Group: "trouble.example.com", Kind: "*", Mode: v1.Inert},
	}))
	s.restart()
	s.create("kubectl-create", `{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`)
	s.follow()
	for _, test := range []struct {
		name string
		test func(*testing.T, *servers)
	}{
		{"a definition that appears late", lateDefinition},
		{"finalizers and status as the rule says", finalizersAndStatus},
		{"a namespace that is terminating on the target", terminatingNamespace},
		{"a namespace that goes on the source", goingNamespace},
		{"refused by schema", refusedBySchema},
		{"stored in a version that the target does not serve", oldVersionStored},
		{"served in no version that the target serves", noCommonVersion},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.t = t
			test.test(t, s)
		})
	}
}

// make creates what a definition has just begun to define.
func (s *servers) make(side *cluster.Cluster, text string) *unstructured.Unstructured {
	s.t.Helper()
	obj := manifest(s.t, text)
	eventually(s.t, "the kind is served", func() bool { return side.Create(s.t.Context(), obj) == nil })
	return obj
}

// copied waits until there is a copy.
func (s *servers) copied(obj *unstructured.Unstructured) {
	s.t.Helper()
	eventually(s.t, "there is a copy of "+obj.GetName(), func() bool {
		_, _ = s.mirror.Sync(s.t.Context())
		return s.to.Get(s.t.Context(), client.ObjectKeyFromObject(obj), obj.DeepCopy()) == nil
	})
}

// heldOrBusy waits until the mirror names an object, and returns what it says.
func (s *servers) heldOrBusy(kind, name string) (said Held) {
	s.t.Helper()
	eventually(s.t, kind+" "+name+" is named", func() bool {
		report := must(s.mirror.Sync(s.t.Context()))
		all := slices.Concat(report.Held, report.Busy)
		i := slices.IndexFunc(all, func(h Held) bool { return h.Object.Kind == kind && h.Object.Name == name })
		if i >= 0 {
			said = all[i]
		}
		return i >= 0 && !report.Level()
	})
	return said
}

func lateDefinition(t *testing.T, s *servers) {
	s.create("kubectl-create", definition("Late", "", "v1"))
	obj := s.make(s.from, thing("Late", "v1", "one", 1))
	s.copied(obj)
	if report := s.follow(); !report.Level() {
		t.Errorf("not level: %+v", report)
	}
}

func finalizersAndStatus(t *testing.T, s *servers) {
	s.create("kubectl-create", definition("Kept", "", "v1"))
	obj := s.make(s.from, thing("Kept", "v1", "one", 1))
	obj.SetFinalizers([]string{"trouble.example.com/runs-in-both", "trouble.example.com/runs-here"})
	if err := s.from.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	obj.Object["status"] = map[string]any{"bucket": "arn:one"}
	if err := s.from.Status().Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	s.copied(obj)
	if report := s.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	made := s.copyOf(obj)
	bucket, _, _ := unstructured.NestedString(made.Object, "status", "bucket")
	if fmt.Sprint(made.GetFinalizers()) != "[trouble.example.com/runs-in-both]" || bucket != "arn:one" {
		t.Errorf("the copy has the finalizers %v and the status %v", made.GetFinalizers(), made.Object["status"])
	}
}

func terminatingNamespace(t *testing.T, s *servers) {
	ctx := t.Context()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ending"}}
	holder := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ending", Name: "holder", Finalizers: []string{"trouble.example.com/hold"}}}
	for _, obj := range []client.Object{namespace, holder} {
		if err := s.to.Create(ctx, obj); err != nil {
			t.Fatal(err)
		}
	}
	uid := namespace.UID
	if err := s.to.Delete(ctx, namespace, client.Preconditions{UID: &uid}); err != nil {
		t.Fatal(err)
	}
	s.create("kubectl-create", `{apiVersion: v1, kind: Namespace, metadata: {name: ending}}`)
	s.create("helm", `{apiVersion: v1, kind: ConfigMap, metadata: {name: inside, namespace: ending}, data: {a: "1"}}`)
	if said := s.heldOrBusy("ConfigMap", "inside"); said.Reason != v1.Busy {
		t.Errorf("while its namespace ends: %s (%s), want it to wait", said, said.Reason)
	}
	if err := s.to.Patch(ctx, holder, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		t.Fatal(err)
	}
	s.copied(manifest(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: inside, namespace: ending}}`))
	if report := s.follow(); !report.Level() {
		t.Errorf("not level: %+v", report)
	}
}

func goingNamespace(t *testing.T, s *servers) {
	ctx := t.Context()
	s.create("kubectl-create", `{apiVersion: v1, kind: Namespace, metadata: {name: going}}`)
	s.create("helm", `{apiVersion: v1, kind: ConfigMap, metadata: {name: inside, namespace: going, finalizers: [trouble.example.com/hold]}, data: {a: "1"}}`)
	inside := manifest(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: inside, namespace: going}}`)
	s.copied(inside)
	s.follow()
	namespace := read(t, s.from, manifest(t, `{apiVersion: v1, kind: Namespace, metadata: {name: going}}`))
	uid := namespace.GetUID()
	if err := s.from.Delete(ctx, namespace, client.Preconditions{UID: &uid}); err != nil {
		t.Fatal(err)
	}
	if said := s.heldOrBusy("ConfigMap", "inside"); said.Text != "it is being deleted" {
		t.Errorf("while it goes: %s", said)
	}
	s.copyOf(inside) // it stands for as long as its origin does
	if err := s.from.Patch(ctx, read(t, s.from, inside), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the copy of the namespace is gone", func() bool {
		_, _ = s.mirror.Sync(ctx)
		return s.to.Get(ctx, types.NamespacedName{Name: "going"}, &corev1.Namespace{}) != nil
	})
	if report := s.follow(); !report.Level() {
		t.Errorf("not level: %+v", report)
	}
}

func refusedBySchema(t *testing.T, s *servers) {
	if err := s.to.Create(t.Context(), manifest(t, definition("Strict", ", maximum: 5", "v1"))); err != nil {
		t.Fatal(err)
	}
	s.create("kubectl-create", definition("Strict", "", "v1"))
	obj := s.make(s.from, thing("Strict", "v1", "large", 9))
	if said := s.heldOrBusy("Strict", "large"); said.Reason != v1.ObjectHeld || !strings.Contains(said.Text, "spec.size") {
		t.Errorf("held: %s (%s), want the API server's sentence", said, said.Reason)
	}
	obj.Object["spec"] = map[string]any{"size": int64(4)}
	if err := s.from.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	s.copied(obj)
}

func oldVersionStored(t *testing.T, s *servers) {
	if err := s.to.Create(t.Context(), manifest(t, definition("Moved", "", "v1"))); err != nil {
		t.Fatal(err)
	}
	s.create("kubectl-create", definition("Moved", "", "v1alpha1", "v1"))
	old := manifest(t, thing("Moved", "v1alpha1", "old", 3))
	old.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"apiVersion":"trouble.example.com/v1alpha1"}`})
	eventually(t, "the kind is served", func() bool {
		_, err := apply(t.Context(), s.from.API, "argocd-controller", old)
		return err == nil
	})
	moved := manifest(t, thing("Moved", "v1", "old", 3))
	s.copied(moved)
	made := s.copyOf(moved)
	if size, _, _ := unstructured.NestedInt64(made.Object, "spec", "size"); size != 3 || len(made.GetAnnotations()) != 1 {
		t.Errorf("the copy is %v", made.Object)
	}
	before := s.counted.writes.Load()
	for range 10 {
		must(s.mirror.Sync(t.Context()))
	}
	if now := s.counted.writes.Load(); now != before {
		t.Errorf("%d writes of what is level", now-before)
	}
	// Its team's next apply, in the version that is left, finds no conflict.
	if _, err := apply(t.Context(), s.to.API, "argocd-controller", manifest(t, thing("Moved", "v1", "old", 4))); err != nil {
		t.Errorf("the team's next apply: %v", err)
	}
}

func noCommonVersion(t *testing.T, s *servers) {
	if err := s.to.Create(t.Context(), manifest(t, definition("Left", "", "v2"))); err != nil {
		t.Fatal(err)
	}
	s.create("kubectl-create", definition("Left", "", "v1"))
	s.make(s.from, thing("Left", "v1", "behind", 1))
	if said := s.heldOrBusy("Left", "behind"); !strings.Contains(said.Text, "as v2 only, the writer's side as v1") {
		t.Errorf("held: %s", said)
	}
}
