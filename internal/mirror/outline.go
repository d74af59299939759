package mirror

import (
	"fmt"
	"hash/maphash"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// outline stands for everything in obj but its status, so that the many changes of a
// status need not be read: what is wanted by its generation, which an API server counts
// up with every change of it (API conventions, "Metadata"), and the metadata that
// people change. With managed, it stands for the field managers as well. It is 0 if
// the kind counts no generations, is of no Go type, or has a rule for its status.
func (r *Rule) outline(obj client.Object, managed bool) uint64 {
	_, loose := obj.(*unstructured.Unstructured)
	if loose || obj.GetGeneration() == 0 || r.Carried != "" || len(r.choices) > 0 {
		return 0
	}
	sum := pairs(obj.GetLabels())*3 + pairs(obj.GetAnnotations())*5
	add := func(format string, args ...any) {
		sum = sum*31 + maphash.String(outlineSeed, fmt.Sprintf(format, args...))
	}
	add("%s/%d", obj.GetUID(), obj.GetGeneration())
	if at := obj.GetDeletionTimestamp(); at != nil {
		add("leaving since %d", at.Unix())
	}
	for _, o := range obj.GetOwnerReferences() {
		add("%s %s %s %s %t %t", o.APIVersion, o.Kind, o.Name, o.UID, isTrue(o.Controller), isTrue(o.BlockOwnerDeletion))
	}
	for _, f := range obj.GetFinalizers() {
		add("%s", f)
	}
	if managed {
		for _, m := range obj.GetManagedFields() {
			if m.Subresource == "" {
				add("%s %s %s", m.Manager, m.Operation, m.APIVersion)
				if m.FieldsV1 != nil {
					sum += maphash.Bytes(outlineSeed, m.FieldsV1.GetRawBytes())
				}
			}
		}
	}
	return sum | 1
}

// outlineSeed keeps outlines of one process comparable.
var outlineSeed = maphash.MakeSeed()

// pairs stands for a map, whatever the order of its keys.
func pairs(m map[string]string) (sum uint64) {
	for key, value := range m {
		sum += maphash.String(outlineSeed, key)*31 + maphash.String(outlineSeed, value)
	}
	return sum
}

func isTrue(b *bool) bool { return b != nil && *b }
