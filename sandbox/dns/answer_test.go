package dns

import (
	"testing"

	"github.com/miekg/dns"
)

const answerZone = `
@ 60 IN SOA ns host 7 1800 900 604800 5
@ 60 IN NS ns
@ 60 IN NS ns.elsewhere.test.
@ 60 IN MX 10 a
ns 60 IN A 10.53.0.3
a 60 IN A 10.0.0.1
c 60 IN CNAME cc
cc 60 IN CNAME a
gone 60 IN CNAME nowhere
out 60 IN CNAME www.elsewhere.test.
loop1 60 IN CNAME loop2
loop2 60 IN CNAME loop1
into 60 IN CNAME www.sub
a.deep 60 IN A 10.0.0.2
*.wild 60 IN A 10.0.0.3
x.y.wild 60 IN A 10.0.0.4
*.alias 60 IN CNAME a
sub 60 IN NS ns.sub
sub 60 IN NS a
sub 60 IN DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000
ns.sub 60 IN A 10.0.0.5
`

func TestAnswers(t *testing.T) {
	v, err := parseZone("z.test.", answerZone)
	if err != nil {
		t.Fatal(err)
	}
	soa := "SOA ns.z.test. host.z.test. 7 1800 900 604800 5"
	tests := []struct {
		name, ask string
		qtype     uint16
		withNS    bool
		rcode     int
		answer    string
		ns        string
		extra     string
		referred  bool
	}{
		{name: "record", ask: "a.z.test.", qtype: dns.TypeA, answer: "A 10.0.0.1"},
		{name: "name in capitals", ask: "A.Z.Test.", qtype: dns.TypeA, answer: "A 10.0.0.1"},
		{name: "NS beside the answer, with the addresses that are known", ask: "a.z.test.", qtype: dns.TypeA, withNS: true, answer: "A 10.0.0.1",
			ns: "NS ns.z.test. | NS ns.elsewhere.test.", extra: "A 10.53.0.3"},
		{name: "NS is not said twice", ask: "z.test.", qtype: dns.TypeNS, withNS: true, answer: "NS ns.z.test. | NS ns.elsewhere.test.", extra: "A 10.53.0.3"},
		{name: "mail exchanger comes with its address", ask: "z.test.", qtype: dns.TypeMX, answer: "MX 10 a.z.test.", extra: "A 10.0.0.1"},
		{name: "other type", ask: "a.z.test.", qtype: dns.TypeAAAA, ns: soa},
		{name: "no such name", ask: "b.z.test.", qtype: dns.TypeA, rcode: dns.RcodeNameError, ns: soa},
		{name: "no NS beside a denial", ask: "b.z.test.", qtype: dns.TypeA, withNS: true, rcode: dns.RcodeNameError, ns: soa},
		{name: "empty non-terminal exists", ask: "deep.z.test.", qtype: dns.TypeA, ns: soa},
		{name: "below an empty non-terminal", ask: "b.deep.z.test.", qtype: dns.TypeA, rcode: dns.RcodeNameError, ns: soa},
		{name: "chain of aliases", ask: "c.z.test.", qtype: dns.TypeA, answer: "CNAME cc.z.test. | CNAME a.z.test. | A 10.0.0.1"},
		{name: "alias itself", ask: "c.z.test.", qtype: dns.TypeCNAME, answer: "CNAME cc.z.test."},
		{name: "alias of nothing", ask: "gone.z.test.", qtype: dns.TypeA, rcode: dns.RcodeNameError, answer: "CNAME nowhere.z.test.", ns: soa},
		{name: "alias that leaves the zone", ask: "out.z.test.", qtype: dns.TypeA, answer: "CNAME www.elsewhere.test."},
		{name: "alias into a delegation", ask: "into.z.test.", qtype: dns.TypeA, answer: "CNAME www.sub.z.test.",
			ns: "NS ns.sub.z.test. | NS a.z.test. | DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000", extra: "A 10.0.0.5 | A 10.0.0.1"},
		{name: "wildcard", ask: "anything.wild.z.test.", qtype: dns.TypeA, answer: "A 10.0.0.3"},
		{name: "wildcard covers several labels", ask: "a.b.wild.z.test.", qtype: dns.TypeA, answer: "A 10.0.0.3"},
		{name: "wildcard has no such type", ask: "anything.wild.z.test.", qtype: dns.TypeTXT, ns: soa},
		{name: "wildcard does not cover what exists", ask: "y.wild.z.test.", qtype: dns.TypeA, ns: soa},
		{name: "wildcard does not reach below what exists", ask: "z.y.wild.z.test.", qtype: dns.TypeA, rcode: dns.RcodeNameError, ns: soa},
		{name: "wildcard alias", ask: "b.alias.z.test.", qtype: dns.TypeA, answer: "CNAME a.z.test. | A 10.0.0.1"},
		{name: "delegation", ask: "www.sub.z.test.", qtype: dns.TypeA, referred: true,
			ns: "NS ns.sub.z.test. | NS a.z.test. | DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000", extra: "A 10.0.0.5 | A 10.0.0.1"},
		{name: "delegation's NS is a referral too", ask: "sub.z.test.", qtype: dns.TypeNS, referred: true,
			ns: "NS ns.sub.z.test. | NS a.z.test. | DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000", extra: "A 10.0.0.5 | A 10.0.0.1"},
		{name: "DS is the parent's", ask: "sub.z.test.", qtype: dns.TypeDS, answer: "DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			reply := new(dns.Msg)
			v.answer(reply, dns.Question{Name: test.ask, Qtype: test.qtype, Qclass: dns.ClassINET}, test.withNS)
			got := []string{dns.RcodeToString[reply.Rcode], data(reply.Answer), data(reply.Ns), data(reply.Extra)}
			want := []string{dns.RcodeToString[test.rcode], test.answer, test.ns, test.extra}
			for i, part := range []string{"code", "answer", "authority", "additional"} {
				if got[i] != want[i] {
					t.Errorf("%s: %s, want %s", part, got[i], want[i])
				}
			}
			if reply.Authoritative == test.referred {
				t.Errorf("authoritative: %v", reply.Authoritative)
			}
		})
	}
	t.Run("denial lives for the SOA's minimum", func(t *testing.T) {
		reply := new(dns.Msg)
		v.answer(reply, dns.Question{Name: "b.z.test.", Qtype: dns.TypeA, Qclass: dns.ClassINET}, false)
		if ttl := reply.Ns[0].Header().Ttl; ttl != 5 {
			t.Errorf("TTL %d, want 5", ttl)
		}
	})
	t.Run("a loop of aliases ends", func(t *testing.T) {
		v.answer(new(dns.Msg), dns.Question{Name: "loop1.z.test.", Qtype: dns.TypeA, Qclass: dns.ClassINET}, false)
	})
}

func TestZonesThatAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no SOA":          "@ 60 IN NS ns\n",
		"no NS":           "@ 60 IN SOA ns host 7 1 1 1 1\n",
		"foreign record":  "@ 60 IN SOA ns host 7 1 1 1 1\n@ 60 IN NS ns\na.other.test. 60 IN A 1.2.3.4\n",
		"not a zone file": "what?\n",
	} {
		if _, err := parseZone("z.test.", text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
