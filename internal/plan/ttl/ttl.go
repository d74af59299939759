// Package ttl tells how long resolvers hold what leads to an estate: every TTL on the
// path, what to lower, when a start is safe, and how fast a way back reaches clients.
//
// It is pure, and works on what authoritative servers hold. What it promises is true of
// resolvers that obey TTLs; the sentences say which do not, and why that hurts nobody
// as long as both copies of the zone answer alike.
package ttl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"crossfade.dev/internal/zone"
)

// Facts is what a report is made from.
type Facts struct {
	Zone string
	// Own and Parent are the record sets of the zone and of the one that delegates it, as
	// their servers hold them.
	Own, Parent []zone.RecordSet
	// Ceiling is the TTL, in seconds, to which the migration lowers what is above it.
	Ceiling uint32
	Now     time.Time
}

// A Report is what is to be known of the names before a start. Times are in seconds.
type Report struct {
	Zone   string `json:"zone"`
	Signed bool   `json:"signed,omitempty"`
	// Path is every TTL between a client and an address, the delegation first; record
	// sets of one kind with one TTL are one entry.
	Path []Entry `json:"path"`
	// Lower are the record sets whose TTL is to be lowered, a sentence each.
	Lower []string `json:"lower,omitempty"`
	// WaitSeconds is how long after that the old answers are gone, and Safe when that is
	// if they are lowered now.
	WaitSeconds int64     `json:"waitSeconds"`
	Safe        time.Time `json:"safe"`
	// RollbackSeconds is how long a way back of the entry takes to reach clients once
	// TTLs are low. Back has all ways, before and after.
	RollbackSeconds int64  `json:"rollbackSeconds"`
	Back            []Back `json:"back"`
	// Advice is what to know and do, most urgent first.
	Advice []Advice `json:"advice"`
}

// An Entry is one TTL on the path.
type Entry struct {
	// What names the place and the kind: "parent NS", "zone A".
	What string `json:"what"`
	// Name is the record set's, or the first one's of Sets.
	Name    string `json:"name"`
	Sets    int    `json:"sets"`
	Seconds uint32 `json:"seconds"`
	// To is what it is lowered to; 0 if it is low enough.
	To uint32 `json:"to,omitempty"`
}

// Back is how long something that is led back takes to reach the last client.
type Back struct {
	What string `json:"what"`
	// Before is with the TTLs as they are, After with those that Preflight sets.
	Before int64 `json:"beforeSeconds"`
	After  int64 `json:"afterSeconds"`
}

// Advice is a sentence that a person can act on, and where it comes from.
type Advice struct {
	Text   string `json:"text"`
	Source string `json:"source"`
	// Always is true of what holds for every zone.
	Always bool `json:"always,omitempty"`
}

// Of reports on a zone.
func Of(f Facts) Report {
	f.Ceiling = cmp.Or(f.Ceiling, 60)
	p := pathOf(f)
	out := Report{Zone: f.Zone, Signed: p.signed, Path: p.entries, Safe: f.Now, RollbackSeconds: int64(f.Ceiling), Back: p.back(f.Ceiling)}
	for _, s := range p.sets {
		if s.TTL > f.Ceiling {
			out.Lower = append(out.Lower, fmt.Sprintf("%s has a TTL of %d s", strings.TrimSpace(s.Key.String()), s.TTL))
		}
	}
	if p.minimum > f.Ceiling {
		out.Lower = append(out.Lower, fmt.Sprintf("%s SOA has a minimum of %d s", f.Zone, p.minimum))
	}
	if len(out.Lower) > 0 {
		wait := zone.OldAnswers(p.sets)
		out.WaitSeconds, out.Safe = int64(wait.Seconds()), f.Now.Add(wait)
	}
	out.Advice = advise(f, p, out)
	return out
}

