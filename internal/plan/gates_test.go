package plan

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// find is the gate of that name; a gate that is missing is found out by its verdict.
func find(gates []v1.Gate, name string) v1.Gate {
	for _, g := range gates {
		if g.Name == name {
			return g
		}
	}
	return v1.Gate{}
}

func TestAloneGate(t *testing.T) {
	if g := AloneGate(nil); g.Name != GateAlone || g.Verdict != v1.Passed {
		t.Errorf("without rivals: %+v", g)
	}
	if g := AloneGate([]string{"migration a has shop in east"}); g.Verdict != v1.Held || g.Reason != v1.Overlaps || g.Observed == "" {
		t.Errorf("with one: %+v", g)
	}
}

func TestPreflightGates(t *testing.T) {
	ready := PreflightFacts{
		Source: SiteFacts{UID: "a", Version: "v1.33.1-eks-1"}, Target: SiteFacts{UID: "b", Version: "v1.36.3"},
		Apps: 3, Names: &NameFacts{Zone: "live.example.com"},
	}
	change := func(f func(*PreflightFacts)) PreflightFacts {
		facts, names := ready, *ready.Names
		facts.Names = &names
		f(&facts)
		return facts
	}
	tests := []struct {
		name   string
		facts  PreflightFacts
		gate   string
		want   v1.Verdict
		reason v1.Reason
	}{
		{"two clusters", ready, GateClusters, v1.Passed, v1.Finished},
		{"one and the same", change(func(f *PreflightFacts) { f.Target.UID = "a" }), GateClusters, v1.Failed, v1.SameCluster},
		{"a cluster that did not answer", change(func(f *PreflightFacts) { f.Target = SiteFacts{Trouble: "timeout"} }), GateClusters, v1.Held, v1.ClusterUnreachable},
		{"versions that will do", ready, GateVersions, v1.Passed, v1.Finished},
		{"a version too old to freeze", change(func(f *PreflightFacts) { f.Source.Version = "v1.29.15" }), GateVersions, v1.Failed, v1.VersionUnsupported},
		{"the oldest that will do", change(func(f *PreflightFacts) { f.Source.Version = "v1.30.0" }), GateVersions, v1.Passed, v1.Finished},
		{"a version that nobody knows", change(func(f *PreflightFacts) { f.Source.Version = "" }), GateVersions, v1.Held, v1.ClusterUnreachable},
		{"all decided", ready, GateDecisions, v1.Passed, v1.Finished},
		{"one undecided", change(func(f *PreflightFacts) { f.Undecided = []Workload{{Kind: "Job"}} }), GateDecisions, v1.Held, v1.DecisionNeeded},
		{"an empty estate", change(func(f *PreflightFacts) { f.Apps = 0 }), GateDecisions, v1.Held, v1.DecisionNeeded},
		{"zones that can be read", ready, GateZone, v1.Passed, v1.Finished},
		{"a zone that cannot", change(func(f *PreflightFacts) { f.Names.Unreadable = []string{"refused"} }), GateZone, v1.Held, v1.ZoneMissing},
		{"a signed zone", change(func(f *PreflightFacts) { f.Names.Signed = true }), GateZone, v1.Failed, v1.ZoneSigned},
		{"nothing is known yet", PreflightFacts{}, GateClusters, v1.Held, v1.ClusterUnreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := find(PreflightGates(tt.facts), tt.gate)
			if g.Verdict != tt.want || g.Reason != tt.reason {
				t.Errorf("%s: %s (%s), want %s (%s)", tt.gate, g.Verdict, g.Reason, tt.want, tt.reason)
			}
		})
	}
}

