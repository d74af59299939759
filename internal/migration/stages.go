package migration

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// A stage of the migration. Both ways are idempotent and may be cut short
// anywhere: they look at what is there and do what is missing.
type stage struct {
	// forward brings the stage about; it reports Done when its gate out has passed.
	forward func(*Engine, context.Context, *visit) (Progress, error)
	// back undoes it; it reports Done when the clusters and the names stand as they
	// stood before the stage.
	back func(*Engine, context.Context, *visit) (Progress, error)
}

// stages lists the six, in the order of v1.Stages and a file each.
func stages() map[v1.Stage]stage {
	return map[v1.Stage]stage{
		v1.Preflight: {(*Engine).preflight, (*Engine).undoPreflight},
		v1.Prepare:   {(*Engine).prepare, (*Engine).undoPrepare},
		v1.Snapshot:  {(*Engine).snapshot, (*Engine).undoSnapshot},
		v1.Shifting:  {(*Engine).shift, (*Engine).undoShift},
		v1.Cutover:   {(*Engine).cutover, (*Engine).undoCutover},
		v1.Release:   {(*Engine).release, (*Engine).undoRelease},
	}
}

// undoing tells whether s is being undone right now.
func undoing(m *v1.Migration, s v1.Stage) bool {
	if m.Spec.Direction != v1.Back {
		return false
	}
	at, more := m.Next()
	return more && at == s
}

func retired(m *v1.Migration) bool {
	return meta.IsStatusConditionTrue(m.Status.Conditions, v1.Retired)
}

// setFinished records the outcome of a pass in the condition of the stage.
func setFinished(m *v1.Migration, s v1.Stage, status metav1.ConditionStatus, reason v1.Reason, message string) {
	meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{
		Type: s.Finished(), Status: status, Reason: string(reason), Message: message,
		ObservedGeneration: m.Generation,
	})
}
