package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	v1 "crossfade.dev/api/v1alpha1"
)

// Names of the gates, as waivers write them.
const (
	GateClusters   = "clusters"
	GateAlone      = "alone"
	GateVersions   = "versions"
	GateDecisions  = "decisions"
	GateZone       = "zone"
	GateMirror     = "mirror"
	GateDrift      = "drift"
	GateBridge     = "bridge"
	GateRollouts   = "rollouts"
	GateLevel      = "level"
	GateArchive    = "archive"
	GateQuarantine = "quarantine"
	GateStaying    = "staying"
	GateComparison = "comparison"
	GateReachable  = "reachable"
	GateNetworks   = "networks"
	// GateEntry is about the names of the estate and the entries of the target, and
	// GateServed about what the source still serves when it is to be let go.
	GateEntry  = "entry"
	GateServed = "served"
	// GateWrites is about writes that got past a freeze.
	GateWrites = "writes"
	// GatePermissions is about what the engine's account may do.
	GatePermissions = "permissions"

	GateObjective = "objective"
)

// Fuse is what a waiver names to let more deletions pass than the mirror believes.
// It is no gate of its own: what the fuse holds back is shown by the gate mirror.
const Fuse = "fuse"

// Waive marks each gate that has not passed and has a waiver in force. Where the last
// one has ended, what was observed says so.
func Waive(gates []v1.Gate, waivers []v1.Waiver, now time.Time) []v1.Gate {
	for i, g := range gates {
		if g.Verdict == v1.Passed {
			continue
		}
		waived, ended := WaiverOf(g.Name, waivers, now)
		gates[i].Waived = waived
		if ended != "" {
			gates[i].Observed = strings.TrimPrefix(g.Observed+"; "+ended, "; ")
		}
	}
	return gates
}

// Waived tells whether a waiver of that name is in force.
func Waived(name string, waivers []v1.Waiver, now time.Time) bool {
	waived, _ := WaiverOf(name, waivers, now)
	return waived != ""
}

// WaiverOf tells, for people, by whom, until when and why a gate or finding of that
// name is waived; or, if no waiver of it is in force, when and whose ended last. Both
// are empty without any.
func WaiverOf(name string, waivers []v1.Waiver, now time.Time) (waived, ended string) {
	var last v1.Waiver
	for _, w := range waivers {
		if w.Gate != name {
			continue
		}
		if now.Before(w.Expires.Time) {
			return fmt.Sprintf("%s until %s: %s", w.Owner, w.Expires.UTC().Format(time.RFC3339), w.Reason), ""
		}
		if !w.Expires.Time.Before(last.Expires.Time) {
			last = w
		}
	}
	if last.Gate == "" {
		return "", ""
	}
	return "", fmt.Sprintf("the waiver of %s ended %s", last.Owner, last.Expires.UTC().Format(time.RFC3339))
}

func passed(name, observed string) v1.Gate {
	return v1.Gate{Name: name, Verdict: v1.Passed, Reason: v1.Finished, Observed: observed}
}

func held(name string, reason v1.Reason, observed, limit string) v1.Gate {
	return v1.Gate{Name: name, Verdict: v1.Held, Reason: reason, Observed: observed, Limit: limit}
}

func failed(name string, reason v1.Reason, observed, limit string) v1.Gate {
	return v1.Gate{Name: name, Verdict: v1.Failed, Reason: reason, Observed: observed, Limit: limit}
}

// PreflightFacts is what Preflight's gates look at.
type PreflightFacts struct {
	Source, Target SiteFacts
	Apps           int
	Undecided      []Workload
	// Ways are those of the bridge that were measured; nil if nobody asked for that.
	Ways []Way
	// Names is nil if the migration has no zone.
	Names *NameFacts
	// Blocking are the findings that hold a migration, worst first.
	Blocking []Blocking
}

// Blocking is a finding that holds a migration until it is mended, or waived by its id.
type Blocking struct {
	// ID is the finding's, and so the gate's name; Title says what it is.
	ID, Title string
	// Objects is how many have it; First is one of them, with what was observed.
	Objects int
	First   string
}

// SiteFacts is what a cluster told about itself. Empty fields are unknown.
type SiteFacts struct {
	UID, Version string
	// Trouble is why it did not answer.
	Trouble string
}

