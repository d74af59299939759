package migration

import (
	"context"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/plan"
)

// A Survey is what a migration would find if it began now.
type Survey struct {
	// Estate is the source's inventory.
	Estate plan.Estate
	// Moves are the apps as they would be recorded.
	Moves []v1.Move
	// Gates are Preflight's.
	Gates []v1.Gate
}

// Seen is one cluster as it was read.
type Seen struct {
	Objects plan.Objects
	// Facts is nil if nobody can be asked, because the objects come from files.
	Facts cluster.Facts
}

// Survey takes the inventory and looks through Preflight's gates, in what was read of
// both clusters. It lists nothing, writes nothing, and needs no hub: of the engine it
// uses the Clock, and Zones if the migration has names. Where there are no Facts, only
// the gates that need none are looked through.
func (e *Engine) Survey(ctx context.Context, m *v1.Migration, source, target Seen) (Survey, error) {
	v := &visit{
		m:      m.DeepCopy(),
		source: seenSite(v1.Source, m.Spec.Source, source, Scope(m)),
		target: seenSite(v1.Target, m.Spec.Target, target, Scope(m)),
	}
	v.estate = plan.Inventory(source.Objects.Within(Scope(m)), m.Spec.Decisions)
	facts := plan.PreflightFacts{Apps: len(v.estate.Apps), Undecided: v.estate.Workloads(plan.NeedsDecision)}
	gates := plan.DecisionGates(facts)
	if source.Facts != nil && target.Facts != nil {
		var err error
		if facts, err = e.preflightFacts(ctx, v); err != nil {
			return Survey{}, err
		}
		gates = plan.PreflightGates(facts)
	}
	out := Survey{Estate: v.estate, Gates: plan.Waive(gates, m.Spec.Waivers, e.Clock.Now())}
	for _, s := range e.standingsOf(v, &standings{}) {
		move := newMove(m, s.app)
		move.Status = s.status
		out.Moves = append(out.Moves, *move)
	}
	return out, nil
}

// seenSite is a site of what was read already.
func seenSite(side v1.Side, name string, seen Seen, in func(string) bool) site {
	o := seen.Objects.Within(in)
	return site{
		side: side, name: name, facts: seen.Facts, last: &looked{},
		deployments: byKey(o.Deployments), autoscalers: byKey(o.Autoscalers), services: byKey(o.Services), ingresses: o.Ingresses,
	}
}
