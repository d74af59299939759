package rfc2136

import (
	"errors"
	"fmt"
	"slices"

	wire "github.com/miekg/dns"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// transfer returns every set of the zone, by AXFR (RFC 5936), except those that a
// signing server makes by itself.
func (c *connection) transfer(zoneName string) ([]dns.RecordSet, error) {
	question := new(wire.Msg)
	question.SetAxfr(wire.Fqdn(zoneName))
	if _, err := c.send(question); err != nil {
		return nil, fmt.Errorf("transfer: %w", transientIfNetwork(err))
	}
	var records []wire.RR
	for first := true; ; first = false {
		reply, err := c.receive(question.Id, !first)
		if rcode, refused := refusal(reply, err); refused {
			return nil, c.transferRefused(zoneName, rcode)
		}
		if err != nil {
			return nil, fmt.Errorf("transfer: %w", transientIfNetwork(err))
		}
		if reply.Rcode == wire.RcodeServerFailure {
			return nil, fmt.Errorf("transfer: %w", rcodeError(reply.Rcode, dns.ErrTransient))
		}
		if reply.Rcode != wire.RcodeSuccess {
			return nil, fmt.Errorf("transfer: %w", rcodeError(reply.Rcode, nil))
		}
		records = append(records, reply.Answer...)
		if len(records) == 0 || records[0].Header().Rrtype != wire.TypeSOA {
			return nil, errors.New("transfer: does not begin with a SOA")
		}
		// The same SOA ends the transfer (section 2.2).
		if len(records) > 1 && records[len(records)-1].Header().Rrtype == wire.TypeSOA {
			return content(records[:len(records)-1]), nil
		}
	}
}

// transferRefused tells a zone that the server does not hold from one that it does
// not hand out: most servers answer REFUSED for both.
func (c *connection) transferRefused(zoneName string, rcode int) error {
	if _, err := c.soa(zoneName); err != nil {
		return fmt.Errorf("transfer: server answers %s: %w", rcodeText(rcode), err)
	}
	return fmt.Errorf("transfer: server holds the zone, but answers %s: is the key allowed to transfer it?", rcodeText(rcode))
}

// content returns the records as sets, without what signing makes.
func content(records []wire.RR) []dns.RecordSet {
	return zone.Group(slices.DeleteFunc(records, func(record wire.RR) bool {
		switch record.Header().Rrtype {
		case wire.TypeRRSIG, wire.TypeNSEC, wire.TypeNSEC3, wire.TypeNSEC3PARAM:
			return true
		}
		return false
	}))
}

// soa asks for the zone's SOA. The error wraps dns.ErrNoZone if the server does not
// answer for the zone with authority.
func (c *connection) soa(zoneName string) (dns.RecordSet, error) {
	reply, err := c.ask(zoneName, "SOA")
	if _, refused := refusal(reply, err); refused {
		return dns.RecordSet{}, dns.ErrNoZone
	}
	if err != nil {
		return dns.RecordSet{}, fmt.Errorf("ask for the SOA: %w", err)
	}
	if reply.Rcode == wire.RcodeServerFailure {
		return dns.RecordSet{}, fmt.Errorf("ask for the SOA: %w", rcodeError(reply.Rcode, dns.ErrTransient))
	}
	soa := find(content(reply.Answer), apexSOA(zoneName))
	if soa == nil || !reply.Authoritative {
		return dns.RecordSet{}, dns.ErrNoZone
	}
	return *soa, nil
}

// lookAt returns what the zone holds for key. A question is enough if its answer is
// what is expected. Everything else is settled by a transfer, because an answer can
// come from a wildcard, from a zone below that the same server holds, or be a
// referral; and the NS of a delegation are only ever seen in a transfer.
func (c *connection) lookAt(zoneName string, key zone.Key, expected *dns.RecordSet) (*dns.RecordSet, error) {
	if key.Type != "NS" || key.Name == zoneName {
		reply, err := c.ask(key.Name, key.Type)
		if err != nil {
			return nil, err
		}
		if expected == nil && absent(reply, zoneName) {
			return nil, nil
		}
		held := find(content(reply.Answer), key)
		if expected != nil && held != nil && reply.Authoritative && zone.Equal(*held, *expected) {
			return held, nil
		}
	}
	sets, err := c.transfer(zoneName)
	if err != nil {
		return nil, err
	}
	return find(sets, key), nil
}

// absent reports whether reply says, with the zone's own authority, that there is
// no such set (RFC 2308, section 2).
func absent(reply *wire.Msg, zoneName string) bool {
	if !reply.Authoritative || len(reply.Answer) > 0 {
		return false
	}
	if reply.Rcode != wire.RcodeSuccess && reply.Rcode != wire.RcodeNameError {
		return false
	}
	return find(zone.Group(reply.Ns), apexSOA(zoneName)) != nil
}
