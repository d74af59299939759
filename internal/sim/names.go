package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/dns"
	dnsmemory "crossfade.dev/internal/dns/memory"
	"crossfade.dev/internal/zone"
)

const (
	parentName = "sim.test"
	zoneName   = "live.sim.test"
	apiName    = "api." + zoneName
)

// names are the DNS services of the world, and what resolvers may know of them.
type names struct {
	w                  *world
	old, fresh, parent *dnsmemory.Service
	// known are the answers that resolvers may give, by copy and by key: the present
	// ones, and old ones until their TTL has run out.
	known map[*dnsmemory.Service]map[zone.Key]*known
	// freshSeen is until when resolvers may ask the new copy; forever while a
	// delegation leads there.
	freshSeen time.Time
	// dirty are the public names whose answers changed since they were last checked;
	// allDirty is true when another copy came to be asked.
	dirty    map[string]bool
	allDirty bool
	person   bool // a person's call is under way, not the engine's
	// edited are the sets that a person has changed and not put back.
	edited map[zone.Key]dns.RecordSet
}

type known struct {
	now   *dns.RecordSet
	stale []stale
}

type stale struct {
	set   dns.RecordSet
	until time.Time
}

var (
	oldServers    = []string{"10.53.0.3:53", "10.53.0.4:53"}
	newServers    = []string{"10.53.0.5:53", "10.53.0.6:53"}
	parentServers = []string{"10.53.0.2:53"}
	oldNames      = []string{"ns1.old." + parentName, "ns2.old." + parentName}
	newNames      = []string{"ns1.new." + parentName, "ns2.new." + parentName}
)

// makeNames fills the zones: a name for every app that has one, and what else
// stands in zones.
func (w *world) makeNames(chance *rand.Rand) error {
	n := &names{
		w: w, old: &dnsmemory.Service{}, fresh: &dnsmemory.Service{}, parent: &dnsmemory.Service{},
		known: map[*dnsmemory.Service]map[zone.Key]*known{}, edited: map[zone.Key]dns.RecordSet{},
		dirty: map[string]bool{},
	}
	w.names = n
	ttl := func() uint32 { return []uint32{20, 60, 120, 300}[chance.IntN(4)] }
	sets := []dns.RecordSet{
		record(zoneName, "SOA", ttl(), "ns1.old."+parentName+". admin."+parentName+". 7 900 300 86400 60"),
		record(zoneName, "NS", ttl(), dotted(oldNames)...),
		record(zoneName, "TXT", 300, `"not ours"`),
		record("elsewhere."+zoneName, "A", 300, "192.0.2.77"),
		record(apiName, "A", ttl(), apiAddress(1)),
	}
	for _, a := range w.apps {
		if a.host == "" {
			continue
		}
		address := w.eyes[v1.Source].entry(a)
		if address == "" {
			return fmt.Errorf("%s has no entry", a)
		}
		sets = append(sets, record(a.host, "A", ttl(), address))
	}
	if err := n.old.Hold(zoneName, sets); err != nil {
		return err
	}
	apex := []dns.RecordSet{
		record(zoneName, "SOA", 60, "ns1.new."+parentName+". admin."+parentName+". 1 900 300 86400 60"),
		record(zoneName, "NS", 60, dotted(newNames)...),
	}
	if err := n.fresh.Hold(zoneName, apex); err != nil {
		return err
	}
	above := []dns.RecordSet{
		record(parentName, "SOA", 60, "ns."+parentName+". admin."+parentName+". 1 900 300 86400 60"),
		record(parentName, "NS", 60, "ns."+parentName+"."),
		record(zoneName, "NS", ttl(), dotted(oldNames)...),
	}
	if err := n.parent.Hold(parentName, above); err != nil {
		return err
	}
	for service, held := range map[*dnsmemory.Service][]dns.RecordSet{n.old: sets, n.fresh: apex, n.parent: above} {
		n.known[service] = map[zone.Key]*known{}
		for i := range held {
			n.known[service][held[i].Key] = &known{now: &held[i]}
		}
		service.BeforeCall = func(ctx context.Context, c dnsmemory.Call) error { return n.asked(ctx, service, c) }
		service.AfterCall = func(ctx context.Context, c dnsmemory.Call) error { return n.answered(ctx, service, c) }
	}
	return nil
}

func apiAddress(number int) string { return fmt.Sprintf("10.%d.0.1", number) }

func record(name, typ string, ttl uint32, data ...string) dns.RecordSet {
	set, err := zone.NewRecordSet(name, typ, ttl, data...)
	if err != nil {
		panic(err)
	}
	return set
}

func dotted(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name + "."
	}
	return out
}