// a path is what stands between a client and an address.
type path struct {
	sets    []zone.RecordSet // every set whose TTL counts
	entries []Entry
	signed  bool
	// The longest TTL, in seconds, of the parent's and the zone's own NS sets and of the
	// addresses and aliases; how long "no such name" is kept; and the SOA's minimum.
	parent, apex, entry, negative, minimum uint32
	// fixed is true if the parent is a top-level domain, whose TTLs nobody lowers; started
	// if the zone's SOA was seen.
	fixed, started bool
}

func pathOf(f Facts) path {
	p := path{fixed: topLevel(f.Parent, f.Zone)}
	for _, s := range zone.Sorted(f.Parent) {
		switch {
		case s.Name == f.Zone && s.Type == "NS":
			p.parent = max(p.parent, s.TTL)
			p.add("parent NS", s, f.Ceiling)
		case s.Name == f.Zone && s.Type == "DS":
			p.signed = true
			p.add("parent DS", s, f.Ceiling)
		case (s.Type == "A" || s.Type == "AAAA") && zone.Within(f.Zone, s.Name):
			p.add("parent glue", s, f.Ceiling)
		}
	}
	for _, s := range zone.Sorted(f.Own) {
		switch {
		case s.Name == f.Zone && s.Type == "NS":
			p.apex = max(p.apex, s.TTL)
			p.add("apex NS", s, f.Ceiling)
		case s.Type == "SOA":
			p.addSOA(f, s)
		case s.Type == "A" || s.Type == "AAAA" || s.Type == "CNAME":
			p.entry = max(p.entry, s.TTL)
			p.add("zone "+s.Type, s, f.Ceiling)
		}
	}
	slices.SortStableFunc(p.entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(slices.Index(places, a.What), slices.Index(places, b.What)), cmp.Compare(b.Seconds, a.Seconds))
	})
	return p
}

// places are the parts of the path in the order in which a resolver that knows nothing
// asks for them.
var places = []string{"parent NS", "parent DS", "parent glue", "apex NS", "SOA", "no such name", "zone CNAME", "zone A", "zone AAAA"}

// add takes up a set. What nobody can lower is shown, and not waited for.
func (p *path) add(what string, s zone.RecordSet, ceiling uint32) {
	if p.fixed && strings.HasPrefix(what, "parent ") {
		ceiling = s.TTL
	} else {
		p.sets = append(p.sets, s)
	}
	p.note(Entry{What: what, Name: s.Name, Sets: 1, Seconds: s.TTL}, ceiling)
}

func (p *path) addSOA(f Facts, s zone.RecordSet) {
	p.add("SOA", s, f.Ceiling)
	if soa, err := zone.SOAOf(f.Zone, f.Own); err == nil && s.Name == f.Zone {
		p.started = true
		p.minimum, p.negative = soa.Minimum, min(soa.TTL, soa.Minimum)
		p.note(Entry{What: "no such name", Name: s.Name, Sets: 1, Seconds: p.negative}, f.Ceiling)
	}
}

// note adds an entry, or counts it in one that says the same.
func (p *path) note(e Entry, ceiling uint32) {
	if e.Seconds > ceiling {
		e.To = ceiling
	}
	if strings.HasPrefix(e.What, "zone ") || e.What == "parent glue" {
		for i, old := range p.entries {
			if old.What == e.What && old.Seconds == e.Seconds {
				p.entries[i].Sets++
				return
			}
		}
	}
	p.entries = append(p.entries, e)
}

// back says how long each way back takes, of those whose TTLs were seen.
func (p path) back(ceiling uint32) []Back {
	var out []Back
	say := func(seen bool, what string, before, after uint32) {
		if seen {
			out = append(out, Back{what, int64(before), int64(after)})
		}
	}
	parent := min(p.parent, ceiling)
	if p.fixed {
		parent = p.parent
	}
	say(p.entry > 0, "names", p.entry, min(p.entry, ceiling))
	say(p.apex > 0 && p.parent > 0, "delegation, where the zone's own NS is believed", max(p.apex, p.parent), max(min(p.apex, ceiling), parent))
	say(p.parent > 0, "delegation, where the parent is believed", p.parent, parent)
	say(p.started, "a name that one side lacks", p.negative, min(p.negative, ceiling))
	return out
}
