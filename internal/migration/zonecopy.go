package migration

import (
	"context"
	"fmt"
	"slices"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/zone"
)

// copyZone brings the new copy of the zone to hold what the old one holds, its own
// SOA and NS excepted, and the steered names once they are there, which are led on
// their own. Sets of the new copy that someone else put there or has changed are left:
// they hold the stage.
// Once the zone is delegated to the new copy they are as good as the old one's, and
// only what the old one alone has is still carried over.
func (e *Engine) copyZone(ctx context.Context, v *visit, steered []zone.RecordSet, delegated bool) (Progress, error) {
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
	copies, err := copiedSets(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	steered = ledThere(have, steered, copies)
	want, have = besides(zone.Copied(old.zone, want), steered), besides(zone.Copied(fresh.zone, have), steered)
	swaps, foreign, news := copySwaps(want, have, copies)
	if len(foreign) > 0 && !delegated {
		return Hold(v1.ZonesDiffer, "the new copy: %s%s", foreign[0], andMore(len(foreign))), nil
	}
	if news {
		if err := copies.save(ctx, v); err != nil {
			return Progress{}, err
		}
	}
	if err := each(e.Workers, swaps, func(s zone.Swap) error { return swap(ctx, fresh, s) }); err != nil {
		return Progress{}, err
	}
	if len(swaps) > 0 {
		return Again(v1.ZonesDiffer, "copying %d record sets to the new servers", len(swaps)), nil
	}
	if delegated {
		return Done(), nil
	}
	stale, err := e.Servers.Stale(ctx, fresh.servers, want)
	if err != nil || len(stale) > 0 {
		return Again(v1.Propagating, "%d answers of the new servers differ yet", len(stale)), err
	}
	return Done(), nil
}

// ledThere are the steered sets that the new copy has, as they stand there. A copy of
// ours that says otherwise than the steered set did is not among them: a person had it
// otherwise when it was copied, so it is copied again.
func ledThere(have, steered []zone.RecordSet, copies copied) []zone.RecordSet {
	to := placesOf(steered)
	return slices.DeleteFunc(among(have, steered), func(set zone.RecordSet) bool {
		return copies.wrote(set) && !sameButTTL(set, *to[set.Key])
	})
}

// copied are the sets that were copied, by key: created as last seen to stand in the
// new copy, intended as they are about to be written over that.
type copied struct{ created, intended map[string]zone.RecordSet }

// copiedSets reads them from the ledger.
func copiedSets(ctx context.Context, v *visit) (c copied, err error) {
	if c.created, err = ledger.Load[zone.RecordSet](ctx, v.ledger, v.m, v1.Created, copiedPart); err != nil {
		return c, err
	}
	c.intended, err = ledger.Load[zone.RecordSet](ctx, v.ledger, v.m, v1.Intended, copiedPart)
	return c, err
}

// wrote tells whether a set of the new copy is what was copied there.
func (c copied) wrote(set zone.RecordSet) bool {
	for _, sets := range []map[string]zone.RecordSet{c.created, c.intended} {
		if ours, known := sets[set.Key.String()]; known && sameButTTL(set, ours) {
			return true
		}
	}
	return false
}

// intend notes that want is about to be written where have, nil for nothing, stands:
// whichever of them is found later is ours.
func (c copied) intend(have *zone.RecordSet, want zone.RecordSet) (news bool) {
	key := want.Key.String()
	note := func(in map[string]zone.RecordSet, set zone.RecordSet) {
		if noted, known := in[key]; !known || !zone.Equal(noted, set) {
			in[key], news = set, true
		}
	}
	if have != nil {
		note(c.created, *have)
	} else if _, known := c.created[key]; !known {
		note(c.created, want)
	}
	note(c.intended, want)
	return news
}

// save notes first what stands, so that what is intended may replace what was.
func (c copied) save(ctx context.Context, v *visit) error {
	if err := ledger.Save(ctx, v.ledger, v.m, v1.Created, copiedPart, c.created); err != nil {
		return err
	}
	return ledger.Save(ctx, v.ledger, v.m, v1.Intended, copiedPart, c.intended)
}

// copyLate carries over what was added to the old copy since Prepare, until Cutover
// has ended: names too, whose TTLs are lowered and waited out before they are led
// with the others.
func (e *Engine) copyLate(ctx context.Context, v *visit) (Progress, error) {
	if v.m.Spec.DNS == nil {
		return Done(), nil
	}
	old, _, _, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	sets, saved, err := e.pathSets(ctx, v, pathPart, old)
	if err != nil {
		return Progress{}, err
	}
	if saved {
		v.setMoment(lateNames, e.Clock.Now().Add(zone.OldAnswers(sets)))
		return Again(v1.BeforeSaved, "saved the TTLs of names that were added"), nil
	}
	if p, err := e.lower(ctx, v, old, sets); err != nil || p.outcome != done {
		return p, err
	}
	if until, noted := v.noted(lateNames); noted && e.Clock.Now().Before(until) {
		return waiting(v1.OldTTLCached, until.Sub(e.Clock.Now()), "resolvers may still hold answers with the old TTL of names that were added"), nil
	}
	steered, _, err := e.before(ctx, v, entryPart, nil)
	if err != nil {
		return Progress{}, err
	}
	return e.copyZone(ctx, v, steered, v.delegated())
}

// lateNames is until when answers with the old TTLs of added names may live.
const lateNames = "late-names"

// delegationWait is until when resolvers may follow the old delegation, noted once
// every place names the new servers.
const delegationWait = "delegation"

// delegated tells whether the zone was delegated to the new servers, in this stage.
func (v *visit) delegated() bool {
	_, noted := v.noted(delegationWait)
	return noted
}

// besides are the sets whose keys are not among the others.
func besides(sets, others []zone.RecordSet) []zone.RecordSet {
	elsewhere := placesOf(others)
	return slices.DeleteFunc(slices.Clone(sets), func(s zone.RecordSet) bool { return elsewhere[s.Key] != nil })
}

// copySwaps tells which differences are ours to end: sets that are missing, and
// sets that hold what was copied earlier. It notes in copies what will be written, and
// what was since, and tells whether that is news.
func copySwaps(want, have []zone.RecordSet, copies copied) (swaps []zone.Swap, foreign []zone.Difference, news bool) {
	differing := map[zone.Key]bool{}
	for _, d := range zone.Diff(want, have) {
		differing[d.Key] = true
		if d.Have != nil && !copies.wrote(*d.Have) {
			foreign = append(foreign, d)
			continue
		}
		if d.Want != nil {
			news = copies.intend(d.Have, *d.Want) || news
		}
		swaps = append(swaps, d.Swap())
	}
	// What the copy holds by now was copied: only then is it known as ours, because a
	// swap may fail.
	for _, set := range want {
		if last, ours := copies.created[set.Key.String()]; ours && !differing[set.Key] && !zone.Equal(last, set) {
			copies.created[set.Key.String()], news = set, true
		}
	}
	return swaps, foreign, news
}

func sameButTTL(a, b zone.RecordSet) bool {
	a.TTL = b.TTL
	return zone.Equal(a, b)
}

// copyBack adds to the old copy what people have added to the new one while the zone
// was delegated there, before the delegation goes back. Nothing else is changed in it:
// what differs otherwise, they had changed in one of two places, and know best.
func (e *Engine) copyBack(ctx context.Context, v *visit, old, fresh copyOf) (Progress, error) {
	have, err := old.provider.RecordSets(ctx, old.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read zone %s: %w", old.zone, err)
	}
	want, err := fresh.provider.RecordSets(ctx, fresh.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read the new copy of zone %s: %w", fresh.zone, err)
	}
	created, err := ledger.Load[zone.RecordSet](ctx, v.ledger, v.m, v1.Created, copiedPart)
	if err != nil {
		return Progress{}, err
	}
	var swaps []zone.Swap
	var added []zone.RecordSet
	there := placesOf(have)
	for _, set := range zone.Copied(fresh.zone, want) {
		_, ours := created[set.Key.String()]
		held := there[set.Key]
		switch {
		case ours:
		case held == nil:
			swaps = append(swaps, zone.Swap{New: &set})
		case zone.Equal(*held, set):
			added = append(added, set)
		}
	}
	if len(swaps) > 0 {
		err = each(e.Workers, swaps, func(s zone.Swap) error { return swap(ctx, old, s) })
		return Again(v1.ZonesDiffer, "copying %d record sets back to the old servers", len(swaps)), err
	}
	stale, err := e.Servers.Stale(ctx, old.servers, added)
	if err != nil || len(stale) > 0 {
		return Again(v1.Propagating, "%d answers of the old servers differ yet", len(stale)), err
	}
	return Done(), nil
}

// clearZone deletes from the new copy the sets that were created there, as long as
// they hold what was copied.
func (e *Engine) clearZone(ctx context.Context, v *visit) (Progress, error) {
	if v.m.Spec.DNS == nil {
		return Done(), nil
	}
	old, fresh, _, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	inOld, err := old.provider.RecordSets(ctx, old.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read zone %s: %w", old.zone, err)
	}
	copies, err := copiedSets(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	have, err := fresh.provider.RecordSets(ctx, fresh.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read the new copy of zone %s: %w", fresh.zone, err)
	}
	var swaps []zone.Swap
	origins := placesOf(inOld)
	for _, set := range zone.Copied(fresh.zone, have) {
		_, ours := copies.created[set.Key.String()]
		origin := origins[set.Key]
		if ours && (copies.wrote(set) || origin != nil && sameButTTL(set, *origin)) {
			swaps = append(swaps, zone.Swap{Old: &set})
		}
	}
	if p, err := e.restoreApex(ctx, v, fresh, have); err != nil || p.outcome != done {
		return p, err
	}
	if len(swaps) == 0 {
		none := map[string]zone.RecordSet{}
		return Done(), copied{none, none}.save(ctx, v)
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
