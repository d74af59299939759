package mirror

import (
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/object"
)

// fieldsOf reads obj, of any form, as an unstructured object of its own.
func fieldsOf(kind schema.GroupVersionKind, obj client.Object) (*unstructured.Unstructured, error) {
	fields, err := object.Unstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", kind.Kind, obj.GetNamespace(), obj.GetName(), err)
	}
	fields.SetGroupVersionKind(kind)
	return fields, nil
}

// glance reads as much of obj as a look needs: the field managers of an object of a Go
// type are left out, and its status too unless some rule of its kind asks for it. They
// are most of an object, and cost more to read than all the rest.
func (r *Rule) glance(kind schema.GroupVersionKind, obj client.Object) (*unstructured.Unstructured, error) {
	if _, loose := obj.(*unstructured.Unstructured); loose {
		return fieldsOf(kind, obj)
	}
	seen := reflect.New(reflect.TypeOf(obj).Elem()) // obj is the feed's: only its outermost fields are copied
	seen.Elem().Set(reflect.ValueOf(obj).Elem())
	light := seen.Interface().(client.Object)
	light.SetManagedFields(nil)
	if status := seen.Elem().FieldByName("Status"); status.IsValid() && r.Carried == "" && len(r.choices) == 0 {
		status.SetZero()
	}
	return fieldsOf(kind, light)
}

// normal is the form in which the two sides are compared: what is the team's, and
// nothing that the rule leaves to either cluster or to the engine.
func (r *Rule) normal(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := obj.DeepCopy()
	r.normalise(out)
	return out
}

// normalise makes obj its own normal form.
func (r *Rule) normalise(obj *unstructured.Unstructured) {
	places, ignored, status := r.eithers(obj), r.ignored(obj), map[string]any(nil)
	if r.inline {
		status = r.status(obj)
	}
	for _, p := range places {
		p.remove(obj.Object)
	}
	object.Reduce(obj, ignored...)
	dropEmpty(obj, "metadata", "annotations")
	if status != nil {
		obj.Object["status"] = status
	}
}

// digest stands for the normal form of obj. It is the same for both sides exactly
// when a team would see no difference.
func (r *Rule) digest(obj *unstructured.Unstructured) string {
	return r.spend(obj.DeepCopy())
}

// spend is the digest of an obj that nobody needs any longer.
func (r *Rule) spend(obj *unstructured.Unstructured) string {
	r.normalise(obj)
	return object.Digest(obj)[:32]
}

// birth is what the mirror creates for src: what is the team's, the engine's fields
// at their first value, and no finalizer that nobody may be there to remove.
// ownerReferences still carry the UIDs of src's cluster.
func (r *Rule) birth(src *unstructured.Unstructured) *unstructured.Unstructured {
	out := object.Portable(src)
	unstructured.RemoveNestedField(out.Object, "metadata", "finalizers")
	if kept := r.finalizers(src); len(kept) > 0 {
		out.SetFinalizers(kept)
	}
	if status := r.status(src); status != nil && r.inline {
		out.Object["status"] = status
	}
	for _, field := range r.own(src) {
		unstructured.RemoveNestedField(out.Object, field...)
	}
	dropEmpty(out, "metadata", "annotations")
	if r.Group == "" && r.Kind == "Service" {
		keepDeclaredPorts(src, out)
	}
	for _, engine := range r.Engine {
		if engine.Birth != nil {
			set(out, engine.Birth, engine.Field)
		}
	}
	return out
}

// change is what the mirror writes over live so that it says what src says: the
// team's fields from src, and everything that is the cluster's or the engine's as it
// stands in live.
func (r *Rule) change(src, live *unstructured.Unstructured) *unstructured.Unstructured {
	out := r.birth(src)
	giveBack(out.Object, live.Object, object.Portable(live).Object)
	for _, engine := range r.Engine {
		keep(out, live, engine.Field)
	}
	for _, field := range r.own(src) {
		keep(out, live, field)
	}
	keepPlaces(out, live, r.eithers(src))
	keep(out, live, object.Field{"metadata", "finalizers"})
	unstructured.RemoveNestedField(out.Object, "metadata", "managedFields")
	return out
}

