package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/dnstest"
	"crossfade.dev/internal/dns/resolve"
	"crossfade.dev/internal/zone"
)

const zoneName = "example.test"

// servers returns Servers that lose patience quickly.
func servers() *resolve.Servers {
	return resolve.New(resolve.Options{
		Dial:     new(net.Dialer).DialContext,
		Timeout:  500 * time.Millisecond,
		Attempts: 2,
	})
}

func TestContract(t *testing.T) {
	dnstest.RunServers(t, func(t *testing.T, zones ...dnstest.Held) (dns.Servers, []string, string) {
		var addresses []string
		for _, held := range zones {
			server := dnstest.NewServer(t)
			server.Hold(t, held.Zone, held.Sets...)
			addresses = append(addresses, server.Address)
		}
		return servers(), addresses, "127.0.0.1:1" // tcpmux, which nobody has
	})
}

func TestAnswer(t *testing.T) {
	address := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1", "192.0.2.2")
	alias := dnstest.Set(t, "alias."+zoneName, "CNAME", 60, "pay."+zoneName+".")
	ns := dnstest.Set(t, "sub."+zoneName, "NS", 3600, "ns1.sub."+zoneName+".")
	glue := dnstest.Set(t, "ns1.sub."+zoneName, "A", 7200, "192.0.2.53")
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName, address, alias, ns, glue)
	tests := []struct {
		what  string
		key   zone.Key
		want  *dns.RecordSet
		fails string
	}{
		{"a set", address.Key, &address, ""},
		{"a name in another spelling", zone.Key{Name: "PAY.Example.test.", Type: "A"}, &address, ""},
		{"no such type", zone.Key{Name: address.Name, Type: "AAAA"}, nil, ""},
		{"no such name", zone.Key{Name: "gone." + zoneName, Type: "A"}, nil, ""},
		{"an alias", alias.Key, &alias, ""},
		{"an alias in place of the set", zone.Key{Name: alias.Name, Type: "A"}, &alias, ""},
		{"a delegation", ns.Key, &ns, ""},
		{"glue", glue.Key, &glue, ""},
		{"another zone's name", zone.Key{Name: "www.sub." + zoneName, Type: "A"}, nil, "refers to the zone sub.example.test"},
		{"a zone that is not there", zone.Key{Name: "elsewhere.test", Type: "A"}, nil, "REFUSED"},
		{"no such type in DNS", zone.Key{Name: zoneName, Type: "ALIAS"}, nil, "no such type"},
	}
	for _, test := range tests {
		for _, network := range []string{"udp", "tcp"} {
			got, err := servers().Answer(t.Context(), network, server.Address, test.key)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("%s over %s: got %v, %v; want %q", test.what, network, got, err, test.fails)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s over %s: %v", test.what, network, err)
			} else if !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s over %s: got %s, want %s", test.what, network, dns.Describe(got), dns.Describe(test.want))
			}
		}
	}
}

func TestTruncatedAnswerIsFetchedOverTCP(t *testing.T) {
	var data []string
	for i := range 200 {
		data = append(data, fmt.Sprintf("192.0.2.%d", i))
	}
	large := dnstest.Set(t, "large."+zoneName, "A", 60, data...)
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName, large)
	got, err := servers().Answer(t.Context(), "udp", server.Address, large.Key)
	if err != nil || got == nil || !zone.Equal(*got, large) {
		t.Errorf("got %s, %v; want all %d records", dns.Describe(got), err, len(data))
	}
}

func TestLostQuestionIsAskedAgain(t *testing.T) {
	set := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName, set)
	var asked atomic.Int32
	server.OnRequest(func(string, *wire.Msg) dnstest.Fault {
		if asked.Add(1) == 1 {
			return dnstest.Ignore
		}
		return dnstest.None
	})
	if got, err := servers().Answer(t.Context(), "udp", server.Address, set.Key); err != nil || got == nil {
		t.Errorf("got %v, %v; want %v", got, err, set)
	}
}

