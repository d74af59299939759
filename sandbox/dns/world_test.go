package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"crossfade.dev/sandbox/delay"
)

// A world is a few zones on servers that are called instead of being sent to, and
// a clock that moves only when told.
type world struct {
	t       *testing.T
	clock   time.Time
	servers map[netip.Addr]*authority
	zones   map[string]*heldZone
	asked   map[netip.Addr]int
	dead    map[netip.Addr]bool
	refuses map[netip.Addr]bool
}

func newWorld(t *testing.T, zones ...Zone) *world {
	t.Helper()
	w := &world{
		t: t, clock: time.Unix(1_700_000_000, 0), servers: map[netip.Addr]*authority{}, zones: map[string]*heldZone{},
		asked: map[netip.Addr]int{}, dead: map[netip.Addr]bool{}, refuses: map[netip.Addr]bool{},
	}
	config := Config{Zones: zones}
	config.setDefaults()
	for _, zone := range config.Zones {
		held, err := openZone(zone, "", 1, w.now)
		if err != nil {
			t.Fatal(err)
		}
		w.zones[zone.ID] = held
		for _, server := range zone.Servers {
			if w.servers[server] == nil {
				w.servers[server] = &authority{
					address: server, zones: map[string]*heldZone{}, counts: newServerCounts(),
					log: slog.New(slog.DiscardHandler), order: delay.Random(1, server.String()),
				}
			}
			w.servers[server].zones[zone.Name] = held
		}
	}
	return w
}

func (w *world) now() time.Time { return w.clock }

func (w *world) pass(d time.Duration) { w.clock = w.clock.Add(d) }

func (w *world) resolver(config Resolver, roots ...string) *resolver {
	var addresses []netip.Addr
	for _, root := range roots {
		addresses = append(addresses, netip.MustParseAddr(root))
	}
	r := newResolver(config, addresses, 1, w.exchange, w.now)
	r.log = slog.New(slog.DiscardHandler)
	return r
}

func (w *world) exchange(_ context.Context, server netip.Addr, query *dns.Msg) (*dns.Msg, error) {
	w.asked[server]++
	if w.dead[server] || w.servers[server] == nil {
		return nil, errors.New("timed out")
	}
	if w.refuses[server] {
		reply := new(dns.Msg)
		reply.SetRcode(query, dns.RcodeRefused)
		return reply, nil
	}
	socket := &replyTo{network: "udp"}
	w.servers[server].ServeDNS(socket, onWire(w.t, query))
	return onWire(w.t, socket.reply), nil
}

// update changes a zone as an operator would, without keys.
func (w *world) update(id string, change func(*dns.Msg)) int {
	w.t.Helper()
	message := new(dns.Msg)
	message.SetUpdate(w.zones[id].Name)
	change(message)
	rcode, err := w.zones[id].update(onWire(w.t, message))
	if err != nil {
		w.t.Fatal(err)
	}
	return rcode
}

// ask is a client's question to a resolver.
func ask(r *resolver, name string, rrtype uint16) *dns.Msg {
	query := new(dns.Msg)
	query.SetQuestion(name, rrtype)
	socket := &replyTo{network: "udp"}
	r.ServeDNS(socket, query)
	return socket.reply
}

// onWire packs and unpacks a message, which sets what only the wire knows.
func onWire(t *testing.T, message *dns.Msg) *dns.Msg {
	t.Helper()
	data, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := new(dns.Msg)
	if err := out.Unpack(data); err != nil {
		t.Fatal(err)
	}
	return out
}

// replyTo keeps what a server writes.
type replyTo struct {
	dns.ResponseWriter
	network string
	reply   *dns.Msg
}

func (r *replyTo) WriteMsg(m *dns.Msg) error { r.reply = m; return nil }
func (r *replyTo) TsigStatus() error         { return nil }
func (r *replyTo) RemoteAddr() net.Addr {
	if r.network == "tcp" {
		return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5}
	}
	return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5}
}

func records(t testing.TB, lines ...string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

// data writes the answer's records as "TYPE data", separated by a bar.
func data(rrs []dns.RR) string {
	var out []string
	for _, rr := range rrs {
		text := strings.TrimPrefix(rr.String(), rr.Header().String())
		out = append(out, dns.Type(rr.Header().Rrtype).String()+" "+text)
	}
	return strings.Join(out, " | ")
}

// movingZones are the root, a parent and two copies of a zone whose wildcard says
// which copy answered. TTLs are in seconds.
func movingZones(parentNS, childNS int) []Zone {
	child := func(id, target string, servers ...string) Zone {
		zone := Zone{ID: id, Name: "live.demo.test", AuthorityNS: true, Records: fmt.Sprintf(`
@ %d IN SOA ns1.%s.demo.test. host.demo.test. 1 1800 900 604800 5
@ %d IN NS ns1.%s.demo.test.
@ %d IN NS ns2.%s.demo.test.
* 5 IN A %s
`, childNS, id, childNS, id, childNS, id, target)}
		for _, server := range servers {
			zone.Servers = append(zone.Servers, netip.MustParseAddr(server))
		}
		return zone
	}
	return []Zone{
		{ID: "root", Name: ".", Servers: []netip.Addr{netip.MustParseAddr("10.53.0.1")}, Records: `
@ 86400 IN SOA a.root.test. host.root.test. 1 1800 900 604800 60
@ 86400 IN NS a.root.test.
a.root.test. 86400 IN A 10.53.0.1
demo.test. 86400 IN NS ns.demo.test.
ns.demo.test. 86400 IN A 10.53.0.2
`},
		{ID: "parent", Name: "demo.test", Servers: []netip.Addr{netip.MustParseAddr("10.53.0.2")}, Records: fmt.Sprintf(`
@ 3600 IN SOA ns host 1 1800 900 604800 5
@ 3600 IN NS ns
ns 3600 IN A 10.53.0.2
live %d IN NS ns1.old
live %d IN NS ns2.old
ns1.old 3600 IN A 10.53.0.3
ns2.old 3600 IN A 10.53.0.4
ns1.new 3600 IN A 10.53.0.5
ns2.new 3600 IN A 10.53.0.6
`, parentNS, parentNS)},
		child("old", "10.1.0.1", "10.53.0.3", "10.53.0.4"),
		child("new", "10.2.0.1", "10.53.0.5", "10.53.0.6"),
	}
}

// pointNS replaces the NS set of live.demo.test in one zone by the new servers'.
func (w *world) pointNS(id string, ttl int) {
	w.t.Helper()
	rcode := w.update(id, func(m *dns.Msg) {
		m.Insert(records(w.t,
			fmt.Sprintf("live.demo.test. %d IN NS ns1.new.demo.test.", ttl),
			fmt.Sprintf("live.demo.test. %d IN NS ns2.new.demo.test.", ttl)))
		m.Remove(records(w.t, "live.demo.test. 0 IN NS ns1.old.demo.test.", "live.demo.test. 0 IN NS ns2.old.demo.test."))
	})
	if rcode != dns.RcodeSuccess {
		w.t.Fatalf("update of %s: %s", id, dns.RcodeToString[rcode])
	}
}
