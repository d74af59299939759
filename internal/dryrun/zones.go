package dryrun

import (
	"context"
	"sync"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/memory"
	"crossfade.dev/internal/zone"
)

// Zones is a dns.Provider whose swaps are caught. A zone is read from the service
// behind it once; from then on it changes by what was caught, and by nothing else.
type Zones struct {
	service dns.Provider
	place   Place
	record  *Recorder

	held  memory.Service
	mu    sync.Mutex
	known map[string]bool
	swaps int
}

var _ dns.Provider = (*Zones)(nil)

// Zones catches the swaps in the zones of a service.
func (r *Recorder) Zones(place Place, service dns.Provider) *Zones {
	return &Zones{service: service, place: place, record: r, known: map[string]bool{}}
}

// RecordSets implements dns.Provider.
func (z *Zones) RecordSets(ctx context.Context, zoneName string) ([]dns.RecordSet, error) {
	if err := z.read(ctx, zoneName); err != nil {
		return nil, err
	}
	return z.held.RecordSets(ctx, zoneName)
}

// Swap implements dns.Provider.
func (z *Zones) Swap(ctx context.Context, zoneName string, swap dns.Swap) error {
	if err := z.read(ctx, zoneName); err != nil {
		return err
	}
	if err := z.held.Swap(ctx, zoneName, swap); err != nil {
		return err
	}
	key := swap.Key()
	w := Write{Place: z.place, Verb: Update, Kind: key.Type, Name: key.Name, Before: answerOf(swap.Old), After: answerOf(swap.New)}
	switch {
	case swap.Old == nil:
		w.Verb = Create
	case swap.New == nil:
		w.Verb = Delete
	}
	z.record.Note(w)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.swaps++
	return nil
}

// swapped tells whether any swap was caught; of no zones, none was.
func (z *Zones) swapped() bool {
	if z == nil {
		return false
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.swaps > 0
}

// read takes over a zone, unless that was done.
func (z *Zones) read(ctx context.Context, zoneName string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	zoneName = zone.CanonicalName(zoneName)
	if z.known[zoneName] {
		return nil
	}
	sets, err := z.service.RecordSets(ctx, zoneName)
	if err != nil {
		return err
	}
	if err := z.held.Hold(zoneName, sets); err != nil {
		return err
	}
	z.known[zoneName] = true
	return nil
}

// answerOf is what a record set answers, for people; empty for none.
func answerOf(set *dns.RecordSet) string {
	if set == nil {
		return ""
	}
	return set.String()
}
