package ipam

import "math/bits"

// deepest is how many bits longer than its tree's prefix a block can be: depths
// are bits of a word.
const deepest = 63

// A state is what a block is.
type state uint8

const (
	free    state = iota // a leaf that nobody has
	split                // two halves
	network              // a leaf: what a claim was given
	held                 // a leaf: reserved, foreign, or another pool's
)

// A tree is the blocks of one prefix as a binary buddy tree. A block is known by
// its depth, the bits that it is longer than the prefix, and its index among the
// blocks of that depth. Two free halves are always one free block, so a tree
// depends only on what is taken, not on the order in which it was.
//
// A tree is not safe for concurrent use.
type tree struct {
	// nodes holds the root at 0; then halves lie beside each other, at an even
	// index and the next, so that a step down touches one cache line.
	nodes []node
	spare []uint32 // pairs of halves that are not in use
	path  [deepest + 1]uint32

	// free counts the free blocks by depth, room those of them that are the upper
	// half beside a network: where it would grow.
	free, room [deepest + 1]uint32
	// networks counts the networks by depth.
	networks [deepest + 1]uint32
	given    uint64 // what networks have, in blocks of depth 63
}

// A node is a block. Its masks have a bit for each depth of which there is a free
// block in it; room if that block is where a network would grow, plain if not.
type node struct {
	halves      uint32 // index of the lower one
	state       state
	plain, room uint64
	used        uint64 // in blocks of depth 63
}

func newTree() *tree {
	t := &tree{nodes: make([]node, 2, 64)}
	t.nodes[0].plain = 1
	t.free[0] = 1
	return t
}

// smallest returns the depth of the smallest free block in mask that holds a block
// of depth, or -1.
func smallest(mask uint64, depth int) int {
	return bits.Len64(mask&(1<<(depth+1)-1)) - 1
}

// descend leads to the free block of that depth in the fullest halves, the lower
// one of equals, so that what is empty stays whole, and returns its index. room says
// in which of the masks the block is. The way is left in t.path.
func (t *tree) descend(depth int, room bool) uint64 {
	mask, at, index := uint64(1)<<depth, uint32(0), uint64(0)
	for d := 0; ; d++ {
		t.path[d] = at
		n := &t.nodes[at]
		if n.state != split {
			return index
		}
		lower, upper := &t.nodes[n.halves], &t.nodes[n.halves+1]
		inLower, inUpper := lower.plain&mask != 0, upper.plain&mask != 0
		if room {
			inLower, inUpper = lower.room&mask != 0, upper.room&mask != 0
		}
		at, index = n.halves, index<<1
		if !inLower || inUpper && upper.used > lower.used {
			at, index = at+1, index|1
		}
	}
}

// find leads to the leaf that holds the block or a part of it, and returns its
// depth, which is not more than depth. A result with state split means that the
// block has parts of its own. The way is left in t.path.
func (t *tree) find(index uint64, depth int) (int, state) {
	at := uint32(0)
	for d := 0; ; d++ {
		t.path[d] = at
		n := &t.nodes[at]
		if n.state != split || d == depth {
			return d, n.state
		}
		at = n.halves + uint32(index>>(depth-d-1)&1)
	}
}

// put takes a block that lies in the free leaf of depth from, to which t.path
// leads.
func (t *tree) put(index uint64, depth, from int, as state) {
	leaf := t.path[from]
	if t.nodes[leaf].room != 0 {
		t.room[from]--
	}
	t.free[from]--
	for d := from + 1; d <= depth; d++ {
		lower := t.pair()
		n := &t.nodes[leaf]
		n.state, n.halves = split, lower
		bit := uint32(index >> (depth - d) & 1)
		other := &t.nodes[lower+1-bit]
		*other = node{plain: 1 << d}
		t.free[d]++
		leaf = lower + bit
		t.path[d] = leaf
	}
	t.nodes[leaf] = node{state: as, used: 1 << (deepest - depth)}
	if as == network {
		t.networks[depth]++
		t.given += 1 << (deepest - depth)
	}
	t.shade(depth)
	t.rise(depth)
}

// drop gives back the taken leaf to which t.path leads.
func (t *tree) drop(depth int) {
	at := t.path[depth]
	if t.nodes[at].state == network {
		t.networks[depth]--
		t.given -= 1 << (deepest - depth)
	}
	t.nodes[at] = node{plain: 1 << depth}
	t.free[depth]++
	for ; depth > 0; depth-- {
		parent := &t.nodes[t.path[depth-1]]
		lower, upper := &t.nodes[parent.halves], &t.nodes[parent.halves+1]
		if lower.state != free || upper.state != free {
			break
		}
		if upper.room != 0 {
			t.room[depth]--
		}
		t.free[depth] -= 2
		t.free[depth-1]++
		t.spare = append(t.spare, parent.halves)
		*parent = node{plain: 1 << (depth - 1)}
	}
	t.shade(depth)
	t.rise(depth)
}

// shade says again whether the upper half, where t.path ends at depth in one of two
// halves, is room of the lower one.
func (t *tree) shade(depth int) {
	if depth == 0 {
		return
	}
	halves := t.nodes[t.path[depth-1]].halves
	lower, upper := &t.nodes[halves], &t.nodes[halves+1]
	was := upper.room == 1<<depth && upper.state == free
	is := lower.state == network && upper.state == free
	switch {
	case is && !was:
		upper.plain, upper.room = 0, 1<<depth
		t.room[depth]++
	case was && !is:
		upper.plain, upper.room = 1<<depth, 0
		t.room[depth]--
	}
}

// rise says again what is in the blocks above t.path's at depth.
func (t *tree) rise(depth int) {
	for d := depth - 1; d >= 0; d-- {
		n := &t.nodes[t.path[d]]
		lower, upper := &t.nodes[n.halves], &t.nodes[n.halves+1]
		n.plain, n.room, n.used = lower.plain|upper.plain, lower.room|upper.room, lower.used+upper.used
	}
}

func (t *tree) pair() uint32 {
	if last := len(t.spare) - 1; last >= 0 {
		lower := t.spare[last]
		t.spare = t.spare[:last]
		return lower
	}
	t.nodes = append(t.nodes, node{}, node{})
	return uint32(len(t.nodes) - 2)
}

// reach returns the least depth that the network of that index and depth can have
// where it begins: up to there everything beside it is free.
func (t *tree) reach(index uint64, depth int) int {
	t.find(index, depth)
	for ; depth > 0 && index&1 == 0; depth, index = depth-1, index>>1 {
		if t.nodes[t.nodes[t.path[depth-1]].halves+1].state != free {
			break
		}
	}
	return depth
}
