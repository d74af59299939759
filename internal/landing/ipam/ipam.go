// Package ipam gives networks out of pools of addresses.
//
// A Space holds everything: scopes, within which no two networks overlap; pools,
// which lie in other pools or at the top of their scope; what is reserved in them
// or belongs to somebody else; and what claims were given. It decides and keeps
// nothing: what it answers is written into files by whoever asks.
//
// What a Space answers depends only on what is taken in it at that moment, not on
// how it came about. So the same state and the same claims in the same order give
// the same plan, and a state that is read back from files goes on as it would have.
package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// A Family is a version of the Internet protocol.
type Family uint8

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

func (f Family) String() string { return fmt.Sprintf("IPv%d", uint8(f)) }

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// A Size is a t-shirt size: the prefix lengths that its networks have; 0 if it has
// none of that family.
type Size struct {
	Name       string
	IPv4, IPv6 int
}

// Length is the prefix length that the size has in a family, or 0.
func (s Size) Length(f Family) int {
	if f == IPv4 {
		return s.IPv4
	}
	return s.IPv6
}

// A Pool is a range of addresses of which networks are given.
type Pool struct {
	Name string
	// Scope is where addresses must not overlap; a pool with a parent is in the
	// parent's, and leaves it empty.
	Scope string
	// Parent is the pool that Prefixes are taken out of, or empty.
	Parent string
	// Region and Environment say what the pool is for; empty means the parent's.
	Region, Environment string
	Prefixes            []netip.Prefix
	// Sizes are those that may be asked for; none means the parent's.
	Sizes []Size
}

// A Request asks for a network. Exactly one of Size and Length is set.
type Request struct {
	// Token makes the request idempotent: it names what is given, for as long as
	// that is not released. It is unique in a Space.
	Token string
	Pool  string
	// Family is that of the network.
	Family Family
	// Size is the name of a size of the pool.
	Size string
	// Length is the prefix length of the network.
	Length int
}

// size is what the request asks for, as people say it.
func (r Request) size() string {
	if r.Size != "" {
		return r.Size
	}
	return fmt.Sprintf("/%d", r.Length)
}

// An Allocation is what a request was given. After Resize, its request asks for
// the new size.
type Allocation struct {
	Request
	Prefix netip.Prefix
}

// What can be wrong. Every error names the claim (by its token), the pool and the
// size, and wraps one of these.
var (
	// ErrFull means that the pool has no free block of that size. The error is a
	// *FullError.
	ErrFull = errors.New("no block of that size is free")
	// ErrToken means that the token stands for something else.
	ErrToken = errors.New("the token stands for another request")
	// ErrPool means that there is no such pool.
	ErrPool = errors.New("no such pool")
	// ErrSize means that the pool gives no networks of that size and family.
	ErrSize = errors.New("no such size")
	// ErrTaken means that the block, or a part of it, is not free.
	ErrTaken = errors.New("not free")
	// ErrNone means that nothing was given for the token.
	ErrNone = errors.New("nothing was given for this token")
	// ErrRoom means that a network cannot get that size where it is: what lies
	// after it is not free, or it does not begin where such a network could. The
	// error is a *RoomError.
	ErrRoom = errors.New("no room to grow in place")
)

// A FullError says what was free when a request was refused.
type FullError struct {
	Request Request
	Scope   string
	Length  int
	// Free are the free blocks of the pool and the family.
	Free Blocks
}

func (e *FullError) Error() string {
	return fmt.Sprintf("claim %s: size %s (%s /%d) in pool %s of scope %s: %v: free are %s",
		e.Request.Token, e.Request.size(), e.Request.Family, e.Length, e.Request.Pool, e.Scope, ErrFull, e.Free)
}

// Unwrap returns ErrFull.
func (e *FullError) Unwrap() error { return ErrFull }

// A RoomError says why a network cannot get a size where it is.
type RoomError struct {
	Allocation Allocation
	// Length is the prefix length that was asked for.
	Length int
	// Possible is the shortest prefix length that the network can have in place.
	Possible int
	Free     Blocks
}

func (e *RoomError) Error() string {
	return fmt.Sprintf("claim %s: grow %s to /%d in pool %s: %v: it can have /%d; free in the pool are %s",
		e.Allocation.Token, e.Allocation.Prefix, e.Length, e.Allocation.Pool, ErrRoom, e.Possible, e.Free)
}

// Unwrap returns ErrRoom.
func (e *RoomError) Unwrap() error { return ErrRoom }

// Blocks counts free blocks by prefix length. No two of them are halves of one
// that is free.
type Blocks [129]uint32

// Fits returns how many networks of a prefix length fit.
func (b *Blocks) Fits(length int) uint64 {
	total := uint64(0)
	for l := 0; l <= length; l++ {
		if b[l] > 0 {
			if length-l >= 64 {
				return 1<<64 - 1
			}
			total += uint64(b[l]) << (length - l)
		}
	}
	return total
}

func (b Blocks) String() string {
	var parts []string
	for length, n := range b {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d × /%d", n, length))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
