package mirror

import (
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
)

var databases = schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Database"}

// withDatabases is a level world whose source serves databases, with a status.
func withDatabases(t *testing.T, rules ...v1.MirrorRule) *world {
	t.Helper()
	w := levelWorld(t)
	add(t, w.from, "kubectl", &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "databases.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: databases.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "databases", Singular: "database", Kind: databases.Kind, ListKind: "DatabaseList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: databases.Version, Served: true, Storage: true,
				Schema:       &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: ptr(true)}},
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			}},
		},
	})
	w.tick(time.Second)
	w.config.Choices = must(Choices(rules))
	w.restart()
	return w
}

func database(name string, spec map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	obj.SetGroupVersionKind(databases)
	obj.SetNamespace("team-0")
	obj.SetName(name)
	return obj
}

func databaseIn(t *testing.T, c *memory.Cluster, name string) *unstructured.Unstructured {
	t.Helper()
	return get(t, c, database(name, nil), "team-0", name)
}

func TestInertObjectsGetThePatchForGood(t *testing.T) {
	w := withDatabases(t, v1.MirrorRule{
		Group: databases.Group, Kind: databases.Kind, Mode: v1.Inert, Finalizers: []string{"example.com/backup"}, Status: true,
		Patch: "- {op: replace, path: /spec/class, value: gp3}\n- {op: add, path: /metadata/annotations/example.com~1moved, value: 'yes'}",
	})
	one := database("one", map[string]any{"class": "gp2", "size": int64(3)})
	one.SetFinalizers([]string{"example.com/backup", "example.com/billing"})
	add(t, w.from, "kubectl", one)
	setStatus(t, w.from, "one", map[string]any{"endpoint": "db-1"})
	if report := w.follow(); !report.Level() || len(report.Held) > 0 {
		t.Fatalf("not level: %+v", report)
	}
	got := databaseIn(t, w.to, "one")
	class, _, _ := unstructured.NestedString(got.Object, "spec", "class")
	endpoint, _, _ := unstructured.NestedString(got.Object, "status", "endpoint")
	if class != "gp3" || got.GetAnnotations()["example.com/moved"] != "yes" || endpoint != "db-1" || !slices.Equal(got.GetFinalizers(), []string{"example.com/backup"}) {
		t.Errorf("the copy is %v", got.Object)
	}
	if found := must(w.mirror.Differences(t.Context())); len(found) > 0 {
		t.Errorf("differences: %v", found)
	}

	edit(t, w.from, database("one", nil), "team-0", "one", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(4), "spec", "size")
	})
	setStatus(t, w.from, "one", map[string]any{"endpoint": "db-2"})
	w.follow()
	got = databaseIn(t, w.to, "one")
	size, _, _ := unstructured.NestedInt64(got.Object, "spec", "size")
	endpoint, _, _ = unstructured.NestedString(got.Object, "status", "endpoint")
	if class, _, _ = unstructured.NestedString(got.Object, "spec", "class"); class != "gp3" || size != 4 || endpoint != "db-2" {
		t.Errorf("after a change the copy is %v", got.Object)
	}

	w.turn()
	if report := w.follow(); !report.Level() {
		t.Fatalf("the turned mirror is not level: %+v", report)
	}
	edit(t, w.from, database("one", nil), "team-0", "one", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(5), "spec", "size")
	})
	w.follow()
	got = databaseIn(t, w.to, "one")
	size, _, _ = unstructured.NestedInt64(got.Object, "spec", "size")
	if class, _, _ = unstructured.NestedString(got.Object, "spec", "class"); class != "gp2" || size != 5 {
		t.Errorf("on the way back the original became %v", got.Object)
	}
	w.turn()
	w.follow()
	if left, done, err := w.undo(); err != nil || !done {
		t.Errorf("undo: left %v, done %v, %v", left, done, err)
	}
	if !absent(t, w.to, &apiextensionsv1.CustomResourceDefinition{}, "", "databases.example.com") {
		t.Error("undo left the copy's definition, or the copy: its borrowed finalizer was not taken off")
	}
	if got := databaseIn(t, w.from, "one"); len(got.GetFinalizers()) != 2 {
		t.Errorf("the original has the finalizers %v", got.GetFinalizers())
	}
}

func TestParkedObjectsKeepWhatStopsThem(t *testing.T) {
	w := withDatabases(t, v1.MirrorRule{
		Group: databases.Group, Kind: databases.Kind, Mode: v1.Parked, Patch: `[{"op": "add", "path": "/spec/paused", "value": true}]`,
	})
	add(t, w.from, "kubectl", database("one", map[string]any{"size": int64(3)}))
	if report := w.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	if paused, _, _ := unstructured.NestedBool(databaseIn(t, w.to, "one").Object, "spec", "paused"); !paused {
		t.Fatal("the copy is not parked")
	}
	// Somebody wakes it; from then on that is the copy's own.
	edit(t, w.to, database("one", nil), "team-0", "one", func(u *unstructured.Unstructured) {
		unstructured.RemoveNestedField(u.Object, "spec", "paused")
	})
	edit(t, w.from, database("one", nil), "team-0", "one", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(4), "spec", "size")
	})
	if report := w.follow(); !report.Level() || len(report.Drift) > 0 {
		t.Fatalf("not level: %+v", report)
	}
	got := databaseIn(t, w.to, "one")
	_, paused, _ := unstructured.NestedBool(got.Object, "spec", "paused")
	if size, _, _ := unstructured.NestedInt64(got.Object, "spec", "size"); size != 4 || paused {
		t.Errorf("the copy is %v", got.Object)
	}
}

