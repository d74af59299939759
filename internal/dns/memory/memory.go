// Package memory is a DNS service in memory, for simulations: it keeps the contract
// of dns.Provider in full, starts no goroutine, and can be told to fail at either
// end of a call.
package memory

import (
	"context"
	"fmt"
	"sync"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// A Call is what a fault hook sees.
type Call struct {
	// Zone is the canonical name of the zone.
	Zone string
	// Swap is nil when the zone is only read.
	Swap *dns.Swap
}

// A Service is a dns.Provider that holds its zones in memory. The zero value holds
// none. The hooks are set before the first call; they run without the service's
// lock, in the caller's goroutine, and may call the service.
type Service struct {
	// BeforeCall may refuse a call: its error is returned and nothing happens. For
	// the contract's sake it wraps dns.ErrTransient if the call may be repeated.
	BeforeCall func(context.Context, Call) error
	// AfterCall may lose a reply: the call has happened, and its error is returned
	// in place of the result. It must not wrap dns.ErrTransient.
	AfterCall func(context.Context, Call) error

	mu    sync.Mutex
	zones map[string]content
}

// Hold makes the service hold zoneName with these sets and no others, whatever it
// held before. The error says which set is not a record set of that zone.
func (s *Service) Hold(zoneName string, sets []dns.RecordSet) error {
	zoneName = zone.CanonicalName(zoneName)
	held := make(content, len(sets))
	for _, set := range sets {
		set, err := set.Canonical()
		if err != nil {
			return err
		}
		if !zone.Within(zoneName, set.Name) {
			return fmt.Errorf("%s is outside zone %s", set.Key, zoneName)
		}
		held.put(set)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.zones == nil {
		s.zones = map[string]content{}
	}
	s.zones[zoneName] = held
	return nil
}

// RecordSets implements dns.Provider.
func (s *Service) RecordSets(ctx context.Context, zoneName string) ([]dns.RecordSet, error) {
	call := Call{Zone: zone.CanonicalName(zoneName)}
	var sets []dns.RecordSet
	err := s.call(ctx, call, func() error {
		held, ok := s.zones[call.Zone]
		if !ok {
			return dns.ErrNoZone
		}
		sets = held.sorted()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list zone %s: %w", call.Zone, err)
	}
	return sets, nil
}

// Swap implements dns.Provider.
func (s *Service) Swap(ctx context.Context, zoneName string, swap dns.Swap) error {
	call := Call{Zone: zone.CanonicalName(zoneName), Swap: &swap}
	swap, err := dns.Canonical(call.Zone, swap)
	if err == nil {
		err = s.call(ctx, call, func() error { return s.swap(call.Zone, swap) })
	}
	if err != nil {
		return fmt.Errorf("swap in zone %s: %w", call.Zone, err)
	}
	return nil
}

// call runs do under the lock, between the two hooks.
func (s *Service) call(ctx context.Context, call Call, do func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", dns.ErrTransient, err)
	}
	if s.BeforeCall != nil {
		if err := s.BeforeCall(ctx, call); err != nil {
			return err
		}
	}
	if err := s.locked(do); err != nil {
		return err
	}
	if s.AfterCall != nil {
		return s.AfterCall(ctx, call)
	}
	return nil
}

func (s *Service) locked(do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return do()
}

func (s *Service) swap(zoneName string, swap dns.Swap) error {
	content, ok := s.zones[zoneName]
	if !ok {
		return dns.ErrNoZone
	}
	key := swap.Key()
	held := content.get(key)
	if swap.Old == nil && held != nil || swap.Old != nil && (held == nil || !zone.Equal(*held, *swap.Old)) {
		return dns.Changed(held, swap.Old)
	}
	if swap.New == nil {
		delete(content[key.Name], key)
		return content.advance(zoneName)
	}
	if blocker := content.beside(key); blocker != nil {
		return fmt.Errorf("%s is at the name: %w", blocker.Key, dns.Changed(blocker, nil))
	}
	if key == (zone.Key{Name: zoneName, Type: "SOA"}) && held != nil {
		next, err := zone.NextSOA(*held, *swap.New)
		if err != nil {
			return err
		}
		content.put(next)
		return nil
	}
	content.put(swap.New.Clone())
	return content.advance(zoneName)
}

// A content holds a zone's sets by name and key.
type content map[string]map[zone.Key]dns.RecordSet

func (c content) sorted() []dns.RecordSet {
	sets := make([]dns.RecordSet, 0, len(c))
	for _, name := range c {
		for _, set := range name {
			sets = append(sets, set.Clone())
		}
	}
	return zone.Sorted(sets)
}

func (c content) put(set dns.RecordSet) {
	if c[set.Name] == nil {
		c[set.Name] = map[zone.Key]dns.RecordSet{}
	}
	c[set.Name][set.Key] = set
}

func (c content) get(key zone.Key) *dns.RecordSet {
	if set, ok := c[key.Name][key]; ok {
		return &set
	}
	return nil
}

// beside returns the first set, by Key, that cannot stand at the same name as a
// set of key: a CNAME tolerates nothing beside it (RFC 1034, section 3.6.2).
func (c content) beside(key zone.Key) *dns.RecordSet {
	var blocker *dns.RecordSet
	for other, set := range c[key.Name] {
		alias := (other.Type == "CNAME") != (key.Type == "CNAME")
		if alias && (blocker == nil || other.Compare(blocker.Key) < 0) {
			blocker = &set
		}
	}
	return blocker
}

// advance moves the serial of the zone's SOA on, as servers do with every change.
func (c content) advance(zoneName string) error {
	soa := c.get(zone.Key{Name: zoneName, Type: "SOA"})
	if soa == nil {
		return nil
	}
	next, err := zone.NextSOA(*soa, *soa)
	if err != nil {
		return err
	}
	c.put(next)
	return nil
}
