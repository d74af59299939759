package migration

import (
	"context"
	"fmt"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/mirror"
	"crossfade.dev/internal/plan"
)

// prepare lets the target come to hold everything, at zero: objects by the mirror,
// names in the new zone, the source's pods behind the target's Services, and a few
// warm pods, which are asked through the target's own entry.
func (e *Engine) prepare(ctx context.Context, v *visit) (Progress, error) {
	if p, err := e.copyZone(ctx, v, nil, false); err != nil || p.outcome != done {
		return p, err
	}
	gates := plan.Waive(plan.FollowedGates(v.facts()), v.m.Spec.Waivers, e.Clock.Now())
	if p := Through(gates); p != nil {
		return *p, e.recordMoves(ctx, v)
	}
	if p, err := e.close(ctx, v, v1.Target); err != nil || p.outcome != done {
		return p, err
	}
	p, err := e.carry(ctx, v, warm(v.m.Spec.Shift))
	if err != nil || p.outcome != done {
		if p.Reason == v1.CapacityMoving {
			p.Reason = v1.WarmingUp
		}
		p.Gates = gates
		return p, err
	}
	if err := e.recordMoves(ctx, v); err != nil {
		return Progress{}, err
	}
	return e.judged(ctx, v, "warm", gates)
}

// facts are what the mirror and the bridge said, for the gates.
func (v *visit) facts() plan.FollowedFacts {
	f := plan.FollowedFacts{
		Synced: v.followed.Synced, Objects: v.followed.Mirror.Objects, Differing: v.followed.Mirror.Differing,
		Bridged: v.followed.Bridged, Behind: len(v.followed.Bridge.Behind),
	}
	for _, h := range v.followed.Mirror.Held {
		if !v.stays(h.Object) {
			f.Held = append(f.Held, h.String())
		}
	}
	for _, b := range v.followed.Mirror.Busy {
		f.Waiting = append(f.Waiting, b.String())
	}
	for _, b := range v.followed.Bridge.Blocked {
		f.Blocked = append(f.Blocked, fmt.Sprintf("Service %s: %s", b.Service, b.Text))
	}
	for _, d := range v.followed.Mirror.Drift {
		if !d.Adopted {
			f.Drifted = append(f.Drifted, fmt.Sprintf("%s: %s", d.Object, d.Text))
		}
	}
	return f
}

// stays tells whether the object is a workload that was decided to stay: then it
// need not stand in the target.
func (v *visit) stays(o mirror.Object) bool {
	staying := v.estate.Workloads(func(w plan.Workload) bool {
		return w.Decide == v1.DecideStay && w.Kind == o.Kind && w.Namespace == o.Namespace && w.Name == o.Name
	})
	return len(staying) > 0
}

// undoPrepare takes away, by the ledger alone, what was created in the target and
// in the new copy of the zone.
func (e *Engine) undoPrepare(ctx context.Context, v *visit) (Progress, error) {
	if !v.followed.Bridged || len(v.followed.Bridge.Behind) > 0 {
		return Again(v1.BridgeBehind, "%d Services are still bridged", len(v.followed.Bridge.Behind)), nil
	}
	left, finished, err := e.Follower.Remove(ctx, v.subject())
	if err != nil {
		return Progress{}, fmt.Errorf("remove what was created in %s: %w", v.target.name, err)
	}
	if !finished {
		return Again(v1.Busy, "removing what was created in %s", v.target.name), nil
	}
	if p, err := e.clearZone(ctx, v); err != nil || p.outcome != done {
		return p, err
	}
	if p, err := e.open(ctx, v, v1.Target); err != nil || p.outcome != done {
		return p, err
	}
	p := Done()
	if len(left) > 0 {
		p.Message = fmt.Sprintf("left for a person: %s%s", left[0], andMore(len(left)))
	}
	return p, nil
}
