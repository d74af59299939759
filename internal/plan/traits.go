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
	see   func(s shape, w Workload, c context) string
}

// signs lists how traits are recognised. Several may hold for one workload; what
// no sign tells stays unknown and is asked for.
var signs = []sign{
	{v1.Operated, seeOperator},
	{v1.Daemon, ofKind("DaemonSet")},
	{v1.Scheduled, ofKind("CronJob")},
	{v1.JobTrait, ofKind("Job")},
	{v1.JobTrait, ofKind("Pod")},
	{v1.Stateful, seeStatefulSet},
	{v1.Stateful, seeVolume},
	{v1.Stateful, seeStoreImage},
	{v1.Stateful, seeStorePort},
	{v1.Singleton, seeAlone},
	{v1.LeaderElecting, seeLeaderElection},
	{v1.LeaderElecting, seeHeldLease},
	{v1.SelfScheduled, seeScheduler},
	{v1.Gossiping, seeGossip},
	{v1.QueueClient, seeTrigger},
	{v1.QueueClient, seeConsumer},
	{v1.QueueClient, seeQueue},
	{v1.SessionAffine, seeAffinity},
	{v1.Serving, seeService},
}

func traits(s shape, w Workload, c context) []v1.TraitEvidence {
	var found []v1.TraitEvidence
	for _, sign := range signs {
		known := slices.ContainsFunc(found, func(t v1.TraitEvidence) bool { return t.Trait == sign.trait })
		if known {
			continue
		}
		if evidence := sign.see(s, w, c); evidence != "" {
			found = append(found, v1.TraitEvidence{Trait: sign.trait, Evidence: evidence})
		}
	}
	return found
}

// decide tells how a workload moves: by the most specific decision about it, else
// by its traits. A decision to move counts for Deployments only: nothing else can be
// moved yet. Only a Deployment that serves, and shows no stricter trait, moves
// unasked.
func decide(w Workload, decisions []v1.Decision) v1.Decide {
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

func decision(w Workload, decisions []v1.Decision) (v1.Decide, bool) {
	for _, name := range []string{
		w.ID(), w.Kind + "/" + w.Namespace + "/*", w.Kind + "/*/*",
	} {
		i := slices.IndexFunc(decisions, func(d v1.Decision) bool { return d.Workload == name })
		if i >= 0 {
			return decisions[i].Decide, true
		}
	}
	return "", false
}

// Has tells whether a workload shows a trait.
func (w Workload) Has(trait v1.Trait) bool {
	return slices.ContainsFunc(w.Traits, func(t v1.TraitEvidence) bool { return t.Trait == trait })
}

func ofKind(kind string) func(shape, Workload, context) string {
	return func(s shape, _ Workload, _ context) string {
		if s.kind != kind {
			return ""
		}
		if kind == "Pod" {
			return "a bare Pod: nobody makes it again"
		}
		return "it is a " + kind
	}
}

func seeOperator(s shape, _ Workload, _ context) string {
	if owner := metav1.GetControllerOf(s.meta); owner != nil {
		return fmt.Sprintf("controlled by %s %s", owner.Kind, owner.Name)
	}
	if by := s.meta.Labels["app.kubernetes.io/managed-by"]; strings.Contains(strings.ToLower(by), "operator") {
		return "labelled as managed by " + by
	}
	return ""
}

func seeAlone(s shape, _ Workload, _ context) string { return s.alone }

func seeService(_ shape, w Workload, _ context) string {
	if len(w.Services) == 0 {
		return ""
	}
	return "reached through Service " + strings.Join(w.Services, ", ")
}
