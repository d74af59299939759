package dns

import (
	"slices"

	"github.com/miekg/dns"
)

// apply makes the edit that an UPDATE message asks for, or returns the response
// code of its refusal; then nothing of it counts (RFC 2136 section 3). The caller
// has checked that the message is for this zone, and who sent it.
func (v *version) apply(message *dns.Msg) (*edit, int) {
	if rcode := v.prerequisites(message.Answer); rcode != dns.RcodeSuccess {
		return nil, rcode
	}
	if rcode := v.prescan(message.Ns); rcode != dns.RcodeSuccess {
		return nil, rcode
	}
	e := v.edit()
	for _, rr := range message.Ns {
		e.update(rr)
	}
	e.bumpSerial()
	return e, dns.RcodeSuccess
}

// prerequisites checks the second section of an UPDATE (RFC 2136 section 3.2).
func (v *version) prerequisites(rrs []dns.RR) int {
	wanted := map[setKey][]dns.RR{}
	for _, rr := range rrs {
		header := rr.Header()
		name := dns.CanonicalName(header.Name)
		switch {
		case header.Ttl != 0:
			return dns.RcodeFormatError
		case !dns.IsSubDomain(v.apex, name):
			return dns.RcodeNotZone
		}
		switch header.Class {
		case dns.ClassANY:
			if rcode := v.mustExist(name, rr); rcode != dns.RcodeSuccess {
				return rcode
			}
		case dns.ClassNONE:
			if rcode := v.mustNotExist(name, rr); rcode != dns.RcodeSuccess {
				return rcode
			}
		case dns.ClassINET:
			key := setKey{name, header.Rrtype}
			wanted[key] = append(wanted[key], rr)
		default:
			return dns.RcodeFormatError
		}
	}
	for key, rrs := range wanted {
		if !sameRecords(v.set(key.name, key.rrtype), unique(rrs)) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

func (v *version) mustExist(name string, rr dns.RR) int {
	switch {
	case !empty(rr):
		return dns.RcodeFormatError
	case rr.Header().Rrtype == dns.TypeANY && !v.inUse(name):
		return dns.RcodeNameError
	case rr.Header().Rrtype != dns.TypeANY && v.set(name, rr.Header().Rrtype) == nil:
		return dns.RcodeNXRrset
	}
	return dns.RcodeSuccess
}

func (v *version) mustNotExist(name string, rr dns.RR) int {
	switch {
	case !empty(rr):
		return dns.RcodeFormatError
	case rr.Header().Rrtype == dns.TypeANY && v.inUse(name):
		return dns.RcodeYXDomain
	case rr.Header().Rrtype != dns.TypeANY && v.set(name, rr.Header().Rrtype) != nil:
		return dns.RcodeYXRrset
	}
	return dns.RcodeSuccess
}

// inUse reports whether name has records of its own (RFC 2136 section 2.4.4: an
// empty non-terminal is not in use).
func (v *version) inUse(name string) bool {
	n := v.nodes[name]
	return n != nil && len(n.sets) > 0
}

// prescan refuses an update before any of it is done (RFC 2136 section 3.4.1).
func (v *version) prescan(rrs []dns.RR) int {
	for _, rr := range rrs {
		header := rr.Header()
		if !dns.IsSubDomain(v.apex, dns.CanonicalName(header.Name)) {
			return dns.RcodeNotZone
		}
		meta := metaType(header.Rrtype)
		switch header.Class {
		case dns.ClassINET:
			if meta || empty(rr) {
				return dns.RcodeFormatError
			}
		case dns.ClassANY:
			if header.Ttl != 0 || !empty(rr) || (meta && header.Rrtype != dns.TypeANY) {
				return dns.RcodeFormatError
			}
		case dns.ClassNONE:
			if header.Ttl != 0 || meta {
				return dns.RcodeFormatError
			}
		default:
			return dns.RcodeFormatError
		}
	}
	return dns.RcodeSuccess
}

// update does one step of the update section (RFC 2136 section 3.4.2).
func (e *edit) update(rr dns.RR) {
	header := rr.Header()
	name := dns.CanonicalName(header.Name)
	atApex := name == e.base.apex
	switch header.Class {
	case dns.ClassINET:
		e.insert(name, dns.Copy(rr))
	case dns.ClassANY:
		types := []uint16{header.Rrtype}
		if header.Rrtype == dns.TypeANY {
			types = e.types(name)
		}
		for _, rrtype := range types {
			if !atApex || (rrtype != dns.TypeSOA && rrtype != dns.TypeNS) {
				e.put(name, rrtype, nil)
			}
		}
	case dns.ClassNONE:
		if atApex && header.Rrtype == dns.TypeSOA {
			return
		}
		if atApex && header.Rrtype == dns.TypeNS && len(e.set(name, dns.TypeNS)) == 1 {
			return
		}
		e.remove(rr)
	}
}

// insert adds a record unless it would stand beside a CNAME, or be a CNAME beside
// something else, or be an older SOA; those are passed over in silence, as RFC
// 2136 section 3.4.2.2 has it.
func (e *edit) insert(name string, rr dns.RR) {
	types := e.types(name)
	switch rr := rr.(type) {
	case *dns.SOA:
		old := e.set(name, dns.TypeSOA)
		if name == e.base.apex && serialAfter(rr.Serial, old[0].(*dns.SOA).Serial) {
			e.put(name, dns.TypeSOA, []dns.RR{rr})
		}
		return
	case *dns.CNAME:
		if len(types) > 0 && !slices.Equal(types, []uint16{dns.TypeCNAME}) {
			return
		}
		e.put(name, dns.TypeCNAME, []dns.RR{rr})
		return
	}
	if slices.Contains(types, dns.TypeCNAME) {
		return
	}
	e.add(rr)
}

// bumpSerial raises the SOA serial if anything changed and the update did not
// raise it itself.
func (e *edit) bumpSerial() {
	apex := e.base.apex
	old := e.base.soa()
	if len(e.changed()) == 0 || e.set(apex, dns.TypeSOA)[0].(*dns.SOA).Serial != old.Serial {
		return
	}
	soa := dns.Copy(e.set(apex, dns.TypeSOA)[0]).(*dns.SOA)
	soa.Serial++
	if soa.Serial == 0 {
		soa.Serial = 1
	}
	e.put(apex, dns.TypeSOA, []dns.RR{soa})
}

// serialAfter compares SOA serials on their circle (RFC 1982).
func serialAfter(a, b uint32) bool { return a != b && int32(a-b) > 0 }

// metaType reports types that no zone holds: ANY, AXFR, OPT, TSIG and their like
// (RFC 6895 section 3.1).
func metaType(rrtype uint16) bool {
	return rrtype == dns.TypeOPT || (rrtype >= 128 && rrtype <= 255)
}

// empty reports whether rr came without data.
func empty(rr dns.RR) bool {
	if _, bare := rr.(*dns.ANY); bare {
		return true
	}
	return rr.Header().Rdlength == 0
}

func unique(rrs []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		if !slices.ContainsFunc(out, func(other dns.RR) bool { return sameData(rr, other) }) {
			out = append(out, rr)
		}
	}
	return out
}
