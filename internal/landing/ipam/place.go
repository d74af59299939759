package ipam

import "math/bits"

// Placement has two aims that pull apart: networks should be able to double where
// they are, and no request should be refused that tight packing would have served.
// Refusals come from large requests that find no whole block. So a network gets
// twice its size to live in as long as enough of what is free stays whole, and is
// packed into the smallest hole otherwise.
//
// Enough is measured for each size of network that the tree holds. The share that
// this size and larger ones have of what is given is the share that they can be
// expected to ask of what is free: a part of that stays whole, and some blocks more,
// because in a small pool chance counts for more. The numbers were found by
// simulation (docs/landing/addresses.md).
const (
	// keepOf is the part of the expected share that stays whole: one in so many.
	keepOf = 5
	// keepBlocks is how many blocks of each size stay whole besides.
	keepBlocks = 8
	// packedAt is how many times as much is given as is free when nothing gets room
	// at the cost of a whole block any more: 2 is a fill of two thirds.
	packedAt = 2
)

// A place is a free block that can be used.
type place struct {
	depth int // of the free block; -1 if there is none
	room  bool
	// doubles holds when the network can double there.
	doubles bool
}

// choose returns where a network of that depth goes. The tree is not changed.
func (t *tree) choose(depth int) place {
	root := &t.nodes[0]
	plain, room := smallest(root.plain, depth), smallest(root.room, depth)
	tight := place{depth: plain, doubles: plain < depth}
	if room > plain {
		tight = place{depth: room, room: true, doubles: room < depth}
	}
	if tight.depth < depth || depth == 0 {
		return tight // a larger block has to be split anyway: the network gets a half with a free one beside it
	}
	if wide := smallest(root.plain, depth-1); wide >= 0 && t.staysWhole(depth, wide) {
		return place{depth: wide, doubles: true}
	}
	return tight
}

// staysWhole reports whether enough of what is free is left in large blocks if a
// network of that depth gets room for two in the free block of depth from.
func (t *tree) staysWhole(depth, from int) bool {
	left := uint64(1)<<deepest - t.nodes[0].used
	if t.given > 0 && t.given/packedAt >= left {
		return false
	}
	whole, large := uint64(0), uint64(0) // in blocks of at most depth d, and given to networks of at most depth d
	for d := range depth {
		whole += uint64(t.free[d]-t.room[d]) << (deepest - d)
		if t.networks[d] == 0 {
			continue
		}
		large += uint64(t.networks[d]) << (deepest - d)
		if d < from {
			continue
		}
		if d < bits.Len(keepBlocks-1) {
			return false // so many blocks would be more than there is
		}
		lost := uint64(1) << (deepest - min(d, depth-1))
		if whole-lost < share(left, large, t.given)/keepOf+keepBlocks<<(deepest-d) {
			return false
		}
	}
	return true
}

// better reports whether p is to be preferred to q, both absolute: where the network
// can double, then the smaller block, then one that is nobody's room.
func (p place) better(q place) bool {
	switch {
	case q.depth < 0 || p.depth < 0:
		return p.depth >= 0 && q.depth < 0
	case p.doubles != q.doubles:
		return p.doubles
	case p.depth != q.depth:
		return p.depth > q.depth
	}
	return !p.room && q.room
}