func TestObservedObjectsWaitUntilTheirControllerSeesThem(t *testing.T) {
	w := withDatabases(t, v1.MirrorRule{
		Group: databases.Group, Kind: databases.Kind, Mode: v1.Observed,
		Patch: "- {op: add, path: /spec/managementPolicies, value: [Observe]}",
	})
	add(t, w.from, "kubectl", database("one", map[string]any{"size": int64(3)}))
	report := w.follow()
	if report.Level() || len(report.Busy) != 1 || !strings.Contains(report.Busy[0].Text, "does not say Ready") {
		t.Fatalf("level before the controller has looked: %+v", report)
	}
	setStatus(t, w.to, "one", map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}})
	if report = w.follow(); !report.Level() {
		t.Errorf("not level: %+v", report)
	}
}

func TestTheFirstChoiceThatMatchesCounts(t *testing.T) {
	w := withDatabases(t,
		v1.MirrorRule{Group: databases.Group, Kind: "*", Mode: v1.Exclude, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"stays": "here"}}},
		v1.MirrorRule{Group: databases.Group, Kind: databases.Kind, Mode: v1.Inert, Namespaces: []string{"team-0"}, Patch: "- {op: test, path: /spec/size, value: 3}"},
	)
	stays := database("stays", map[string]any{"size": int64(3)})
	stays.SetLabels(map[string]string{"stays": "here"})
	elsewhere := database("elsewhere", map[string]any{"size": int64(3)})
	elsewhere.SetNamespace("team-1")
	add(t, w.from, "kubectl", stays, elsewhere, database("moves", map[string]any{"size": int64(3)}), database("other", map[string]any{"size": int64(1)}))
	report := w.follow()
	if got := reasons(report); !slices.Equal(got, []string{"ObjectHeld Database other", "DecisionNeeded Database elsewhere"}) {
		t.Errorf("held: %v", got)
	}
	if !absent(t, w.to, database("stays", nil), "team-0", "stays") || absent(t, w.to, database("moves", nil), "team-0", "moves") {
		t.Error("what is excluded must stay, what is inert must move")
	}
}

func TestChoicesThatMakeNoSense(t *testing.T) {
	for name, test := range map[string]struct {
		rule v1.MirrorRule
		want string
	}{
		"never moved":     {v1.MirrorRule{Kind: "Pod", Mode: v1.Inert}, `rules[0] (Pod): mode "Inert": no rule can move objects of this kind`},
		"no operations":   {v1.MirrorRule{Group: "a.b", Kind: "C", Mode: v1.Inert, Patch: "spec: {}"}, "rules[0] (C.a.b): patch: not a list of operations"},
		"no pointer":      {v1.MirrorRule{Kind: "C", Mode: v1.Inert, Patch: "- {op: remove, path: spec}"}, `patch[0]: path "spec": want a JSON pointer`},
		"renamed":         {v1.MirrorRule{Kind: "C", Mode: v1.Inert, Patch: "- {op: replace, path: /metadata/name, value: x}"}, `path "/metadata/name"`},
		"all labels":      {v1.MirrorRule{Kind: "C", Mode: v1.Inert, Patch: "- {op: add, path: /metadata/labels, value: {}}"}, `path "/metadata/labels"`},
		"at the end":      {v1.MirrorRule{Kind: "C", Mode: v1.Inert, Patch: "- {op: add, path: /spec/list/-, value: 1}"}, "by its number"},
		"moved":           {v1.MirrorRule{Kind: "C", Mode: v1.Inert, Patch: "- {op: move, path: /spec/a, from: /spec/b}"}, `op "move"`},
		"without a value": {v1.MirrorRule{Kind: "C", Mode: v1.Inert, Patch: "- {op: add, path: /spec/a}"}, "missing value"},
		"selected label": {v1.MirrorRule{Kind: "C", Mode: v1.Inert, Patch: "- {op: remove, path: /metadata/labels/a}",
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}, "the selector asks for this label"},
		"selector": {v1.MirrorRule{Kind: "C", Mode: v1.Inert,
			Selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}}, `selector: "Near"`},
	} {
		if _, err := Choices([]v1.MirrorRule{test.rule}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func FuzzPointer(f *testing.F) {
	f.Add("/spec/a~1b/0", "x")
	f.Fuzz(func(t *testing.T, path, value string) {
		p, err := parsePointer(path)
		if err != nil {
			return
		}
		in := map[string]any{"spec": map[string]any{"list": []any{"a", map[string]any{"b": "c"}}}}
		p.set(in, value)
		if got, found := p.get(in); found && got != value {
			t.Errorf("%q: set %q, got %v", path, value, got)
		}
		p.remove(in)
		if got, found := p.get(in); found && got != nil {
			t.Errorf("%q is still %v after it was removed", path, got)
		}
	})
}

func setStatus(t *testing.T, c *memory.Cluster, name string, status map[string]any) {
	t.Helper()
	obj := databaseIn(t, c, name)
	obj.Object["status"] = status
	if err := c.Status().Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

// turn makes the mirror follow the other way.
func (w *world) turn() {
	if w.config.Back == nil {
		back := w.record(map[string]Entry{})
		w.config.Back = &back
	}
	w.config.Record, *w.config.Back = *w.config.Back, w.config.Record
	w.config.From, w.config.To = w.config.To, w.config.From
	w.from, w.to = w.to, w.from
	w.config.Turned = !w.config.Turned
	w.restart()
}
