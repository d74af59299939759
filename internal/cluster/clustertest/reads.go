package clustertest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func containsReplicas(fields string) bool { return strings.Contains(fields, `"f:replicas"`) }

func formsAgree(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	cm.Labels = map[string]string{"a": "b"}
	r.create(t, cm)
	loose := &unstructured.Unstructured{}
	loose.SetAPIVersion("v1")
	loose.SetKind("ConfigMap")
	loose.SetNamespace(cm.Namespace)
	loose.SetName(cm.Name)
	r.read(t, loose)
	value, _, err := unstructured.NestedString(loose.Object, "data", "key")
	if err != nil || value != "a" || loose.GetUID() != cm.UID || loose.GetKind() != "ConfigMap" {
		t.Errorf("unstructured %v, %v, want the same as typed", loose.Object, err)
	}
	bare := &metav1.PartialObjectMetadata{ObjectMeta: r.meta("one")}
	bare.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	r.read(t, bare)
	if bare.UID != cm.UID || bare.ResourceVersion != cm.ResourceVersion || bare.Labels["a"] != "b" {
		t.Errorf("metadata %+v, want the same as typed", bare.ObjectMeta)
	}
	loose.SetLabels(map[string]string{"a": "c"})
	if err := r.API.Update(r.ctx, loose); err != nil {
		t.Fatalf("update in unstructured form: %v", err)
	}
	r.read(t, cm)
	if cm.Labels["a"] != "c" || cm.Data["key"] != "a" {
		t.Errorf("after an unstructured update %+v, want label c and the data as before", cm)
	}
}

func listsSelect(t *testing.T, r *room) {
	for i := range 4 {
		cm := r.configMap(fmt.Sprintf("n%d", i), "a")
		cm.Labels = map[string]string{"parity": []string{"even", "odd"}[i%2]}
		r.create(t, cm)
	}
	var list corev1.ConfigMapList
	if err := r.API.List(r.ctx, &list, client.InNamespace(r.namespace), client.MatchingLabels{"parity": "odd"}); err != nil {
		t.Fatal(err)
	}
	if got := namesOf(list.Items); !slices.Equal(got, []string{"n1", "n3"}) || list.ResourceVersion == "" {
		t.Errorf("listed %v at %q, want n1 and n3 at some version", got, list.ResourceVersion)
	}
	if err := r.API.List(r.ctx, &list, client.InNamespace(r.namespace), client.MatchingFields{"metadata.name": "n2"}, client.UnsafeDisableDeepCopy); err != nil {
		t.Fatal(err)
	}
	if got := namesOf(list.Items); !slices.Equal(got, []string{"n2"}) {
		t.Errorf("listed %v by name, want n2", got)
	}
	bare := &metav1.PartialObjectMetadataList{}
	bare.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := r.API.List(r.ctx, bare, client.InNamespace(r.namespace), client.HasLabels{"parity"}); err != nil {
		t.Fatal(err)
	}
	if len(bare.Items) != 4 {
		t.Errorf("listed the metadata of %d, want 4", len(bare.Items))
	}
	loose := &unstructured.UnstructuredList{}
	loose.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := r.API.List(r.ctx, loose, client.InNamespace(r.namespace), client.HasLabels{"parity"}); err != nil {
		t.Fatal(err)
	}
	if len(loose.Items) != 4 || loose.Items[0].GetKind() != "ConfigMap" {
		t.Errorf("listed %d in unstructured form, want 4 that say their kind", len(loose.Items))
	}
}

func namesOf(items []corev1.ConfigMap) (names []string) {
	for i := range items {
		names = append(names, items[i].Name)
	}
	return names
}

