package rfc2136

import (
	"slices"

	wire "github.com/miekg/dns"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// updateMessage returns the UPDATE that does swap if the zone still holds swap.Old
// and, unless it is nil, the SOA guard. The error says which set does not parse.
func updateMessage(zoneName string, swap dns.Swap, guard *dns.RecordSet) (*wire.Msg, error) {
	message := new(wire.Msg)
	message.SetUpdate(wire.Fqdn(zoneName))
	if err := require(message, zoneName, swap, guard); err != nil {
		return nil, err
	}
	return message, change(message, zoneName, swap, guard)
}

// require fills in the prerequisites (RFC 2136, section 2.4).
func require(message *wire.Msg, zoneName string, swap dns.Swap, guard *dns.RecordSet) error {
	key := swap.Key()
	if swap.Old == nil {
		name := header(key.Name, wire.TypeNone)
		if key.Type == "CNAME" {
			message.NameNotUsed([]wire.RR{name})
			return nil
		}
		// Without the second one the server would ignore the update and call it a
		// success (section 3.4.2.2).
		message.RRsetNotUsed([]wire.RR{
			header(key.Name, typeNumber(key.Type)),
			header(key.Name, wire.TypeCNAME),
		})
		return nil
	}
	if guard != nil {
		soa, err := guard.Records()
		if err != nil {
			return err
		}
		message.Used(soa)
	}
	if key == apexSOA(zoneName) {
		return nil // the guard says more: it has the serial number
	}
	old, err := swap.Old.Records()
	if err != nil {
		return err
	}
	message.Used(old)
	return nil
}

// change fills in the update section (RFC 2136, section 2.5).
func change(message *wire.Msg, zoneName string, swap dns.Swap, guard *dns.RecordSet) error {
	key := swap.Key()
	if swap.New == nil {
		message.RemoveRRset([]wire.RR{header(key.Name, typeNumber(key.Type))})
		return nil
	}
	set := *swap.New
	if key == apexSOA(zoneName) {
		// A SOA that is not newer is ignored (section 3.4.2.2).
		var err error
		if set, err = zone.NextSOA(*guard, set); err != nil {
			return err
		}
	}
	records, err := set.Records()
	if err != nil {
		return err
	}
	switch {
	case key == apexSOA(zoneName):
		message.Insert(records)
	case atApex(zoneName, key):
		// Servers ignore the deletion of the apex's whole NS set, and of its last
		// record (sections 3.4.2.3 and 3.4.2.4): new ones come first.
		message.Insert(records)
		gone, err := without(swap.Old, set.Data)
		if err != nil {
			return err
		}
		message.Remove(gone)
	default:
		message.RemoveRRset([]wire.RR{header(key.Name, typeNumber(key.Type))})
		message.Insert(records)
	}
	return nil
}

// without returns old's records whose data is not in keep.
func without(old *dns.RecordSet, keep []string) ([]wire.RR, error) {
	if old == nil {
		return nil, nil
	}
	gone := old.Clone()
	gone.Data = slices.DeleteFunc(gone.Data, func(data string) bool { return slices.Contains(keep, data) })
	if len(gone.Data) == 0 {
		return nil, nil
	}
	return gone.Records()
}

func apexSOA(zoneName string) zone.Key { return zone.Key{Name: zoneName, Type: "SOA"} }

// header returns a record without data, which stands for a name or a set.
func header(name string, typ uint16) wire.RR {
	return &wire.ANY{Hdr: wire.RR_Header{Name: wire.Fqdn(name), Rrtype: typ, Class: wire.ClassINET}}
}
