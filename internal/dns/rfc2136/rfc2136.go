// Package rfc2136 reads and writes zones of servers that take dynamic updates
// (RFC 2136) and zone transfers (RFC 5936), both signed with TSIG (RFC 8945): BIND,
// Knot DNS, PowerDNS and others.
//
// Each swap is one UPDATE message, whose prerequisites make the server refuse it if
// the set's data is no longer what was read.
package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	wire "github.com/miekg/dns"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// defaultTimeout is long for a server in the same region and short against a lease.
const defaultTimeout = 5 * time.Second

// A Key is a TSIG key, which the server knows under the same name.
type Key struct {
	// Name is a domain name that both sides use for the key.
	Name string
	// Algorithm is a name of RFC 8945, section 6; empty means "hmac-sha256".
	Algorithm string
	// Secret is base64 text.
	Secret string
}

// Options say how to reach a server.
type Options struct {
	// Address is the primary server's host and port. It must be the primary: a
	// secondary that forwards updates (RFC 2136, section 6) can answer SERVFAIL
	// for an update that happens later.
	Address string
	// Key signs every message, and answers without its signature are refused. Nil
	// means no signatures, for servers that go by address.
	Key *Key
	// Dial opens connections; it is only asked for "tcp".
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds each connection attempt and each message's way there and
	// back; zero means 5 seconds. The context may end a call sooner.
	Timeout time.Duration
}

// A Server is a dns.Provider for the zones of one primary server.
type Server struct {
	options Options
	// turn holds one token. Swaps of one process take turns, because each of them
	// moves the serial number that the others are conditional on.
	turn chan struct{}
}

// New returns the server that options lead to. It does not connect. The error says
// what is wrong with the key.
func New(options Options) (*Server, error) {
	if options.Key != nil {
		key, err := options.Key.canonical()
		if err != nil {
			return nil, err
		}
		options.Key = &key
	}
	if options.Timeout == 0 {
		options.Timeout = defaultTimeout
	}
	return &Server{options: options, turn: make(chan struct{}, 1)}, nil
}

// RecordSets implements dns.Provider by one zone transfer.
func (s *Server) RecordSets(ctx context.Context, zoneName string) ([]dns.RecordSet, error) {
	zoneName = zone.CanonicalName(zoneName)
	sets, err := s.recordSets(ctx, zoneName)
	if err != nil {
		return nil, fmt.Errorf("list zone %s at %s: %w", zoneName, s.options.Address, err)
	}
	return sets, nil
}

func (s *Server) recordSets(ctx context.Context, zoneName string) ([]dns.RecordSet, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	return conn.transfer(zoneName)
}

// Swap implements dns.Provider by one UPDATE message.
//
// RFC 2136 compares data but not TTLs: a prerequisite's TTL is always zero (section
// 2.4). So the set is read first, TTL included, and the update is made conditional
// on the zone's serial number too: no change of any kind came between. What another
// writer changes elsewhere in the zone in that moment makes the swap ErrTransient.
// Servers that show another serial number than they compare with (inline signing,
// PowerDNS's SOA-EDIT) never fulfil that condition; for them the swap is sent again
// without it, and a change of nothing but the TTL within one round trip is missed.
//
// Servers answer success for updates that they ignore (section 3.4.2.2), so the set
// is read again before Swap reports success.
func (s *Server) Swap(ctx context.Context, zoneName string, swap dns.Swap) error {
	zoneName = zone.CanonicalName(zoneName)
	if err := s.swap(ctx, zoneName, swap); err != nil {
		return fmt.Errorf("swap in zone %s at %s: %w", zoneName, s.options.Address, err)
	}
	return nil
}

func (s *Server) swap(ctx context.Context, zoneName string, swap dns.Swap) error {
	swap, err := dns.Canonical(zoneName, swap)
	if err != nil {
		return err
	}
	if err := possible(swap); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for another swap: %w: %w", dns.ErrTransient, ctx.Err())
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.close()

	soa, err := conn.soa(zoneName)
	if err != nil {
		return err
	}
	var guard *dns.RecordSet // what else the update is conditional on
	if swap.Old != nil {
		held := &soa
		if swap.Key() != soa.Key {
			if held, err = conn.lookAt(zoneName, swap.Key(), swap.Old); err != nil {
				return fmt.Errorf("read %s: %w", swap.Key(), err)
			}
		}
		if held == nil || !zone.Equal(*held, *swap.Old) {
			return dns.Changed(held, swap.Old)
		}
		guard = &soa
	}
	if err := conn.update(zoneName, swap, guard); err != nil {
		return err
	}
	return conn.confirm(zoneName, swap)
}

// possible refuses what this protocol cannot do, before anything is sent.
func possible(swap dns.Swap) error {
	key := swap.Key()
	for _, set := range []*dns.RecordSet{swap.Old, swap.New} {
		if set != nil && (set.SetID != "" || set.Native != "") {
			return fmt.Errorf("%s: servers of RFC 2136 have no set ids and no native data", key)
		}
	}
	if key.Type == "SOA" && swap.Old == nil {
		return fmt.Errorf("%s: a zone has its SOA from the start", key)
	}
	return nil
}

