package ipam

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// Allocate gives a network, or what the token was given before. The same token
// with other parameters is refused (ErrToken); a token is free again once its
// network was released.
//
// The error wraps ErrFull (then it is a *FullError), ErrToken, ErrPool or ErrSize.
func (s *Space) Allocate(r Request) (Allocation, error) {
	p, err := s.pool(r)
	if err != nil {
		return Allocation{}, err
	}
	length, err := p.length(r)
	if err != nil {
		return Allocation{}, err
	}
	shelf := s.shelf(r.Token)
	shelf.mu.Lock()
	defer shelf.mu.Unlock()
	if was := shelf.given[r.Token]; was != nil {
		return was.again(r)
	}
	p.mu.Lock()
	prefix, ok := p.place(r.Family, length)
	var free Blocks
	if !ok {
		free = p.blocks(r.Family)
	}
	p.mu.Unlock()
	if most := p.longest(r.Family); !ok && length > most && most > 0 {
		return Allocation{}, fmt.Errorf("claim %s: /%d in pool %s (%v): %w: expected at most /%d: a pool is divided %d times at most", r.Token, length, r.Pool, p.Prefixes, ErrSize, most, deepest)
	}
	if !ok {
		return Allocation{}, &FullError{Request: r, Scope: p.Scope, Length: length, Free: free}
	}
	given := &Allocation{r, prefix}
	shelf.given[r.Token] = given
	return *given, nil
}

// again answers a request for a token that something was given for.
func (a *Allocation) again(r Request) (Allocation, error) {
	if a.Request != r {
		return Allocation{}, fmt.Errorf("claim %s: size %s (%s) in pool %s: %w: it was given %s, size %s (%s) in pool %s",
			r.Token, r.size(), r.Family, r.Pool, ErrToken, a.Prefix, a.size(), a.Family, a.Pool)
	}
	return *a, nil
}

// Take records that a request was given a certain network, as read from files.
// The error wraps ErrTaken if that is not free, or not in the pool, and otherwise
// what Allocate's does. The network may have another length than the request's
// size: Resize mends that.
func (s *Space) Take(r Request, prefix netip.Prefix) error {
	p, err := s.pool(r)
	if err != nil {
		return err
	}
	if _, err := p.length(r); err != nil {
		return err
	}
	shelf := s.shelf(r.Token)
	shelf.mu.Lock()
	defer shelf.mu.Unlock()
	if was := shelf.given[r.Token]; was != nil {
		if was.Prefix != prefix {
			return fmt.Errorf("claim %s: %s in pool %s: %w: it was given %s", r.Token, prefix, r.Pool, ErrToken, was.Prefix)
		}
		_, err := was.again(r)
		return err
	}
	if !prefix.IsValid() || prefix != prefix.Masked() || familyOf(prefix.Addr()) != r.Family {
		return fmt.Errorf("claim %s: %s in pool %s: expected an %s prefix without bits after its length: %w", r.Token, prefix, r.Pool, r.Family, ErrSize)
	}
	p.mu.Lock()
	ok := p.take(prefix, network)
	free := p.blocks(r.Family)
	p.mu.Unlock()
	if !ok {
		return fmt.Errorf("claim %s: %s in pool %s (%v): %w: free are %s", r.Token, prefix, r.Pool, p.Prefixes, ErrTaken, free)
	}
	shelf.given[r.Token] = &Allocation{r, prefix}
	return nil
}

// Release gives a network back, and returns what it was. The error wraps ErrNone
// if nothing was given for the token.
func (s *Space) Release(token string) (Allocation, error) {
	shelf := s.shelf(token)
	shelf.mu.Lock()
	defer shelf.mu.Unlock()
	was := shelf.given[token]
	if was == nil {
		return Allocation{}, fmt.Errorf("release claim %s: %w", token, ErrNone)
	}
	p := (*s.pools.Load())[was.Pool]
	p.mu.Lock()
	p.give(was.Prefix)
	p.mu.Unlock()
	delete(shelf.given, token)
	return *was, nil
}

// Resize gives a network another size where it is: it begins at the same address
// and never loses one when it grows. size is the name of a size of its pool; if it
// is empty, length is the prefix length.
//
// The error wraps ErrRoom if it cannot grow there (then it is a *RoomError, and the
// network is as it was), ErrNone or ErrSize.
func (s *Space) Resize(token, size string, length int) (Allocation, error) {
	return s.resize(token, func(was Allocation) Request {
		was.Size, was.Length = size, length
		return was.Request
	})
}

