package v1alpha1

// A Reason says in one word why a condition or a gate stands where it stands.
// Every reason is explained by Explanations.
type Reason string

// Reasons of progress.
const (
	NotVisited    Reason = "NotVisited"
	Finished      Reason = "Finished"
	Undone        Reason = "Undone"
	BeforeSaved   Reason = "BeforeSaved"
	OnHold        Reason = "OnHold"
	DeletionWaits Reason = "DeletionWaits"
	NotApproved   Reason = "NotApproved"
	Busy          Reason = "Busy"
	Stalled       Reason = "Stalled"

	// Preflight.
	ClusterUnreachable Reason = "ClusterUnreachable"
	SameCluster        Reason = "SameCluster"
	ClusterReplaced    Reason = "ClusterReplaced"
	Overlaps           Reason = "Overlaps"
	VersionUnsupported Reason = "VersionUnsupported"
	PermissionMissing  Reason = "PermissionMissing"
	DecisionNeeded     Reason = "DecisionNeeded"
	NetworkUnreached   Reason = "NetworkUnreached"
	CapacityShort      Reason = "CapacityShort"
	FindingBlocks      Reason = "FindingBlocks"
	ZoneMissing        Reason = "ZoneMissing"
	ZoneSigned         Reason = "ZoneSigned"
	LoweringTTL        Reason = "LoweringTTL"
	OldTTLCached       Reason = "OldTTLCached"
	RecordsChanged     Reason = "RecordsChanged"
	Propagating        Reason = "Propagating"

	// Prepare.
	MirrorNotSynced Reason = "MirrorNotSynced"
	ObjectHeld      Reason = "ObjectHeld"
	Drifted         Reason = "Drifted"
	ZonesDiffer     Reason = "ZonesDiffer"
	BridgeBehind    Reason = "BridgeBehind"
	BridgeBlocked   Reason = "BridgeBlocked"
	WarmingUp       Reason = "WarmingUp"
	EntryMissing    Reason = "EntryMissing"

	// Snapshot.
	NotLevel         Reason = "NotLevel"
	FreezeNotProved  Reason = "FreezeNotProved"
	FreezeTooLong    Reason = "FreezeTooLong"
	RolloutsUnderWay Reason = "RolloutsUnderWay"
	Archiving        Reason = "Archiving"
	ArchiveNotProved Reason = "ArchiveNotProved"
	ArchiveDiffers   Reason = "ArchiveDiffers"
	TeamWriteSeen    Reason = "TeamWriteSeen"

	// Shift and Cutover.
	CapacityMoving     Reason = "CapacityMoving"
	TargetNotReady     Reason = "TargetNotReady"
	SourceNotReady     Reason = "SourceNotReady"
	Settling           Reason = "Settling"
	TooFewProbes       Reason = "TooFewProbes"
	ErrorsWorse        Reason = "ErrorsWorse"
	LatencyWorse       Reason = "LatencyWorse"
	TooManyQuarantined Reason = "TooManyQuarantined"
	EntryMoving        Reason = "EntryMoving"
	DelegationMoving   Reason = "DelegationMoving"

	// Release.
	WriterMoving   Reason = "WriterMoving"
	EndpointMoving Reason = "EndpointMoving"
	Soaking        Reason = "Soaking"

	// Engine.
	FenceLost         Reason = "FenceLost"
	Fused             Reason = "Fused"
	LedgerMissing     Reason = "LedgerMissing"
	LedgerUnreachable Reason = "LedgerUnreachable"
	JournalTaken      Reason = "JournalTaken"
	Quarantined       Reason = "Quarantined"
)
