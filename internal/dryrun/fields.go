package dryrun

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/object"
)

// nameOf is the name of an object of obj's kind.
func nameOf(obj client.Object, key client.ObjectKey) (name, schema.GroupVersionKind, error) {
	gvk, err := apiutil.GVKForObject(obj, cluster.Scheme())
	return name{gvk.GroupKind(), key}, gvk, err
}

// kindOf is the kind of a list's items.
func kindOf(list client.ObjectList) (schema.GroupVersionKind, error) {
	gvk, err := apiutil.GVKForObject(list, cluster.Scheme())
	if n := len(gvk.Kind) - len("List"); n > 0 && gvk.Kind[n:] == "List" {
		gvk.Kind = gvk.Kind[:n]
	}
	return gvk, err
}

func resource(n name) schema.GroupResource {
	plural, _ := meta.UnsafeGuessKindToResource(n.WithVersion(""))
	return plural.GroupResource()
}

// alike is an empty object of the form in which obj's fields are read whole.
func alike(obj client.Object) (client.Object, schema.GroupVersionKind, error) {
	gvk, err := apiutil.GVKForObject(obj, cluster.Scheme())
	if err != nil {
		return nil, gvk, err
	}
	switch obj.(type) {
	case *unstructured.Unstructured, *metav1.PartialObjectMetadata:
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(gvk)
		return u, gvk, nil
	}
	return reflect.New(reflect.TypeOf(obj).Elem()).Interface().(client.Object), gvk, nil
}

// itemOf is an empty item of a list.
func itemOf(list client.ObjectList, kind schema.GroupVersionKind) (client.Object, error) {
	var item client.Object
	switch list.(type) {
	case *unstructured.UnstructuredList:
		item = &unstructured.Unstructured{}
	case *metav1.PartialObjectMetadataList:
		item = &metav1.PartialObjectMetadata{}
	default:
		made, err := cluster.Scheme().New(kind)
		if err != nil {
			return nil, err
		}
		return made.(client.Object), nil
	}
	item.GetObjectKind().SetGroupVersionKind(kind)
	return item, nil
}

// fieldsOf are the fields of obj, shared with nobody.
func fieldsOf(obj client.Object, gvk schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	u, err := object.Unstructured(obj)
	if err != nil {
		return nil, err
	}
	u.SetGroupVersionKind(gvk)
	return u, nil
}

// fill makes obj, in whatever form it is, what u is.
func fill(obj client.Object, u *unstructured.Unstructured) error {
	switch obj := obj.(type) {
	case *unstructured.Unstructured:
		kind := obj.GroupVersionKind()
		obj.Object = u.DeepCopy().Object
		obj.SetGroupVersionKind(kind)
		return nil
	case *metav1.PartialObjectMetadata:
		kind := obj.TypeMeta
		*obj = metav1.PartialObjectMetadata{}
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(map[string]any{"metadata": u.Object["metadata"]}, obj)
		obj.TypeMeta = kind
		return err
	}
	reflect.ValueOf(obj).Elem().SetZero()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.DeepCopy().Object, obj); err != nil {
		return fmt.Errorf("read %s %s/%s as %T: %w", u.GetKind(), u.GetNamespace(), u.GetName(), obj, err)
	}
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return nil
}

// settle completes next, which is what was sent, with what a write does not change, and
// counts the generation.
func settle(before, next *unstructured.Unstructured) {
	next.SetUID(before.GetUID())
	next.SetResourceVersion(before.GetResourceVersion())
	next.SetCreationTimestamp(before.GetCreationTimestamp())
	next.SetDeletionTimestamp(before.GetDeletionTimestamp())
	if next.GetManagedFields() == nil {
		next.SetManagedFields(before.GetManagedFields())
	}
	if next.Object["status"] = before.Object["status"]; next.Object["status"] == nil {
		delete(next.Object, "status")
	}
	next.SetGeneration(before.GetGeneration())
	if len(object.Diff(specified(before), specified(next))) > 0 {
		next.SetGeneration(before.GetGeneration() + 1)
	}
}

// specified is an object without its metadata and status.
func specified(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := maps.Clone(obj.Object)
	delete(out, "metadata")
	delete(out, "status")
	return &unstructured.Unstructured{Object: out}
}

// changes are the fields that a write changes, without what the server counts. Nobody
// reads the values of field owners, which are one field, and of packed data.
func changes(before, next *unstructured.Unstructured) []object.FieldDiff {
	var out []object.FieldDiff
	for _, f := range object.Diff(counted(before), counted(next)) {
		if f.Path == "metadata.managedFields" || f.Path == "spec.data" && next.GetKind() == "Ledger" {
			f.A, f.B = "", ""
		}
		out = append(out, f)
	}
	return out
}

// counted is obj without what a server counts by itself, its field owners in one piece.
func counted(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := maps.Clone(obj.Object)
	metadata, _ := out["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	delete(metadata, "resourceVersion")
	delete(metadata, "generation")
	if owners, err := json.Marshal(metadata["managedFields"]); err == nil && metadata["managedFields"] != nil {
		metadata["managedFields"] = string(owners)
	}
	out["metadata"] = metadata
	return &unstructured.Unstructured{Object: out}
}

// bare is an object as people write it: without what a server filled in.
func bare(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := obj.DeepCopy()
	for _, field := range []string{"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink"} {
		unstructured.RemoveNestedField(out.Object, "metadata", field)
	}
	if status, _ := out.Object["status"].(map[string]any); len(status) == 0 {
		delete(out.Object, "status")
	}
	return out
}

// shown is a patch as it may be shown.
func shown(kind string, of types.PatchType, data []byte) json.RawMessage {
	if of != types.MergePatchType {
		if kind == "Secret" {
			return json.RawMessage(`"(its values are not shown)"`)
		}
		return data
	}
	var patch map[string]any
	if err := json.Unmarshal(data, &patch); err != nil {
		return nil // the server will say what is wrong with it
	}
	if metadata, is := patch["metadata"].(map[string]any); is {
		delete(metadata, "managedFields")
	}
	out, err := json.Marshal(object.VeiledFields(kind, patch))
	if err != nil {
		return nil
	}
	return out
}

func sorted(all map[client.ObjectKey]*caught) []client.ObjectKey {
	return slices.SortedFunc(maps.Keys(all), func(a, b client.ObjectKey) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}
