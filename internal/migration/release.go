package migration

import (
	"context"
	"fmt"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// release hands over the writer and the endpoint: with both sides closed to teams
// the mirror is brought level and turned, the target opens, and the address that
// teams use leads there. The source stays closed.
func (e *Engine) release(ctx context.Context, v *visit) (Progress, error) {
	return e.handOver(ctx, v, v1.Target)
}

// undoRelease hands the writer and the endpoint back. The mirror has carried to
// the source what teams changed since.
func (e *Engine) undoRelease(ctx context.Context, v *visit) (Progress, error) {
	return e.handOver(ctx, v, v1.Source)
}

// handOver makes a side the writer, and leads the endpoint there.
func (e *Engine) handOver(ctx context.Context, v *visit, to v1.Side) (Progress, error) {
	from := to.Other()
	switch {
	case v.m.Status.Writer == to:
	case v.on(from).lost:
		return e.takeOver(v, to), nil
	default:
		return e.turn(ctx, v, to)
	}
	// A hand-over that was begun and is not wanted any longer is taken back here.
	if p, err := e.wake(ctx, v, to); err != nil || p.outcome != done {
		return p, err
	}
	// Both sides were closed when the mirror turned; a restart may have opened none.
	if p, err := e.open(ctx, v, to); err != nil || p.outcome != done {
		return p, err
	}
	if v.m.Status.Endpoint != to {
		v.moment(endpointMoves, e.Clock.Now())
	}
	if p, err := e.point(ctx, v, to); err != nil || p.outcome != done {
		return p, err
	}
	v.m.Status.Endpoint = to
	if left, over := e.waited(v, "endpoint-"+string(to), ttl(v.m)); !over {
		return waiting(v1.EndpointMoving, left, fmt.Sprintf("the API address of teams leads to the %s; old answers may live", to.Word())), nil
	}
	if _, moved := v.noted(endpointMoves); moved {
		return Done(), e.thaw(ctx, v, from)
	}
	return Done(), nil
}

// endpointMoves is when the endpoint was first to change sides; a Release that never
// turned leaves it where it was.
const endpointMoves = "endpoint-moves"

// turn closes the writer's side, brings the mirror level, and turns it. What it decides
// by was looked at after the side was closed: replica counts do not travel with the
// mirror, and what teams want is known only on the side to which they say so.
func (e *Engine) turn(ctx context.Context, v *visit, to v1.Side) (Progress, error) {
	from := to.Other()
	if p, err := e.takeUp(ctx, v, to); err != nil || p.outcome != done {
		return p, err
	}
	if outdated, err := v.on(from).outdated(ctx); err != nil || outdated > 0 {
		return waitForReads(gaps{outdated: outdated}), err
	}
	if gates := plan.Waive(plan.RolloutGates(values(v.on(from).deployments)), v.m.Spec.Waivers, e.Clock.Now()); Through(gates) != nil {
		return *Through(gates), nil
	}
	if p, err := e.close(ctx, v, to); err != nil || p.outcome != done {
		return p, err
	}
	if p, err := e.sit(ctx, v, from); err != nil || p.outcome != done {
		return p, err
	}
	gates, err := e.levelGates(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	if p := Through(gates); p != nil {
		return *p, nil
	}
	if p, err := e.wake(ctx, v, to); err != nil || p.outcome != done {
		return p, err
	}
	v.m.Status.Writer = to
	p := Again(v1.WriterMoving, "the mirror is level and turns: teams write to the %s", to.Word())
	p.Gates = gates
	return p, nil
}

// takeUp records what teams want of each workload. On the way forward the target must
// run it before teams are led there: afterwards their counts are their own.
func (e *Engine) takeUp(ctx context.Context, v *visit, to v1.Side) (Progress, error) {
	if to == v1.Target {
		return e.carry(ctx, v, split(100))
	}
	book, err := e.openStandings(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	if _, left := e.weigh(v, book, split(100)); left.outdated > 0 {
		return waitForReads(left), nil
	}
	return Done(), book.save(ctx, v)
}

// retire lets go of the source, for ever: the mirror and the bridge end. The source
// stays closed, because nothing follows it any more: what a team changed there would
// be lost without a word.
func (e *Engine) retire(ctx context.Context, v *visit) (Progress, error) {
	gates, err := e.retireGates(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	if p := Through(gates); p != nil {
		return *p, nil
	}
	record, err := e.freezeRecord(ctx, v, v1.Source)
	if err != nil {
		return Progress{}, err
	}
	notice := e.notice(v, record)
	notice.Reason = fmt.Sprintf("its apps have moved to %s, and nothing follows this cluster any more", v.target.name)
	if _, err := e.renew(ctx, &v.source, notice); err != nil {
		return Progress{}, err
	}
	setRetired(v.m)
	e.Tell(v.m, v1.Finished, fmt.Sprintf("%s let go of the source %s, which stays closed to teams until `crossfade freeze lift`", v.m.Spec.Retire.By, v.source.name))
	return Again(v1.Finished, "the source was retired"), nil
}

// retireGates tell whether anything still needs the source: a workload that stays or
// was left behind, capacity, or a name.
func (e *Engine) retireGates(ctx context.Context, v *visit) ([]v1.Gate, error) {
	book, err := e.openStandings(ctx, v)
	if err != nil {
		return nil, err
	}
	f := plan.RetireFacts{Estate: v.estate, Entry: 100}
	for _, app := range e.standingsOf(v, book) {
		if app.status.State == v1.MoveQuarantined {
			f.Quarantined++
		}
	}
	loads, _ := e.weigh(v, book, split(100))
	for _, l := range loads {
		if l.balance.Source.Spec > 0 || l.balance.Target.Ready < l.balance.Wanted {
			f.Serving = append(f.Serving, l.workload.ID())
		}
	}
	if v.m.Spec.DNS != nil {
		f.Entry = v.m.Status.Entry
		_, fresh, _, err := e.copies(ctx, v.m)
		if err != nil {
			return nil, err
		}
		have, err := fresh.provider.RecordSets(ctx, fresh.zone)
		if err != nil {
			return nil, fmt.Errorf("read the new copy of zone %s: %w", fresh.zone, err)
		}
		for _, set := range v.leading(have) {
			f.Leading = append(f.Leading, set.Key.String())
		}
	}
	return plan.Waive(plan.RetireGates(f), v.m.Spec.Waivers, e.Clock.Now()), nil
}