// A conversation that somebody else answers first: the lies are skipped.
func TestForgedAnswersAreSkipped(t *testing.T) {
	set := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	socket, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	go func() {
		buffer := make([]byte, 1500)
		n, client, err := socket.ReadFrom(buffer)
		if err != nil {
			return // the test has ended
		}
		question := new(wire.Msg)
		if question.Unpack(buffer[:n]) != nil {
			return // then the test gets no answer
		}
		for _, forge := range []func(*wire.Msg){
			func(m *wire.Msg) { m.Id++ },
			func(m *wire.Msg) { m.Question[0].Name = "other." },
			func(m *wire.Msg) { m.Response = false },
			func(m *wire.Msg) { m.Answer = answer(set) }, // the true one
		} {
			reply := new(wire.Msg).SetReply(question)
			reply.Authoritative = true
			forge(reply)
			packed, _ := reply.Pack()
			_, _ = socket.WriteTo([]byte("nonsense"), client)
			_, _ = socket.WriteTo(packed, client)
		}
	}()
	got, err := servers().Answer(t.Context(), "udp", socket.LocalAddr().String(), set.Key)
	if err != nil || got == nil || !zone.Equal(*got, set) {
		t.Errorf("got %s, %v; want %s", dns.Describe(got), err, set)
	}
}

func answer(set dns.RecordSet) []wire.RR {
	records, err := set.Records()
	if err != nil {
		panic(err) // the test's own set
	}
	return records
}

func TestStaleAsksOverBothNetworks(t *testing.T) {
	old := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	led := dnstest.Set(t, "pay."+zoneName, "A", 60, "198.51.100.1")
	for _, broken := range []string{"udp", "tcp"} {
		server := dnstest.NewServer(t)
		server.Hold(t, zoneName, led)
		server.OnRequest(func(network string, _ *wire.Msg) dnstest.Fault {
			if network == broken {
				return dnstest.ServerFailure
			}
			return dnstest.None
		})
		got, err := servers().Stale(t.Context(), []string{server.Address}, []dns.RecordSet{led})
		want := []dns.Stale{{Server: server.Address, Network: broken, Key: led.Key, Want: &led, Reason: "server answers SERVFAIL"}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName, old)
	got, err := servers().Stale(t.Context(), []string{server.Address}, []dns.RecordSet{led})
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v; want one for each network", got, err)
	}
	text := server.Address + " (udp): pay.example.test A: holds 192.0.2.1 (ttl 60), expected 198.51.100.1 (ttl 60)"
	if got[0].String() != text {
		t.Errorf("got  %s\nwant %s", got[0], text)
	}
}

func TestOneOfSeveralSetsOfAKeyIsEnough(t *testing.T) {
	blue := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	green := dnstest.Set(t, "pay."+zoneName, "A", 60, "198.51.100.1")
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName, green)
	blue.SetID, blue.Native = "blue", "weight=1"
	green.SetID, green.Native = "green", "weight=1"
	got, err := servers().Stale(t.Context(), []string{server.Address}, []dns.RecordSet{blue, green})
	if err != nil || len(got) > 0 {
		t.Errorf("got %v, %v; want none", got, err)
	}
	got, err = servers().Stale(t.Context(), []string{server.Address}, []dns.RecordSet{blue})
	if err != nil || len(got) == 0 {
		t.Errorf("got %v, %v; want it stale", got, err)
	}
}

