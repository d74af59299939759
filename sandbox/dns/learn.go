package dns

import (
	"time"

	"github.com/miekg/dns"
)

// learn caches what an authoritative response says, and returns the part of it
// that answers for name: its set, its CNAME, or its absence.
func (r *resolver) learn(response *dns.Msg, cut, name string, rrtype uint16) *finding {
	now := r.now()
	sets := map[setKey][]dns.RR{}
	for _, rr := range response.Answer {
		owner := dns.CanonicalName(rr.Header().Name)
		// What a server says of names outside its zone is not to be believed.
		if dns.IsSubDomain(cut, owner) {
			key := setKey{owner, rr.Header().Rrtype}
			sets[key] = append(sets[key], rr)
		}
	}
	for key, rrs := range sets {
		r.cache.keep(key, r.positive(rrs, now), now)
	}
	for _, want := range []uint16{rrtype, dns.TypeCNAME} {
		if rrs := sets[setKey{name, want}]; rrs != nil {
			r.absentTarget(response, sets, cut, name, rrtype, now)
			return r.positive(rrs, now)
		}
	}
	absent := r.negative(response, cut, now)
	r.cache.keep(absenceKey(response, name, rrtype), absent, now)
	return absent
}

// absentTarget notes the absence at the end of a chain of CNAMEs within the zone:
// the response's code is about the last name (RFC 6604).
func (r *resolver) absentTarget(response *dns.Msg, sets map[setKey][]dns.RR, cut, name string, rrtype uint16, now time.Time) {
	if rrtype == dns.TypeCNAME {
		return
	}
	for range maxChase {
		alias := sets[setKey{name, dns.TypeCNAME}]
		if alias == nil {
			break
		}
		name = dns.CanonicalName(alias[0].(*dns.CNAME).Target)
	}
	absent := r.negative(response, cut, now)
	if sets[setKey{name, rrtype}] == nil && dns.IsSubDomain(cut, name) && absent.soa != nil {
		r.cache.keep(absenceKey(response, name, rrtype), absent, now)
	}
}

// absenceKey is the name as a whole for NXDOMAIN, one type of it for NODATA.
func absenceKey(response *dns.Msg, name string, rrtype uint16) setKey {
	if response.Rcode == dns.RcodeNameError {
		return setKey{name, dns.TypeNone}
	}
	return setKey{name, rrtype}
}

func (r *resolver) positive(rrs []dns.RR, now time.Time) *finding {
	ttl := rrs[0].Header().Ttl
	for _, rr := range rrs {
		ttl = min(ttl, rr.Header().Ttl)
	}
	return &finding{rrs: rrs, expires: now.Add(r.bounded(ttl))}
}

// negative is kept for as long as the SOA beside it says (RFC 2308 section 5),
// and not at all without one.
func (r *resolver) negative(response *dns.Msg, cut string, now time.Time) *finding {
	absent := &finding{rcode: response.Rcode, expires: now}
	for _, rr := range response.Ns {
		soa, is := rr.(*dns.SOA)
		if !is || !dns.IsSubDomain(cut, dns.CanonicalName(soa.Hdr.Name)) {
			continue
		}
		ttl := r.bounded(min(soa.Hdr.Ttl, soa.Minttl))
		absent.soa = soa
		absent.expires = now.Add(min(ttl, time.Duration(r.MaxNegativeTTL)))
	}
	return absent
}

// bounded is a TTL in seconds as this resolver keeps it.
func (r *resolver) bounded(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		ttl = 0 // RFC 2181 section 8
	}
	kept := time.Duration(float64(ttl) * r.StretchTTL * float64(time.Second))
	return min(max(kept, time.Duration(r.MinTTL)), time.Duration(r.MaxTTL))
}
