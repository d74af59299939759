package migration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/zone"
)

// Parts of the ledger that hold record sets by key, as they were before the
// migration touched them.
const (
	entryPart      = "entry"
	endpointPart   = "endpoint"
	delegationPart = "delegation"
	apexPart       = "apex"
	newApexPart    = "apex-new"
	// ledPart holds, as what is intended, the sets that lead to the target: without it
	// nobody could tell them from a person's once the target is lost.
	ledPart = "entry-led"
	// copiedPart holds the sets that were created in the new zone.
	copiedPart = "zone"
)

// Zones are the services that hold the migration's zone, in its old copy and its
// new one, and its parent.
type Zones struct {
	Old, New, Parent dns.Provider
}

// A copyOf is one place where a zone is held.
type copyOf struct {
	provider dns.Provider
	zone     string
	servers  []string
}

// copies are the places where the migration's zone is held, the old one first.
func (e *Engine) copies(ctx context.Context, m *v1.Migration) (old, fresh, parent copyOf, err error) {
	p, err := e.Zones(ctx, m)
	if err != nil {
		return old, fresh, parent, fmt.Errorf("open the services of zone %s: %w", m.Spec.DNS.Zone, err)
	}
	d := m.Spec.DNS
	return copyOf{p.Old, zone.CanonicalName(d.Zone), d.Old.Servers}, copyOf{p.New, zone.CanonicalName(d.Zone), d.New.Servers},
		copyOf{p.Parent, zone.CanonicalName(d.Parent), d.ParentService.Servers}, nil
}

// enter leads percent of the estate's names to the target, in both copies of the
// zone, the one that resolvers use first. It is Done when every server of both
// gives the new answers; how long old answers live on is for the caller to wait.
func (e *Engine) enter(ctx context.Context, v *visit, percent int32) (Progress, error) {
	if v.m.Spec.DNS == nil {
		return Done(), nil
	}
	old, fresh, _, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	before, saved, err := e.entries(ctx, v, old)
	if err != nil || saved {
		return Again(v1.BeforeSaved, "saved the names as they were"), err
	}
	if v.target.lost {
		led, err := e.led(ctx, v)
		if err != nil {
			return Progress{}, err
		}
		return e.enterSource(ctx, v, old, fresh, before, led)
	}
	want, err := zone.Want(before, v.addresses())
	if err != nil {
		return Hold(v1.EntryMissing, "%v", err), nil
	}
	if percent == 0 {
		return e.enterSource(ctx, v, old, fresh, before, want)
	}
	if err := e.keepLed(ctx, v, want); err != nil {
		return Progress{}, err
	}
	return e.steerBoth(ctx, v1.EntryMoving, old, fresh, before, want, percent)
}

// enterSource leads every name back to the source. Names that were only noted, and
// not yet lowered or copied when the migration was turned, lead there already.
func (e *Engine) enterSource(ctx context.Context, v *visit, old, fresh copyOf, before, want []zone.RecordSet) (Progress, error) {
	raw, _, err := e.before(ctx, v, entryPart, nil)
	if err != nil {
		return Progress{}, err
	}
	for _, c := range []copyOf{old, fresh} {
		have, err := c.provider.RecordSets(ctx, c.zone)
		if err != nil {
			return Progress{}, fmt.Errorf("read zone %s: %w", c.zone, err)
		}
		if c.provider == fresh.provider {
			if err := e.mendCopies(ctx, v, fresh, have, before); err != nil {
				return Progress{}, err
			}
		}
		there := placesOf(have)
		untouched := slices.DeleteFunc(slices.Clone(raw), func(set zone.RecordSet) bool {
			held := there[set.Key]
			if held == nil {
				return c.provider == old.provider
			}
			return !zone.Equal(*held, set)
		})
		p, err := e.steer(ctx, v1.EntryMoving, c, besides(before, untouched), besides(want, untouched), 0)
		if err != nil || p.outcome != done {
			return p, err
		}
	}
	return Done(), nil
}