// Grow doubles a network where it is. The error is as of Resize.
func (s *Space) Grow(token string) (Allocation, error) {
	return s.resize(token, func(was Allocation) Request {
		was.Size, was.Length = "", was.Prefix.Bits()-1
		return was.Request
	})
}

func (s *Space) resize(token string, ask func(Allocation) Request) (Allocation, error) {
	shelf := s.shelf(token)
	shelf.mu.Lock()
	defer shelf.mu.Unlock()
	was := shelf.given[token]
	if was == nil {
		return Allocation{}, fmt.Errorf("resize claim %s: %w", token, ErrNone)
	}
	r := ask(*was)
	p := (*s.pools.Load())[was.Pool]
	length, err := p.length(r)
	if err != nil {
		return Allocation{}, err
	}
	if area := p.at(was.Prefix); length-area.prefix.Bits() > deepest {
		return Allocation{}, fmt.Errorf("claim %s: /%d in %s of pool %s: %w: expected at most /%d", token, length, area.prefix, r.Pool, ErrSize, area.prefix.Bits()+deepest)
	}
	p.mu.Lock()
	refused := 0
	if length != was.Prefix.Bits() {
		refused = p.resize(was.Prefix, length)
	}
	var free Blocks
	if refused != 0 {
		free = p.blocks(r.Family)
	}
	p.mu.Unlock()
	if refused != 0 {
		return Allocation{}, &RoomError{Allocation: *was, Length: length, Possible: refused, Free: free}
	}
	was.Request, was.Prefix = r, netip.PrefixFrom(was.Prefix.Addr(), length)
	return *was, nil
}

// Given returns what was given for a token.
func (s *Space) Given(token string) (Allocation, bool) {
	shelf := s.shelf(token)
	shelf.mu.Lock()
	defer shelf.mu.Unlock()
	if was := shelf.given[token]; was != nil {
		return *was, true
	}
	return Allocation{}, false
}

// Allocations returns everything that was given, by pool and address.
func (s *Space) Allocations() []Allocation {
	var all []Allocation
	for i := range s.shelves {
		shelf := &s.shelves[i]
		shelf.mu.Lock()
		for _, a := range shelf.given {
			all = append(all, *a)
		}
		shelf.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Allocation) int {
		if a.Pool != b.Pool {
			if a.Pool < b.Pool {
				return -1
			}
			return 1
		}
		return a.Prefix.Compare(b.Prefix)
	})
	return all
}

// A Usage is what a pool has in one family.
type Usage struct {
	Pool     Pool
	Family   Family
	Networks int
	// CanDouble counts the networks that can double where they are.
	CanDouble int
	// Given, Held and Free are shares of the pool's addresses, together 1: with
	// networks, reserved, foreign or other pools', and free.
	Given, Held, Free float64
	Blocks            Blocks
}

// Usages returns what every pool has, by name and family; a family without prefixes
// is left out.
func (s *Space) Usages() []Usage {
	var all []Usage
	for _, p := range inOrder(*s.pools.Load()) {
		p.mu.Lock()
		for _, f := range []Family{IPv4, IPv6} {
			if u, ok := p.usage(f); ok {
				all = append(all, u)
			}
		}
		p.mu.Unlock()
	}
	return all
}

func (p *pool) usage(f Family) (Usage, bool) {
	u := Usage{Pool: p.Pool, Family: f, Blocks: p.blocks(f)}
	total := 0.0
	for _, a := range p.areas {
		if a.family != f {
			continue
		}
		weight := math.Ldexp(1, -a.prefix.Bits())
		const whole = 1 << deepest
		given, used := float64(a.given)/whole, float64(a.nodes[0].used)/whole
		total += weight
		u.Given, u.Held, u.Free = u.Given+weight*given, u.Held+weight*(used-given), u.Free+weight*(1-used)
		for d := range a.networks {
			u.Networks += int(a.networks[d])
			u.CanDouble += int(a.room[d])
		}
	}
	if total == 0 {
		return Usage{}, false
	}
	u.Given, u.Held, u.Free = u.Given/total, u.Held/total, u.Free/total
	return u, true
}
