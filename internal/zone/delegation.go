package zone

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	wire "github.com/miekg/dns"
)

// A Delegation is what leads resolvers to a zone's servers: some of it stands in
// the parent zone, some in the zone itself. Resolvers obey either, by kind and by
// age, so both must agree before and after a change.
type Delegation struct {
	// Zone is the delegated name.
	Zone string
	// Parent is the NS set for Zone in the parent zone.
	Parent RecordSet
	// Glue holds the addresses that the parent zone gives for those servers whose
	// names lie within Zone, ordered by Key.
	Glue []RecordSet
	// DS is the parent's DS set, nil if Zone is not signed (RFC 4034, section 5).
	DS *RecordSet
	// Apex is the NS set that the zone's own servers give.
	Apex RecordSet
	// SOA is the zone's start of authority.
	SOA SOA
}

// A SOA holds the fields of a start of authority that bear on caching and change.
type SOA struct {
	// TTL is the record's own, in seconds.
	TTL uint32
	// Serial is the zone's version. It advances with every change and is compared
	// as in RFC 1982.
	Serial uint32
	// Minimum bounds, together with TTL, how many seconds "no such name" is kept
	// (RFC 2308, section 5).
	Minimum uint32
	// Primary is the name of the server that takes changes.
	Primary string
}

// Negative returns how long a resolver may keep "no such name" or "no such type":
// the lower of TTL and Minimum (RFC 2308, section 5).
func (s SOA) Negative() time.Duration {
	return time.Duration(min(s.TTL, s.Minimum)) * time.Second
}

// SOAOf returns the start of authority of zoneName among sets. The error says that
// there is none, or what is wrong with it.
func SOAOf(zoneName string, sets []RecordSet) (SOA, error) {
	key := Key{Name: CanonicalName(zoneName), Type: "SOA"}
	for _, set := range sets {
		if set.Key == key {
			return parseSOA(set)
		}
	}
	return SOA{}, fmt.Errorf("%s: no such set", key)
}

func parseSOA(set RecordSet) (SOA, error) {
	record, err := soaRecord(set)
	if err != nil {
		return SOA{}, err
	}
	return SOA{
		TTL:     set.TTL,
		Serial:  record.Serial,
		Minimum: record.Minttl,
		Primary: CanonicalName(record.Ns),
	}, nil
}

func soaRecord(set RecordSet) (*wire.SOA, error) {
	records, err := set.Records()
	if err != nil {
		return nil, err
	}
	if len(records) != 1 {
		return nil, fmt.Errorf("%s: %d records, but a zone has one", set.Key, len(records))
	}
	return records[0].(*wire.SOA), nil
}

// NextSOA returns next with the serial number that follows held's, round the corner
// where needed (RFC 1982, section 3.1), so that a server takes it for newer. The
// error says which of the two is no SOA set.
func NextSOA(held, next RecordSet) (RecordSet, error) {
	current, err := soaRecord(held)
	if err != nil {
		return RecordSet{}, err
	}
	return editSOA(next, func(soa *wire.SOA) { soa.Serial = current.Serial + 1 })
}

func editSOA(soa RecordSet, edit func(*wire.SOA)) (RecordSet, error) {
	record, err := soaRecord(soa)
	if err != nil {
		return RecordSet{}, err
	}
	edit(record)
	soa.Data = []string{textOf(record)}
	return soa, nil
}

// DelegationOf gathers zoneName's delegation from the sets of its parent zone and
// its own. The error says which set is missing.
func DelegationOf(zoneName string, parent, own []RecordSet) (Delegation, error) {
	zoneName = CanonicalName(zoneName)
	above, inside := index(parent), index(own)
	ns := Key{Name: zoneName, Type: "NS"}
	if above[ns] == nil {
		return Delegation{}, fmt.Errorf("parent zone does not delegate %s: no NS set", zoneName)
	}
	if inside[ns] == nil {
		return Delegation{}, fmt.Errorf("zone %s has no NS set at its apex", zoneName)
	}
	soa, err := SOAOf(zoneName, own)
	if err != nil {
		return Delegation{}, fmt.Errorf("zone %s: %w", zoneName, err)
	}
	d := Delegation{Zone: zoneName, Parent: *above[ns], Apex: *inside[ns], SOA: soa}
	d.DS = above[Key{Name: zoneName, Type: "DS"}]
	servers := d.Servers()
	for _, set := range Sorted(parent) {
		isAddress := set.Type == "A" || set.Type == "AAAA"
		if isAddress && Within(zoneName, set.Name) && slices.Contains(servers, set.Name) {
			d.Glue = append(d.Glue, set)
		}
	}
	return d, nil
}

// Servers returns the names of the servers to which the parent delegates, ordered.
func (d Delegation) Servers() []string { return serverNames(d.Parent) }

func serverNames(ns RecordSet) []string {
	names := make([]string, 0, len(ns.Data))
	for _, data := range ns.Data {
		names = append(names, CanonicalName(data))
	}
	slices.Sort(names)
	return names
}

// Check returns what would make a change of this delegation unsafe, or nil:
// parent and zone that name different servers, and a signed parent, whose DS makes
// resolvers refuse answers of servers that sign with other keys or not at all.
// The error joins every finding, one per line.
func (d Delegation) Check() error {
	var findings []error
	parent, apex := d.Servers(), serverNames(d.Apex)
	if !slices.Equal(parent, apex) {
		findings = append(findings, fmt.Errorf("parent delegates %s to %s, but the zone's own NS are %s",
			d.Zone, strings.Join(parent, ", "), strings.Join(apex, ", ")))
	}
	if d.DS != nil {
		findings = append(findings, fmt.Errorf("parent has a DS for %s: the new servers' keys must be published there and in both zones first", d.Zone))
	}
	return errors.Join(findings...)
}

// Longest returns the longest time for which a resolver may follow this
// delegation after it changed: the highest TTL of the parent's NS, its glue and DS,
// the zone's own NS, and of "no such name".
func (d Delegation) Longest() time.Duration {
	longest := max(d.Parent.Lifetime(), d.Apex.Lifetime(), d.SOA.Negative())
	for _, set := range d.Glue {
		longest = max(longest, set.Lifetime())
	}
	if d.DS != nil {
		longest = max(longest, d.DS.Lifetime())
	}
	return longest
}
