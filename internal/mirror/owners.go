package mirror

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/object"
)

// unnamedManager is what API servers call whoever wrote an object of which nobody
// noted the manager.
const unnamedManager = "before-first-apply"

// managers are the owners of src's fields that the copy has to show as well: those
// of the main resource, the engine itself excepted.
func managers(src client.Object) []metav1.ManagedFieldsEntry {
	return slices.DeleteFunc(slices.Clone(src.GetManagedFields()), func(e metav1.ManagedFieldsEntry) bool {
		return e.Subresource != "" || e.Manager == cluster.FieldManager
	})
}

// understood are the managers of an origin in versions that the side that follows
// serves. It would drop the others, and nobody would own what they do: fields have the
// same names in most versions, and an owner of one that is not there is harmless.
func (f *following) understood(src client.Object) []metav1.ManagedFieldsEntry {
	all := managers(src)
	for i, entry := range all {
		version, err := schema.ParseGroupVersion(entry.APIVersion)
		if err == nil && version.Group == f.kind.Group && len(f.spoken) > 0 && !slices.Contains(f.spoken, version.Version) {
			all[i].APIVersion = f.kind.GroupVersion().String()
		}
	}
	return all
}

// firstManager is who the copy is created as: its only manager, so that one write
// is enough, or the first of several.
func firstManager(src client.Object) client.FieldOwner {
	all := managers(src)
	if len(all) == 0 {
		return unnamedManager
	}
	return client.FieldOwner(all[0].Manager)
}

// ownership stands for who owns which field, times and the engine's fields left
// out. It is empty if nothing is known.
func (r *Rule) ownership(obj *unstructured.Unstructured) (string, error) {
	return ownership(managers(obj), r.ignored(obj))
}

func ownership(all []metav1.ManagedFieldsEntry, ignored []object.Field) (string, error) {
	if len(all) == 0 {
		return "", nil
	}
	slices.SortFunc(all, func(a, b metav1.ManagedFieldsEntry) int {
		return cmp.Or(cmp.Compare(a.Manager, b.Manager), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.APIVersion, b.APIVersion))
	})
	sum := sha256.New()
	for _, entry := range all {
		fields := map[string]any{} // field names are the server's, so there is no type for it
		if entry.FieldsV1 != nil && len(entry.FieldsV1.GetRawBytes()) > 0 {
			if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
				return "", fmt.Errorf("read the fields that %s owns: %w", entry.Manager, err)
			}
		}
		for _, field := range ignored {
			disown(fields, field)
		}
		text, err := json.Marshal(fields)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s\x00%s\x00%s\x00%s\x00", entry.Manager, entry.Operation, entry.APIVersion, text)
	}
	return hex.EncodeToString(sum.Sum(nil))[:32], nil
}

// disown removes a field, and the parents that are left without any, from a set of
// fields as FieldsV1 writes it.
func disown(fields map[string]any, field []string) {
	key := "f:" + field[0]
	child, ok := fields[key].(map[string]any)
	if !ok {
		return
	}
	if len(field) > 1 {
		disown(child, field[1:])
		delete(child, ".") // a parent says by this that it owns itself
		if len(child) > 0 {
			return
		}
	}
	delete(fields, key)
}

// ownedBy is the managedFields that live should have: the managers of src, and
// those of live that the mirror leaves alone.
func ownedBy(src, live client.Object) []metav1.ManagedFieldsEntry {
	out := managers(src)
	for _, entry := range live.GetManagedFields() {
		if entry.Subresource != "" || entry.Manager == cluster.FieldManager {
			out = append(out, entry)
		}
	}
	return out
}

// ownershipPatch replaces live's managedFields under an optimistic lock.
func ownershipPatch(src, live client.Object) (client.Patch, error) {
	type metadata struct {
		UID             types.UID                   `json:"uid"`
		ResourceVersion string                      `json:"resourceVersion"`
		ManagedFields   []metav1.ManagedFieldsEntry `json:"managedFields"`
	}
	data, err := json.Marshal(struct {
		Metadata metadata `json:"metadata"`
	}{metadata{live.GetUID(), live.GetResourceVersion(), ownedBy(src, live)}})
	return client.RawPatch(types.MergePatchType, data), err
}

// An unmapped owner is one that the other side does not have, yet or at all.
type unmapped struct {
	object  Object
	follows bool // the mirror will bring it
}

// mapOwners makes the ownerReferences of a copy point to the copies of the owners.
// find gives the UID of the copy of an owner, if it stands.
func mapOwners(copied *unstructured.Unstructured, find func(Object, types.UID) (types.UID, bool)) *unmapped {
	references := copied.GetOwnerReferences()
	for i, ref := range references {
		owner := objectOf(groupOf(ref.APIVersion), ref.Kind, copied.GetNamespace(), ref.Name)
		uid, follows := find(owner, ref.UID)
		if uid == "" {
			return &unmapped{owner, follows}
		}
		references[i].UID = uid
	}
	if len(references) > 0 {
		copied.SetOwnerReferences(references)
	}
	return nil
}
