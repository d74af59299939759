package mirror

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// writesPerObject counts what a copy and its next change cost, by who owns the fields
// of its origin.
func writesPerObject(t *testing.T, s *servers) {
	updated := func(manager string) func(obj *unstructured.Unstructured) {
		return func(obj *unstructured.Unstructured) {
			live := &unstructured.Unstructured{}
			live.SetGroupVersionKind(obj.GroupVersionKind())
			if err := s.from.Get(t.Context(), client.ObjectKeyFromObject(obj), live); err != nil {
				if err := s.from.Create(t.Context(), obj.DeepCopy(), client.FieldOwner(manager)); err != nil {
					t.Fatal(err)
				}
				return
			}
			live.Object["spec"], live.Object["data"] = obj.Object["spec"], obj.Object["data"]
			if err := s.from.Update(t.Context(), live, client.FieldOwner(manager)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	applied := func(manager string) func(obj *unstructured.Unstructured) {
		return func(obj *unstructured.Unstructured) {
			if _, err := apply(s.t.Context(), s.from.API, manager, obj); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	annotated := func(obj *unstructured.Unstructured) {
		part := &unstructured.Unstructured{}
		part.SetGroupVersionKind(obj.GroupVersionKind())
		part.SetNamespace(obj.GetNamespace())
		part.SetName(obj.GetName())
		part.SetAnnotations(map[string]string{"team": "web"})
		applied("flux")(part)
	}
	direct, err := client.New(s.fromConfig, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Subresources are written by autoscalers and controllers; what they own is not
	// copied.
	below := func(obj *unstructured.Unstructured) {
		if obj.GetKind() != "Deployment" {
			return
		}
		unstructured.RemoveNestedField(obj.Object, "spec", "replicas") // from now on it is not the team's
		for subresource, patch := range map[string]string{"scale": `{"spec":{"replicas":7}}`, "status": `{"status":{"replicas":7}}`} {
			patch := client.RawPatch(types.MergePatchType, []byte(patch))
			if err := direct.SubResource(subresource).Patch(t.Context(), obj.DeepCopy(), patch, client.FieldOwner("hpa")); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	for number, test := range []struct {
		managers     string
		make         []func(*unstructured.Unstructured)
		made, change int64 // writes for five objects of three kinds
	}{
		{"one that updates", []func(*unstructured.Unstructured){updated("helm")}, 15, 15},
		{"one that applies", []func(*unstructured.Unstructured){applied("argocd-controller")}, 15, 15},
		{"one that updates, and others below", []func(*unstructured.Unstructured){updated("helm"), below}, 15, 15},
		// That a copy begins without replicas is said by somebody who does not own them.
		{"one that applies, and others below", []func(*unstructured.Unstructured){applied("flux"), below}, 20, 15},
		{"one that updates and one that applies", []func(*unstructured.Unstructured){updated("helm"), annotated}, 30, 30},
		{"two that apply", []func(*unstructured.Unstructured){applied("argocd-controller"), annotated}, 30, 30},
	} {
		t.Run(test.managers, func(t *testing.T) {
			s.t = t
			var objects []*unstructured.Unstructured
			for i := range 5 {
				name := fmt.Sprintf("owned-%d-%d", number, i)
				objects = append(objects,
					manifest(t, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: shop}, data: {a: "1"}}`, name)),
					manifest(t, fmt.Sprintf(`{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]}}`, name)),
					manifest(t, fmt.Sprintf(deploymentText, name)))
			}
			for _, turn := range []struct {
				what string
				want int64
			}{{"the first copy", test.made}, {"the next change", test.change}} {
				for _, obj := range objects {
					for _, write := range test.make {
						write(obj)
					}
				}
				before := s.counted.writes.Load()
				s.written(len(objects))
				if got := s.counted.writes.Load() - before; got != turn.want {
					t.Errorf("%s: %d writes for %d objects, want %d", turn.what, got, len(objects), turn.want)
				}
				for _, obj := range objects {
					rule := builtIn(obj.GroupVersionKind().GroupKind())
					if must(rule.ownership(s.copyOf(obj))) != must(rule.ownership(read(t, s.from, obj))) {
						got, want := s.owners(s.to, obj), s.owners(s.from, obj)
						t.Errorf("%s: managers of the copy of %s\n%s\nof the origin\n%s", turn.what, obj.GetKind(), got, want)
					}
				}
				changed(objects)
			}
			if found := must(s.mirror.Differences(t.Context())); len(found) > 0 {
				t.Errorf("differences: %v", found)
			}
		})
	}
}

// changed gives each object another value.
func changed(objects []*unstructured.Unstructured) {
	for _, obj := range objects {
		switch obj.GetKind() {
		case "ConfigMap":
			_ = unstructured.SetNestedField(obj.Object, "2", "data", "a")
		case "Service":
			_ = unstructured.SetNestedField(obj.Object, "api", "spec", "selector", "app")
		case "Deployment":
			containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
			containers[0].(map[string]any)["image"] = "registry.example/web:2"
			_ = unstructured.SetNestedSlice(obj.Object, containers, "spec", "template", "spec", "containers")
		}
	}
}

// otherDefaults copies what one manager applied to a side that gives a field which
// nobody owns another value.
func otherDefaults(t *testing.T, s *servers) {
	definition := func(side *cluster.Cluster, size string) {
		text := fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tables.defaults.example.com}
spec:
  group: defaults.example.com
  scope: Namespaced
  names: {kind: Table, plural: tables}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: string, default: %s}, legs: {type: integer}}}}}}`, size)
		if err := side.Create(t.Context(), manifest(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	definition(s.from, "small")
	definition(s.to, "large")
	s.config.Choices = []Choice{{Group: "defaults.example.com", Kind: "Table", Mode: v1.Inert}}
	s.restart()
	table := manifest(t, `{apiVersion: defaults.example.com/v1, kind: Table, metadata: {name: round, namespace: shop}, spec: {legs: 3}}`)
	eventually(t, "the kind is served", func() bool {
		_, err := apply(t.Context(), s.from.API, "argocd-controller", table)
		return err == nil
	})
	eventually(t, "there is a copy", func() bool {
		_, _ = s.mirror.Sync(t.Context())
		return s.to.Get(t.Context(), client.ObjectKeyFromObject(table), table.DeepCopy()) == nil
	})
	if size, _, _ := unstructured.NestedString(s.copyOf(table).Object, "spec", "size"); size != "small" {
		t.Errorf("the copy has the size %s, which is the other side's default, want small", size)
	}
	if got, want := s.owners(s.to, table), s.owners(s.from, table); got != want {
		t.Errorf("managers of the copy\n%s\nof the origin\n%s", got, want)
	}
}
