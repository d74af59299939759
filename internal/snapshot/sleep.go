package snapshot

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"crossfade.dev/internal/object"
)

// asleepLabel is the node label that a restored DaemonSet asks for, and no node has.
const asleepLabel = "crossfade.dev/asleep"

var nodeSelector = object.Field{"spec", "template", "spec", "nodeSelector"}

// A sleeper is a kind whose objects run something: lull makes one run nothing, and
// without names the fields in which it then differs.
type sleeper struct {
	lull    func(*unstructured.Unstructured)
	without []object.Field
}

var (
	byReplicas = sleeper{lull: set(int64(0), object.Replicas), without: []object.Field{object.Replicas}}
	bySuspend  = sleeper{lull: set(true, object.Suspend), without: []object.Field{object.Suspend}}

	sleepers = map[schema.GroupKind]sleeper{
		{Group: "apps", Kind: "Deployment"}:  byReplicas,
		{Group: "apps", Kind: "StatefulSet"}: byReplicas,
		{Group: "apps", Kind: "ReplicaSet"}:  byReplicas,
		{Kind: "ReplicationController"}:      byReplicas,
		{Group: "batch", Kind: "CronJob"}:    bySuspend,
		{Group: "apps", Kind: "DaemonSet"}:   {lull: set("true", append(nodeSelector, asleepLabel))},
	}
)

func set(value any, field object.Field) func(*unstructured.Unstructured) {
	return func(obj *unstructured.Unstructured) {
		// It fails only if a field on the way is no map, which the API server would
		// not have accepted.
		_ = unstructured.SetNestedField(obj.Object, value, field...)
	}
}

// lull makes an object run nothing.
func lull(obj *unstructured.Unstructured) {
	if s, ok := sleepers[obj.GroupVersionKind().GroupKind()]; ok {
		s.lull(obj)
	}
}

// essence is the form in which archived and restored objects are compared: without
// what differs because one of them sleeps, and without the mark of a rehearsal.
func essence(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := object.Canonical(obj, sleepers[obj.GroupVersionKind().GroupKind()].without...)
	unstructured.RemoveNestedField(out.Object, append(nodeSelector, asleepLabel)...)
	unstructured.RemoveNestedField(out.Object, "metadata", "labels", markLabel)
	for _, emptied := range []object.Field{nodeSelector, {"metadata", "labels"}} {
		if fields, found, _ := unstructured.NestedMap(out.Object, emptied...); found && len(fields) == 0 {
			unstructured.RemoveNestedField(out.Object, emptied...)
		}
	}
	return out
}
