package v1alpha1

import "strings"

// A Stage is one of the six parts of a migration. Each has a gate, actions that
// may be repeated, and an undo.
//
// +kubebuilder:validation:Enum=Preflight;Prepare;Snapshot;Shift;Cutover;Release;Nothing
type Stage string

// The stages, in order. Nothing stands before the first: it is what a rollback of
// everything goes back to.
const (
	Nothing   Stage = "Nothing"
	Preflight Stage = "Preflight"
	Prepare   Stage = "Prepare"
	Snapshot  Stage = "Snapshot"
	Shifting  Stage = "Shift"
	Cutover   Stage = "Cutover"
	Release   Stage = "Release"
)

// Stages lists the six in the order in which they run.
var Stages = []Stage{Preflight, Prepare, Snapshot, Shifting, Cutover, Release}

// Conditions of a Migration: facts, each True once its stage has ended.
const (
	Preflighted = "Preflighted"
	Prepared    = "Prepared"
	Snapshotted = "Snapshotted"
	Shifted     = "Shifted"
	CutOver     = "CutOver"
	Released    = "Released"
	// Retired is True when the source was let go: the only one-way door.
	Retired = "Retired"
	// Frozen is True while teams' changes are refused on the writer's side.
	Frozen = "Frozen"
)

// Finished is the condition that is True when the stage has ended.
func (s Stage) Finished() string {
	return map[Stage]string{
		Preflight: Preflighted, Prepare: Prepared, Snapshot: Snapshotted,
		Shifting: Shifted, Cutover: CutOver, Release: Released,
	}[s]
}

// A Direction is where the estate is led. Rollback is Back; it is stored, never
// implied by an error.
//
// +kubebuilder:validation:Enum=Forward;Back
type Direction string

// The directions.
const (
	Forward Direction = "Forward"
	Back    Direction = "Back"
)

// A Side is the source or the target.
//
// +kubebuilder:validation:Enum=Source;Target
type Side string

// The sides.
const (
	Source Side = "Source"
	Target Side = "Target"
)

// Other is the opposite side.
func (s Side) Other() Side {
	if s == Source {
		return Target
	}
	return Source
}

// Word is the side as it stands in a sentence.
func (s Side) Word() string { return strings.ToLower(string(s)) }

// A Verdict is what a gate found. Unknown is Held.
//
// +kubebuilder:validation:Enum=Passed;Held;Failed
type Verdict string

// The verdicts.
const (
	Passed Verdict = "Passed"
	Held   Verdict = "Held"
	Failed Verdict = "Failed"
)

// A FreezeWindow is how long teams' changes are refused.
//
// +kubebuilder:validation:Enum=Sitting;Handover
type FreezeWindow string

// The windows: from Snapshot to Release, or only around the writer's hand-over.
const (
	Sitting  FreezeWindow = "Sitting"
	Handover FreezeWindow = "Handover"
)

// Decide is how a workload moves.
//
// +kubebuilder:validation:Enum=Move;Stay;Undecided
type Decide string

// The decisions. Stay keeps a workload in the source; the bridge makes it
// reachable from the target under its own name.
const (
	DecideMove Decide = "Move"
	DecideStay Decide = "Stay"
	Undecided  Decide = "Undecided"
)

// A Trait is what a workload is.
//
// +kubebuilder:validation:Enum=Serving;QueueClient;Singleton;Scheduled;Stateful;Daemon;Operated;Job;LeaderElecting;SessionAffine;SelfScheduled;Gossiping
type Trait string

// The traits; the strictest decides how a workload moves.
const (
	Serving        Trait = "Serving"
	QueueClient    Trait = "QueueClient"
	Singleton      Trait = "Singleton"
	Scheduled      Trait = "Scheduled"
	Stateful       Trait = "Stateful"
	Daemon         Trait = "Daemon"
	Operated       Trait = "Operated"
	JobTrait       Trait = "Job"
	LeaderElecting Trait = "LeaderElecting"
	SessionAffine  Trait = "SessionAffine"
	// SelfScheduled workloads run schedules of their own, inside their process.
	SelfScheduled Trait = "SelfScheduled"
	// Gossiping workloads find members of their own kind and keep a membership.
	Gossiping Trait = "Gossiping"
)

// A MoveState is where an app is on its way.
//
// +kubebuilder:validation:Enum=Waiting;Mirrored;Warm;Shifting;Moved;Staying;Undecided;Quarantined
type MoveState string

// The states of a Move.
const (
	MoveWaiting     MoveState = "Waiting"
	MoveMirrored    MoveState = "Mirrored"
	MoveWarm        MoveState = "Warm"
	MoveShifting    MoveState = "Shifting"
	MoveMoved       MoveState = "Moved"
	MoveStaying     MoveState = "Staying"
	MoveUndecided   MoveState = "Undecided"
	MoveQuarantined MoveState = "Quarantined"
)

// A Record is one of the three things that the ledger keeps.
//
// +kubebuilder:validation:Enum=Before;Created;Intended
type Record string

// The records: what was found, what was created, what is intended.
const (
	Before   Record = "Before"
	Created  Record = "Created"
	Intended Record = "Intended"
)
