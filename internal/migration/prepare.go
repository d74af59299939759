package migration

import (
	"context"
	"fmt"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/mirror"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/zone"
)

// prepare lets the target come to hold everything, at zero: objects by the mirror,
// names in the new zone, the source's pods behind the target's Services, and a few
// warm pods, which are asked through the target's own entry.
func (e *Engine) prepare(ctx context.Context, v *visit) (Progress, error) {
	if p, err := e.copyZone(ctx, v); err != nil || p.outcome != done {
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

// copyZone brings the new copy of the zone to hold what the old one holds, its own
// SOA and NS excepted. Sets that the new copy held before are left, and Held if
// they differ.
func (e *Engine) copyZone(ctx context.Context, v *visit) (Progress, error) {
	if v.m.Spec.DNS == nil {
		return Done(), nil
	}
	old, fresh, _, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	want, err := old.provider.RecordSets(ctx, old.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read zone %s: %w", old.zone, err)
	}
	have, err := fresh.provider.RecordSets(ctx, fresh.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read the new copy of zone %s: %w", fresh.zone, err)
	}
	created, err := ledger.Load[zone.RecordSet](ctx, v.ledger, v.m, v1.Created, copiedPart)
	if err != nil {
		return Progress{}, err
	}
	swaps, foreign, news := copySwaps(zone.Diff(zone.Copied(old.zone, want), zone.Copied(fresh.zone, have)), created)
	if len(foreign) > 0 {
		return Hold(v1.ZonesDiffer, "the new copy: %s (and %d more)", foreign[0], len(foreign)-1), nil
	}
	if news {
		if err := ledger.Save(ctx, v.ledger, v.m, v1.Created, copiedPart, created); err != nil {
			return Progress{}, err
		}
	}
	if err := each(e.Workers, swaps, func(s zone.Swap) error { return swap(ctx, fresh, s) }); err != nil {
		return Progress{}, err
	}
	if len(swaps) > 0 {
		return Again(v1.ZonesDiffer, "copying %d record sets to the new servers", len(swaps)), nil
	}
	stale, err := e.Servers.Stale(ctx, fresh.servers, zone.Copied(old.zone, want))
	if err != nil || len(stale) > 0 {
		return Again(v1.Propagating, "%d answers of the new servers differ yet", len(stale)), err
	}
	return Done(), nil
}

// copySwaps tells which differences are ours to end: sets that are missing, and
// sets that we created earlier. It notes in created what will be created, and
// tells whether that is news.
func copySwaps(differences []zone.Difference, created map[string]zone.RecordSet) (swaps []zone.Swap, foreign []zone.Difference, news bool) {
	for _, d := range differences {
		key := d.Key.String()
		_, ours := created[key]
		switch {
		case d.Have == nil || ours:
			swaps = append(swaps, d.Swap())
			if !ours {
				created[key], news = *d.Want, true
			}
		default:
			foreign = append(foreign, d)
		}
	}
	return swaps, foreign, news
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
		p.Message = fmt.Sprintf("left for a person: %s (and %d more)", left[0], len(left)-1)
	}
	return p, nil
}

// clearZone deletes from the new copy the sets that were created there, as long as
// they hold what was copied.
func (e *Engine) clearZone(ctx context.Context, v *visit) (Progress, error) {
	if v.m.Spec.DNS == nil {
		return Done(), nil
	}
	_, fresh, _, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	created, err := ledger.Load[zone.RecordSet](ctx, v.ledger, v.m, v1.Created, copiedPart)
	if err != nil {
		return Progress{}, err
	}
	have, err := fresh.provider.RecordSets(ctx, fresh.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read the new copy of zone %s: %w", fresh.zone, err)
	}
	var swaps []zone.Swap
	for _, set := range zone.Copied(fresh.zone, have) {
		if _, ours := created[set.Key.String()]; ours {
			swaps = append(swaps, zone.Swap{Old: &set})
		}
	}
	if p, err := e.restoreApex(ctx, v, fresh, have); err != nil || p.outcome != done {
		return p, err
	}
	if len(swaps) == 0 {
		return Done(), ledger.Save(ctx, v.ledger, v.m, v1.Created, copiedPart, map[string]zone.RecordSet{})
	}
	err = each(e.Workers, swaps, func(s zone.Swap) error { return swap(ctx, fresh, s) })
	return Again(v1.Busy, "clearing %d record sets of the new copy", len(swaps)), err
}

// restoreApex lets the new copy name its own servers again, as it did before.
func (e *Engine) restoreApex(ctx context.Context, v *visit, fresh copyOf, have []zone.RecordSet) (Progress, error) {
	before, _, err := e.before(ctx, v, newApexPart, nil)
	if err != nil {
		return Progress{}, err
	}
	if len(zone.Diff(before, among(have, before))) == 0 {
		return Done(), nil
	}
	p, err := e.redelegate(ctx, v, newApexPart, fresh, v.m.Spec.DNS.Old.Names, 0)
	if err != nil || p.outcome != done {
		return p, err
	}
	return e.raise(ctx, v, fresh, before)
}
