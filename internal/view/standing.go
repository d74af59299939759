package view

import (
	"k8s.io/apimachinery/pkg/api/meta"

	v1 "crossfade.dev/api/v1alpha1"
)

// A Standing is where a migration stands as a whole.
type Standing string

// The standings. Unseen means that the engine has not looked at the latest spec,
// Waiting that the stage waits for something that it cannot bring about itself.
const (
	Unseen     Standing = "Unseen"
	Working    Standing = "Working"
	Waiting    Standing = "Waiting"
	Asking     Standing = "WaitingForApproval"
	OnHold     Standing = "OnHold"
	Failed     Standing = "Failed"
	Arrived    Standing = "Arrived"
	RolledBack Standing = "RolledBack"
	Retired    Standing = "Retired"
)

// Ended tells whether nothing more will happen until a person wants something else.
func (s Standing) Ended() bool { return s == Arrived || s == RolledBack || s == Retired }

// StandingOf tells where a migration stands. Conditions and direction are the
// truth; reason and gates are believed only if they speak of the latest spec.
func StandingOf(m *v1.Migration) Standing {
	if meta.IsStatusConditionTrue(m.Status.Conditions, v1.Retired) {
		return Retired
	}
	if len(m.Status.Conditions) == 0 || m.Status.ObservedGeneration < m.Generation {
		return Unseen
	}
	if _, more := m.Next(); !more && m.Status.Reason != v1.DeletionWaits {
		if m.Spec.Direction == v1.Back {
			return RolledBack
		}
		if !m.Retires() {
			return Arrived
		}
	}
	switch reason := m.Status.Reason; {
	case reason == v1.NotApproved:
		return Asking
	case reason == v1.OnHold:
		return OnHold
	case reason == v1.LedgerMissing || failedGate(m, reason):
		return Failed
	case endsByItself[reason]:
		return Working
	default:
		return Waiting
	}
}

// failedGate tells whether a gate that Failed is what the migration waits for.
func failedGate(m *v1.Migration, reason v1.Reason) bool {
	for _, g := range m.Status.Gates {
		if g.Verdict == v1.Failed && g.Waived == "" && g.Reason == reason {
			return true
		}
	}
	return false
}

// endsByItself holds the reasons that nobody has to do anything about: those whose
// fix is to do nothing. What they wait for may still be long in coming.
var endsByItself = map[v1.Reason]bool{
	v1.NotVisited: true, v1.Finished: true, v1.Undone: true, v1.BeforeSaved: true, v1.Busy: true,
	v1.LoweringTTL: true, v1.OldTTLCached: true, v1.Propagating: true,
	v1.MirrorNotSynced: true, v1.ZonesDiffer: true, v1.BridgeBehind: true, v1.WarmingUp: true,
	v1.NotLevel: true, v1.FreezeNotProved: true, v1.Archiving: true,
	v1.CapacityMoving: true, v1.Settling: true, v1.TooFewProbes: true, v1.EntryMoving: true, v1.DelegationMoving: true,
	v1.WriterMoving: true, v1.EndpointMoving: true, v1.Soaking: true,
}
