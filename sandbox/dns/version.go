package dns

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// A version is the content of a zone after one change. It never changes, so that
// servers may go on answering from an older one.
type version struct {
	apex string
	// number counts changes since the zone was first loaded. Unlike the SOA serial,
	// no update can set it.
	number uint64
	nodes  map[string]*node
}

// A node is a name that exists: it has records, or a name below it has (an empty
// non-terminal, RFC 8020). Nodes are not changed once they are in a version.
type node struct {
	sets map[uint16][]dns.RR
	// below counts the nodes one label deeper.
	below int
}

// parseZone reads a master file. The error says what a zone lacks: one SOA and at
// least one NS record at its apex, and no record outside.
func parseZone(apex, text string) (*version, error) {
	edit := (&version{apex: apex, nodes: map[string]*node{}}).edit()
	parser := dns.NewZoneParser(strings.NewReader(text), apex, "")
	parser.SetDefaultTTL(60)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := dns.CanonicalName(rr.Header().Name)
		if !dns.IsSubDomain(apex, name) {
			return nil, fmt.Errorf("records: %s is not in zone %s", name, apex)
		}
		edit.add(rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	if len(edit.set(apex, dns.TypeSOA)) != 1 {
		return nil, errors.New("records: the apex needs one SOA record")
	}
	if len(edit.set(apex, dns.TypeNS)) == 0 {
		return nil, errors.New("records: the apex needs NS records")
	}
	return edit.version(0), nil
}

// set returns the records of one set, nil if there are none. The caller must not
// change them.
func (v *version) set(name string, rrtype uint16) []dns.RR {
	if n := v.nodes[name]; n != nil {
		return n.sets[rrtype]
	}
	return nil
}

func (v *version) soa() *dns.SOA { return v.set(v.apex, dns.TypeSOA)[0].(*dns.SOA) }

// records returns every record, the SOA first, in the order of names and types.
func (v *version) records() []dns.RR {
	out := []dns.RR{v.soa()}
	names := slices.SortedFunc(maps.Keys(v.nodes), byLabels)
	for _, name := range names {
		sets := v.nodes[name].sets
		for _, rrtype := range slices.Sorted(maps.Keys(sets)) {
			if name == v.apex && rrtype == dns.TypeSOA {
				continue
			}
			out = append(out, sets[rrtype]...)
		}
	}
	return out
}

// byLabels orders names as RFC 4034 section 6.1 does: parents before children.
func byLabels(a, b string) int {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(x)
	slices.Reverse(y)
	return cmp.Or(slices.Compare(x, y), cmp.Compare(a, b))
}

// An edit is the next version in the making. Nodes are copied when first touched.
type edit struct {
	base    *version
	nodes   map[string]*node
	mine    map[string]bool
	touched map[setKey]bool
}

type setKey struct {
	name   string
	rrtype uint16
}

func (v *version) edit() *edit {
	return &edit{base: v, nodes: maps.Clone(v.nodes), mine: map[string]bool{}, touched: map[setKey]bool{}}
}

// version ends the edit, which must not be used afterwards.
func (e *edit) version(number uint64) *version {
	return &version{apex: e.base.apex, number: number, nodes: e.nodes}
}

func (e *edit) set(name string, rrtype uint16) []dns.RR {
	if n := e.nodes[name]; n != nil {
		return n.sets[rrtype]
	}
	return nil
}

// types returns the types that name has, in order.
func (e *edit) types(name string) []uint16 {
	if n := e.nodes[name]; n != nil {
		return slices.Sorted(maps.Keys(n.sets))
	}
	return nil
}

// changed returns the sets whose content is no longer that of the base.
func (e *edit) changed() []setKey {
	var out []setKey
	for key := range e.touched {
		if !sameSet(e.base.set(key.name, key.rrtype), e.set(key.name, key.rrtype)) {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, func(a, b setKey) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.rrtype, b.rrtype))
	})
	return out
}

// add puts rr into its set. A record with the same data is replaced, and the
// whole set takes the TTL of rr (RFC 2181 section 5.2). rr is taken over.
func (e *edit) add(rr dns.RR) {
	header := rr.Header()
	name := dns.CanonicalName(header.Name)
	var rrs []dns.RR
	for _, old := range e.set(name, header.Rrtype) {
		if dns.IsDuplicate(old, rr) {
			continue
		}
		if old.Header().Ttl != header.Ttl {
			old = dns.Copy(old)
			old.Header().Ttl = header.Ttl
		}
		rrs = append(rrs, old)
	}
	e.put(name, header.Rrtype, append(rrs, rr))
}

// remove takes the record with the data of rr, whatever its TTL, out of its set.
func (e *edit) remove(rr dns.RR) {
	header := rr.Header()
	name := dns.CanonicalName(header.Name)
	var rrs []dns.RR
	for _, old := range e.set(name, header.Rrtype) {
		if !sameData(old, rr) {
			rrs = append(rrs, old)
		}
	}
	e.put(name, header.Rrtype, rrs)
}

// put replaces a whole set; an empty one is deleted. Every record of rrs has the
// owner name in lower case from then on.
func (e *edit) put(name string, rrtype uint16, rrs []dns.RR) {
	e.touched[setKey{name, rrtype}] = true
	if len(rrs) == 0 {
		if n := e.nodes[name]; n != nil && n.sets[rrtype] != nil {
			delete(e.own(name).sets, rrtype)
			e.prune(name)
		}
		return
	}
	for _, rr := range rrs {
		if rr.Header().Name != name {
			rr.Header().Name = name
		}
	}
	e.own(name).sets[rrtype] = rrs
}

// own returns a node that the edit may change, made with its ancestors if need be.
func (e *edit) own(name string) *node {
	if e.mine[name] {
		return e.nodes[name]
	}
	e.mine[name] = true
	if old := e.nodes[name]; old != nil {
		e.nodes[name] = &node{sets: maps.Clone(old.sets), below: old.below}
		return e.nodes[name]
	}
	e.nodes[name] = &node{sets: map[uint16][]dns.RR{}}
	if name != e.base.apex {
		e.own(above(name)).below++
	}
	return e.nodes[name]
}

// prune removes name, and those of its ancestors that existed for its sake only.
func (e *edit) prune(name string) {
	for name != e.base.apex {
		n := e.nodes[name]
		if len(n.sets) > 0 || n.below > 0 {
			return
		}
		delete(e.nodes, name)
		delete(e.mine, name)
		name = above(name)
		e.own(name).below--
	}
}

// above returns name without its first label.
func above(name string) string {
	next, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}

// sameSet reports whether two sets hold the same records with the same TTL.
func sameSet(a, b []dns.RR) bool {
	return sameRecords(a, b) && (len(a) == 0 || a[0].Header().Ttl == b[0].Header().Ttl)
}

// sameRecords reports whether two sets hold the same data in any order.
func sameRecords(a, b []dns.RR) bool {
	if len(a) != len(b) {
		return false
	}
	for _, rr := range a {
		if !slices.ContainsFunc(b, func(other dns.RR) bool { return sameData(rr, other) }) {
			return false
		}
	}
	return true
}

// sameData compares everything but class and TTL: updates carry a class that
// means an action (RFC 2136).
func sameData(a, b dns.RR) bool {
	if a.Header().Class != b.Header().Class {
		b = dns.Copy(b)
		b.Header().Class = a.Header().Class
	}
	return dns.IsDuplicate(a, b)
}
