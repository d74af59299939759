// Package resolve asks the authoritative servers of zones what they answer, over
// UDP and over TCP, past every cache.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	wire "github.com/miekg/dns"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// Options say how servers are asked.
type Options struct {
	// Dial opens connections, for "udp" and "tcp".
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds each attempt; zero means 2 seconds.
	Timeout time.Duration
	// Attempts is how often a question is asked before the server counts as
	// silent; zero means 3.
	Attempts int
	// Parallel is how many questions are under way at once for each server and
	// network; zero means 16.
	Parallel int
}

// Servers implements dns.Servers.
type Servers struct {
	options Options
}

// New returns Servers. Nothing is connected to before the first question.
func New(options Options) *Servers {
	if options.Timeout == 0 {
		options.Timeout = 2 * time.Second
	}
	if options.Attempts == 0 {
		options.Attempts = 3
	}
	if options.Parallel == 0 {
		options.Parallel = 16
	}
	return &Servers{options: options}
}

// Answer returns what server says, over network ("udp" or "tcp"), that its zone
// holds for key; nil means that it says with authority that there is no such set.
// The SetID of key is ignored. At or below a delegation, what the referral says
// counts: its NS set and glue. A CNAME in place of the set comes back as it is.
// A truncated answer over UDP is fetched over TCP, as resolvers do.
//
// Every other outcome is an error: no answer in time, an answer without authority,
// or a response code other than NOERROR and NXDOMAIN.
func (s *Servers) Answer(ctx context.Context, network, server string, key zone.Key) (*dns.RecordSet, error) {
	lane := lane{servers: s, network: network, server: server}
	defer lane.close()
	return lane.answer(ctx, key)
}

// A lane asks one server one question after the other over one connection.
type lane struct {
	servers *Servers
	network string
	server  string
	conn    net.Conn // nil when there is none at the moment
}

func (l *lane) close() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

func (l *lane) answer(ctx context.Context, key zone.Key) (*dns.RecordSet, error) {
	key = zone.Key{Name: zone.CanonicalName(key.Name), Type: key.Type}
	question, err := newQuestion(key)
	if err != nil {
		return nil, err
	}
	reply, err := l.ask(ctx, question)
	if err != nil {
		return nil, err
	}
	if reply.Truncated && l.network == "udp" {
		return l.servers.Answer(ctx, "tcp", l.server, key)
	}
	return interpret(reply, key)
}

func newQuestion(key zone.Key) (*wire.Msg, error) {
	number, known := wire.StringToType[key.Type]
	if !known {
		if _, err := fmt.Sscanf(key.Type, "TYPE%d", &number); err != nil {
			return nil, fmt.Errorf("%s: no such type", key)
		}
	}
	question := new(wire.Msg)
	question.SetQuestion(wire.Fqdn(key.Name), number)
	question.RecursionDesired = false
	question.SetEdns0(udpSize, false)
	return question, nil
}

// interpret finds what reply says about key.
func interpret(reply *wire.Msg, key zone.Key) (*dns.RecordSet, error) {
	if reply.Rcode != wire.RcodeSuccess && reply.Rcode != wire.RcodeNameError {
		return nil, fmt.Errorf("server answers %s", rcodeText(reply.Rcode))
	}
	if reply.Authoritative {
		if set := find(reply.Answer, key); set != nil {
			return set, nil
		}
		return find(reply.Answer, zone.Key{Name: key.Name, Type: "CNAME"}), nil
	}
	// A referral: the parent's NS set, and glue, are all that this server has.
	for _, set := range zone.Group(reply.Ns) {
		if set.Type != "NS" || !zone.Within(set.Name, key.Name) {
			continue
		}
		if set.Key == key {
			return &set, nil
		}
		if glue := find(reply.Extra, key); glue != nil {
			return glue, nil
		}
		return nil, fmt.Errorf("server refers to the zone %s", set.Name)
	}
	return nil, errors.New("server answers without authority")
}

func find(records []wire.RR, key zone.Key) *dns.RecordSet {
	records = slices.DeleteFunc(slices.Clone(records), func(record wire.RR) bool {
		return record.Header().Rrtype == wire.TypeOPT || !strings.EqualFold(record.Header().Name, wire.Fqdn(key.Name))
	})
	for _, set := range zone.Group(records) {
		if set.Key == key {
			return &set
		}
	}
	return nil
}

// Delegation implements dns.Servers.
func (s *Servers) Delegation(ctx context.Context, zoneName, parent, server string) (zone.Delegation, error) {
	zoneName = zone.CanonicalName(zoneName)
	d, err := s.delegation(ctx, zoneName, parent, server)
	if err != nil {
		return zone.Delegation{}, fmt.Errorf("delegation of %s: %w", zoneName, err)
	}
	return d, nil
}

func (s *Servers) delegation(ctx context.Context, zoneName, parent, server string) (zone.Delegation, error) {
	above, err := s.referral(ctx, zoneName, parent)
	if err != nil {
		return zone.Delegation{}, fmt.Errorf("ask the parent's server %s: %w", parent, err)
	}
	var own []dns.RecordSet
	for _, typ := range []string{"NS", "SOA"} {
		set, err := s.Answer(ctx, "tcp", server, zone.Key{Name: zoneName, Type: typ})
		if err != nil {
			return zone.Delegation{}, fmt.Errorf("ask %s for the %s: %w", server, typ, err)
		}
		if set != nil {
			own = append(own, *set)
		}
	}
	return zone.DelegationOf(zoneName, above, own)
}

// referral returns what the parent's server has for zoneName: NS, glue and DS.
func (s *Servers) referral(ctx context.Context, zoneName, parent string) ([]dns.RecordSet, error) {
	lane := lane{servers: s, network: "tcp", server: parent}
	defer lane.close()
	question, err := newQuestion(zone.Key{Name: zoneName, Type: "NS"})
	if err != nil {
		return nil, err
	}
	reply, err := lane.ask(ctx, question)
	if err != nil {
		return nil, err
	}
	if reply.Rcode != wire.RcodeSuccess && reply.Rcode != wire.RcodeNameError {
		return nil, fmt.Errorf("server answers %s", rcodeText(reply.Rcode))
	}
	if reply.Authoritative && find(reply.Answer, zone.Key{Name: zoneName, Type: "NS"}) != nil {
		return nil, fmt.Errorf("server holds %s itself, which hides what the parent zone says", zoneName)
	}
	ds, err := lane.answer(ctx, zone.Key{Name: zoneName, Type: "DS"})
	if err != nil {
		return nil, fmt.Errorf("ask for the DS: %w", err)
	}
	extra := slices.DeleteFunc(reply.Extra, func(record wire.RR) bool { return record.Header().Rrtype == wire.TypeOPT })
	sets := zone.Group(slices.Concat(reply.Ns, extra))
	if ds != nil {
		sets = append(sets, *ds)
	}
	return sets, nil
}

func rcodeText(rcode int) string {
	if text, ok := wire.RcodeToString[rcode]; ok {
		return text
	}
	return fmt.Sprintf("RCODE%d", rcode)
}