// giveBack copies to into what live has and team, live without what is its
// cluster's, lacks. Items of lists are matched by what identifies them.
func giveBack(into, live, team map[string]any) {
	for key, value := range live {
		if value == nil {
			continue
		}
		mine, has := into[key]
		kept, isTeams := team[key]
		switch {
		case !isTeams && !has:
			into[key] = value
		case !isTeams, reflect.DeepEqual(value, kept):
		default:
			giveBackWithin(mine, value, kept, func(list []any) { into[key] = list })
		}
	}
}

func giveBackWithin(into, live, team any, replace func([]any)) {
	switch live := live.(type) {
	case map[string]any:
		mine, ok := into.(map[string]any)
		kept, isTeams := team.(map[string]any)
		if ok && isTeams {
			giveBack(mine, live, kept)
		}
	case []any:
		mine, ok := into.([]any)
		kept, isTeams := team.([]any)
		if ok && isTeams {
			replace(giveBackItems(mine, live, kept))
		}
	}
}

// giveBackItems relies on team being live with items changed or left out, never
// in another order.
func giveBackItems(into, live, team []any) []any {
	for i, item := range live {
		fields, ok := item.(map[string]any)
		if !ok {
			return into
		}
		kept := sameItem(team, fields)
		if len(team) == len(live) {
			kept, _ = team[i].(map[string]any)
		}
		mine := sameItem(into, fields)
		switch {
		case kept == nil && mine == nil:
			into = append(into, item)
		case kept != nil && mine != nil:
			giveBack(mine, fields, kept)
		}
	}
	return into
}

// itemKeys identify the items of those lists in which a cluster adds something:
// ports and references.
var itemKeys = []string{"name", "port", "protocol"}

// sameItem finds what stands for item in list; nil if nothing does, or if items of
// this list are not told apart by itemKeys.
func sameItem(list []any, item map[string]any) map[string]any {
	if !slices.ContainsFunc(itemKeys, func(key string) bool { return item[key] != nil }) {
		return nil
	}
	for _, other := range list {
		fields, ok := other.(map[string]any)
		if ok && !slices.ContainsFunc(itemKeys, func(key string) bool { return !reflect.DeepEqual(fields[key], item[key]) }) {
			return fields
		}
	}
	return nil
}

// keep makes a field of out what it is in live.
func keep(out, live *unstructured.Unstructured, field object.Field) {
	value, found, err := unstructured.NestedFieldCopy(live.Object, field...)
	if err != nil || !found {
		unstructured.RemoveNestedField(out.Object, field...)
		return
	}
	set(out, value, field)
}

// set gives a field a value. A parent that is not a map cannot be: the API server
// has accepted the object.
func set(out *unstructured.Unstructured, value any, field object.Field) {
	if err := unstructured.SetNestedField(out.Object, value, field...); err != nil {
		panic(fmt.Errorf("set %v of %s %s: %w", field, out.GetKind(), out.GetName(), err))
	}
}

func dropEmpty(obj *unstructured.Unstructured, field ...string) {
	if value, found, _ := unstructured.NestedMap(obj.Object, field...); found && len(value) == 0 {
		unstructured.RemoveNestedField(obj.Object, field...)
	}
}

// bare is true of an object that says nothing but its name.
func (r *Rule) bare(obj *unstructured.Unstructured) bool {
	for key, value := range r.normal(obj).Object {
		switch key {
		case "apiVersion", "kind":
		case "metadata":
			for name, field := range value.(map[string]any) {
				labels, _ := field.(map[string]any)
				auto := name == "labels" && len(labels) == 1 && labels[namespaceLabel] == obj.GetName()
				if name != "name" && name != "namespace" && !auto {
					return false
				}
			}
		default:
			if fields, ok := value.(map[string]any); !ok || len(fields) > 0 {
				return false
			}
		}
	}
	return true
}

// bareOf is obj, saying nothing but its name.
func bareOf(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(obj.GroupVersionKind())
	out.SetNamespace(obj.GetNamespace())
	out.SetName(obj.GetName())
	if name, auto := obj.GetLabels()[namespaceLabel]; auto {
		out.SetLabels(map[string]string{namespaceLabel: name})
	}
	return out
}

// namespaceLabel is set on every namespace by the API server.
const namespaceLabel = corev1.LabelMetadataName
