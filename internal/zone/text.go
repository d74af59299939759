package zone

import (
	"errors"
	"fmt"
	"strings"

	wire "github.com/miekg/dns"
)

// Parse reads a zone in the format of RFC 1035, section 5, with origin as the name
// that relative names are relative to. It returns canonical sets ordered by Key.
//
// The error names the line or the set that is wrong: text that does not parse, a
// name outside origin, a class other than IN, a set with two TTLs (RFC 2181,
// section 5.2) and a CNAME beside other data (RFC 1034, section 3.6.2). $INCLUDE
// is refused.
func Parse(origin, text string) ([]RecordSet, error) {
	origin = CanonicalName(origin)
	parser := wire.NewZoneParser(strings.NewReader(text), wire.Fqdn(origin), "")
	var records []wire.RR
	ttls := map[Key]uint32{}
	for record, ok := parser.Next(); ok; record, ok = parser.Next() {
		record, err := canonicalRecord(record)
		if err != nil {
			return nil, fmt.Errorf("zone %s: %w", origin, err)
		}
		key := Key{Name: CanonicalName(record.Header().Name), Type: wire.Type(record.Header().Rrtype).String()}
		if err := belongs(origin, key, record); err != nil {
			return nil, fmt.Errorf("zone %s: %s: %w", origin, key, err)
		}
		if ttl, seen := ttls[key]; seen && ttl != record.Header().Ttl {
			return nil, fmt.Errorf("zone %s: %s: records of one set have ttl %d and %d", origin, key, ttl, record.Header().Ttl)
		}
		ttls[key] = record.Header().Ttl
		records = append(records, record)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("zone %s: %w", origin, err)
	}
	sets := Group(records)
	if err := checkAliases(origin, sets); err != nil {
		return nil, err
	}
	return sets, nil
}

func belongs(origin string, key Key, record wire.RR) error {
	header := record.Header()
	switch {
	case !Within(origin, key.Name):
		return errors.New("name is outside the zone")
	case header.Class != wire.ClassINET:
		return fmt.Errorf("class is %s, not IN", wire.Class(header.Class))
	case header.Ttl > maxTTL:
		return fmt.Errorf("ttl %d is above %d seconds", header.Ttl, maxTTL)
	case unanswerable(key.Type):
		return errors.New("no zone can hold this type")
	}
	return nil
}

// checkAliases refuses a CNAME that is not alone: at its name there may be no
// other record and no second CNAME. Signatures and proofs are excepted (RFC 4034,
// sections 3 and 4).
func checkAliases(origin string, sets []RecordSet) error {
	types := map[string][]string{}
	for _, set := range sets {
		if set.Type == "CNAME" && len(set.Data) > 1 {
			return fmt.Errorf("zone %s: %s: %d targets, but a name has one", origin, set.Key, len(set.Data))
		}
		if set.Type != "RRSIG" && set.Type != "NSEC" && set.Type != "KEY" {
			types[set.Name] = append(types[set.Name], set.Type)
		}
	}
	for _, set := range sets {
		if set.Type == "CNAME" && len(types[set.Name]) > 1 {
			return fmt.Errorf("zone %s: %s has a CNAME beside other data (%s)", origin, set.Name, strings.Join(types[set.Name], ", "))
		}
	}
	return nil
}

// Render writes sets as a zone file that Parse reads back to the same sets,
// ordered by Key and with the SOA first, as servers want it. What a zone file
// cannot say (SetID, Native) is written as a comment.
func Render(origin string, sets []RecordSet) string {
	var text strings.Builder
	fmt.Fprintf(&text, "$ORIGIN %s\n", wire.Fqdn(CanonicalName(origin)))
	sets = Sorted(sets)
	for _, soaTurn := range []bool{true, false} {
		for _, set := range sets {
			if (set.Type == "SOA") == soaTurn {
				renderSet(&text, set)
			}
		}
	}
	return text.String()
}

func renderSet(text *strings.Builder, set RecordSet) {
	for _, data := range set.Data {
		fmt.Fprintf(text, "%s\t%d\tIN\t%s\t%s", wire.Fqdn(set.Name), set.TTL, set.Type, data)
		if set.SetID != "" || set.Native != "" {
			fmt.Fprintf(text, " ; %q %q", set.SetID, set.Native)
		}
		text.WriteByte('\n')
	}
}
