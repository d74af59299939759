package ipam

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// A word is an address as a number, IPv4 in the lowest 32 bits.
type word struct{ hi, lo uint64 }

func wordOf(a netip.Addr) word {
	if a.Is4() {
		b := a.As4()
		return word{lo: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return word{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (w word) addr(v4 bool) netip.Addr {
	if v4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(w.lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], w.hi)
	binary.BigEndian.PutUint64(b[8:], w.lo)
	return netip.AddrFrom16(b)
}

func (w word) left(n int) word {
	if n >= 64 {
		return word{hi: w.lo << (n - 64)}
	}
	return word{w.hi<<n | w.lo>>(64-n), w.lo << n}
}

func (w word) right(n int) word {
	if n >= 64 {
		return word{lo: w.hi >> (n - 64)}
	}
	return word{w.hi >> n, w.lo>>n | w.hi<<(64-n)}
}

// block returns the block of that depth and index of a prefix.
func block(of netip.Prefix, depth int, index uint64) netip.Prefix {
	a := of.Addr()
	length := of.Bits() + depth
	base, offset := wordOf(a), word{lo: index}.left(a.BitLen()-length)
	return netip.PrefixFrom(word{base.hi | offset.hi, base.lo | offset.lo}.addr(a.Is4()), length)
}

// indexIn returns the depth and index that a block has in a prefix that contains it.
func indexIn(of, block netip.Prefix) (depth int, index uint64) {
	base, at := wordOf(of.Addr()), wordOf(block.Addr())
	return block.Bits() - of.Bits(), word{base.hi ^ at.hi, base.lo ^ at.lo}.right(block.Addr().BitLen() - block.Bits()).lo
}

// share returns of × part / all, for part <= all.
func share(of, part, all uint64) uint64 {
	if all == 0 {
		return 0
	}
	hi, lo := bits.Mul64(of, part)
	quotient, _ := bits.Div64(hi, lo, all)
	return quotient
}
