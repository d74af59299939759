package dns

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const rootServer = "10.53.0.1"

func TestAnswersAgeInTheCache(t *testing.T) {
	w := newWorld(t, movingZones(60, 60)...)
	r := w.resolver(Resolver{Kind: BIND}, rootServer)
	seconds := func() uint32 { return ask(r, "x.live.demo.test.", dns.TypeA).Answer[0].Header().Ttl }
	if got := seconds(); got != 5 {
		t.Errorf("TTL at first %d, want 5", got)
	}
	asked := w.total()
	w.pass(2 * time.Second)
	if got := seconds(); got != 3 || w.total() != asked {
		t.Errorf("after 2 s: TTL %d, %d more queries; want 3 from the cache", got, w.total()-asked)
	}
	w.pass(2500 * time.Millisecond)
	if got := seconds(); got != 0 || w.total() != asked {
		t.Errorf("after 4.5 s: TTL %d, %d more queries; want 0: rounded down", got, w.total()-asked)
	}
	w.pass(500 * time.Millisecond)
	if got := seconds(); got != 5 || w.total() != asked+1 {
		t.Errorf("after 5 s: TTL %d, %d more queries; want 5 from one server", got, w.total()-asked)
	}
}

func (w *world) total() int {
	sum := 0
	for _, n := range w.asked {
		sum += n
	}
	return sum
}

func TestTTLBounds(t *testing.T) {
	tests := []struct {
		name   string
		config Resolver
		want   uint32
	}{
		{"as told", Resolver{}, 5},
		{"at least", Resolver{MinTTL: Duration(30 * time.Second)}, 30},
		{"at most", Resolver{MaxTTL: Duration(2 * time.Second)}, 2},
		{"stretched", Resolver{StretchTTL: 3}, 15},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.config.Kind = Unbound
			r := newWorld(t, movingZones(60, 60)...).resolver(test.config, rootServer)
			if got := ask(r, "x.live.demo.test.", dns.TypeA).Answer[0].Header().Ttl; got != test.want {
				t.Errorf("TTL %d, want %d", got, test.want)
			}
		})
	}
}

func TestAbsenceIsCached(t *testing.T) {
	zones := movingZones(60, 60)
	w := newWorld(t, zones...)
	r := w.resolver(Resolver{Kind: PowerDNS}, rootServer)
	nothing := func(name string, rrtype uint16, rcode int) {
		t.Helper()
		reply := ask(r, name, rrtype)
		if reply.Rcode != rcode || len(reply.Answer) != 0 || len(reply.Ns) != 1 || reply.Ns[0].Header().Rrtype != dns.TypeSOA {
			t.Errorf("%s %s: %s", name, dns.TypeToString[rrtype], reply)
		}
	}
	nothing("no.demo.test.", dns.TypeA, dns.RcodeNameError)
	nothing("x.live.demo.test.", dns.TypeAAAA, dns.RcodeSuccess)
	asked := w.total()
	w.update("parent", func(m *dns.Msg) { m.Insert(records(t, "no.demo.test. 5 IN A 10.9.9.9")) })
	w.pass(4 * time.Second)
	nothing("no.demo.test.", dns.TypeA, dns.RcodeNameError)
	nothing("no.demo.test.", dns.TypeTXT, dns.RcodeNameError) // the whole name is absent
	nothing("x.live.demo.test.", dns.TypeAAAA, dns.RcodeSuccess)
	if w.total() != asked {
		t.Errorf("%d queries for what is known to be absent", w.total()-asked)
	}
	w.pass(time.Second) // the SOA's minimum is 5 s
	if got := data(ask(r, "no.demo.test.", dns.TypeA).Answer); got != "A 10.9.9.9" {
		t.Errorf("after the negative TTL: %q", got)
	}
	if got := ask(r, "no.demo.test.", dns.TypeTXT); got.Rcode != dns.RcodeSuccess {
		t.Errorf("another type, once the name exists: %s", dns.RcodeToString[got.Rcode])
	}
}

func TestFailureIsCachedForAShortTime(t *testing.T) {
	w := newWorld(t, movingZones(60, 60)...)
	old := []netip.Addr{netip.MustParseAddr("10.53.0.3"), netip.MustParseAddr("10.53.0.4")}
	for _, server := range old {
		w.dead[server] = true
	}
	r := w.resolver(Resolver{Kind: BIND, FailureTTL: Duration(2 * time.Second)}, rootServer)
	fails := func() bool { return ask(r, "x.live.demo.test.", dns.TypeA).Rcode == dns.RcodeServerFailure }
	if !fails() {
		t.Fatal("there was an answer")
	}
	asked := w.total()
	for _, server := range old {
		w.dead[server] = false
	}
	w.pass(1900 * time.Millisecond)
	if !fails() || w.total() != asked {
		t.Errorf("within 2 s: not from the cache, %d queries", w.total()-asked)
	}
	w.pass(200 * time.Millisecond)
	if fails() {
		t.Error("after 2 s: still a failure")
	}
}

