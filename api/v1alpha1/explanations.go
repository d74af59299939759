package v1alpha1

// An Explanation says, in a sentence each, why a reason is shown and what ends it.
type Explanation struct {
	Cause, Fix string
}

// Explanations holds one Explanation for every Reason.
var Explanations = map[Reason]Explanation{
	NotVisited:    {"The stage has not begun.", "Nothing to do: it begins when the stages before it have ended."},
	Finished:      {"The stage, or the gate, has reached what it is there for.", "Nothing to do."},
	Undone:        {"The stage was undone: clusters and names stand as they stood before it.", "Nothing to do; `crossfade run` leads forward again."},
	BeforeSaved:   {"What the way back needs was just written to the ledger.", "Nothing to do: the stage goes on by itself."},
	OnHold:        {"A person has put the migration on hold; mirror and bridge go on.", "`crossfade resume MIGRATION` when the cause is gone."},
	DeletionWaits: {"The migration was deleted while clusters or names still hold something of it, which only its undo takes away.", "`crossfade rollback MIGRATION --to Nothing`, or `crossfade retire` where everything has moved; then it goes by itself."},
	NotApproved:   {"The stage is one of those that wait for a person before their first step.", "`crossfade approve MIGRATION STAGE`."},
	Busy:          {"The stage is at work.", "Nothing to do: it is looked at again within a second."},
	Stalled:       {"A request failed for a reason that the engine has no word for; it asks again.", "Read the message; mend what it names (network, permissions, a webhook)."},

	ClusterUnreachable: {"A cluster did not answer, so nothing is assumed about it.", "Check the kubeconfig Secret, the network and the API server of the cluster in the message."},
	SameCluster:        {"The kubeconfigs of source and target lead to one and the same cluster.", "Correct the Cluster whose kubeconfig is wrong."},
	ClusterReplaced:    {"A kubeconfig leads to another cluster than it did at first contact.", "Correct the kubeconfig, or make a new Cluster object if the cluster really is another one."},
	Overlaps:           {"Another migration has the same namespaces in one of these clusters under way, and every object has one writer.", "Let the one in the message end (`crossfade retire`, or `crossfade rollback --to Nothing`), or give the two different spec.namespaces."},
	VersionUnsupported: {"The freeze needs ValidatingAdmissionPolicy, which is stable from Kubernetes 1.30.", "Upgrade the cluster."},
	PermissionMissing:  {"The engine's account may not do something that the stage needs.", "Grant the verb and resource in the message; config/rbac has the complete role."},
	DecisionNeeded:     {"Some workloads are not plain serving Deployments, and how they move is not guessed.", "Add a decision for each to spec.decisions: Move, or Stay to leave it in the source, bridged."},
	NetworkUnreached:   {"From a node of one cluster no connection was made to the other's pods, or it could not be tried.", "Open routes and firewalls between both sides' pod ranges, as the message names them, and measure again; where they cannot be opened, move by weights instead of the bridge and waive the gate."},
	FindingBlocks:      {"A finding of the plan would hurt someone in a move; the gate has its id as its name.", "`crossfade explain` with the id says why and what to do; or waive it by its id, with a reason, an owner and an expiry."},
	CapacityShort:      {"The target has no room for what is to move.", "Add nodes or raise quotas in the target."},
	ZoneMissing:        {"A service that should hold the zone, or its parent, does not, or does not say so.", "Check spec.dns: servers, key and transfer permission (AXFR) of the service in the message."},
	ZoneSigned:         {"The parent holds DS records: answers of servers with other keys would be refused.", "Publish both services' keys in both copies (RFC 8901), or remove the DS and wait out its TTL."},
	LoweringTTL:        {"The TTLs on the path of the names are being changed.", "Nothing to do: it takes one update per record set."},
	OldTTLCached:       {"Resolvers may still hold answers with the old TTL or the old address.", "Nothing to do but wait: the message says how long."},
	RecordsChanged:     {"A record set is neither as it was nor as the migration wants it: someone else changed it.", "Put it back to either of the two in the message; the migration never overwrites it."},
	Propagating:        {"Not every authoritative server gives the new answer yet.", "Nothing to do; if it lasts, check zone transfer between the servers in the message."},

	MirrorNotSynced: {"The mirror has not brought every object over yet.", "Nothing to do while the count falls; `crossfade diff` names the objects."},
	ObjectHeld:      {"An object cannot be copied safely: it exists differently in the target, or acts when created.", "Remove the one in the target, decide about the object, or waive the gate `mirror`."},
	Drifted:         {"Someone changed, in the side that only follows, an object that the mirror keeps.", "Put the change into the writer's side, or undo it; it is never overwritten."},
	ZonesDiffer:     {"The two copies of the zone do not hold the same.", "Nothing to do while sets are copied; otherwise mend the set in the message."},
	BridgeBehind:    {"Some Services do not have the other side's pods yet.", "Nothing to do: the bridge follows within a second."},
	BridgeBlocked:   {"A Service cannot be bridged as it is.", "Change what the message names, or decide that its workload stays."},
	WarmingUp:       {"The first pods in the target are not ready yet.", "Nothing to do; if it lasts, look at the pods' events in the target."},
	EntryMissing:    {"An address at which the source is entered has no counterpart in the target.", "Check the ingress and balancer controllers of the target: the same Ingress or Service needs an address there."},

	NotLevel:         {"The two sides differ in some object.", "Nothing to do while the mirror follows; `crossfade diff` names the objects."},
	FreezeNotProved:  {"A team's write was not refused yet when it was tried.", "Nothing to do for the first seconds; then check that the API server takes ValidatingAdmissionPolicies."},
	FreezeTooLong:    {"Teams' changes have been refused for longer than spec.freeze.maxMinutes.", "`crossfade rollback`; raise the limit before you lead forward again."},
	RolloutsUnderWay: {"A rollout has not ended; a freeze would cut it in two.", "Let it end, or mend the Deployment in the message."},
	Archiving:        {"The source is being archived.", "Nothing to do."},
	ArchiveNotProved: {"No archive of the source was restored and compared yet.", "Set spec.archive with a bucket and a cluster to rehearse in, or waive the gate `archive`."},
	ArchiveDiffers:   {"What was restored from the archive is not what the source holds.", "Read the difference; an admission webhook of the rehearsal cluster is the usual cause."},
	TeamWriteSeen:    {"A team's change arrived on a side that is closed to teams.", "Find who is exempt and wrote it; look whether the other side has the change too; then waive the gate `writes`, or roll back."},

	CapacityMoving:     {"Pods are on their way, one make before one break.", "Nothing to do."},
	TargetNotReady:     {"New pods of the target are not ready.", "Look at the pods' events in the target."},
	SourceNotReady:     {"Pods of the source are not ready, so none can be spared.", "Mend the workload in the source."},
	Settling:           {"New pods are ready, but not for long enough yet.", "Nothing to do: spec.shift.settleSeconds says how long."},
	TooFewProbes:       {"Too few pairs of probes were made to rule out that users are worse off.", "Nothing to do but wait; a higher spec.objectives.probesPerSecond shortens it."},
	ErrorsWorse:        {"Probes fail more often on the target than on the source, beyond chance.", "`crossfade rollback`, or `crossfade hold` and look at the names in the message."},
	LatencyWorse:       {"Probes are slower on the target than on the source, beyond chance.", "`crossfade hold`, and look at the target's nodes and the names in the message."},
	TooManyQuarantined: {"More apps did not come up in the target than spec.maxQuarantined allows.", "Mend the apps in the message; `crossfade status` lists them."},
	EntryMoving:        {"Names are being led to the other side.", "Nothing to do."},
	DelegationMoving:   {"The zone's delegation is being led to the other servers.", "Nothing to do."},

	WriterMoving:   {"The mirror turns round; teams' changes are refused for these seconds.", "Nothing to do."},
	EndpointMoving: {"The API address that teams use is being led to the other side.", "Nothing to do but wait out its TTL."},
	Soaking:        {"Everything has moved; the source stands by.", "`crossfade retire` when you no longer want a way back."},

	FenceLost:         {"Another engine holds one of the clusters, so this one writes nothing.", "Nothing to do if a new engine has just taken over; otherwise stop one of the two."},
	Fused:             {"So much vanished from the writer's side at once, or a side went so far back, that the mirror does not believe it.", "Check that the writer's side is the right cluster and whole; it goes on when what vanished is back. Deletions that are meant pass while spec.waivers has one for `fuse`."},
	LedgerMissing:     {"Part of the ledger is gone, and what it held is not guessed.", "Put the Ledger objects back from a backup of the hub, or stop the controller and go back by the journal: `crossfade rollback --journal URL`."},
	LedgerUnreachable: {"The ledger, in the hub or in the bucket of the journal, does not answer; without it nothing is done.", "Check the hub's API server, and the bucket of spec.journal and the credentials for it."},
	JournalTaken:      {"The journal is kept by another hub now: somebody went back without this one.", "Stop this controller: what its hub says is no longer true."},
	Quarantined:       {"The app did not come up in the target in time and was left in the source, bridged.", "Mend it; it is tried again at the next stage."},
}
