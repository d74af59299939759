package migration

import (
	"context"
	"fmt"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/zone"
)

// pathPart holds, by zone, the record sets whose TTLs Preflight lowers.
const (
	pathPart       = "ttl"
	parentPathPart = "ttl-parent"
)

// preflight takes the inventory, asks for the decisions that it cannot take, and
// lowers the TTLs of the names that will move.
func (e *Engine) preflight(ctx context.Context, v *visit) (Progress, error) {
	if err := e.recordMoves(ctx, v); err != nil {
		return Progress{}, err
	}
	facts, err := e.preflightFacts(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	missing, err := e.missingPermissions(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	rivals, err := e.rivals(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	gates := append(plan.PreflightGates(facts), plan.AloneGate(rivals))
	gates = plan.Waive(append(gates, plan.PermissionGates(missing)...), v.m.Spec.Waivers, e.Clock.Now())
	if p := Through(gates); p != nil {
		return *p, nil
	}
	p, err := e.lowerTTLs(ctx, v)
	p.Gates = gates
	return p, err
}

// preflightFacts asks both clusters, and the names' services, what the gates need.
func (e *Engine) preflightFacts(ctx context.Context, v *visit) (plan.PreflightFacts, error) {
	f := plan.PreflightFacts{
		Undecided: v.estate.Workloads(plan.NeedsDecision),
		Apps:      len(v.estate.Apps),
		Source:    siteFacts(ctx, v.source.facts), Target: siteFacts(ctx, v.target.facts),
	}
	if e.Ways != nil {
		f.Ways = e.Ways(ctx, v.m)
	}
	if e.Blocking != nil {
		var err error
		if f.Blocking, err = e.Blocking(ctx, v.m, v.estate.Clone()); err != nil {
			return f, fmt.Errorf("look for findings: %w", err)
		}
	}
	if v.m.Spec.DNS == nil {
		return f, nil
	}
	f.Names = &plan.NameFacts{Zone: v.m.Spec.DNS.Zone}
	old, fresh, parent, err := e.copies(ctx, v.m)
	if err != nil {
		return f, err
	}
	for _, c := range []copyOf{old, fresh, parent} {
		sets, err := c.provider.RecordSets(ctx, c.zone)
		if err != nil {
			f.Names.Unreadable = append(f.Names.Unreadable, err.Error())
		}
		f.Names.Signed = f.Names.Signed || len(only(sets, zone.CanonicalName(v.m.Spec.DNS.Zone), "DS")) > 0
	}
	return f, nil
}

// siteFacts asks a cluster who it is. What it does not answer stays unknown.
func siteFacts(ctx context.Context, facts cluster.Facts) plan.SiteFacts {
	f := plan.SiteFacts{UID: string(facts.UID())}
	version, err := facts.Version(ctx)
	if err != nil {
		f.Trouble = err.Error()
		return f
	}
	f.Version = version
	return f
}

// lowerTTLs lowers the TTL of every record on the path of the names that will
// move, and waits until the old ones have run out everywhere.
func (e *Engine) lowerTTLs(ctx context.Context, v *visit) (Progress, error) {
	if v.m.Spec.DNS == nil {
		return Done(), nil
	}
	old, _, parent, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	if _, saved, err := e.entries(ctx, v, old); err != nil || saved {
		return Again(v1.BeforeSaved, "saved the names as they were"), err
	}
	var before []zone.RecordSet
	for _, place := range []struct {
		part string
		at   copyOf
	}{{pathPart, old}, {parentPathPart, parent}} {
		sets, saved, err := e.pathSets(ctx, v, place.part, place.at)
		if err != nil || saved {
			return Again(v1.BeforeSaved, "saved the TTLs as they were"), err
		}
		if p, err := e.unchanged(ctx, v, place.at, sets); err != nil || p.outcome != done {
			return p, err
		}
		if p, err := e.lower(ctx, v, place.at, sets); err != nil || p.outcome != done {
			return p, err
		}
		before = append(before, sets...)
	}
	left, over := e.waited(v, "old-ttl", zone.OldAnswers(before))
	if !over {
		return waiting(v1.OldTTLCached, left, "resolvers may still hold answers with the old TTL"), nil
	}
	return Done(), nil
}

// pathSets are the sets on the path of the names that will move, as they were.
func (e *Engine) pathSets(ctx context.Context, v *visit, part string, at copyOf) ([]zone.RecordSet, bool, error) {
	have, err := at.provider.RecordSets(ctx, at.zone)
	if err != nil {
		return nil, false, fmt.Errorf("read zone %s: %w", at.zone, err)
	}
	name := zone.CanonicalName(v.m.Spec.DNS.Zone)
	found := only(have, name, "NS")
	if at.zone == name {
		found = append(found, only(have, name, "SOA")...)
		found = append(found, v.leading(have)...)
		if endpoint := v.m.Spec.DNS.Endpoint; endpoint != nil {
			found = append(found, only(have, zone.CanonicalName(endpoint.Name), "A")...)
		}
	}
	return e.before(ctx, v, part, found)
}

// unchanged is Done unless one of the sets, which nobody has led anywhere yet, leads
// somewhere else by now: that was someone else.
func (e *Engine) unchanged(ctx context.Context, v *visit, at copyOf, sets []zone.RecordSet) (Progress, error) {
	have, err := at.provider.RecordSets(ctx, at.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read zone %s: %w", at.zone, err)
	}
	lowered, err := zone.Lowered(sets, uint32(v.m.Spec.DNS.TTLSeconds))
	if err != nil {
		return Fail(v1.ZoneMissing, "%v", err), nil
	}
	for _, f := range zone.Next(sets, lowered, have, 0).Foreign {
		if f.Have != nil { // one that is gone needs no lower TTL
			return Hold(v1.RecordsChanged, "%s", f), nil
		}
	}
	return Done(), nil
}

// lower brings the TTLs of the sets down, whatever they lead to now.
func (e *Engine) lower(ctx context.Context, v *visit, at copyOf, sets []zone.RecordSet) (Progress, error) {
	have, err := at.provider.RecordSets(ctx, at.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read zone %s: %w", at.zone, err)
	}
	swaps, err := zone.LowerSwaps(among(have, sets), uint32(v.m.Spec.DNS.TTLSeconds))
	if err != nil {
		return Fail(v1.ZoneMissing, "%v", err), nil
	}
	if len(swaps) == 0 {
		return Done(), nil
	}
	err = each(e.Workers, swaps, func(s zone.Swap) error { return swap(ctx, at, s) })
	return Again(v1.LoweringTTL, "lowering the TTLs of %s: %d", at.zone, len(swaps)), err
}

// undoPreflight gives every record set its own TTL back, and forgets what was found.
// Sets that lead somewhere else by now were changed by someone else, and are left.
func (e *Engine) undoPreflight(ctx context.Context, v *visit) (Progress, error) {
	if p, err := e.raiseTTLs(ctx, v); err != nil || p.outcome != done {
		return p, err
	}
	return Done(), e.forget(ctx, v)
}

// forget clears what the ledger knows of names and capacity once all is undone: a
// second migration begins with what is true then.
func (e *Engine) forget(ctx context.Context, v *visit) error {
	for _, part := range []string{pathPart, parentPathPart, entryPart, endpointPart, delegationPart, apexPart, newApexPart} {
		if err := ledger.Save(ctx, v.ledger, v.m, v1.Before, part, map[string]zone.RecordSet{}); err != nil {
			return fmt.Errorf("clear the record sets of %s: %w", part, err)
		}
	}
	if err := ledger.Save(ctx, v.ledger, v.m, v1.Intended, ledPart, map[string]zone.RecordSet{}); err != nil {
		return fmt.Errorf("clear where names were led: %w", err)
	}
	for _, part := range []string{capacityPart, floorPart} {
		if err := ledger.Save(ctx, v.ledger, v.m, v1.Intended, part, map[string]plan.Standing{}); err != nil {
			return fmt.Errorf("clear what was intended: %w", err)
		}
	}
	return nil
}

func (e *Engine) raiseTTLs(ctx context.Context, v *visit) (Progress, error) {
	if v.m.Spec.DNS == nil {
		return Done(), nil
	}
	old, _, parent, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	for _, place := range []struct {
		part string
		at   copyOf
	}{{pathPart, old}, {parentPathPart, parent}} {
		before, _, err := e.before(ctx, v, place.part, nil)
		if err != nil {
			return Progress{}, err
		}
		p, err := e.raise(ctx, v, place.at, before)
		if err != nil || p.outcome != done {
			return p, err
		}
	}
	return Done(), nil
}

// raise puts the sets back exactly as they were, if only their TTL is another.
func (e *Engine) raise(ctx context.Context, v *visit, at copyOf, before []zone.RecordSet) (Progress, error) {
	have, err := at.provider.RecordSets(ctx, at.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read zone %s: %w", at.zone, err)
	}
	lowered, err := zone.Lowered(before, uint32(v.m.Spec.DNS.TTLSeconds))
	if err != nil {
		return Progress{}, err
	}
	var swaps []zone.Swap
	places := placesOf(lowered)
	for _, d := range zone.Diff(before, among(have, before)) {
		if d.Have != nil && zone.Equal(*places[d.Key], *d.Have) {
			swaps = append(swaps, d.Swap())
		}
	}
	if len(swaps) == 0 {
		return Done(), nil
	}
	err = each(e.Workers, swaps, func(s zone.Swap) error { return swap(ctx, at, s) })
	return Again(v1.LoweringTTL, "putting %d TTLs back in %s", len(swaps), at.zone), err
}

// among are those of have whose keys are also in sets.
func among(have, sets []zone.RecordSet) []zone.RecordSet {
	var out []zone.RecordSet
	there := placesOf(sets)
	for _, h := range have {
		if there[h.Key] != nil {
			out = append(out, h)
		}
	}
	return out
}

// placesOf points at each of sets by its key; nil where there is none.
func placesOf(sets []zone.RecordSet) map[zone.Key]*zone.RecordSet {
	out := make(map[zone.Key]*zone.RecordSet, len(sets))
	for i := range sets {
		out[sets[i].Key] = &sets[i]
	}
	return out
}
