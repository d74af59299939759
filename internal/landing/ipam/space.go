package ipam

import (
	"fmt"
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A Space is the pools and everything that is taken in them. All methods may be
// called from several goroutines at once: requests for different pools do not wait
// for each other.
type Space struct {
	// change is held by those who add pools or hold ranges.
	change sync.Mutex
	pools  atomic.Pointer[map[string]*pool]

	// A token's shelf is locked before the token's pool.
	seed    maphash.Seed
	shelves [shelves]shelf
}

const shelves = 1024

// A shelf is what was given for some of the tokens.
type shelf struct {
	mu    sync.Mutex
	given map[string]*Allocation
	_     [48]byte // keeps neighbours out of the same cache line
}

// NewSpace returns a space without pools.
func NewSpace() *Space {
	s := &Space{seed: maphash.MakeSeed()}
	s.pools.Store(&map[string]*pool{})
	for i := range s.shelves {
		s.shelves[i].given = map[string]*Allocation{}
	}
	return s
}

func (s *Space) shelf(token string) *shelf {
	return &s.shelves[maphash.String(s.seed, token)%shelves]
}

func (s *Space) pool(r Request) (*pool, error) {
	p := (*s.pools.Load())[r.Pool]
	if p == nil {
		return nil, fmt.Errorf("claim %s: size %s in pool %s: %w", r.Token, r.size(), r.Pool, ErrPool)
	}
	return p, nil
}

// AddPool adds a pool, after its parent. The prefixes of a pool with a parent are
// taken out of the parent: the error wraps ErrTaken if they are not free there.
// The prefixes of a pool without one must not meet those of another in its scope:
// the error wraps ErrTaken too. Nothing is added if there is an error.
func (s *Space) AddPool(p Pool) error {
	s.change.Lock()
	defer s.change.Unlock()
	pools := *s.pools.Load()
	wrong := func(err error) error { return fmt.Errorf("pool %s: %w", p.Name, err) }
	if pools[p.Name] != nil {
		return wrong(fmt.Errorf("another pool has this name: %w", ErrPool))
	}
	parent := pools[p.Parent]
	if p.Parent != "" {
		if parent == nil {
			return wrong(fmt.Errorf("parent %s: %w", p.Parent, ErrPool))
		}
		p.inherit(parent.Pool)
	}
	if err := checkPrefixes(p.Prefixes); err != nil {
		return wrong(err)
	}
	p.Prefixes, p.Sizes = slices.Clone(p.Prefixes), slices.Clone(p.Sizes)
	if parent == nil {
		for _, other := range inOrder(pools) {
			if met, with, ok := meeting(p.Prefixes, other.Prefixes); ok && other.parent == nil && other.Scope == p.Scope {
				return wrong(fmt.Errorf("%s meets %s of pool %s in scope %s: %w", met, with, other.Name, p.Scope, ErrTaken))
			}
		}
	} else if err := parent.delegate(p.Prefixes); err != nil {
		return wrong(fmt.Errorf("in its parent %s: %w", parent.Name, err))
	}
	next := maps.Clone(pools)
	next[p.Name] = newPool(p, parent)
	s.pools.Store(&next)
	return nil
}

func (p *Pool) inherit(parent Pool) {
	p.Scope = parent.Scope
	if p.Region == "" {
		p.Region = parent.Region
	}
	if p.Environment == "" {
		p.Environment = parent.Environment
	}
	if len(p.Sizes) == 0 {
		p.Sizes = parent.Sizes
	}
}

// checkPrefixes refuses prefixes that are none, or meet each other.
func checkPrefixes(prefixes []netip.Prefix) error {
	for i, p := range prefixes {
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
			return fmt.Errorf("%s: expected a prefix without bits after its length, like 10.0.0.0/8", p)
		}
		if met, with, ok := meeting(prefixes[i:i+1], prefixes[i+1:]); ok {
			return fmt.Errorf("%s meets %s: %w", met, with, ErrTaken)
		}
	}
	return nil
}

// meeting returns two prefixes that overlap, one of each list.
func meeting(a, b []netip.Prefix) (of, with netip.Prefix, ok bool) {
	for _, p := range a {
		for _, q := range b {
			if p.Overlaps(q) {
				return p, q, true
			}
		}
	}
	return of, with, false
}

// delegate takes all of these prefixes, or none.
func (p *pool) delegate(prefixes []netip.Prefix) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, prefix := range prefixes {
		if !p.take(prefix, held) {
			for _, taken := range prefixes[:i] {
				p.give(taken)
			}
			return fmt.Errorf("%s: %w: free are %s", prefix, ErrTaken, p.blocks(familyOf(prefix.Addr())))
		}
	}
	return nil
}

// Reserve takes a range out of a pool: nothing is given of it. The error wraps
// ErrTaken, and names them, if networks have parts of it; what is free of it is
// reserved nevertheless.
func (s *Space) Reserve(poolName string, prefix netip.Prefix) error {
	s.change.Lock()
	defer s.change.Unlock()
	p := (*s.pools.Load())[poolName]
	if p == nil {
		return fmt.Errorf("reserve %s in pool %s: %w", prefix, poolName, ErrPool)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.at(prefix)
	if a == nil || prefix != prefix.Masked() {
		return fmt.Errorf("reserve %s in pool %s: expected a range of %v", prefix, poolName, p.Prefixes)
	}
	return conflict("reserve", prefix, poolName, a.hold(prefix))
}

// Foreign takes a range that somebody else has out of every pool of a scope that
// it meets. The error wraps ErrTaken, and names them, if networks have parts of it;
// the rest is taken nevertheless.
func (s *Space) Foreign(scope string, prefix netip.Prefix) error {
	s.change.Lock()
	defer s.change.Unlock()
	if !prefix.IsValid() || prefix != prefix.Masked() {
		return fmt.Errorf("foreign range %s: expected a prefix without bits after its length", prefix)
	}
	var met []netip.Prefix
	var names []string
	for _, p := range inOrder(*s.pools.Load()) {
		if p.Scope != scope {
			continue
		}
		p.mu.Lock()
		for i := range p.areas {
			a := &p.areas[i]
			if !a.prefix.Overlaps(prefix) || prefix.Bits()-a.prefix.Bits() > deepest {
				continue
			}
			if taken := a.hold(prefix); len(taken) > 0 {
				met, names = append(met, taken...), append(names, p.Name)
			}
		}
		p.mu.Unlock()
	}
	return conflict("foreign range", prefix, strings.Join(names, ", "), met)
}

func conflict(what string, prefix netip.Prefix, pools string, met []netip.Prefix) error {
	if len(met) == 0 {
		return nil
	}
	return fmt.Errorf("%s %s in pool %s: %w: networks have %v", what, prefix, pools, ErrTaken, sorted(met))
}

func inOrder(pools map[string]*pool) []*pool {
	var all []*pool
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		all = append(all, pools[name])
	}
	return all
}
