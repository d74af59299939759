package v1alpha1

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TurnedBack is when the migration was last led back, to the second; zero if nothing
// of it was ever undone. What people agreed to before then, they agreed to in another
// situation.
func (m *Migration) TurnedBack() time.Time {
	var at time.Time
	for _, t := range slices.Backward(m.Status.Timeline) {
		if t.Direction == Back {
			at = t.Started.Truncate(time.Second) // consent is dated to the second
		} else if !at.IsZero() {
			break
		}
	}
	return at
}

// Approves tells whether a person's approval of a stage is in force.
func (m *Migration) Approves(s Stage) bool {
	return slices.ContainsFunc(m.Spec.Approved, func(a Approval) bool { return a.Stage == s && m.inForce(a.At) })
}

// Retires tells whether a person's word to let go of the source is in force.
func (m *Migration) Retires() bool { return m.Spec.Retire != nil && m.inForce(m.Spec.Retire.At) }

// inForce tells whether consent given then has not been overtaken by a rollback.
func (m *Migration) inForce(given metav1.Time) bool { return !given.Time.Before(m.TurnedBack()) }
