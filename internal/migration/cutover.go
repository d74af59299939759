package migration

import (
	"context"
	"fmt"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/zone"
)

// cutover leads the names to the target, step by step and in the zone that
// resolvers still use; then the delegation, when that no longer changes an answer;
// then the rest of the capacity. Clients that never ask again enter the source and
// are answered over the bridge.
func (e *Engine) cutover(ctx context.Context, v *visit) (Progress, error) {
	if p, err := e.sitOn(ctx, v); err != nil || p.outcome != done {
		return p, err
	}
	if p, err := e.copyLate(ctx, v); err != nil || p.outcome != done {
		return p, err
	}
	if v.m.Spec.DNS != nil && v.m.Status.Entry < 100 {
		return e.enterNext(ctx, v)
	}
	if !v.delegated() { // names may have been added since all were led
		if p, err := e.enter(ctx, v, 100); err != nil || p.outcome != done {
			return p, err
		}
	}
	// Old and new servers give the same answers, so that capacity need not wait for
	// the delegation, nor for the last resolver to follow it.
	delegated, err := e.settleDelegation(ctx, v)
	if err != nil || delegated.outcome == held || delegated.outcome == failed {
		return delegated, err
	}
	p, err := e.carry(ctx, v, split(100))
	if err != nil {
		return Progress{}, err
	}
	if err := e.recordMoves(ctx, v); err != nil || p.outcome != done {
		return p, err
	}
	if delegated.outcome != done {
		return delegated, nil
	}
	return e.judged(ctx, v, "moved", nil)
}

// settleDelegation flips the delegation, and is Done once resolvers have followed it.
func (e *Engine) settleDelegation(ctx context.Context, v *visit) (Progress, error) {
	if p, err := e.delegate(ctx, v, v1.Target); err != nil || p.outcome != done {
		return p, err
	}
	if left, over := e.waited(v, delegationWait, ttl(v.m)); !over {
		return waiting(v1.DelegationMoving, left, "resolvers may still follow the old delegation"), nil
	}
	return Done(), nil
}

// enterNext leads the next share of the names to the target. The share counts as
// reached, in status, when the old answers have run out and the judge has passed
// what users then met.
func (e *Engine) enterNext(ctx context.Context, v *visit) (Progress, error) {
	steps := make([]int, len(v.m.Spec.DNS.Steps))
	for i, s := range v.m.Spec.DNS.Steps {
		steps[i] = int(s)
	}
	percent, more := zone.NextPercent(steps, int(v.m.Status.Entry))
	if !more {
		percent = 100
	}
	if p, err := e.enter(ctx, v, int32(percent)); err != nil || p.outcome != done {
		return p, err
	}
	name := fmt.Sprintf("entry-%d", percent)
	e.hearEvidence(v, name)
	if left, over := e.waited(v, name, ttl(v.m)); !over {
		return waiting(v1.OldTTLCached, left, fmt.Sprintf("%d %% of the names lead to the target; old answers may live", percent)), nil
	}
	p, err := e.judged(ctx, v, name, nil)
	if err != nil || p.outcome != done {
		return p, err
	}
	v.m.Status.Entry = int32(percent)
	again := Again(v1.EntryMoving, "%d %% of the names lead to the target", percent)
	again.Gates = p.Gates
	return again, nil
}

// undoCutover brings capacity back to where Shift had left it, then every name in
// both copies of the zone, then the delegation.
func (e *Engine) undoCutover(ctx context.Context, v *visit) (Progress, error) {
	p, err := e.carry(ctx, v, split(v.m.Spec.Shift.SharePercent))
	if err != nil || p.outcome != done {
		return p, err
	}
	if v.m.Status.Entry != 0 { // durable first: forward again begins at the first step
		v.m.Status.Entry = 0
		return Again(v1.EntryMoving, "the names go back to the source"), nil
	}
	if p, err := e.enter(ctx, v, 0); err != nil || p.outcome != done {
		return p, err
	}
	if left, over := e.waited(v, "entry-back", ttl(v.m)); !over {
		return waiting(v1.OldTTLCached, left, "every name leads to the source; old answers may live"), nil
	}
	if p, err := e.keepAdded(ctx, v); err != nil || p.outcome != done {
		return p, err
	}
	if p, err := e.delegate(ctx, v, v1.Source); err != nil || p.outcome != done {
		return p, err
	}
	if left, over := e.waited(v, "delegation-back", ttl(v.m)); !over {
		return waiting(v1.DelegationMoving, left, "resolvers may still follow the new delegation"), nil
	}
	return Done(), nil
}

// keepAdded carries back what people have added to the new copy of the zone, if it
// was ever delegated there.
func (e *Engine) keepAdded(ctx context.Context, v *visit) (Progress, error) {
	if v.m.Spec.DNS == nil {
		return Done(), nil
	}
	old, fresh, _, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	led, _, err := e.before(ctx, v, delegationPart, nil)
	if err != nil || len(led) == 0 {
		return Done(), err
	}
	return e.copyBack(ctx, v, old, fresh)
}
