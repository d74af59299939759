package zone

import (
	"time"

	wire "github.com/miekg/dns"
)

// Lowered returns the sets with no TTL above ceiling seconds. In a SOA the minimum
// is lowered too, because it bounds how long "no such name" is kept (RFC 2308,
// section 5). Sets that are low enough come back as they are.
//
// The error says which SOA does not parse; nothing else can fail.
func Lowered(sets []RecordSet, ceiling uint32) ([]RecordSet, error) {
	lowered := make([]RecordSet, 0, len(sets))
	for _, set := range sets {
		set = set.Clone()
		set.TTL = min(set.TTL, ceiling)
		if set.Type == "SOA" {
			var err error
			set, err = editSOA(set, func(soa *wire.SOA) { soa.Minttl = min(soa.Minttl, ceiling) })
			if err != nil {
				return nil, err
			}
		}
		lowered = append(lowered, set)
	}
	return lowered, nil
}

// LowerSwaps returns the swaps, ordered by Key, after which none of have's TTLs is
// above ceiling seconds. Each keeps its set's data, so that TTLs can be lowered
// wherever the names lead at the time. No swaps means that all are low enough; it
// does not mean that the old TTLs have run out: that is OldAnswers, of the sets as
// they were before.
//
// The error says which SOA does not parse.
func LowerSwaps(have []RecordSet, ceiling uint32) ([]Swap, error) {
	lowered, err := Lowered(have, ceiling)
	if err != nil {
		return nil, err
	}
	var swaps []Swap
	for _, difference := range Diff(lowered, have) {
		swaps = append(swaps, difference.Swap())
	}
	return swaps, nil
}

// Longest returns how long a resolver may keep the answer that lives longest among
// sets. The negative answers that a SOA allows count as well.
func Longest(sets []RecordSet) time.Duration {
	var longest time.Duration
	for _, set := range sets {
		longest = max(longest, set.Lifetime())
		if set.Type != "SOA" {
			continue
		}
		// A SOA that does not parse bounds nothing beyond its own TTL.
		if soa, err := parseSOA(set); err == nil {
			longest = max(longest, soa.Negative())
		}
	}
	return longest
}

// OldAnswers returns how long to wait, after the last of before's sets was changed,
// until resolvers have let go of the old answers: the longest of all TTLs and of
// the delegation's, and a tenth more, because clocks and caches are not exact.
//
// It is a bound for resolvers that obey TTLs. Some extend them (8.74 % of 8,524 in
// a PAM 2023 survey), and some serve stale answers when servers fail (RFC 8767).
func OldAnswers(before []RecordSet, delegations ...Delegation) time.Duration {
	longest := Longest(before)
	for _, delegation := range delegations {
		longest = max(longest, delegation.Longest())
	}
	return longest + longest/10
}
