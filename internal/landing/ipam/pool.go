package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
)

// A pool is a Pool with what is taken in it. Fields above mu never change.
type pool struct {
	Pool   // with what it has from its parent
	parent *pool

	mu    sync.Mutex
	areas []area
}

// An area is one prefix of a pool.
type area struct {
	prefix netip.Prefix
	family Family
	*tree
}

func newPool(p Pool, parent *pool) *pool {
	made := &pool{Pool: p, parent: parent}
	for _, prefix := range p.Prefixes {
		made.areas = append(made.areas, area{prefix, familyOf(prefix.Addr()), newTree()})
	}
	return made
}

// length returns the prefix length that a request asks for.
func (p *pool) length(r Request) (int, error) {
	wrong := func(want string) (int, error) {
		return 0, fmt.Errorf("claim %s: size %s (%s) in pool %s: %w: expected %s", r.Token, r.size(), r.Family, p.Name, ErrSize, want)
	}
	switch {
	case r.Family != IPv4 && r.Family != IPv6:
		return wrong("IPv4 or IPv6")
	case r.Size != "" && r.Length != 0:
		return wrong("a size or a prefix length, not both")
	case r.Size == "" && (r.Length < 1 || r.Length > r.Family.bits()):
		return wrong(fmt.Sprintf("a size, or a prefix length from 1 to %d", r.Family.bits()))
	case r.Size == "":
		return r.Length, nil
	}
	var names []string
	for _, s := range p.Sizes {
		if l := s.Length(r.Family); l != 0 {
			if s.Name == r.Size {
				return l, nil
			}
			names = append(names, fmt.Sprintf("%s (/%d)", s.Name, l))
		}
	}
	if len(names) == 0 {
		return wrong("nothing: the pool has no sizes of this family")
	}
	return wrong(fmt.Sprint("one of ", names))
}

func (f Family) bits() int {
	if f == IPv4 {
		return 32
	}
	return 128
}

// place takes a free block of a prefix length. ok is false if there is none.
func (p *pool) place(f Family, length int) (given netip.Prefix, ok bool) {
	best, from := place{depth: -1}, 0
	for i := range p.areas {
		a := &p.areas[i]
		depth := length - a.prefix.Bits()
		if a.family != f || depth < 0 || depth > deepest {
			continue
		}
		found := a.choose(depth)
		if found.depth < 0 {
			continue
		}
		found.depth += a.prefix.Bits()
		if found.better(best) {
			best, from = found, i
		}
	}
	if best.depth < 0 {
		return netip.Prefix{}, false
	}
	a := &p.areas[from]
	depth, free := length-a.prefix.Bits(), best.depth-a.prefix.Bits()
	index := a.descend(free, best.room) << (depth - free)
	a.put(index, depth, free, network)
	return block(a.prefix, depth, index), true
}

// longest returns the longest prefix length that can be given, 0 if the pool has
// nothing of the family.
func (p *pool) longest(f Family) int {
	most := 0
	for i := range p.areas {
		if a := &p.areas[i]; a.family == f {
			most = max(most, min(a.prefix.Bits()+deepest, f.bits()))
		}
	}
	return most
}

// at returns the area of the pool that contains a prefix, or nil.
func (p *pool) at(prefix netip.Prefix) *area {
	for i := range p.areas {
		if a := &p.areas[i]; contains(a.prefix, prefix) && prefix.Bits()-a.prefix.Bits() <= deepest {
			return a
		}
	}
	return nil
}

// take takes exactly this block. It reports whether it was free.
func (p *pool) take(prefix netip.Prefix, as state) bool {
	a := p.at(prefix)
	if a == nil {
		return false
	}
	depth, index := indexIn(a.prefix, prefix)
	from, found := a.find(index, depth)
	if found != free {
		return false
	}
	a.put(index, depth, from, as)
	return true
}

// give gives back a network.
func (p *pool) give(prefix netip.Prefix) {
	a := p.at(prefix)
	depth, index := indexIn(a.prefix, prefix)
	a.find(index, depth)
	a.drop(depth)
}

// resize gives a network another length where it begins. It returns the shortest
// length that was possible if that is longer than what was asked for, else 0.
func (p *pool) resize(prefix netip.Prefix, length int) (refused int) {
	a := p.at(prefix)
	depth, index := indexIn(a.prefix, prefix)
	to := length - a.prefix.Bits()
	if possible := a.reach(index, depth); to < possible {
		return possible + a.prefix.Bits()
	}
	a.find(index, depth)
	a.drop(depth)
	if to < depth {
		index >>= depth - to
	} else {
		index <<= to - depth
	}
	from, _ := a.find(index, to)
	a.put(index, to, from, network)
	return 0
}

// hold takes what is free of a prefix in the area, and returns the blocks of it
// that networks have.
func (a *area) hold(prefix netip.Prefix) []netip.Prefix {
	if contains(prefix, a.prefix) {
		prefix = a.prefix
	}
	depth, index := indexIn(a.prefix, prefix)
	return a.holdBlock(depth, index)
}

func (a *area) holdBlock(depth int, index uint64) []netip.Prefix {
	from, found := a.find(index, depth)
	switch found {
	case free:
		a.put(index, depth, from, held)
	case network:
		return []netip.Prefix{block(a.prefix, from, index>>(depth-from))}
	case split:
		return append(a.holdBlock(depth+1, index<<1), a.holdBlock(depth+1, index<<1|1)...)
	}
	return nil
}

// blocks counts the free blocks of a family.
func (p *pool) blocks(f Family) Blocks {
	var free Blocks
	for _, a := range p.areas {
		if a.family != f {
			continue
		}
		for d, n := range a.free {
			if n > 0 {
				free[a.prefix.Bits()+d] += n
			}
		}
	}
	return free
}

// contains reports whether every address of inner is in outer.
func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// sorted returns prefixes in the order of their addresses.
func sorted(prefixes []netip.Prefix) []netip.Prefix {
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return prefixes
}
