package dnstest

import (
	"slices"

	wire "github.com/miekg/dns"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// update does what RFC 2136, section 3, tells a primary server to do with an
// UPDATE, and returns the code of the answer.
func (s *Server) update(request *wire.Msg) int {
	zoneName := zone.CanonicalName(request.Question[0].Name)
	held, ok := s.zones[zoneName]
	if !ok {
		return wire.RcodeNotAuth
	}
	if code := held.prerequisites(zoneName, request.Answer); code != wire.RcodeSuccess {
		return code
	}
	for _, record := range request.Ns {
		if !zone.Within(zoneName, zone.CanonicalName(record.Header().Name)) {
			return wire.RcodeNotZone
		}
	}
	before := held.only(request.Ns)
	for _, record := range request.Ns {
		held.apply(zoneName, record)
	}
	after := held.only(request.Ns)
	raised := serialOf(zoneName, before) != serialOf(zoneName, after)
	if len(zone.Diff(before, after)) > 0 && !raised {
		held.advance(zoneName)
	}
	return wire.RcodeSuccess
}

// only returns those sets that records name.
func (c contents) only(records []wire.RR) []dns.RecordSet {
	named := contents{}
	for _, record := range records {
		if set, ok := c[keyOf(record)]; ok {
			named[set.Key] = set
		}
	}
	return named.sorted()
}

// serialOf returns the serial number among sets, 0 if there is none.
func serialOf(zoneName string, sets []dns.RecordSet) uint32 {
	soa, err := zone.SOAOf(zoneName, sets)
	if err != nil {
		return 0
	}
	return soa.Serial
}

func keyOf(record wire.RR) zone.Key {
	header := record.Header()
	return zone.Key{Name: zone.CanonicalName(header.Name), Type: wire.Type(header.Rrtype).String()}
}

// prerequisites checks section 3.2.
func (c contents) prerequisites(zoneName string, records []wire.RR) int {
	var exact []wire.RR
	for _, record := range records {
		header, key := record.Header(), keyOf(record)
		_, setExists := c[key]
		switch {
		case header.Ttl != 0:
			return wire.RcodeFormatError
		case !zone.Within(zoneName, key.Name):
			return wire.RcodeNotZone
		case header.Class == wire.ClassANY && header.Rrtype == wire.TypeANY:
			if !c.nameInUse(key.Name) {
				return wire.RcodeNameError
			}
		case header.Class == wire.ClassANY:
			if !setExists {
				return wire.RcodeNXRrset
			}
		case header.Class == wire.ClassNONE && header.Rrtype == wire.TypeANY:
			if c.nameInUse(key.Name) {
				return wire.RcodeYXDomain
			}
		case header.Class == wire.ClassNONE:
			if setExists {
				return wire.RcodeYXRrset
			}
		default:
			exact = append(exact, record)
		}
	}
	for _, set := range zone.Group(exact) {
		if !slices.Equal(set.Data, c[set.Key].Data) {
			return wire.RcodeNXRrset
		}
	}
	return wire.RcodeSuccess
}

func (c contents) nameInUse(name string) bool {
	for key := range c {
		if key.Name == name {
			return true
		}
	}
	return false
}

// apply does one line of section 3.4.2.
func (c contents) apply(zoneName string, record wire.RR) {
	key := keyOf(record)
	atApex := key.Name == zoneName && (key.Type == "SOA" || key.Type == "NS")
	switch record.Header().Class {
	case wire.ClassANY:
		if record.Header().Rrtype != wire.TypeANY && !atApex {
			delete(c, key)
		}
	case wire.ClassNONE:
		c.remove(record, atApex)
	default:
		c.add(zoneName, record)
	}
}

// remove deletes one record, but never the apex's SOA or last NS (section 3.4.2.4).
func (c contents) remove(record wire.RR, atApex bool) {
	key := keyOf(record)
	gone := zone.Group([]wire.RR{record})[0].Data[0]
	set, ok := c[key]
	if !ok || atApex && (key.Type == "SOA" || len(set.Data) == 1) {
		return
	}
	set = set.Clone()
	set.Data = slices.DeleteFunc(set.Data, func(data string) bool { return data == gone })
	c[key] = set
	if len(set.Data) == 0 {
		delete(c, key)
	}
}

// add puts one record in, or ignores it (section 3.4.2.2).
func (c contents) add(zoneName string, record wire.RR) {
	added := zone.Group([]wire.RR{record})[0]
	held, exists := c[added.Key]
	switch added.Type {
	case "SOA":
		if !exists || !newer(zoneName, held, added) {
			return
		}
	case "CNAME":
		for key := range c {
			if key.Name == added.Name && key.Type != "CNAME" {
				return
			}
		}
	default:
		if _, alias := c[zone.Key{Name: added.Name, Type: "CNAME"}]; alias {
			return
		}
		if exists {
			added.Data = slices.Concat(held.Data, added.Data)
			slices.Sort(added.Data)
			added.Data = slices.Compact(added.Data)
		}
	}
	c[added.Key] = added
}

// newer compares serial numbers as in RFC 1982, section 3.2.
func newer(zoneName string, held, added dns.RecordSet) bool {
	before, after := serialOf(zoneName, []dns.RecordSet{held}), serialOf(zoneName, []dns.RecordSet{added})
	return int32(after-before) > 0
}
