package v1alpha1

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Next is the stage to work on, in the migration's direction; false means that the
// migration has arrived. It is told from the conditions alone: forward the first stage
// that is not True, back the last one that was ever begun.
func (m *Migration) Next() (Stage, bool) {
	if m.Spec.Direction == Back && !meta.IsStatusConditionTrue(m.Status.Conditions, Retired) {
		for _, s := range slices.Backward(Stages) {
			if s == m.Spec.BackTo {
				break
			}
			if m.Begun(s) {
				return s, true
			}
		}
		return "", false
	}
	for _, s := range Stages {
		if !meta.IsStatusConditionTrue(m.Status.Conditions, s.Finished()) {
			return s, true
		}
	}
	return "", false
}

// Begun tells whether a stage has, or may have, left something that Undo takes away: it
// is under way, finished, or being undone.
func (m *Migration) Begun(s Stage) bool {
	c := meta.FindStatusCondition(m.Status.Conditions, s.Finished())
	return c != nil && c.Status != metav1.ConditionUnknown
}