// A server that is gone must not cost a timeout for each of 1,600 names.
func TestSilentServerIsGivenUpSoon(t *testing.T) {
	server := dnstest.NewServer(t)
	var asked atomic.Int32
	server.OnRequest(func(string, *wire.Msg) dnstest.Fault {
		asked.Add(1)
		return dnstest.Ignore
	})
	var want []dns.RecordSet
	for i := range 1600 {
		want = append(want, dnstest.Set(t, fmt.Sprintf("app-%d.%s", i, zoneName), "A", 60, "192.0.2.1"))
	}
	patience := resolve.New(resolve.Options{
		Dial: new(net.Dialer).DialContext, Timeout: 50 * time.Millisecond, Attempts: 1, Parallel: 4,
	})
	stale, err := patience.Stale(t.Context(), []string{server.Address}, want)
	if err != nil || len(stale) != 2*len(want) {
		t.Fatalf("got %d stale, %v; want every set over both networks", len(stale), err)
	}
	for _, s := range stale {
		if s.Reason == "" || s.Have != nil {
			t.Fatalf("got %+v, want a reason", s)
		}
	}
	if got := asked.Load(); got > 2*4*2 {
		t.Errorf("%d questions were asked, want at most 2 for each of 4 lanes and 2 networks", got)
	}
}

func TestSixteenHundredNames(t *testing.T) {
	var want []dns.RecordSet
	for i := range 1600 {
		want = append(want, dnstest.Set(t, fmt.Sprintf("app-%d.%s", i, zoneName), "A", 60, "192.0.2.1"))
	}
	var addresses []string
	for range 2 {
		server := dnstest.NewServer(t)
		server.Hold(t, zoneName, want...)
		addresses = append(addresses, server.Address)
	}
	var dials atomic.Int32
	counting := resolve.New(resolve.Options{
		Timeout: 10 * time.Second,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	})
	began := time.Now()
	stale, err := counting.Stale(t.Context(), addresses, want)
	if err != nil || len(stale) > 0 {
		t.Errorf("got %v, %v; want none", stale, err)
	}
	t.Logf("%d questions over %d connections in %s", 4*len(want), dials.Load(), time.Since(began))
	if got := dials.Load(); got > 2*2*16 {
		t.Errorf("%d connections, want at most 16 for each of 2 servers and 2 networks", got)
	}
}

func TestStaleIsOrdered(t *testing.T) {
	var want []dns.RecordSet
	for i := range 40 {
		want = append(want, dnstest.Set(t, fmt.Sprintf("app-%d.%s", i, zoneName), "A", 60, "192.0.2.1"))
	}
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName)
	stale, err := servers().Stale(t.Context(), []string{server.Address}, want)
	if err != nil {
		t.Fatal(err)
	}
	var got, ordered []string
	for _, s := range stale {
		got = append(got, s.Key.Name+" "+s.Network)
	}
	for _, set := range zone.Sorted(want) {
		ordered = append(ordered, set.Name+" udp", set.Name+" tcp")
	}
	if !slices.Equal(got, ordered) {
		t.Errorf("got  %v\nwant %v", got, ordered)
	}
}

func TestCancelledQuestionsEndAtOnce(t *testing.T) {
	server := dnstest.NewServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server.OnRequest(func(string, *wire.Msg) dnstest.Fault {
		cancel()
		return dnstest.Ignore
	})
	patient := resolve.New(resolve.Options{Dial: new(net.Dialer).DialContext, Timeout: time.Hour})
	set := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	if _, err := patient.Stale(ctx, []string{server.Address}, []dns.RecordSet{set}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestSignedDelegationIsSeen(t *testing.T) {
	parent, own := dnstest.NewServer(t), dnstest.NewServer(t)
	ds := dnstest.Set(t, zoneName, "DS", 3600, "1 8 2 "+strings.Repeat("ab", 32))
	parent.Hold(t, "test", dnstest.Set(t, zoneName, "NS", 3600, "ns1.servers.test.", "ns2.servers.test."), ds)
	own.Hold(t, zoneName)
	d, err := servers().Delegation(t.Context(), zoneName, parent.Address, own.Address)
	if err != nil || d.DS == nil || !zone.Equal(*d.DS, ds) {
		t.Fatalf("got %+v, %v; want the DS", d, err)
	}
	if d.Check() == nil {
		t.Error("check: got no finding")
	}
}
