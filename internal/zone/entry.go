package zone

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
)

// A Step is the next thing to do so that a share of the names leads to the target.
type Step struct {
	// Percent is the share of names that was asked for, 0 to 100.
	Percent int
	// Names is how many names have a set that moves; Led is how many of them lead
	// to the target after Swaps, Leading how many do so now.
	Names, Led, Leading int
	// Swaps are the writes that are missing, ordered by Key.
	Swaps []Swap
	// Want is what the zone's servers answer for each set after Swaps, ordered by
	// Key, also for those that need none.
	Want []RecordSet
	// Absent are the keys that must have no set after Swaps, ordered.
	Absent []Key
	// Foreign are the sets that are neither Before nor Want: someone else changed
	// them, and Swaps does not touch them. Ordered by Key.
	Foreign []Foreign
}

// Done reports whether the zone already holds what the step is to reach.
func (s Step) Done() bool { return len(s.Swaps) == 0 && len(s.Foreign) == 0 }

// Reached returns the share of names that lead to the target now, in whole percent,
// rounded down; 100 if there are none to lead.
func (s Step) Reached() int {
	if s.Names == 0 {
		return 100
	}
	return s.Leading * 100 / s.Names
}

// A Foreign set holds something that is not ours.
type Foreign struct {
	Key Key
	// Before and Want are what we know; Have is what was found. Nil is no such set.
	Before, Want, Have *RecordSet
}

// String returns the difference for a person: "pay.example.com A: holds 192.0.2.9
// (ttl 60), expected 192.0.2.4 (ttl 60) or 198.51.100.4 (ttl 60)".
func (f Foreign) String() string {
	expected := describe(f.Before)
	if !equalOrAbsent(f.Before, f.Want) {
		expected += " or " + describe(f.Want)
	}
	return fmt.Sprintf("%s: holds %s, expected %s", f.Key, describe(f.Have), expected)
}

// Next returns the step that leads percent of the names from before to want, given
// what the service holds now. It keeps no memory: any mixture of before and want is
// a normal state, so it may be called again after a lost reply or a restart, with
// the same or another percentage. Percent 0 is the way back: every set is exactly
// as before.
//
// Without weights a share is a share of names. Those with a set that differs
// between before and want are put in the order of a hash of the name, and the first
// ones lead, rounded up, all sets of a name together. The choice is the same in
// every process, and a higher percentage keeps the names of a lower one.
//
// A set that before does not have is created when its name leads, and deleted on
// the way back. A set that want does not have stays as before. A set whose data is
// before's or want's is ours under either's TTL, because TTLs are lowered on their
// own; anything else is Foreign. Sets of have with other keys are not looked at.
//
// All sets must be canonical. Percent below 0 counts as 0, above 100 as 100.
func Next(before, want, have []RecordSet, percent int) Step {
	percent = min(max(percent, 0), 100)
	from, to, now := index(before), index(want), index(have)
	moving := moves(before, want)
	leads := leaders(moving, percent)

	step := Step{Percent: percent, Names: len(moving), Led: len(leads)}
	behind := map[string]bool{} // names of which a set does not lead to the target
	for _, key := range keys(before, want) {
		old, goal, held := from[key], from[key], now[key]
		lead := cmp.Or(to[key], old)
		if leads[key.Name] {
			goal = lead
		}
		if !equalOrAbsent(held, lead) {
			behind[key.Name] = true
		}
		step.expect(key, goal)
		switch {
		case equalOrAbsent(held, goal):
		case ours(held, old, lead):
			step.Swaps = append(step.Swaps, Swap{Old: held, New: goal})
		default:
			step.Foreign = append(step.Foreign, Foreign{Key: key, Before: old, Want: lead, Have: held})
		}
	}
	for name := range moving {
		if !behind[name] {
			step.Leading++
		}
	}
	return step
}

// expect adds what the servers answer for key after the step.
func (s *Step) expect(key Key, goal *RecordSet) {
	if goal == nil {
		s.Absent = append(s.Absent, key)
		return
	}
	s.Want = append(s.Want, *goal)
}

