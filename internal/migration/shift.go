package migration

import (
	"context"

	"crossfade.dev/internal/plan"
)

// shift brings the agreed share of every workload's capacity to the target, pod by
// pod: names and clients stay where they are, and the bridge leads traffic to the
// pods of both sides.
func (e *Engine) shift(ctx context.Context, v *visit) (Progress, error) {
	if p, err := e.sitOn(ctx, v); err != nil || p.outcome != done {
		return p, err
	}
	gates := plan.Waive(plan.FollowedGates(v.facts()), v.m.Spec.Waivers, e.Clock.Now())
	if p := Through(gates); p != nil {
		return *p, nil
	}
	p, err := e.carry(ctx, v, split(v.m.Spec.Shift.SharePercent))
	if err != nil {
		return Progress{}, err
	}
	if err := e.recordMoves(ctx, v); err != nil {
		return Progress{}, err
	}
	if p.outcome != done {
		p.Gates = gates
		return p, nil
	}
	return e.judged(ctx, v, "share", gates)
}

// undoShift brings all capacity back to the source.
func (e *Engine) undoShift(ctx context.Context, v *visit) (Progress, error) {
	p, err := e.carry(ctx, v, warm(v.m.Spec.Shift))
	if err != nil || p.outcome != done {
		return p, err
	}
	return p, e.recordMoves(ctx, v)
}
