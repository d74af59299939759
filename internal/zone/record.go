// Package zone knows record sets: what makes two equal, how zones differ, what a
// delegation consists of, how long old answers may live, and which sets to swap
// next so that names come to lead somewhere else, or back.
//
// It is pure: no network, no clock, no environment. Domain names are absolute,
// in lower case and without the final dot ("www.example.com"; the root is ".").
// TTLs are whole seconds. Record data is text as in a zone file, so that a name
// inside it keeps its final dot ("10 mx.example.com.").
package zone

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Key says which record set is meant.
type Key struct {
	// Name is the owner: absolute, lower case, no final dot.
	Name string `json:"name"`
	// Type is the mnemonic of the type, such as "A" or "CNAME"; a type without
	// one is "TYPE65280" (RFC 3597).
	Type string `json:"type"`
	// SetID tells apart the sets that one name and type has in services with
	// weighted or geographic answers. It is empty everywhere else.
	SetID string `json:"setID,omitempty"`
}

// Compare orders keys by name, type and set id, each byte by byte.
func (k Key) Compare(other Key) int {
	return cmp.Or(
		strings.Compare(k.Name, other.Name),
		strings.Compare(k.Type, other.Type),
		strings.Compare(k.SetID, other.SetID),
	)
}

// String returns the key as a person writes it: "pay.example.com A", with the
// set id in brackets where there is one.
func (k Key) String() string {
	if k.SetID == "" {
		return k.Name + " " + k.Type
	}
	return k.Name + " " + k.Type + " [" + k.SetID + "]"
}

// A RecordSet is all the records that a zone holds for one key. It is the
// smallest thing that DNS services change at once.
type RecordSet struct {
	Key `json:",inline"`
	// TTL is in whole seconds, 0 to 2147483647 (RFC 2181, section 8).
	TTL uint32 `json:"ttl"`
	// Data holds each record's data once, as text in the form that Canonical
	// gives. Its order means nothing.
	Data []string `json:"data"`
	// Native is what only the DNS service understands (a weight, a health check,
	// an alias), as text in that service's own form. It is compared and put back,
	// never read.
	Native string `json:"native,omitempty"`
}

// Equal reports whether a and b are the same set with the same answer: key, data
// in any order, TTL and Native. The serial number of a SOA record does not count:
// the service advances it with every change, so no SOA would equal itself for long.
//
// Both must be canonical.
func Equal(a, b RecordSet) bool {
	return a.TTL == b.TTL && sameTarget(a, b)
}

// sameTarget reports whether a and b differ in nothing but TTL.
func sameTarget(a, b RecordSet) bool {
	return a.Key == b.Key && a.Native == b.Native && sameData(a.Type, a.Data, b.Data)
}

func sameData(typ string, a, b []string) bool {
	if slices.Equal(a, b) {
		return true // the usual case: both in canonical order
	}
	if len(a) != len(b) {
		return false
	}
	a, b = slices.Clone(a), slices.Clone(b)
	if typ == "SOA" {
		for _, data := range [][]string{a, b} {
			for i := range data {
				data[i] = withoutSerial(data[i])
			}
		}
	}
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// equalOrAbsent compares two sets of one key, of which nil means that there is none.
func equalOrAbsent(a, b *RecordSet) bool {
	if a == nil || b == nil {
		return a == b
	}
	return Equal(*a, *b)
}

// Lifetime returns how long a resolver may keep an answer that it fetched just now.
func (s RecordSet) Lifetime() time.Duration {
	return time.Duration(s.TTL) * time.Second
}

// String returns the set's answer for a person: "192.0.2.4, 192.0.2.5 (ttl 60)".
func (s RecordSet) String() string {
	text := fmt.Sprintf("%s (ttl %d)", strings.Join(s.Data, ", "), s.TTL)
	if s.Native != "" {
		text += " " + s.Native
	}
	return text
}

// Clone returns a copy that shares no memory with s.
func (s RecordSet) Clone() RecordSet {
	s.Data = slices.Clone(s.Data)
	return s
}

// A Swap replaces one record set. Old is what the service must hold for the swap
// to happen, New what it holds afterwards. A nil Old creates the set, a nil New
// deletes it; at least one is there, and where both are, their keys are equal.
type Swap struct {
	Old, New *RecordSet
}

// Key returns the key of the set that is swapped.
func (s Swap) Key() Key {
	if s.Old != nil {
		return s.Old.Key
	}
	return s.New.Key
}

// String returns the swap for a person: "pay.example.com A: 192.0.2.4 (ttl 60) -> 198.51.100.4 (ttl 60)".
func (s Swap) String() string {
	return fmt.Sprintf("%s: %s -> %s", s.Key(), describe(s.Old), describe(s.New))
}

func describe(s *RecordSet) string {
	if s == nil {
		return "nothing"
	}
	return s.String()
}

// Sorted returns the sets ordered by Key, in a new slice.
func Sorted(sets []RecordSet) []RecordSet {
	return slices.SortedFunc(slices.Values(sets), func(a, b RecordSet) int { return a.Compare(b.Key) })
}

// index maps each set's key to a pointer into sets.
func index(sets []RecordSet) map[Key]*RecordSet {
	byKey := make(map[Key]*RecordSet, len(sets))
	for i := range sets {
		byKey[sets[i].Key] = &sets[i]
	}
	return byKey
}

// keys returns every key of the given lists once, in order.
func keys(lists ...[]RecordSet) []Key {
	var all []Key
	for _, sets := range lists {
		for _, set := range sets {
			all = append(all, set.Key)
		}
	}
	slices.SortFunc(all, Key.Compare)
	return slices.Compact(all)
}
