package dns

import (
	"github.com/miekg/dns"
)

// maxChase bounds the CNAME records followed for one question.
const maxChase = 12

// answer fills in what a server that holds v says to one question (RFC 1034
// section 4.3.2). withNS adds the zone's NS set to positive answers.
func (v *version) answer(reply *dns.Msg, question dns.Question, withNS bool) {
	reply.Authoritative = true
	name := dns.CanonicalName(question.Name)
	for range maxChase {
		if cut := v.cut(name, question.Qtype); cut != "" {
			v.refer(reply, cut)
			return
		}
		found, exists := v.find(name)
		if found == nil {
			v.deny(reply, exists)
			return
		}
		if question.Qtype == dns.TypeANY {
			for _, rrs := range found.sets {
				reply.Answer = append(reply.Answer, owned(rrs, name)...)
			}
			break
		}
		if rrs := found.sets[question.Qtype]; rrs != nil {
			reply.Answer = append(reply.Answer, owned(rrs, name)...)
			break
		}
		alias := found.sets[dns.TypeCNAME]
		if alias == nil {
			v.deny(reply, true)
			return
		}
		reply.Answer = append(reply.Answer, owned(alias, name)...)
		name = dns.CanonicalName(alias[0].(*dns.CNAME).Target)
		if !dns.IsSubDomain(v.apex, name) {
			break
		}
	}
	if withNS && !answersNS(reply, v.apex) {
		reply.Ns = append(reply.Ns, copied(v.set(v.apex, dns.TypeNS))...)
	}
	v.addAddresses(reply)
}

// find returns the node that answers for name: its own, or that of the wildcard
// which covers it (RFC 4592). exists is whether the name itself exists.
func (v *version) find(name string) (found *node, exists bool) {
	if n := v.nodes[name]; n != nil {
		if len(n.sets) == 0 {
			return nil, true
		}
		return n, true
	}
	encloser := above(name)
	for v.nodes[encloser] == nil {
		encloser = above(encloser)
	}
	wildcard := "*." + encloser
	if encloser == "." {
		wildcard = "*."
	}
	if n := v.nodes[wildcard]; n != nil && len(n.sets) > 0 {
		return n, true
	}
	return nil, false
}

// cut returns the delegation below the apex at or above name, the topmost one;
// empty if the zone answers for name itself. DS belongs to the parent's side.
func (v *version) cut(name string, qtype uint16) string {
	cut := ""
	for at := name; at != v.apex; at = above(at) {
		if at == name && qtype == dns.TypeDS {
			continue
		}
		if v.set(at, dns.TypeNS) != nil {
			cut = at
		}
	}
	return cut
}

// refer answers with the delegation at cut and the addresses known for it.
func (v *version) refer(reply *dns.Msg, cut string) {
	if len(reply.Answer) == 0 {
		reply.Authoritative = false
	}
	reply.Ns = append(reply.Ns, copied(v.set(cut, dns.TypeNS))...)
	reply.Ns = append(reply.Ns, copied(v.set(cut, dns.TypeDS))...)
	v.addAddresses(reply)
}

// deny answers that the type, or the name, does not exist; the SOA's TTL is how
// long that may be cached (RFC 2308 section 3).
func (v *version) deny(reply *dns.Msg, exists bool) {
	if !exists {
		reply.Rcode = dns.RcodeNameError
	}
	soa := dns.Copy(v.soa()).(*dns.SOA)
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	reply.Ns = append(reply.Ns, soa)
}

// addAddresses puts the addresses of the hosts that the reply names into its
// additional section, as far as they are in this zone. Glue below a delegation is
// meant here, too.
func (v *version) addAddresses(reply *dns.Msg) {
	seen := map[string]bool{}
	add := func(host string) {
		host = dns.CanonicalName(host)
		if seen[host] {
			return
		}
		seen[host] = true
		reply.Extra = append(reply.Extra, copied(v.set(host, dns.TypeA))...)
		reply.Extra = append(reply.Extra, copied(v.set(host, dns.TypeAAAA))...)
	}
	for _, section := range [][]dns.RR{reply.Answer, reply.Ns} {
		for _, rr := range section {
			switch rr := rr.(type) {
			case *dns.NS:
				add(rr.Ns)
			case *dns.MX:
				add(rr.Mx)
			case *dns.SRV:
				add(rr.Target)
			}
		}
	}
}

func answersNS(reply *dns.Msg, apex string) bool {
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == dns.TypeNS && rr.Header().Name == apex {
			return true
		}
	}
	return false
}

// owned copies rrs under another owner name, which a wildcard needs.
func owned(rrs []dns.RR, name string) []dns.RR {
	out := copied(rrs)
	for _, rr := range out {
		rr.Header().Name = name
	}
	return out
}

// copied is needed wherever records leave a version: packing a message, and
// whoever gets the reply, may change them.
func copied(rrs []dns.RR) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
	}
	return out
}
