package dns

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const updateZone = `
@ 60 IN SOA ns host 7 1800 900 604800 5
@ 60 IN NS ns
ns 60 IN A 10.53.0.3
a 60 IN A 10.0.0.1
a 60 IN A 10.0.0.2
a 60 IN TXT "note"
c 60 IN CNAME a
deep.down 60 IN A 10.0.0.9
`

// zoneText lists a version without its SOA, one record a line, owner relative.
func zoneText(v *version) string {
	var lines []string
	for _, rr := range v.records()[1:] {
		name := strings.TrimSuffix(strings.TrimSuffix(rr.Header().Name, v.apex), ".")
		lines = append(lines, fmt.Sprintf("%s %d %s", name, rr.Header().Ttl, data([]dns.RR{rr})))
	}
	return strings.Join(lines, "\n")
}

func TestUpdate(t *testing.T) {
	rr := func(lines ...string) []dns.RR { return records(t, lines...) }
	one := "a.z.test. 60 IN A 10.0.0.1"
	two := "a.z.test. 60 IN A 10.0.0.2"
	tests := []struct {
		name   string
		update func(*dns.Msg)
		rcode  int
		add    []string // lines that appear
		remove []string // lines that go
		serial uint32   // 0: as it was
	}{
		{name: "name in use", update: func(m *dns.Msg) { m.NameUsed(rr(one)); m.Insert(rr("n.z.test. 5 IN A 1.2.3.4")) },
			add: []string{"n 5 A 1.2.3.4"}, serial: 8},
		{name: "name is not in use", update: func(m *dns.Msg) { m.NameUsed(rr("x.z.test. 0 IN A 1.1.1.1")); m.Insert(rr("n.z.test. 5 IN A 1.2.3.4")) },
			rcode: dns.RcodeNameError},
		{name: "empty non-terminal is not in use", update: func(m *dns.Msg) { m.NameUsed(rr("down.z.test. 0 IN A 1.1.1.1")) },
			rcode: dns.RcodeNameError},
		{name: "name must not be in use, and is", update: func(m *dns.Msg) { m.NameNotUsed(rr(one)); m.Insert(rr("n.z.test. 5 IN A 1.2.3.4")) },
			rcode: dns.RcodeYXDomain},
		{name: "name must not be in use, and is not", update: func(m *dns.Msg) {
			m.NameNotUsed(rr("n.z.test. 0 IN A 1.1.1.1"))
			m.Insert(rr("n.z.test. 5 IN A 1.2.3.4"))
		}, add: []string{"n 5 A 1.2.3.4"}, serial: 8},
		{name: "set exists", update: func(m *dns.Msg) { m.RRsetUsed(rr(one)); m.RemoveRRset(rr(one)) },
			remove: []string{"a 60 A 10.0.0.1", "a 60 A 10.0.0.2"}, serial: 8},
		{name: "set does not exist", update: func(m *dns.Msg) { m.RRsetUsed(rr("a.z.test. 0 IN AAAA ::1")); m.RemoveRRset(rr(one)) },
			rcode: dns.RcodeNXRrset},
		{name: "set must not exist, and does", update: func(m *dns.Msg) { m.RRsetNotUsed(rr(one)); m.Insert(rr("n.z.test. 5 IN A 1.2.3.4")) },
			rcode: dns.RcodeYXRrset},
		{name: "set has just this content, in any order", update: func(m *dns.Msg) {
			m.Used(rr(two, one))
			m.RemoveRRset(rr(one))
			m.Insert(rr("a.z.test. 5 IN A 10.0.0.3"))
		},
			remove: []string{"a 60 A 10.0.0.1", "a 60 A 10.0.0.2"}, add: []string{"a 5 A 10.0.0.3"}, serial: 8},
		{name: "set has more than this content", update: func(m *dns.Msg) { m.Used(rr(one)); m.RemoveRRset(rr(one)) },
			rcode: dns.RcodeNXRrset},
		{name: "set has other content", update: func(m *dns.Msg) { m.Used(rr(one, "a.z.test. 0 IN A 10.0.0.3")); m.RemoveRRset(rr(one)) },
			rcode: dns.RcodeNXRrset},
		{name: "second prerequisite fails, nothing is done", update: func(m *dns.Msg) {
			m.Used(rr(one, two))
			m.NameNotUsed(rr("c.z.test. 0 IN A 1.1.1.1"))
			m.RemoveRRset(rr(one))
		}, rcode: dns.RcodeYXDomain},
		{name: "prerequisite outside the zone", update: func(m *dns.Msg) { m.NameUsed(rr("a.other.test. 0 IN A 1.1.1.1")) }, rcode: dns.RcodeNotZone},
		{name: "last step is outside the zone, nothing is done", update: func(m *dns.Msg) {
			m.Insert(rr("n.z.test. 5 IN A 1.2.3.4", "n.other.test. 5 IN A 1.2.3.4"))
		}, rcode: dns.RcodeNotZone},
		{name: "one record goes", update: func(m *dns.Msg) { m.Remove(rr(two)) }, remove: []string{"a 60 A 10.0.0.2"}, serial: 8},
		{name: "record that is not there goes", update: func(m *dns.Msg) { m.Remove(rr("a.z.test. 0 IN A 10.0.0.7")) }},
		{name: "whole name goes, and the empty ones above it", update: func(m *dns.Msg) { m.RemoveName(rr("deep.down.z.test. 0 IN A 1.1.1.1")) },
			remove: []string{"deep.down 60 A 10.0.0.9"}, serial: 8},
		{name: "same record again changes nothing", update: func(m *dns.Msg) { m.Insert(rr(one)) }},
		{name: "new TTL is that of the whole set", update: func(m *dns.Msg) { m.Insert(rr("a.z.test. 5 IN A 10.0.0.1")) },
			remove: []string{"a 60 A 10.0.0.1", "a 60 A 10.0.0.2"}, add: []string{"a 5 A 10.0.0.1", "a 5 A 10.0.0.2"}, serial: 8},
		{name: "record beside a CNAME is passed over", update: func(m *dns.Msg) { m.Insert(rr("c.z.test. 5 IN A 10.0.0.1")) }},
		{name: "CNAME beside records is passed over", update: func(m *dns.Msg) { m.Insert(rr("a.z.test. 5 IN CNAME c.z.test.")) }},
		{name: "CNAME replaces a CNAME", update: func(m *dns.Msg) { m.Insert(rr("c.z.test. 5 IN CNAME ns.z.test.")) },
			remove: []string{"c 60 CNAME a.z.test."}, add: []string{"c 5 CNAME ns.z.test."}, serial: 8},
		{name: "last NS of the apex stays", update: func(m *dns.Msg) { m.Remove(rr("z.test. 0 IN NS ns.z.test.")) }},
		{name: "apex NS set cannot be removed at once", update: func(m *dns.Msg) { m.RemoveRRset(rr("z.test. 0 IN NS ns.z.test.")) }},
		{name: "apex keeps SOA and NS", update: func(m *dns.Msg) { m.RemoveName(rr("z.test. 0 IN A 1.1.1.1")) }},
		{name: "apex NS set is replaced", update: func(m *dns.Msg) {
			m.Insert(rr("z.test. 30 IN NS ns2.z.test."))
			m.Remove(rr("z.test. 0 IN NS ns.z.test."))
		}, remove: []string{" 60 NS ns.z.test."}, add: []string{" 30 NS ns2.z.test."}, serial: 8},
		{name: "older SOA is passed over", update: func(m *dns.Msg) { m.Insert(rr("z.test. 60 IN SOA ns.z.test. host.z.test. 6 1 1 1 1")) }},
		{name: "newer SOA is taken as it is", update: func(m *dns.Msg) { m.Insert(rr("z.test. 60 IN SOA ns.z.test. host.z.test. 100 1800 900 604800 5")) },
			serial: 100},
		{name: "names are compared without case", update: func(m *dns.Msg) { m.Used(rr(strings.ToUpper(one), two)); m.Remove(rr("A.Z.test. 0 IN A 10.0.0.2")) },
			remove: []string{"a 60 A 10.0.0.2"}, serial: 8},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before, err := parseZone("z.test.", updateZone)
			if err != nil {
				t.Fatal(err)
			}
			message := new(dns.Msg)
			message.SetUpdate("z.test.")
			test.update(message)
			edit, rcode := before.apply(onWire(t, message))
			if rcode != test.rcode {
				t.Fatalf("%s, want %s", dns.RcodeToString[rcode], dns.RcodeToString[test.rcode])
			}
			if rcode != dns.RcodeSuccess {
				return
			}
			text := zoneText(before)
			after := edit.version(1)
			want := strings.Split(text, "\n")
			want = slices.DeleteFunc(want, func(line string) bool { return slices.Contains(test.remove, line) })
			want = append(want, test.add...)
			got := strings.Split(zoneText(after), "\n")
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("zone after:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			serial := test.serial
			if serial == 0 {
				serial = 7
			}
			if after.soa().Serial != serial {
				t.Errorf("serial %d, want %d", after.soa().Serial, serial)
			}
			if zoneText(before) != text || before.soa().Serial != 7 {
				t.Error("the version before was changed")
			}
			checkNodes(t, after)
		})
	}
}

