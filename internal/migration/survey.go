package migration

import (
	"context"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// A Survey is what a migration would find if it began now.
type Survey struct {
	// Moves are the apps as they would be recorded.
	Moves []v1.Move
	// Gates are Preflight's.
	Gates []v1.Gate
}

// Survey takes the inventory and looks through Preflight's gates. It writes nothing,
// and needs no hub: of the engine it uses the Clock, and Zones if the migration has
// names.
func (e *Engine) Survey(ctx context.Context, m *v1.Migration, source, target Connection) (Survey, error) {
	v := &visit{
		m:      m.DeepCopy(),
		source: site{side: v1.Source, name: m.Spec.Source, api: source.API, facts: source.Facts},
		target: site{side: v1.Target, name: m.Spec.Target, api: target.API, facts: target.Facts},
	}
	for _, s := range []*site{&v.source, &v.target} {
		if err := s.read(ctx, Scope(m)); err != nil {
			return Survey{}, wrap("read "+s.name, err)
		}
	}
	var err error
	if v.estate, err = e.inventory(ctx, m, &v.source); err != nil {
		return Survey{}, wrap("take the inventory of "+m.Spec.Source, err)
	}
	facts, err := e.preflightFacts(ctx, v)
	if err != nil {
		return Survey{}, err
	}
	out := Survey{Gates: plan.Waive(plan.PreflightGates(facts), m.Spec.Waivers, e.Clock.Now())}
	for _, s := range e.standingsOf(v, &standings{}) {
		move := newMove(m, s.app)
		move.Status = s.status
		out.Moves = append(out.Moves, *move)
	}
	return out, nil
}