func TestFollowedGates(t *testing.T) {
	level := FollowedFacts{Synced: true, Bridged: true, Objects: 9}
	tests := []struct {
		name  string
		facts FollowedFacts
		gate  string
		want  v1.Verdict
	}{
		{"level", level, GateMirror, v1.Passed},
		{"nothing differs because nothing was looked at", FollowedFacts{}, GateMirror, v1.Held},
		{"one differs", FollowedFacts{Synced: true, Objects: 9, Differing: 1}, GateMirror, v1.Held},
		{"one is held back", FollowedFacts{Synced: true, Objects: 9, Held: []string{"x"}}, GateMirror, v1.Held},
		{"nobody changed a copy", level, GateDrift, v1.Passed},
		{"somebody did", FollowedFacts{Synced: true, Drifted: []string{"x"}}, GateDrift, v1.Held},
		{"every Service bridged", level, GateBridge, v1.Passed},
		{"one behind", FollowedFacts{Bridged: true, Behind: 1}, GateBridge, v1.Held},
		{"one that cannot be", FollowedFacts{Bridged: true, Blocked: []string{"x"}}, GateBridge, v1.Held},
		{"nothing known of the bridge", FollowedFacts{}, GateBridge, v1.Held},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if g := find(FollowedGates(tt.facts), tt.gate); g.Verdict != tt.want {
				t.Errorf("%s: %s (%s), want %s", tt.gate, g.Verdict, g.Reason, tt.want)
			}
		})
	}
}

func TestRolloutsAreUnderWay(t *testing.T) {
	three := int32(3)
	rollout := func(generation, observed int64, updated int32) []*appsv1.Deployment {
		return []*appsv1.Deployment{{
			ObjectMeta: metav1.ObjectMeta{Generation: generation}, Spec: appsv1.DeploymentSpec{Replicas: &three},
			Status: appsv1.DeploymentStatus{ObservedGeneration: observed, UpdatedReplicas: updated},
		}}
	}
	tests := []struct {
		name        string
		deployments []*appsv1.Deployment
		want        v1.Verdict
	}{
		{"ended", rollout(2, 2, 3), v1.Passed},
		{"not seen by its controller yet", rollout(2, 1, 3), v1.Held},
		{"one replica behind", rollout(2, 2, 2), v1.Held},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if g := RolloutGates(tt.deployments)[0]; g.Verdict != tt.want {
				t.Errorf("%s (%s), want %s", g.Verdict, g.Observed, tt.want)
			}
		})
	}
}

func TestAWaiverCountsUntilItExpires(t *testing.T) {
	expires := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	waivers := []v1.Waiver{{Gate: GateDrift, Owner: "ana", Reason: "known", Expires: metav1.NewTime(expires)}}
	tests := []struct {
		name   string
		gate   v1.Gate
		now    time.Time
		waived string
		seen   string
	}{
		{"in force", v1.Gate{Name: GateDrift, Verdict: v1.Held}, expires.Add(-1), "ana until 2026-11-22T00:00:00Z: known", ""},
		{"expired", v1.Gate{Name: GateDrift, Verdict: v1.Held}, expires, "", "the waiver of ana ended 2026-11-22T00:00:00Z"},
		{"of another gate", v1.Gate{Name: GateMirror, Verdict: v1.Held}, expires.Add(-1), "", ""},
		{"not needed", v1.Gate{Name: GateDrift, Verdict: v1.Passed}, expires.Add(-1), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Waive([]v1.Gate{tt.gate}, waivers, tt.now)[0]
			if got.Waived != tt.waived || got.Observed != tt.seen {
				t.Errorf("waived by %q, observed %q, want %q and %q", got.Waived, got.Observed, tt.waived, tt.seen)
			}
		})
	}
}

func TestAWaiverIsInForceByNameUntilItExpires(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	waivers := []v1.Waiver{{Gate: Fuse, Owner: "ann", Expires: metav1.NewTime(now.Add(time.Minute))}}
	if !Waived(Fuse, waivers, now) {
		t.Error("the waiver is not in force")
	}
	if Waived(Fuse, waivers, now.Add(time.Minute)) {
		t.Error("the waiver is in force after it expired")
	}
	if Waived(GateMirror, waivers, now) {
		t.Error("the waiver lets another gate pass")
	}
}