// NameFacts is what the services of the migration's zone told.
type NameFacts struct {
	Zone string
	// Unreadable lists, for people, the zones that could not be read and why.
	Unreadable []string
	// Signed is true when the parent holds DS records for the zone.
	Signed bool
}

// PreflightGates tell whether the migration may begin.
func PreflightGates(f PreflightFacts) []v1.Gate {
	gates := []v1.Gate{clustersGate(f), versionsGate(f), decisionsGate(f)}
	if f.Names != nil {
		gates = append(gates, zoneGate(*f.Names))
	}
	gates = append(gates, ReachGates(f.Ways)...)
	for _, b := range f.Blocking {
		observed := b.First
		if b.Objects > 1 {
			observed = fmt.Sprintf("%s (and %d more)", b.First, b.Objects-1)
		}
		gates = append(gates, held(b.ID, v1.FindingBlocks, observed, "none: "+b.Title))
	}
	return gates
}

// AloneGate tells whether a migration has its namespaces for itself. Rivals are, for
// people, those that have some of them under way.
func AloneGate(rivals []string) v1.Gate {
	if len(rivals) > 0 {
		return held(GateAlone, v1.Overlaps, strings.Join(rivals, "; "), "no other migration has these namespaces under way in either cluster")
	}
	return passed(GateAlone, "no other migration has these namespaces under way")
}

// DecisionGates tell whether how every workload moves is known.
func DecisionGates(f PreflightFacts) []v1.Gate { return []v1.Gate{decisionsGate(f)} }

func clustersGate(f PreflightFacts) v1.Gate {
	switch {
	case f.Source.UID == "" || f.Target.UID == "":
		return held(GateClusters, v1.ClusterUnreachable, strings.TrimSpace(f.Source.Trouble+" "+f.Target.Trouble), "both clusters answer")
	case f.Source.UID == f.Target.UID:
		return failed(GateClusters, v1.SameCluster, "source and target are the same cluster, "+f.Source.UID, "two clusters")
	default:
		return passed(GateClusters, "two clusters")
	}
}

// OldestMinor is the first minor version of Kubernetes 1 in which
// ValidatingAdmissionPolicy, which the freeze is made of, is stable (KEP-3488).
const OldestMinor = 30

func versionsGate(f PreflightFacts) v1.Gate {
	observed := fmt.Sprintf("source %s, target %s", f.Source.Version, f.Target.Version)
	limit := fmt.Sprintf("v1.%d or later on both sides", OldestMinor)
	source, known := minor(f.Source.Version)
	target, alsoKnown := minor(f.Target.Version)
	switch {
	case !known || !alsoKnown:
		return held(GateVersions, v1.ClusterUnreachable, observed, limit)
	case source < OldestMinor || target < OldestMinor:
		return failed(GateVersions, v1.VersionUnsupported, observed, limit)
	default:
		return passed(GateVersions, observed)
	}
}

// minor reads the minor version of a version such as v1.36.3 or v1.33.1-eks-1.
func minor(version string) (int, bool) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 2 || parts[0] != "1" {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimRight(parts[1], "+"))
	return n, err == nil
}

func decisionsGate(f PreflightFacts) v1.Gate {
	if f.Apps == 0 {
		return held(GateDecisions, v1.DecisionNeeded, "no app was found in the estate's namespaces", "at least one app")
	}
	if len(f.Undecided) == 1 {
		return held(GateDecisions, v1.DecisionNeeded, "1 workload needs a decision: "+f.Undecided[0].ID(), "none")
	}
	if len(f.Undecided) > 0 {
		return held(GateDecisions, v1.DecisionNeeded,
			fmt.Sprintf("%d workloads need a decision, first %s", len(f.Undecided), f.Undecided[0].ID()), "none")
	}
	return passed(GateDecisions, fmt.Sprintf("%d apps, all decided", f.Apps))
}

func zoneGate(n NameFacts) v1.Gate {
	switch {
	case len(n.Unreadable) > 0:
		return held(GateZone, v1.ZoneMissing, n.Unreadable[0], "every service holds its zone")
	case n.Signed:
		return failed(GateZone, v1.ZoneSigned, "the parent holds DS records for "+n.Zone, "no DS, or keys that both services publish")
	default:
		return passed(GateZone, n.Zone+" is held by the old and the new servers")
	}
}

