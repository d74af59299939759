package bench

import (
	"math/bits"
	"math/rand/v2"
)

// A mix is a size of network and how many of a hundred requests ask for it.
type mix struct{ length, of100 int }

// tshirts are the sizes of a trace, in a pool from 10.0.0.0: mostly small ones.
var tshirts = []mix{{24, 50}, {22, 30}, {20, 15}, {18, 5}}

// An operation is a request for a network, or its release.
type operation struct {
	id      uint32
	length  uint8
	release bool
}

// trace returns so many operations on a pool of a prefix length. What is wanted goes
// up and down between low and high, shares of the pool, once every period: low is 5 %. Who asks
// does not know who was refused, so that every allocator gets the same trace: the
// release of what was refused does nothing.
func trace(seed uint64, operations, pool, period int, high float64) []operation {
	const low = 0.05
	r := rand.New(rand.NewPCG(seed, 0))
	all := make([]operation, 0, operations)
	var wanted []operation
	volume, next := 0.0, uint32(0)
	for len(all) < operations {
		target := low + (high-low)*wave(len(all), period)
		if len(wanted) == 0 || r.Float64() < 0.5+5*(target-volume) {
			op := operation{id: next, length: pick(r)}
			next++
			all, wanted = append(all, op), append(wanted, op)
			volume += 1 / float64(uint64(1)<<(int(op.length)-pool))
			continue
		}
		i := r.IntN(len(wanted))
		op := wanted[i]
		wanted[i] = wanted[len(wanted)-1]
		wanted = wanted[:len(wanted)-1]
		volume -= 1 / float64(uint64(1)<<(int(op.length)-pool))
		all = append(all, operation{op.id, op.length, true})
	}
	return all
}

// wave goes from 0 to 1 and back in a period.
func wave(at, period int) float64 {
	part := 2 * float64(at%period) / float64(period)
	if part > 1 {
		return 2 - part
	}
	return part
}

func pick(r *rand.Rand) uint8 {
	n := r.IntN(100)
	for _, m := range tshirts {
		if n < m.of100 {
			return uint8(m.length)
		}
		n -= m.of100
	}
	panic("the mix is less than 100")
}

// bestFit places networks as go-ipam does: in the smallest free block that fits, of
// equals the first. It stands for go-ipam in traces that would take it weeks; where
// both run, their answers are compared. Blocks are known by their depth in the pool
// and their index among those of that depth.
type bestFit struct {
	free  []bitset // by depth
	given map[uint32]block
}

type block struct {
	depth int
	index uint32
}

func newBestFit(deepest int) *bestFit {
	b := &bestFit{given: map[uint32]block{}}
	for d := range deepest + 1 {
		b.free = append(b.free, newBitset(1<<d))
	}
	b.free[0].flip(0)
	return b
}

func (b *bestFit) allocate(id uint32, depth int) (block, bool) {
	for from := depth; from >= 0; from-- {
		index, ok := b.free[from].first()
		if !ok {
			continue
		}
		b.free[from].flip(index)
		for from < depth {
			from, index = from+1, index<<1
			b.free[from].flip(index + 1)
		}
		b.given[id] = block{depth, index}
		return b.given[id], true
	}
	return block{}, false
}

// release gives back what a request was given, if it was.
func (b *bestFit) release(id uint32) {
	at, ok := b.given[id]
	if !ok {
		return
	}
	delete(b.given, id)
	for at.depth > 0 && b.free[at.depth].has(at.index^1) {
		b.free[at.depth].flip(at.index ^ 1)
		at = block{at.depth - 1, at.index >> 1}
	}
	b.free[at.depth].flip(at.index)
}

// doubles returns how many of the networks can double where they begin, and their
// share of the pool.
func (b *bestFit) doubles() (can int, fill float64) {
	for _, at := range b.given {
		if at.index&1 == 0 && at.depth > 0 && b.free[at.depth].has(at.index+1) {
			can++
		}
		fill += 1 / float64(uint64(1)<<at.depth)
	}
	return can, fill
}

// A bitset is a set of numbers of which the least is found in two looks.
type bitset struct {
	words, full []uint64 // full has a bit for each word that is not 0
}

func newBitset(size int) bitset {
	words := (size + 63) / 64
	return bitset{make([]uint64, words), make([]uint64, (words+63)/64)}
}

func (s bitset) has(i uint32) bool { return s.words[i/64]>>(i%64)&1 != 0 }

func (s bitset) flip(i uint32) {
	w := i / 64
	s.words[w] ^= 1 << (i % 64)
	s.full[w/64] &^= 1 << (w % 64)
	if s.words[w] != 0 {
		s.full[w/64] |= 1 << (w % 64)
	}
}

func (s bitset) first() (uint32, bool) {
	for i, f := range s.full {
		if f != 0 {
			w := i*64 + bits.TrailingZeros64(f)
			return uint32(w*64 + bits.TrailingZeros64(s.words[w])), true
		}
	}
	return 0, false
}
