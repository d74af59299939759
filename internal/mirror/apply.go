package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/object"
)

// An object that one manager owns by server-side apply is applied in its name: the
// write that makes the copy then also says who owns what. What the manager applied is
// known from its managedFields; fields that nobody owns are the API server's defaults,
// and the answer shows whether the other side has the same.

// noVersion is a resourceVersion that no object has. An apply with it makes the object,
// and is a conflict where there is one.
const noVersion = "1"

// soleApplier is the entry of the one manager of obj, if that used server-side apply.
func soleApplier(obj client.Object) (metav1.ManagedFieldsEntry, bool) {
	all := managers(obj)
	if len(all) != 1 || all[0].Operation != metav1.ManagedFieldsOperationApply || all[0].FieldsV1 == nil {
		return metav1.ManagedFieldsEntry{}, false
	}
	return all[0], true
}

// applied writes out, in the form of the whole object, as its only manager would apply
// it: over live, or, if that is nil, where nothing is. It returns what the API server
// made of it, or nil if it has to be written in another way.
func (m *Mirror) applied(ctx context.Context, f *following, t *twin, out, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	entry, sole := soleApplier(t.body)
	if !sole || f.unapplied.Load() || entry.APIVersion != f.kind.GroupVersion().String() {
		return nil, nil
	}
	obj, err := intent(out, entry)
	if err != nil {
		return nil, nil // a set of fields that cannot be followed
	}
	obj.SetResourceVersion(noVersion)
	if live == nil && !f.rule.born(obj) {
		return nil, nil // it would not stand still, or its manager would own that it does
	}
	if live != nil {
		if was, also := soleApplier(live); !also || was.Manager != entry.Manager {
			return nil, nil
		}
		obj.SetUID(live.GetUID())
		obj.SetResourceVersion(live.GetResourceVersion())
	}
	sent := obj.DeepCopy()
	data, err := json.Marshal(obj.Object)
	if err != nil {
		return nil, err
	}
	err = m.To.API.Patch(ctx, obj, client.RawPatch(types.ApplyPatchType, data), client.FieldOwner(entry.Manager))
	switch {
	case apierrors.IsUnsupportedMediaType(err), apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict), refusal(err):
		// If it is the object that is refused, the other way of writing it says so too.
		f.unapplied.Store(true)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("apply as %s: %w", entry.Manager, err)
	case !lacks(obj.Object, object.Portable(out).Object, sent.Object):
		return obj, nil
	}
	f.unapplied.Store(true) // the other objects of the kind will be alike
	obj = f.rule.change(t.body, obj)
	if err := m.To.API.Update(ctx, obj, firstManager(t.body)); err != nil {
		return nil, fmt.Errorf("complete what was applied: %w", err)
	}
	return obj, nil
}

// born is true if obj says of itself what the engine's fields are at birth.
func (r *Rule) born(obj *unstructured.Unstructured) bool {
	return !slices.ContainsFunc(r.Engine, func(e Engine) bool {
		_, has, _ := unstructured.NestedFieldNoCopy(obj.Object, e.Field...)
		return e.Birth != nil && !has
	})
}

// intent is what of obj a manager owns: what it would apply.
func intent(obj *unstructured.Unstructured, entry metav1.ManagedFieldsEntry) (*unstructured.Unstructured, error) {
	var owned map[string]json.RawMessage
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned); err != nil {
		return nil, fmt.Errorf("read the fields that %s owns of %s: %w", entry.Manager, obj.GetName(), err)
	}
	fields, err := ownedOf(obj.Object, owned)
	if err != nil {
		return nil, err
	}
	out := &unstructured.Unstructured{Object: fields.(map[string]any)}
	out.SetGroupVersionKind(obj.GroupVersionKind())
	out.SetNamespace(obj.GetNamespace())
	out.SetName(obj.GetName())
	if owners := obj.GetOwnerReferences(); len(out.GetOwnerReferences()) != len(owners) {
		return nil, fmt.Errorf("%s does not own every owner of %s", entry.Manager, obj.GetName())
	}
	return out, nil
}

// ownedOf cuts value down to a set of fields, as FieldsV1 writes it (structured-merge-diff,
// "fieldpath"): f: names a field, k: an item of a list by its keys, v: one of a set.
func ownedOf(value any, owned map[string]json.RawMessage) (any, error) {
	if len(owned) == 0 {
		return value, nil // a leaf is owned with all that is in it
	}
	switch value := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, below := range owned {
			name, is := strings.CutPrefix(key, "f:")
			part, has := value[name]
			switch {
			case key == ".":
			case !is:
				return nil, fmt.Errorf("%q in a map", key)
			case has:
				kept, err := ownedBelow(part, below)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				out[name] = kept
			}
		}
		return out, nil
	case []any:
		out := []any{}
		for _, item := range value {
			kept, has, err := ownedItem(item, owned)
			if err != nil {
				return nil, err
			}
			if has {
				out = append(out, kept)
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("fields of a %T", value)
}

func ownedBelow(value any, below json.RawMessage) (any, error) {
	var owned map[string]json.RawMessage
	if err := json.Unmarshal(below, &owned); err != nil {
		return nil, err
	}
	return ownedOf(value, owned)
}

// ownedItem is what is owned of an item of a list. Keys that tell it apart and are not
// owned were left to their defaults.
func ownedItem(item any, owned map[string]json.RawMessage) (kept any, has bool, err error) {
	for key, below := range owned {
		switch {
		case key == ".":
		case strings.HasPrefix(key, "v:"):
			var is any
			if err := utiljson.Unmarshal([]byte(key[2:]), &is); err != nil {
				return nil, false, err
			}
			if reflect.DeepEqual(item, is) {
				return item, true, nil
			}
		case strings.HasPrefix(key, "k:"):
			var keys map[string]any
			if err := utiljson.Unmarshal([]byte(key[2:]), &keys); err != nil {
				return nil, false, err
			}
			fields, is := item.(map[string]any)
			if !is || !hasKeys(fields, keys) {
				continue
			}
			kept, err = ownedBelow(item, below)
			return kept, true, err
		default:
			return nil, false, fmt.Errorf("%q in a list", key)
		}
	}
	return nil, false, nil
}

// hasKeys tells whether an item is the one of these keys. One that is missing has its
// default, as far as the manager's object goes; what it is only the schema says.
func hasKeys(item, keys map[string]any) bool {
	for name, key := range keys {
		if value, stands := item[name]; stands && !reflect.DeepEqual(value, key) {
			return false
		}
	}
	return true
}

// lacks is true if got does not have something that is wanted and was not sent: a
// default of the one side that is another on the other.
func lacks(got, want, sent any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, _ := got.(map[string]any)
		told, _ := sent.(map[string]any)
		for key, value := range want {
			part, was := told[key]
			switch {
			case was && reflect.DeepEqual(part, value), empty(value):
			case lacks(have[key], value, part):
				return true
			}
		}
		return false
	case []any:
		have, _ := got.([]any)
		told, _ := sent.([]any)
		if len(have) != len(want) {
			return true
		}
		for i := range want {
			var part any
			if len(told) == len(want) {
				part = told[i]
			}
			if !reflect.DeepEqual(part, want[i]) && lacks(have[i], want[i], part) {
				return true
			}
		}
		return false
	}
	return !reflect.DeepEqual(got, want)
}

func empty(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return value == nil
}