// FollowedFacts is what the mirror and the bridge last said.
type FollowedFacts struct {
	Synced             bool
	Objects, Differing int
	// Bridged is true once the bridge has been over every Service.
	Bridged bool
	// Behind is how many Services the bridge has not brought up to date.
	Behind int
	// Waiting says, for people, what some of the differing objects wait for.
	Waiting []string
	// Held, Drifted and Blocked say, for people, which objects the mirror does not
	// copy, which were changed on the other side, and which Services cannot be
	// bridged.
	Held, Drifted, Blocked []string
}

// FollowedGates tell whether mirror and bridge keep up.
func FollowedGates(f FollowedFacts) []v1.Gate {
	return []v1.Gate{mirrorGate(f), driftGate(f), bridgeGate(f)}
}

func mirrorGate(f FollowedFacts) v1.Gate {
	switch {
	case !f.Synced:
		return held(GateMirror, v1.MirrorNotSynced, "the first pass over every kind has not ended", "every kind seen")
	case len(f.Held) > 0:
		return held(GateMirror, v1.ObjectHeld, list(f.Held), "no object held back")
	case f.Differing > 0:
		return held(GateMirror, v1.MirrorNotSynced, fmt.Sprintf("%d of %d objects differ%s", f.Differing, f.Objects, first(f.Waiting)), "0")
	default:
		return passed(GateMirror, fmt.Sprintf("%d objects, level", f.Objects))
	}
}

func driftGate(f FollowedFacts) v1.Gate {
	if len(f.Drifted) > 0 {
		return held(GateDrift, v1.Drifted, list(f.Drifted), "nothing changed by others")
	}
	return passed(GateDrift, "nothing changed by others")
}

func bridgeGate(f FollowedFacts) v1.Gate {
	switch {
	case len(f.Blocked) > 0:
		return held(GateBridge, v1.BridgeBlocked, list(f.Blocked), "every Service bridged")
	case !f.Bridged:
		return held(GateBridge, v1.BridgeBehind, "the bridge has not been over every Service", "every Service seen")
	case f.Behind > 0:
		return held(GateBridge, v1.BridgeBehind, fmt.Sprintf("%d Services behind", f.Behind), "0")
	default:
		return passed(GateBridge, "every Service bridged")
	}
}

// LevelFacts is what a comparison of both sides found.
type LevelFacts struct {
	// Deployments are those of the writer's side.
	Deployments []*appsv1.Deployment
	// Differences say, for people, which objects differ.
	Differences []string
}

// LevelGates tell whether the two sides hold the same and nothing is on its way.
func LevelGates(f LevelFacts) []v1.Gate {
	level := passed(GateLevel, "no object differs")
	if len(f.Differences) > 0 {
		level = held(GateLevel, v1.NotLevel, list(f.Differences), "none")
	}
	return append(RolloutGates(f.Deployments), level)
}

// RolloutGates tell whether every rollout has ended. A rollout that began before a
// freeze must not be cut in two by it.
func RolloutGates(deployments []*appsv1.Deployment) []v1.Gate {
	var under []string
	for _, d := range deployments {
		if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < ptr.Deref(d.Spec.Replicas, 1) {
			under = append(under, d.Namespace+"/"+d.Name)
		}
	}
	if len(under) > 0 {
		return []v1.Gate{held(GateRollouts, v1.RolloutsUnderWay, list(under), "none under way")}
	}
	return []v1.Gate{passed(GateRollouts, "none under way")}
}

// QuarantineGates tell whether more apps were left behind than the policy allows.
func QuarantineGates(quarantined, most int32) []v1.Gate {
	observed := fmt.Sprintf("%d apps quarantined", quarantined)
	if quarantined > most {
		return []v1.Gate{held(GateQuarantine, v1.TooManyQuarantined, observed, fmt.Sprintf("at most %d", most))}
	}
	return []v1.Gate{passed(GateQuarantine, observed)}
}

// first is the first item, as a remark; "" if there is none.
func first(items []string) string {
	if len(items) == 0 {
		return ""
	}
	return ", first " + items[0]
}

// list names the first and counts the rest.
func list(items []string) string {
	if len(items) == 1 {
		return items[0]
	}
	return fmt.Sprintf("%s (and %d more)", items[0], len(items)-1)
}