func listsPage(t *testing.T, r *room) {
	for i := range 5 {
		cm := r.configMap(fmt.Sprintf("n%d", i), "a")
		cm.Labels = map[string]string{"page": "yes"}
		r.create(t, cm)
	}
	var got []string
	var list corev1.ConfigMapList
	for pages := 1; ; pages++ {
		err := r.API.List(r.ctx, &list, client.InNamespace(r.namespace), client.HasLabels{"page"}, client.Limit(2), client.Continue(list.Continue))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, namesOf(list.Items)...)
		if list.Continue == "" || pages > 5 {
			break
		}
	}
	if !slices.Equal(got, []string{"n0", "n1", "n2", "n3", "n4"}) {
		t.Errorf("paged through %v, want all five in order", got)
	}
}

// watchFrom watches the room's ConfigMaps from a version on.
func (r *room) watchFrom(t *testing.T, version string, opts ...client.ListOption) watch.Interface {
	t.Helper()
	opts = append(opts, client.InNamespace(r.namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}})
	w, err := r.API.Watch(r.ctx, &corev1.ConfigMapList{}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// rootCA is the ConfigMap that every namespace of a real cluster gets.
const rootCA = "kube-root-ca.crt"

// events takes the next n events of the test's own objects as words: what happened to
// which object.
func (r *room) events(w watch.Interface, n int) (heard []string) {
	for len(heard) < n {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return append(heard, "closed")
			}
			obj, ok := e.Object.(client.Object)
			if !ok {
				return append(heard, fmt.Sprintf("%s %v", e.Type, e.Object))
			}
			if obj.GetName() == rootCA {
				continue // a controller puts it into every namespace when it comes to it
			}
			heard = append(heard, fmt.Sprintf("%s %s", e.Type, obj.GetName()))
		case <-r.ctx.Done():
			return append(heard, "nothing more")
		}
	}
	return heard
}

func watchSince(t *testing.T, r *room) {
	one, two := r.configMap("one", "a"), r.configMap("two", "a")
	r.create(t, one)
	version := one.ResourceVersion
	r.create(t, two)
	w := r.watchFrom(t, version, client.MatchingFields{"metadata.namespace": r.namespace})
	one.Data["key"] = "b"
	if err := r.API.Update(r.ctx, one); err != nil {
		t.Fatal(err)
	}
	if err := r.API.Delete(r.ctx, two, client.Preconditions{UID: &two.UID}); err != nil {
		t.Fatal(err)
	}
	want := []string{"ADDED two", "MODIFIED one", "DELETED two"}
	if got := r.events(w, 3); !reflect.DeepEqual(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
}

func watchSelects(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	w := r.watchFrom(t, cm.ResourceVersion, client.MatchingLabels{"seen": "yes"})
	for _, labels := range []map[string]string{{"seen": "yes"}, {"seen": "yes", "more": "x"}, {"seen": "no"}} {
		cm.Labels = labels
		if err := r.API.Update(r.ctx, cm); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"ADDED one", "MODIFIED one", "DELETED one"}
	if got := r.events(w, 3); !reflect.DeepEqual(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
}

func facts(t *testing.T, r *room) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}}
	r.read(t, ns)
	if r.Facts.UID() != ns.UID {
		t.Errorf("UID %s, want that of kube-system, %s", r.Facts.UID(), ns.UID)
	}
	if version, err := r.Facts.Version(r.ctx); err != nil || !strings.HasPrefix(version, "v1.") {
		t.Errorf("version %q, %v, want v1.…", version, err)
	}
	if err := r.Facts.Ready(r.ctx); err != nil {
		t.Errorf("not ready: %v", err)
	}
	kinds, err := r.Facts.Kinds(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, k := range kinds {
		seen[k.GroupKind().String()]++
		if k.Kind == "Deployment" && (k.Group != "apps" || k.Version != "v1" || k.Resource != "deployments" || !k.Namespaced || !k.Status || !slices.Contains(k.Verbs, "list")) {
			t.Errorf("Deployment is served as %+v", k)
		}
	}
	for _, kind := range []string{"Deployment.apps", "Namespace", "EndpointSlice.discovery.k8s.io", "CustomResourceDefinition.apiextensions.k8s.io"} {
		if seen[kind] != 1 {
			t.Errorf("%s is listed %d times, want once", kind, seen[kind])
		}
	}
}