// ours reports whether held is old or lead, each under the TTL of either.
func ours(held, old, lead *RecordSet) bool {
	if held == nil || old == nil {
		return equalOrAbsent(held, old) || equalOrAbsent(held, lead)
	}
	knownTTL := held.TTL == old.TTL || held.TTL == lead.TTL
	return knownTTL && (sameTarget(*held, *old) || sameTarget(*held, *lead))
}

// moves returns the names with a set that differs between before and want.
func moves(before, want []RecordSet) map[string]bool {
	old := index(before)
	names := map[string]bool{}
	for i := range want {
		if !equalOrAbsent(old[want[i].Key], &want[i]) {
			names[want[i].Name] = true
		}
	}
	return names
}

// leaders returns the first percent of names in the order of their hash.
func leaders(names map[string]bool, percent int) map[string]bool {
	type place struct {
		hash uint64
		name string
	}
	order := make([]place, 0, len(names))
	for name := range names {
		hash := fnv.New64a()
		hash.Write([]byte(name))
		order = append(order, place{hash.Sum64(), name})
	}
	slices.SortFunc(order, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), strings.Compare(a.name, b.name))
	})
	count := (len(order)*percent + 99) / 100
	leads := make(map[string]bool, count)
	for _, place := range order[:count] {
		leads[place.name] = true
	}
	return leads
}

// NextPercent returns the first of steps (in percent, rising) that is above reached,
// and false if there is none.
func NextPercent(steps []int, reached int) (percent int, more bool) {
	for _, percent := range steps {
		if percent > reached {
			return percent, true
		}
	}
	return 0, false
}

// An AddressMap says where each address at which the source is entered leads in the
// target: to all the addresses of the same entry there. Addresses are IP addresses as
// text, of either family, and host names as in the data of a CNAME. An empty list is
// an entry whose addresses are not known yet.
type AddressMap map[string][]string

// Want returns before with the addresses of the source replaced by the target's: the
// data of A and AAAA sets, each by all the addresses of its family, and the targets
// of CNAMEs, by the first host name. Keys and TTLs stay the same. Sets of other types
// are left out, because they do not lead to an entry.
//
// The error joins one line for each address that the map does not have, or that it
// leads to nothing that the same type can hold: nothing is guessed.
func Want(before []RecordSet, addresses AddressMap) ([]RecordSet, error) {
	targets := make(AddressMap, len(addresses))
	for source, target := range addresses {
		targets[canonicalAddress(source)] = target
	}
	var want []RecordSet
	var problems []string
	for _, set := range Sorted(before) {
		if set.Type != "A" && set.Type != "AAAA" && set.Type != "CNAME" {
			continue
		}
		led, err := lead(set, targets)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		want = append(want, led)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(problems, "\n"))
	}
	return want, nil
}

func lead(set RecordSet, targets AddressMap) (RecordSet, error) {
	led := set.Clone()
	led.Data = nil
	for _, data := range set.Data {
		all := targets[canonicalAddress(data)]
		if len(all) == 0 {
			return RecordSet{}, fmt.Errorf("%s: no address in the target stands for %s", set.Key, data)
		}
		fitting := slices.DeleteFunc(slices.Clone(all), func(address string) bool { return typeOf(address) != set.Type })
		switch {
		case set.Type == "CNAME" && len(fitting) == 0:
			return RecordSet{}, fmt.Errorf("%s: %s leads to %s, but a CNAME needs a host name", set.Key, data, all[0])
		case set.Type == "CNAME":
			led.Data = append(led.Data, CanonicalName(fitting[0])+".")
		case len(fitting) == 0:
			led.Data = append(led.Data, all[0]) // which is refused by name
		default:
			led.Data = append(led.Data, fitting...)
		}
	}
	return led.Canonical()
}

// typeOf is the type of the record sets that can hold an address.
func typeOf(address string) string {
	ip, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return "CNAME"
	case ip.Unmap().Is4():
		return "A"
	default:
		return "AAAA"
	}
}

// canonicalAddress returns an IP address or a host name in one spelling.
func canonicalAddress(address string) string {
	if ip, err := netip.ParseAddr(address); err == nil {
		return ip.Unmap().String()
	}
	return CanonicalName(address)
}
