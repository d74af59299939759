package sim

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
)

// owners know which objects an engine made, by UID.
type owners map[types.UID]bool

// judgeChange holds one change by an engine against the last promise: what it did not
// create it does not delete, what a person changed it does not overwrite.
func (w *world) judgeChange(side v1.Side, c memory.Change) {
	if c.User != engineUser {
		return
	}
	obj := c.New
	if obj == nil {
		obj = c.Old
	}
	name := nameIn(c.Kind.Kind, obj.GetNamespace(), obj.GetName())
	switch {
	case c.Old == nil:
		w.made[obj.GetUID()] = true
	case side == v1.Target && w.foreign[client.ObjectKeyFromObject(obj)]:
		w.breaks("7 (what others made is left alone)", "%s touched %s of the %s", c.User, name, side)
	case c.New == nil || c.New.GetDeletionTimestamp() != nil && c.Old.GetDeletionTimestamp() == nil:
		w.judgeRemoval(side, c, name)
	case !w.made[obj.GetUID()] && w.m.Status.Writer == side:
		w.judgeEdit(side, c, name)
	}
}

// judgeRemoval lets an engine remove what it has made, and on the side that follows
// what its team has removed on the other.
func (w *world) judgeRemoval(side v1.Side, c memory.Change, name string) {
	if w.made[c.Old.GetUID()] {
		if c.Kind.Kind == "Namespace" && side == v1.Target {
			for key := range w.foreign {
				if key.Namespace == c.Old.GetName() {
					w.breaks("7 (what others made is left alone)", "%s removed namespace %s, which holds %s", c.User, c.Old.GetName(), key)
				}
			}
		}
		return
	}
	if w.m.Status.Writer != side && w.removed[name] {
		return
	}
	w.breaks("7 (what it did not make it does not remove)", "%s removed %s of the %s", c.User, name, side)
}

// judgeEdit lets an engine change, of what teams made, the counts that it leads over.
func (w *world) judgeEdit(side v1.Side, c memory.Change, name string) {
	switch is := c.New.(type) {
	case *appsv1.Deployment:
		was := c.Old.(*appsv1.Deployment).Spec.DeepCopy()
		was.Replicas = is.Spec.Replicas
		if equality.Semantic.DeepEqual(was, &is.Spec) {
			return
		}
	case *autoscalingv2.HorizontalPodAutoscaler:
		was := c.Old.(*autoscalingv2.HorizontalPodAutoscaler).Spec.DeepCopy()
		was.MinReplicas = is.Spec.MinReplicas
		if equality.Semantic.DeepEqual(was, &is.Spec) {
			return
		}
	default:
		if c.Kind.Kind == "Lease" {
			return
		}
	}
	w.breaks("7 (what a person changed is not overwritten)", "%s changed %s of the %s", c.User, name, side)
}
