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
	if v.m.Status.Writer == from {
		return e.turn(ctx, v, to)
	}
	// Both sides were closed when the mirror turned; a restart may have opened none.
	if p, err := e.open(ctx, v, to); err != nil || p.outcome != done {
		return p, err
	}
	if p, err := e.point(ctx, v, to); err != nil || p.outcome != done {
		return p, err
	}
	v.m.Status.Endpoint = to
	if left, over := e.waited(v, "endpoint-"+string(to), ttl(v.m)); !over {
		return waiting(v1.EndpointMoving, left, fmt.Sprintf("the API address of teams leads to the %s; old answers may live", to)), nil
	}
	if p, err := e.thaw(ctx, v, from); err != nil || p.outcome != done {
		return p, err
	}
	return Done(), nil
}

// turn closes the writer's side, brings the mirror level, and turns it.
func (e *Engine) turn(ctx context.Context, v *visit, to v1.Side) (Progress, error) {
	from := to.Other()
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
	if err := e.takeUp(ctx, v); err != nil {
		return Progress{}, err
	}
	v.m.Status.Writer = to
	p := Again(v1.WriterMoving, "the mirror is level and turns: teams write to the %s", to)
	p.Gates = gates
	return p, nil
}

// takeUp records what teams want of each workload, while it is known on which side
// they say so: replica counts do not travel with the mirror.
func (e *Engine) takeUp(ctx context.Context, v *visit) error {
	book, err := e.openStandings(ctx, v)
	if err != nil {
		return err
	}
	e.weigh(v, book, warm(v.m.Spec.Shift))
	return book.save(ctx, v)
}

// retire lets go of the source, for ever: the mirror and the bridge end.
func (e *Engine) retire(ctx context.Context, v *visit) (Progress, error) {
	gates := plan.Waive(plan.RetireGates(v.estate), v.m.Spec.Waivers, e.Clock.Now())
	if p := Through(gates); p != nil {
		return *p, nil
	}
	setRetired(v.m)
	e.Tell(v.m, v1.Finished, fmt.Sprintf("%s let go of the source %s", v.m.Spec.Retire.By, v.source.name))
	return Again(v1.Finished, "the source was retired"), nil
}
