package zone

import "fmt"

// A Difference says that one set is not what it should be.
type Difference struct {
	Key Key
	// Want is what it should be, Have what was found; nil means no such set.
	Want, Have *RecordSet
}

// String returns the difference for a person:
// "pay.example.com A: holds 192.0.2.9 (ttl 60), expected 192.0.2.4 (ttl 60)".
func (d Difference) String() string {
	return fmt.Sprintf("%s: holds %s, expected %s", d.Key, describe(d.Have), describe(d.Want))
}

// Swap returns the swap that ends the difference.
func (d Difference) Swap() Swap { return Swap{Old: d.Have, New: d.Want} }

// Diff lists, ordered by Key, each set in which have is not want. No difference
// means that both answer alike.
func Diff(want, have []RecordSet) []Difference {
	wanted, held := index(want), index(have)
	var differences []Difference
	for _, key := range keys(want, have) {
		if !equalOrAbsent(wanted[key], held[key]) {
			differences = append(differences, Difference{Key: key, Want: wanted[key], Have: held[key]})
		}
	}
	return differences
}

// Copied returns those of sets that a copy of zoneName on other servers shares
// with it: all but the apex's SOA and NS, which say which servers hold it.
func Copied(zoneName string, sets []RecordSet) []RecordSet {
	zoneName = CanonicalName(zoneName)
	var copied []RecordSet
	for _, set := range sets {
		if set.Name != zoneName || (set.Type != "SOA" && set.Type != "NS") {
			copied = append(copied, set)
		}
	}
	return copied
}
