package zone

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	wire "github.com/miekg/dns"
)

// maxTTL is the longest TTL there is, in seconds (RFC 2181, section 8).
const maxTTL = 1<<31 - 1

// CanonicalName returns name in the form that this package uses: absolute, lower
// case, no final dot, and only those characters escaped that need it (RFC 4343,
// section 2.1). The root is ".". A name that DNS cannot carry (a label over 63
// bytes, over 255 in all) is only lower-cased; NewRecordSet refuses it.
func CanonicalName(name string) string {
	buffer := make([]byte, 256)
	if end, err := wire.PackDomainName(wire.Fqdn(name), buffer, 0, nil, false); err == nil {
		if unpacked, _, err := wire.UnpackDomainName(buffer[:end], 0); err == nil {
			name = unpacked
		}
	}
	name = wire.Fqdn(strings.ToLower(name))
	if name == "." {
		return name
	}
	return name[:len(name)-1]
}

// Within reports whether name is zoneName itself or lies below it. Both must be
// canonical.
func Within(zoneName, name string) bool {
	return wire.IsSubDomain(wire.Fqdn(zoneName), wire.Fqdn(name))
}

// NewRecordSet returns the canonical set with these records. The error says which
// value is wrong, and is for people: it needs no further wrapping.
func NewRecordSet(name, typ string, ttl uint32, data ...string) (RecordSet, error) {
	return RecordSet{Key: Key{Name: name, Type: typ}, TTL: ttl, Data: data}.Canonical()
}

// Canonical returns s with canonical names, an upper-case type, and data that is
// parsed, written in one way, sorted and free of repetitions. SetID and Native are
// the service's and stay as they are. The error names the value that DNS cannot
// carry.
func (s RecordSet) Canonical() (RecordSet, error) {
	records, err := s.Records()
	if err != nil {
		return RecordSet{}, err
	}
	s.Name = CanonicalName(s.Name)
	s.Type = strings.ToUpper(s.Type)
	s.Data = dataOf(records)
	return s, nil
}