// spec is what the migration is told of the names.
func (n *names) spec(chance *rand.Rand) *v1.DNS {
	d := &v1.DNS{
		Zone: zoneName, Parent: parentName,
		Old:           v1.DNSService{Servers: oldServers, Names: oldNames},
		New:           v1.DNSService{Servers: newServers, Names: newNames},
		ParentService: v1.DNSService{Servers: parentServers, Names: []string{"ns." + parentName}},
		TTLSeconds:    []int32{5, 10, 20, 30}[chance.IntN(4)],
		Steps:         [][]int32{{5, 25, 50, 100}, {50, 100}, {100}, {10, 100}}[chance.IntN(4)],
	}
	if chance.IntN(4) > 0 {
		d.Endpoint = &v1.Endpoint{Name: apiName, Source: apiAddress(1), Target: apiAddress(2)}
	}
	return d
}

// servers are all authoritative servers.
func (n *names) servers() *dnsmemory.Servers {
	s := &dnsmemory.Servers{Services: map[string]*dnsmemory.Service{}}
	for service, addresses := range map[*dnsmemory.Service][]string{n.old: oldServers, n.fresh: newServers, n.parent: parentServers} {
		for _, address := range addresses {
			s.Services[address] = service
		}
	}
	return s
}

// asked is what goes wrong with a call before it is made.
func (n *names) asked(ctx context.Context, service *dnsmemory.Service, c dnsmemory.Call) error {
	if n.person {
		return nil
	}
	if c.Swap != nil && c.Swap.Old != nil && service == n.old {
		if edit, ours := n.edited[c.Swap.Key()]; ours && zone.Equal(*c.Swap.Old, edit) {
			n.w.breaks("7 (what a person changed is not overwritten)", "a swap of %s, which a person had set to %s", c.Swap.Key(), edit)
		}
	}
	return n.w.faults.name(ctx, c, true)
}

// answered takes up a swap that has happened, and may lose its reply.
func (n *names) answered(ctx context.Context, service *dnsmemory.Service, c dnsmemory.Call) error {
	if c.Swap == nil {
		if n.person {
			return nil
		}
		return n.w.faults.name(ctx, c, false)
	}
	who := "a person"
	if !n.person {
		who = "the engine"
	}
	n.w.trace.note(n.w.clock.Now(), "  %s: %s swaps %s", n.called(service), who, c.Swap)
	n.note(service, *c.Swap)
	if n.person {
		return nil
	}
	return n.w.faults.name(ctx, c, false)
}

func (n *names) called(service *dnsmemory.Service) string {
	switch service {
	case n.old:
		return "old zone"
	case n.fresh:
		return "new zone"
	}
	return "parent zone"
}

// note lets resolvers go on giving the old answer until its TTL has run out.
func (n *names) note(service *dnsmemory.Service, swap dns.Swap) {
	now := n.w.clock.Now()
	k := n.known[service][swap.Key()]
	if k == nil {
		k = &known{}
		n.known[service][swap.Key()] = k
	}
	k.stale = slices.DeleteFunc(k.stale, func(s stale) bool { return !now.Before(s.until) })
	if k.now != nil {
		k.stale = append(k.stale, stale{*k.now, now.Add(time.Duration(k.now.TTL) * time.Second)})
	}
	if service != n.fresh && swap.Key() == (zone.Key{Name: zoneName, Type: "NS"}) && leadsToFresh(k.now) {
		n.freshSeen = later(n.freshSeen, now.Add(time.Duration(k.now.TTL)*time.Second))
	}
	if name, _, _ := strings.Cut(swap.Key().Name, "."); n.w.byName[name] != nil && swap.Key().Type == "A" {
		n.dirty[swap.Key().Name] = true
	}
	n.allDirty = n.allDirty || swap.Key() == (zone.Key{Name: zoneName, Type: "NS"})
	k.now = nil
	if swap.New != nil {
		set := swap.New.Clone()
		k.now = &set
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func leadsToFresh(ns *dns.RecordSet) bool {
	return ns != nil && slices.Contains(ns.Data, newNames[0]+".")
}

// copies are those that resolvers may ask now.
func (n *names) copies() []*dnsmemory.Service {
	key := zone.Key{Name: zoneName, Type: "NS"}
	out := []*dnsmemory.Service{n.old}
	if n.w.clock.Now().Before(n.freshSeen) || leadsToFresh(n.known[n.parent][key].now) || leadsToFresh(n.known[n.old][key].now) {
		out = append(out, n.fresh)
	}
	return out
}

// answers are the sets that some resolver may give for a name now. A nil set says
// that it may answer that there is no such name.
func (n *names) answers(service *dnsmemory.Service, host string) []*dns.RecordSet {
	k := n.known[service][zone.Key{Name: host, Type: "A"}]
	if k == nil {
		return []*dns.RecordSet{nil}
	}
	out := []*dns.RecordSet{k.now}
	now := n.w.clock.Now()
	for i := range k.stale {
		if now.Before(k.stale[i].until) {
			out = append(out, &k.stale[i].set)
		}
	}
	return out
}