// mendCopies brings names in the new copy to what they were before, that say otherwise
// because a person's edit of the old copy was carried over: the person has ended it
// there, and nobody else would end it here.
func (e *Engine) mendCopies(ctx context.Context, v *visit, fresh copyOf, have, before []zone.RecordSet) error {
	copies, err := copiedSets(ctx, v)
	if err != nil {
		return err
	}
	there := placesOf(have)
	for _, set := range before {
		held := there[set.Key]
		if held == nil || !copies.wrote(*held) || sameButTTL(*held, set) {
			continue
		}
		if err := swap(ctx, fresh, zone.Swap{Old: held, New: &set}); err != nil {
			return err
		}
	}
	return nil
}

// steerBoth brings percent of the sets from before to want in both copies.
func (e *Engine) steerBoth(ctx context.Context, doing v1.Reason, old, fresh copyOf, before, want []zone.RecordSet, percent int32) (Progress, error) {
	for _, c := range []copyOf{old, fresh} {
		p, err := e.steer(ctx, doing, c, before, want, percent)
		if err != nil || p.outcome != done {
			return p, err
		}
	}
	return Done(), nil
}

// steer brings percent of the sets from before to want in one copy of a zone. Any
// mixture of the two is a normal state; what is neither was changed by someone
// else and is left alone.
func (e *Engine) steer(ctx context.Context, doing v1.Reason, c copyOf, before, want []zone.RecordSet, percent int32) (Progress, error) {
	have, err := c.provider.RecordSets(ctx, c.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read zone %s: %w", c.zone, err)
	}
	step := zone.Next(before, want, have, int(percent))
	if len(step.Foreign) > 0 {
		return Hold(v1.RecordsChanged, "%s%s", step.Foreign[0], andMore(len(step.Foreign))), nil
	}
	err = each(e.Workers, step.Swaps, func(s zone.Swap) error { return swap(ctx, c, s) })
	if errors.Is(err, dns.ErrChanged) {
		return Again(doing, "looking again: %v", err), nil
	}
	if err != nil {
		return Progress{}, err
	}
	stale, err := e.Servers.Stale(ctx, c.servers, step.Want, step.Absent...)
	if err != nil {
		return Progress{}, fmt.Errorf("ask the servers of %s: %w", c.zone, err)
	}
	if len(stale) > 0 {
		return Again(v1.Propagating, "%s%s", stale[0], andMore(len(stale))), nil
	}
	return Done(), nil
}

func swap(ctx context.Context, c copyOf, s zone.Swap) error {
	key := s.New
	if key == nil {
		key = s.Old
	}
	return wrap(fmt.Sprintf("swap %s in zone %s", key.Key, c.zone), c.provider.Swap(ctx, c.zone, s))
}

// entries are the sets that lead to the source, as they were found, with the TTL
// to which they were lowered. They are saved the first time they are seen.
func (e *Engine) entries(ctx context.Context, v *visit, old copyOf) (before []zone.RecordSet, saved bool, err error) {
	have, err := old.provider.RecordSets(ctx, old.zone)
	if err != nil {
		return nil, false, fmt.Errorf("read zone %s: %w", old.zone, err)
	}
	found := v.leading(have)
	before, saved, err = e.before(ctx, v, entryPart, found)
	if err != nil {
		return nil, false, err
	}
	before, err = zone.Lowered(before, uint32(v.m.Spec.DNS.TTLSeconds))
	return before, saved, err
}

// before saves the sets that were not saved yet, and returns all that ever were.
func (e *Engine) before(ctx context.Context, v *visit, part string, found []zone.RecordSet) (sets []zone.RecordSet, saved bool, err error) {
	byKey := make(map[string]zone.RecordSet, len(found))
	for _, set := range found {
		byKey[set.Key.String()] = set
	}
	all, saved, err := ledger.Before(ctx, v.ledger, v.m, part, byKey)
	if err != nil {
		return nil, false, fmt.Errorf("save the record sets of %s: %w", part, err)
	}
	for _, set := range all {
		sets = append(sets, set)
	}
	return zone.Sorted(sets), saved, nil
}

