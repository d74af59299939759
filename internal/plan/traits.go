package plan

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// A sign is one way to recognise a trait: it returns the evidence, or "".
type sign struct {
	trait v1.Trait
	see   func(s *subject) string
	// lasts is true if nothing is looked at but the kind, what the workload's generation
	// covers, and whether a Service leads to it.
	lasts bool
}

// signs lists how traits are recognised. Several may hold for one workload; what
// no sign tells stays unknown and is asked for.
var signs = [...]sign{
	{v1.Operated, seeOperator, false},
	{v1.Daemon, ofKind("DaemonSet"), true},
	{v1.Scheduled, ofKind("CronJob"), true},
	{v1.JobTrait, ofKind("Job"), true},
	{v1.JobTrait, ofKind("Pod"), true},
	{v1.Stateful, seeStatefulSet, false},
	{v1.Stateful, seeVolume, true},
	{v1.Stateful, seeStoreImage, true},
	{v1.Stateful, seeStorePort, true},
	{v1.Singleton, seeAlone, false},
	{v1.LeaderElecting, seeLeaderElection, true},
	{v1.LeaderElecting, seeHeldLease, false},
	{v1.SelfScheduled, seeScheduler, true},
	{v1.Gossiping, seeGossip, true},
	{v1.QueueClient, seeTrigger, false},
	{v1.QueueClient, seeConsumer, true},
	{v1.QueueClient, seeQueue, true},
	{v1.SessionAffine, seeAffinity, false},
	{v1.Serving, seeService, false},
}

func traits(s shape, w Workload, c context, known *shown) []v1.TraitEvidence {
	var found []v1.TraitEvidence
	about := &subject{shape: s, w: w, around: c}
	for i, sign := range signs {
		if slices.ContainsFunc(found, func(t v1.TraitEvidence) bool { return t.Trait == sign.trait }) {
			continue
		}
		evidence := known.evidence[i]
		if !known.looked[i] {
			evidence = sign.see(about)
		}
		if sign.lasts {
			known.looked[i], known.evidence[i] = true, evidence
		}
		if evidence != "" {
			found = append(found, v1.TraitEvidence{Trait: sign.trait, Evidence: evidence})
		}
	}
	return found
}

// decide tells how a workload moves: by the most specific decision about it, else
// by its traits. A decision to move counts for Deployments only: nothing else can be
// moved yet. Only a Deployment that serves, and shows no stricter trait, moves
// unasked.
func decide(w Workload, decisions map[string]v1.Decide) v1.Decide {
	if d, ok := decision(w, decisions); ok && (d != v1.DecideMove || w.Kind == "Deployment") {
		return d
	}
	serving := false
	for _, t := range w.Traits {
		switch t.Trait {
		case v1.Serving:
			serving = true
		case v1.SessionAffine:
		default:
			return v1.Undecided
		}
	}
	if w.Kind == "Deployment" && serving {
		return v1.DecideMove
	}
	return v1.Undecided
}

func decision(w Workload, decisions map[string]v1.Decide) (v1.Decide, bool) {
	if len(decisions) == 0 {
		return "", false
	}
	for _, name := range []string{
		w.ID(), w.Kind + "/" + w.Namespace + "/*", w.Kind + "/*/*",
	} {
		if d, made := decisions[name]; made {
			return d, true
		}
	}
	return "", false
}

// byWorkload finds the decision about each name; the first counts.
func byWorkload(decisions []v1.Decision) map[string]v1.Decide {
	out := make(map[string]v1.Decide, len(decisions))
	for _, d := range slices.Backward(decisions) {
		out[d.Workload] = d.Decide
	}
	return out
}

// Has tells whether a workload shows a trait.
func (w Workload) Has(trait v1.Trait) bool {
	return slices.ContainsFunc(w.Traits, func(t v1.TraitEvidence) bool { return t.Trait == trait })
}

func ofKind(kind string) func(*subject) string {
	return func(s *subject) string {
		if s.kind != kind {
			return ""
		}
		if kind == "Pod" && metav1.GetControllerOf(s.meta) == nil {
			return "a bare Pod: nobody makes it again"
		}
		return "it is a " + kind
	}
}

func seeOperator(s *subject) string {
	if owner := metav1.GetControllerOf(s.meta); owner != nil {
		return fmt.Sprintf("controlled by %s %s", owner.Kind, owner.Name)
	}
	if by := s.meta.Labels["app.kubernetes.io/managed-by"]; strings.Contains(strings.ToLower(by), "operator") {
		return "labelled as managed by " + by
	}
	return ""
}

func seeAlone(s *subject) string { return s.alone }

func seeService(s *subject) string {
	if len(s.w.Services) == 0 {
		return ""
	}
	return "reached through Service " + strings.Join(s.w.Services, ", ")
}