func TestSilentServerIsAskedLast(t *testing.T) {
	w := newWorld(t, movingZones(60, 60)...)
	dead := netip.MustParseAddr("10.53.0.3")
	w.dead[dead] = true
	r := w.resolver(Resolver{Kind: BIND}, rootServer)
	for i := range 50 {
		if got := data(ask(r, fmt.Sprintf("n%d.live.demo.test.", i), dns.TypeA).Answer); got != "A 10.1.0.1" {
			t.Fatalf("question %d: %q", i, got)
		}
	}
	if w.asked[dead] != 1 {
		t.Errorf("the silent server was asked %d times in a moment", w.asked[dead])
	}
}

func TestAliasesAcrossZones(t *testing.T) {
	w := newWorld(t, movingZones(60, 60)...)
	w.update("parent", func(m *dns.Msg) {
		m.Insert(records(t, "www.demo.test. 60 IN CNAME home.live.demo.test.", "bad.demo.test. 60 IN CNAME no.demo.test."))
	})
	r := w.resolver(Resolver{Kind: Knot}, rootServer)
	for range 2 { // asked, and from the cache
		if got := data(ask(r, "www.demo.test.", dns.TypeA).Answer); got != "CNAME home.live.demo.test. | A 10.1.0.1" {
			t.Errorf("answer %q", got)
		}
		if got := data(ask(r, "www.demo.test.", dns.TypeCNAME).Answer); got != "CNAME home.live.demo.test." {
			t.Errorf("alias %q", got)
		}
		reply := ask(r, "bad.demo.test.", dns.TypeA)
		if reply.Rcode != dns.RcodeNameError || data(reply.Answer) != "CNAME no.demo.test." {
			t.Errorf("alias of nothing: %s", reply)
		}
	}
}

func TestNameServersElsewhereAreLookedUp(t *testing.T) {
	zones := movingZones(60, 60)
	zones[0].Records += "other.test. 60 IN NS ns1.new.demo.test.\n" // without glue
	zones = append(zones, Zone{ID: "other", Name: "other.test", Servers: []netip.Addr{netip.MustParseAddr("10.53.0.5")}, Records: `
@ 60 IN SOA ns1.new.demo.test. host 1 1 1 1 1
@ 60 IN NS ns1.new.demo.test.
a 60 IN A 10.7.7.7
`})
	r := newWorld(t, zones...).resolver(Resolver{Kind: BIND}, rootServer)
	if got := data(ask(r, "a.other.test.", dns.TypeA).Answer); got != "A 10.7.7.7" {
		t.Errorf("answer %q", got)
	}
}

func TestQuestionWithoutRecursionLooksInTheCacheOnly(t *testing.T) {
	w := newWorld(t, movingZones(60, 60)...)
	r := w.resolver(Resolver{Kind: BIND}, rootServer)
	query := new(dns.Msg)
	query.SetQuestion("x.live.demo.test.", dns.TypeA)
	query.RecursionDesired = false
	socket := &replyTo{network: "udp"}
	r.ServeDNS(socket, query)
	if len(socket.reply.Answer) != 0 || w.total() != 0 {
		t.Errorf("%d answers, %d queries", len(socket.reply.Answer), w.total())
	}
	ask(r, "x.live.demo.test.", dns.TypeA)
	r.ServeDNS(socket, query)
	if data(socket.reply.Answer) != "A 10.1.0.1" {
		t.Errorf("known by now, and not answered: %s", socket.reply)
	}
}

func TestSecondariesShowChangesLaterAndInOrder(t *testing.T) {
	zones := movingZones(60, 60)
	zones[2].Delay.Max = time.Second
	w := newWorld(t, zones...)
	primary, secondary := zones[2].Servers[0], zones[2].Servers[1]
	for i := range 50 {
		w.update("old", func(m *dns.Msg) { m.Insert(records(t, fmt.Sprintf("n%d.live.demo.test. 5 IN A 10.0.0.1", i))) })
		if got := w.zones["old"].at(primary).soa().Serial; got != uint32(i+2) {
			t.Fatalf("primary shows serial %d after %d updates", got, i+1)
		}
		w.pass(10 * time.Millisecond)
	}
	last := w.zones["old"].at(secondary).soa().Serial
	if last == 51 {
		t.Error("the secondary was never behind")
	}
	for range 100 {
		w.pass(10 * time.Millisecond)
		serial := w.zones["old"].at(secondary).soa().Serial
		if serial < last {
			t.Fatalf("the secondary went back from %d to %d", last, serial)
		}
		last = serial
	}
	if last != 51 {
		t.Errorf("after the longest delay the secondary shows serial %d, want 51", last)
	}
}