// keepLed saves to where names are led, before they are. What they were led to before
// that is kept for names that are no longer among them.
func (e *Engine) keepLed(ctx context.Context, v *visit, want []zone.RecordSet) error {
	kept, err := ledger.Load[zone.RecordSet](ctx, v.ledger, v.m, v1.Intended, ledPart)
	if err != nil {
		return fmt.Errorf("read where names are led: %w", err)
	}
	changed := map[string]zone.RecordSet{}
	for _, set := range want {
		if have, known := kept[set.Key.String()]; !known || !zone.Equal(have, set) {
			changed[set.Key.String()] = set
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return wrap("save where names are led", ledger.Add(ctx, v.ledger, v.m, v1.Intended, ledPart, changed))
}

// led are the sets as they were last led to the target.
func (e *Engine) led(ctx context.Context, v *visit) ([]zone.RecordSet, error) {
	kept, err := ledger.Load[zone.RecordSet](ctx, v.ledger, v.m, v1.Intended, ledPart)
	if err != nil {
		return nil, fmt.Errorf("read where names were led: %w", err)
	}
	return zone.Sorted(slices.Collect(maps.Values(kept))), nil
}

// leading are those of the zone's sets that lead to an entry of the source, and to
// nothing else. The endpoint is not one of them: it changes sides on its own.
func (v *visit) leading(have []zone.RecordSet) []zone.RecordSet {
	entry := v.addresses()
	var sets []zone.RecordSet
	for _, set := range have {
		switch set.Type {
		case "A", "AAAA", "CNAME":
		default:
			continue
		}
		if e := v.m.Spec.DNS.Endpoint; e != nil && set.Name == zone.CanonicalName(e.Name) {
			continue
		}
		leads := func(data string) bool { _, ok := entry[strings.TrimSuffix(data, ".")]; return ok }
		if len(set.Data) > 0 && !slices.ContainsFunc(set.Data, func(data string) bool { return !leads(data) }) {
			sets = append(sets, set)
		}
	}
	return sets
}

// addresses maps each address at which the source is entered to all the target's
// addresses of the same object; to none where the target has none yet.
func (v *visit) addresses() zone.AddressMap {
	there := v.target.entrances()
	m := zone.AddressMap{}
	here := v.source.entrances()
	for _, object := range slices.Sorted(maps.Keys(here)) {
		for _, address := range here[object] {
			if len(m[address]) == 0 {
				m[address] = there[object]
			}
		}
	}
	return m
}

// entrances are the addresses of a site's Ingresses and balancers, by object.
func (s *site) entrances() map[string][]string {
	m := map[string][]string{}
	for _, i := range s.ingresses {
		if all := ingressAddresses(i); len(all) > 0 {
			m["Ingress/"+i.Namespace+"/"+i.Name] = all
		}
	}
	for _, svc := range s.services {
		if all := balancerAddresses(svc); svc.Spec.Type == corev1.ServiceTypeLoadBalancer && len(all) > 0 {
			m["Service/"+svc.Namespace+"/"+svc.Name] = all
		}
	}
	return m
}

// ingressAddresses are all the addresses at which an Ingress is entered, of either
// family, in the order in which its controller gives them. Nil has none.
func ingressAddresses(i *netv1.Ingress) (all []string) {
	if i == nil {
		return nil
	}
	for _, a := range i.Status.LoadBalancer.Ingress {
		all = append(all, given(a.IP, a.Hostname)...)
	}
	return all
}

// balancerAddresses are all the addresses of a Service's balancer. Nil has none.
func balancerAddresses(s *corev1.Service) (all []string) {
	if s == nil {
		return nil
	}
	for _, a := range s.Status.LoadBalancer.Ingress {
		all = append(all, given(a.IP, a.Hostname)...)
	}
	return all
}

// given are an entry's IP address and its host name, as far as it has them.
func given(ip, host string) []string {
	return slices.DeleteFunc([]string{ip, host}, func(address string) bool { return address == "" })
}

// point leads the endpoint, the API address that teams use, to a side.
func (e *Engine) point(ctx context.Context, v *visit, to v1.Side) (Progress, error) {
	if v.m.Spec.DNS == nil || v.m.Spec.DNS.Endpoint == nil {
		return Done(), nil
	}
	old, fresh, _, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	endpoint := v.m.Spec.DNS.Endpoint
	have, err := old.provider.RecordSets(ctx, old.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read zone %s: %w", old.zone, err)
	}
	found := only(have, zone.CanonicalName(endpoint.Name), "A")
	before, saved, err := e.before(ctx, v, endpointPart, found)
	if err != nil || saved {
		return Again(v1.BeforeSaved, "saved the endpoint as it was"), err
	}
	if before, err = zone.Lowered(before, uint32(v.m.Spec.DNS.TTLSeconds)); err != nil {
		return Progress{}, err
	}
	want, err := zone.Want(before, zone.AddressMap{endpoint.Source: {endpoint.Target}})
	if err != nil {
		return Hold(v1.EntryMissing, "dns.endpoint: %v", err), nil
	}
	return e.steerBoth(ctx, v1.EndpointMoving, old, fresh, before, want, percentAt(to))
}

// delegate leads the zone's delegation to the new servers, or back: in the parent,
// then in the apex of either copy. By then it changes no answer. On the way back the
// new copy, too, names the old servers, because some resolvers believe the servers
// that they ask more than the parent, and would otherwise never leave.
func (e *Engine) delegate(ctx context.Context, v *visit, to v1.Side) (Progress, error) {
	if v.m.Spec.DNS == nil {
		return Done(), nil
	}
	old, fresh, parent, err := e.copies(ctx, v.m)
	if err != nil {
		return Progress{}, err
	}
	d := v.m.Spec.DNS
	for _, place := range []struct {
		part    string
		at      copyOf
		servers []string
		percent int32
	}{
		{newApexPart, fresh, d.Old.Names, percentAt(to.Other())},
		{delegationPart, parent, d.New.Names, percentAt(to)},
		{apexPart, old, d.New.Names, percentAt(to)},
	} {
		p, err := e.redelegate(ctx, v, place.part, place.at, place.servers, place.percent)
		if err != nil || p.outcome != done {
			return p, err
		}
	}
	return Done(), nil
}

// redelegate lets one place name other servers than before (100 percent), or those
// that it named before (0).
func (e *Engine) redelegate(ctx context.Context, v *visit, part string, at copyOf, servers []string, percent int32) (Progress, error) {
	d := v.m.Spec.DNS
	have, err := at.provider.RecordSets(ctx, at.zone)
	if err != nil {
		return Progress{}, fmt.Errorf("read zone %s: %w", at.zone, err)
	}
	before, saved, err := e.before(ctx, v, part, only(have, zone.CanonicalName(d.Zone), "NS"))
	if err != nil || saved {
		return Again(v1.BeforeSaved, "saved the delegation as it was"), err
	}
	if p, err := e.lower(ctx, v, at, before); err != nil || p.outcome != done {
		return p, err
	}
	if before, err = zone.Lowered(before, uint32(d.TTLSeconds)); err != nil {
		return Progress{}, err
	}
	names := make([]string, len(servers))
	for i, name := range servers {
		names[i] = zone.CanonicalName(name) + "."
	}
	want, err := zone.NewRecordSet(zone.CanonicalName(d.Zone), "NS", uint32(d.TTLSeconds), names...)
	if err != nil {
		return Fail(v1.ZoneMissing, "the servers' names: %v", err), nil
	}
	return e.steer(ctx, v1.DelegationMoving, at, before, []zone.RecordSet{want}, percent)
}

func percentAt(side v1.Side) int32 {
	if side == v1.Target {
		return 100
	}
	return 0
}

func only(sets []zone.RecordSet, name, typ string) []zone.RecordSet {
	return slices.DeleteFunc(slices.Clone(sets), func(s zone.RecordSet) bool { return s.Name != name || s.Type != typ })
}

// ttl is how long the estate's answers may live on once they were lowered, and a
// tenth more, because caches are not exact.
func ttl(m *v1.Migration) time.Duration {
	if m.Spec.DNS == nil {
		return 0
	}
	return time.Duration(m.Spec.DNS.TTLSeconds) * time.Second * 11 / 10
}
