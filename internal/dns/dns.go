// Package dns is where record sets are read and written: the contract that every
// DNS service's adapter keeps, and the errors that are part of it.
//
// The adapters are packages below: rfc2136 for servers that take dynamic updates,
// memory for simulations. Package dnstest holds the suite that each of them passes,
// and package resolve asks a zone's servers what they answer.
package dns

import (
	"context"
	"errors"
	"fmt"

	"crossfade.dev/internal/zone"
)

type (
	// A RecordSet is all the records of one name, type and set id.
	RecordSet = zone.RecordSet
	// A Swap replaces one record set; a nil Old creates it, a nil New deletes it.
	Swap = zone.Swap
)

// A Provider reads and writes the zones held by one DNS service.
//
// Names are absolute, in lower case, without the final dot; arguments that are not
// so are made so. TTLs are whole seconds. Methods may be called from several
// goroutines at once.
type Provider interface {
	// RecordSets returns every record set of zoneName, ordered by Key: name, type
	// and set id (services with weighted or geographic answers hold several sets
	// for one name and type). What only the service understands is kept opaque in
	// Native, so that a set can be put back exactly. Left out is what a service
	// that signs makes by itself: RRSIG, NSEC, NSEC3 and NSEC3PARAM. The error
	// wraps ErrNoZone if the service does not hold zoneName, and ErrTransient if
	// the same call may succeed later.
	RecordSets(ctx context.Context, zoneName string) ([]RecordSet, error)

	// Swap replaces one set, or does nothing. If swap.Old is no longer what the
	// service holds (zone.Equal, so TTL and Native count), the error wraps
	// ErrChanged and nothing was changed; that is so too if swap.Old is nil and
	// something stands at the name that cannot stand beside swap.New (a CNAME and
	// anything else, RFC 1034, section 3.6.2). If the error wraps ErrNoZone,
	// nothing was changed. If it wraps ErrTransient, nothing was changed and the
	// same call may be made again; after any other error the outcome is unknown:
	// call RecordSets.
	//
	// A swap that has already happened is ErrChanged, because Old is gone.
	// The serial number in a SOA is the service's: swap.New's is not written.
	Swap(ctx context.Context, zoneName string, swap Swap) error
}

// Errors that a Provider wraps. Branch on them with errors.Is.
var (
	// ErrNoZone says that the service does not hold the zone.
	ErrNoZone = errors.New("zone is not held by this service")
	// ErrChanged says that the service holds something else than was expected.
	ErrChanged = errors.New("record set changed by someone else")
	// ErrTransient says that nothing was changed and that the same call may
	// succeed later.
	ErrTransient = errors.New("service does not take this call now")
)

// Changed returns an error that wraps ErrChanged and says what the service holds
// instead of expected; nil is no such set.
func Changed(held, expected *RecordSet) error {
	return fmt.Errorf("service holds %s, expected %s: %w", Describe(held), Describe(expected), ErrChanged)
}

// Describe returns the set's answer for a person, and "nothing" for nil.
func Describe(set *RecordSet) string {
	if set == nil {
		return "nothing"
	}
	return set.String()
}

// Canonical returns swap with canonical sets. The error says what no service can do
// in zoneName, which is canonical: data that DNS cannot carry, a name outside the
// zone, or a zone without its SOA or NS. It means that nothing was sent.
func Canonical(zoneName string, swap Swap) (Swap, error) {
	for _, side := range []**RecordSet{&swap.Old, &swap.New} {
		if *side == nil {
			continue
		}
		set, err := (*side).Canonical()
		if err != nil {
			return Swap{}, err
		}
		*side = &set
	}
	key := swap.Key()
	if !zone.Within(zoneName, key.Name) {
		return Swap{}, fmt.Errorf("%s is outside the zone", key)
	}
	if swap.New == nil && key.Name == zoneName && (key.Type == "SOA" || key.Type == "NS") {
		return Swap{}, fmt.Errorf("%s: no zone can be without", key)
	}
	return swap, nil
}