// atApex reports whether key is one of the two sets that every zone has.
func atApex(zoneName string, key zone.Key) bool {
	return key.Name == zoneName && (key.Type == "SOA" || key.Type == "NS")
}

// update sends swap, conditional on guard as well unless that is nil.
func (c *connection) update(zoneName string, swap dns.Swap, guard *dns.RecordSet) error {
	message, err := updateMessage(zoneName, swap, guard)
	if err != nil {
		return err
	}
	if sent, err := c.send(message); err != nil && sent {
		return unknown("send update", err)
	} else if err != nil {
		return fmt.Errorf("update was not sent: %w", err)
	}
	reply, err := c.receive(message.Id, false)
	if err != nil {
		return unknown("no answer to the update", err)
	}
	switch reply.Rcode {
	case wire.RcodeSuccess:
		return nil
	case wire.RcodeNXRrset, wire.RcodeYXRrset, wire.RcodeYXDomain, wire.RcodeNameError:
		return c.refused(zoneName, swap, guard, reply.Rcode)
	case wire.RcodeServerFailure:
		// The server takes back what it had begun (RFC 2136, section 3.5).
		return fmt.Errorf("update: %w", rcodeError(reply.Rcode, dns.ErrTransient))
	default:
		return fmt.Errorf("update: server answers %s: is it the primary, and may the key change %s?", rcodeText(reply.Rcode), swap.Key())
	}
}

// unknown says that an update may have been made or not. It does not wrap err: what is
// transient for a question is not for an update.
func unknown(what string, err error) error {
	return fmt.Errorf("%s: %s: outcome unknown", what, err.Error())
}

// refused finds out which prerequisite did not hold. Nothing was changed.
func (c *connection) refused(zoneName string, swap dns.Swap, guard *dns.RecordSet, rcode int) error {
	sets, err := c.transfer(zoneName)
	if err != nil {
		if guard != nil {
			return fmt.Errorf("%s, and no transfer to say why: %w: %w", rcodeText(rcode), dns.ErrTransient, err)
		}
		return fmt.Errorf("%s, and no transfer to say why (%s): %w", rcodeText(rcode), err.Error(), dns.ErrChanged)
	}
	if swap.Old == nil {
		if blocker := beside(sets, swap.Key()); blocker != nil {
			return fmt.Errorf("%s is at the name: %w", blocker.Key, dns.Changed(blocker, nil))
		}
		return fmt.Errorf("%s, though nothing is at the name now: %w", rcodeText(rcode), dns.ErrTransient)
	}
	held := find(sets, swap.Key())
	if held == nil || !zone.Equal(*held, *swap.Old) {
		return dns.Changed(held, swap.Old)
	}
	if guard == nil {
		return fmt.Errorf("%s, though the set is as expected", rcodeText(rcode))
	}
	soa := find(sets, guard.Key)
	if soa == nil || !sameSerial(zoneName, *soa, *guard) {
		return fmt.Errorf("zone changed elsewhere during the swap: %w", dns.ErrTransient)
	}
	if swap.Key().Type == "SOA" {
		return errors.New("the server compares with another serial number than it shows, so its SOA cannot be swapped safely")
	}
	return c.update(zoneName, swap, nil)
}

func sameSerial(zoneName string, a, b dns.RecordSet) bool {
	left, err := zone.SOAOf(zoneName, []dns.RecordSet{a})
	if err != nil {
		return false
	}
	right, err := zone.SOAOf(zoneName, []dns.RecordSet{b})
	return err == nil && left.Serial == right.Serial
}

// beside returns the set that stands in the way of a new set of key: one of the
// same key, or a CNAME beside anything else.
func beside(sets []dns.RecordSet, key zone.Key) *dns.RecordSet {
	for i, set := range sets {
		if set.Name == key.Name && (set.Type == key.Type || set.Type == "CNAME" || key.Type == "CNAME") {
			return &sets[i]
		}
	}
	return nil
}

func find(sets []dns.RecordSet, key zone.Key) *dns.RecordSet {
	for i := range sets {
		if sets[i].Key == key {
			return &sets[i]
		}
	}
	return nil
}

// confirm reads what swap was to write. A difference is not ErrChanged: the update
// was answered with success, and what became of it is unknown.
func (c *connection) confirm(zoneName string, swap dns.Swap) error {
	held, err := c.lookAt(zoneName, swap.Key(), swap.New)
	if err != nil {
		return fmt.Errorf("update was answered with success, but %s could not be read again: %s", swap.Key(), err.Error())
	}
	if swap.New == nil && held == nil || swap.New != nil && held != nil && zone.Equal(*held, *swap.New) {
		return nil
	}
	return fmt.Errorf("update was answered with success, but service holds %s and not %s", dns.Describe(held), dns.Describe(swap.New))
}