// Records returns s as records of class IN with names in lower case. Every record
// stands for one entry of Data. The error names the value that DNS cannot carry.
func (s RecordSet) Records() ([]wire.RR, error) {
	if _, ok := wire.IsDomainName(s.Name); !ok || s.Name == "" {
		return nil, fmt.Errorf("name %q is not a domain name", s.Name)
	}
	if s.TTL > maxTTL {
		return nil, fmt.Errorf("%s: ttl %d is above %d seconds", s.Key, s.TTL, maxTTL)
	}
	if len(s.Data) == 0 && s.Native == "" {
		return nil, fmt.Errorf("%s: the set has no data", s.Key)
	}
	records := make([]wire.RR, 0, len(s.Data))
	for _, data := range s.Data {
		record, err := newRecord(s.Key, s.TTL, data)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

// newRecord parses one record's data.
func newRecord(key Key, ttl uint32, data string) (wire.RR, error) {
	bad := func(err error) error { return fmt.Errorf("%s: data %q: %w", key, data, err) }
	typ := strings.ToUpper(key.Type)
	if unanswerable(typ) {
		return nil, bad(errors.New("no zone can hold this type"))
	}
	// Data is one line of a zone file; more would smuggle in further records.
	if strings.ContainsAny(data, "\r\n") {
		return nil, bad(errors.New("more than one line"))
	}
	line := strings.Join([]string{CanonicalName(key.Name) + ".", strconv.Itoa(int(ttl)), "IN", typ, data}, " ")
	if CanonicalName(key.Name) == "." {
		line = line[1:]
	}
	parser := wire.NewZoneParser(strings.NewReader(line+"\n"), "", "")
	record, ok := parser.Next()
	if err := parser.Err(); err != nil {
		return nil, bad(parseCause(err))
	}
	if !ok || wire.Type(record.Header().Rrtype).String() != typ {
		return nil, bad(errors.New("not one record of this type"))
	}
	record, err := canonicalRecord(record)
	if err != nil {
		return nil, bad(err)
	}
	return record, nil
}

// unanswerable reports whether typ is a question, a signature of a message or a
// property of one, and never data in a zone (RFC 6895, section 3.1).
func unanswerable(typ string) bool {
	number, known := wire.StringToType[typ]
	if !known {
		return !strings.HasPrefix(typ, "TYPE") || typ == "TYPE0"
	}
	return number == wire.TypeNone || number == wire.TypeOPT || (number >= wire.TypeTKEY && number <= wire.TypeANY)
}

// parseCause strips the parser's position, which means nothing for a single line.
func parseCause(err error) error {
	var parse *wire.ParseError
	if errors.As(err, &parse) && errors.Unwrap(parse) != nil {
		return errors.Unwrap(parse)
	}
	return err
}

// canonicalRecord returns record as it looks after a journey over the wire, with
// names in lower case where comparison ignores case (RFC 4034, section 6.2).
func canonicalRecord(record wire.RR) (wire.RR, error) {
	parsed := record
	buffer := make([]byte, wire.Len(record)+1)
	end, err := wire.PackRR(record, buffer, 0, nil, false)
	if err != nil {
		return nil, err
	}
	record, _, err = wire.UnpackRR(buffer[:end], 0)
	if err != nil {
		return nil, err
	}
	if isEmpty(parsed) || isEmpty(record) {
		return nil, errors.New("record has no data")
	}
	record.Header().Name = strings.ToLower(record.Header().Name)
	lowerData(record)
	return record, nil
}

// isEmpty reports whether the parser found no data at all: it takes such lines for
// parts of an update, where they stand for a whole set (RFC 2136, section 2.5).
func isEmpty(record wire.RR) bool {
	create, known := wire.TypeToRR[record.Header().Rrtype]
	if !known {
		return false
	}
	empty := create()
	*empty.Header() = *record.Header()
	return reflect.DeepEqual(record, empty)
}

// lowerData puts the names inside record's data into lower case.
func lowerData(record wire.RR) {
	lower := func(names ...*string) {
		for _, name := range names {
			*name = strings.ToLower(*name)
		}
	}
	switch r := record.(type) {
	case *wire.NS:
		lower(&r.Ns)
	case *wire.CNAME:
		lower(&r.Target)
	case *wire.DNAME:
		lower(&r.Target)
	case *wire.PTR:
		lower(&r.Ptr)
	case *wire.MX:
		lower(&r.Mx)
	case *wire.SRV:
		lower(&r.Target)
	case *wire.SOA:
		lower(&r.Ns, &r.Mbox)
	case *wire.NAPTR:
		lower(&r.Replacement)
	case *wire.AFSDB:
		lower(&r.Hostname)
	case *wire.KX:
		lower(&r.Exchanger)
	case *wire.RP:
		lower(&r.Mbox, &r.Txt)
	case *wire.SVCB:
		lower(&r.Target)
	case *wire.HTTPS:
		lower(&r.Target)
	}
}

// dataOf returns the records' data as canonical text, sorted, each once.
func dataOf(records []wire.RR) []string {
	data := make([]string, 0, len(records))
	for _, record := range records {
		data = append(data, textOf(record))
	}
	slices.Sort(data)
	return slices.Compact(data)
}

// textOf returns one record's data as text that parses to the same record. Where
// the type's own notation does not survive parsing, it is the notation that works
// for every type: \# LENGTH HEX (RFC 3597, section 5).
func textOf(record wire.RR) string {
	if isEmpty(record) {
		return `\# 0` // no server should send this; it equals nothing that is wanted
	}
	switch r := record.(type) {
	case *wire.A:
		return r.A.String()
	case *wire.CNAME:
		return r.Target
	case *wire.NS:
		return r.Ns
	}
	data, err := packedData(record)
	if err != nil {
		return record.String() // cannot be: it was unpacked or packed before
	}
	text := strings.TrimPrefix(record.String(), record.Header().String())
	if _, unknown := record.(*wire.RFC3597); unknown || !parsesTo(data, record.Header().Rrtype, text) {
		return strings.TrimSpace(fmt.Sprintf(`\# %d %x`, len(data), data))
	}
	return text
}

// parsesTo reports whether text, as the data of a record of type typ, means data.
func parsesTo(data []byte, typ uint16, text string) bool {
	line := ". 0 IN " + wire.Type(typ).String() + " " + text + "\n"
	record, ok := wire.NewZoneParser(strings.NewReader(line), "", "").Next()
	if !ok {
		return false
	}
	parsed, err := packedData(record)
	return err == nil && bytes.Equal(parsed, data)
}

// packedData returns the data as it is on the wire.
func packedData(record wire.RR) ([]byte, error) {
	const header = 1 + 10 // the root's name, and the fields of fixed size
	record = wire.Copy(record)
	record.Header().Name = "."
	buffer := make([]byte, wire.Len(record)+1) // one more: the library's empty strings need it
	end, err := wire.PackRR(record, buffer, 0, nil, false)
	if err != nil {
		return nil, err
	}
	return buffer[header:end], nil
}

// Group gathers records into canonical sets, ordered by Key. Where the records of
// a set have different TTLs, the lowest counts (RFC 2181, section 5.2). Names are
// put into lower case; records must come from the wire or from Records.
func Group(records []wire.RR) []RecordSet {
	byKey := map[Key]*RecordSet{}
	members := map[Key][]wire.RR{}
	for _, record := range records {
		record = wire.Copy(record)
		lowerData(record)
		header := record.Header()
		key := Key{Name: CanonicalName(header.Name), Type: wire.Type(header.Rrtype).String()}
		if set, ok := byKey[key]; ok {
			set.TTL = min(set.TTL, header.Ttl)
		} else {
			byKey[key] = &RecordSet{Key: key, TTL: header.Ttl}
		}
		members[key] = append(members[key], record)
	}
	sets := make([]RecordSet, 0, len(byKey))
	for key, set := range byKey {
		set.Data = dataOf(members[key])
		sets = append(sets, *set)
	}
	return Sorted(sets)
}

// withoutSerial returns a SOA record's data with the serial number, its third
// field, blanked.
func withoutSerial(data string) string {
	fields := strings.Fields(data)
	if len(fields) == 7 {
		fields[2] = "-"
	}
	return strings.Join(fields, " ")
}