// checkNodes counts, for every node, the names below it anew.
func checkNodes(t *testing.T, v *version) {
	t.Helper()
	below := map[string]int{}
	for name, n := range v.nodes {
		if name != v.apex {
			below[above(name)]++
			if v.nodes[above(name)] == nil {
				t.Errorf("%s has no node above it", name)
			}
		}
		if len(n.sets) == 0 && n.below == 0 && name != v.apex {
			t.Errorf("%s holds nothing", name)
		}
	}
	for name, n := range v.nodes {
		if n.below != below[name] {
			t.Errorf("%s counts %d names below it, there are %d", name, n.below, below[name])
		}
	}
}

func TestMalformedUpdates(t *testing.T) {
	v, err := parseZone("z.test.", updateZone)
	if err != nil {
		t.Fatal(err)
	}
	header := func(class, rrtype uint16, ttl uint32) dns.RR {
		return &dns.ANY{Hdr: dns.RR_Header{Name: "a.z.test.", Class: class, Rrtype: rrtype, Ttl: ttl}}
	}
	tests := []struct {
		name    string
		section func(*dns.Msg)
	}{
		{"prerequisite with a TTL", func(m *dns.Msg) { m.Answer = []dns.RR{header(dns.ClassANY, dns.TypeA, 5)} }},
		{"prerequisite of another class", func(m *dns.Msg) { m.Answer = []dns.RR{header(dns.ClassCHAOS, dns.TypeA, 0)} }},
		{"removal with a TTL", func(m *dns.Msg) { m.Ns = []dns.RR{header(dns.ClassANY, dns.TypeA, 5)} }},
		{"removal of a type that zones do not hold", func(m *dns.Msg) { m.Ns = []dns.RR{header(dns.ClassANY, dns.TypeAXFR, 0)} }},
		{"insertion without data", func(m *dns.Msg) { m.Ns = []dns.RR{header(dns.ClassINET, dns.TypeA, 5)} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			message := new(dns.Msg)
			message.SetUpdate("z.test.")
			test.section(message)
			if _, rcode := v.apply(onWire(t, message)); rcode != dns.RcodeFormatError {
				t.Errorf("%s, want FORMERR", dns.RcodeToString[rcode])
			}
		})
	}
}

func TestSerialsOnTheirCircle(t *testing.T) {
	tests := []struct {
		a, b uint32
		want bool
	}{{2, 1, true}, {1, 2, false}, {1, 1, false}, {0, 4294967295, true}, {4294967295, 0, false}, {1 << 30, 0, true}}
	for _, test := range tests {
		if got := serialAfter(test.a, test.b); got != test.want {
			t.Errorf("serialAfter(%d, %d) = %v", test.a, test.b, got)
		}
	}
}
