package ipam

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/source"
)

// The kinds that Load reads.
const (
	KindPool  = "AddressPool"
	KindClaim = "AddressClaim"
)

// DefaultScope is the scope of a pool that names none.
const DefaultScope = "private"

// Addresses are the pools and claims of a folder.
type Addresses struct {
	// Space holds what the files say is taken. Plan goes on in it.
	Space *Space
	// Pools and Claims are in order of their names.
	Pools  []*AddressPool
	Claims []*AddressClaim

	// doubts name what could not be read and may have addresses.
	doubts []string
	steps  []Step // what Plan said
}

// An AddressPool is one pool of the folder.
type AddressPool struct {
	*landing.AddressPool
	Place source.Place
	// Broken holds if the pool has errors: nothing is given of it.
	Broken bool

	document *source.Document
}

// An AddressClaim is one claim of the folder.
type AddressClaim struct {
	*landing.AddressClaim
	Place source.Place
	// Wrong says why the claim cannot be answered; empty if it can.
	Wrong string

	document *source.Document
	request  Request
	has      netip.Prefix // what the file says that it was given
}

// Load returns what documents say about addresses, and everything that is wrong
// with them. Documents of other kinds are left alone. unread is what source.Read
// found: a file that could not be read may have addresses, so that nothing more is
// given until it can be.
func Load(documents []*source.Document, unread source.Findings) (*Addresses, source.Findings) {
	l := &loader{a: &Addresses{Space: NewSpace()}, names: map[string]string{}, tokens: map[string]*AddressClaim{}}
	for _, place := range finding.Unread(unread) {
		l.a.doubts = append(l.a.doubts, place.File+", which cannot be read")
	}
	for _, d := range documents {
		if group, _, _ := strings.Cut(d.APIVersion, "/"); group != landing.GroupVersion.Group {
			continue
		}
		switch d.Kind {
		case KindPool:
			l.readPool(d)
		case KindClaim:
			l.readClaim(d)
		}
	}
	slices.SortStableFunc(l.a.Pools, func(a, b *AddressPool) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(l.a.Claims, func(a, b *AddressClaim) int { return cmp.Compare(a.Name, b.Name) })
	l.addPools()
	for _, c := range l.a.Claims {
		l.route(c)
	}
	for _, c := range l.a.Claims {
		l.take(c)
	}
	for _, p := range l.a.Pools {
		l.holdRanges(p)
	}
	return l.a, l.found
}

type loader struct {
	a      *Addresses
	names  map[string]string // kind and name to file
	tokens map[string]*AddressClaim
	found  source.Findings
}

func (l *loader) wrong(d *source.Document, code, want string, steps ...any) {
	n, path := d.Locate(steps...)
	l.found.Add(d.File, n, path, "addresses/"+code, want)
}

// decode fills a kind from a document and reports whether nothing is wrong.
func (l *loader) decode(d *source.Document, out any) bool {
	wrong := source.Decode(d, out)
	l.found = append(l.found, wrong...)
	fine := len(wrong.Errors()) == 0
	if d.APIVersion != landing.GroupVersion.String() {
		l.wrong(d, "version", "expected "+landing.GroupVersion.String(), "apiVersion")
		fine = false
	}
	key := d.Kind + " " + d.Name
	if first, ok := l.names[key]; ok {
		l.wrong(d, "duplicate", fmt.Sprintf("expected names of %ss to be different: %s has this one too", d.Kind, first), "metadata", "name")
		fine = false
	}
	l.names[key] = d.File
	return fine
}

func (l *loader) readPool(d *source.Document) {
	p := &AddressPool{AddressPool: &landing.AddressPool{}, Place: d.Place(), document: d}
	p.Broken = !l.decode(d, p.AddressPool)
	p.Name = d.Name
	l.a.Pools = append(l.a.Pools, p)
}

func (l *loader) readClaim(d *source.Document) {
	c := &AddressClaim{AddressClaim: &landing.AddressClaim{}, Place: d.Place(), document: d}
	if !l.decode(d, c.AddressClaim) {
		c.Wrong = "it has errors"
	}
	c.Name = d.Name
	l.a.Claims = append(l.a.Claims, c)
}

// addPools adds the pools, parents first.
func (l *loader) addPools() {
	left := slices.Clone(l.a.Pools)
	known := map[string]bool{}
	for progress := true; progress; {
		progress = false
		left = slices.DeleteFunc(left, func(p *AddressPool) bool {
			if p.Spec.Parent != "" && !known[p.Spec.Parent] {
				return false
			}
			l.addPool(p)
			known[p.Name], progress = true, true
			return true
		})
	}
	for _, p := range left {
		p.Broken = true
		l.wrong(p.document, "parent", "expected the name of a pool that is not itself in this one", "spec", "parent")
	}
}

func (l *loader) addPool(p *AddressPool) {
	before := len(l.found)
	made := Pool{Name: p.Name, Scope: cmp.Or(p.Spec.Scope, DefaultScope), Parent: p.Spec.Parent, Region: p.Spec.Region,
		Environment: p.Spec.Environment, Prefixes: l.prefixes(p)}
	if p.Spec.Parent != "" && p.Spec.Scope != "" {
		l.wrong(p.document, "scope", "expected no scope in a pool with a parent: it is in the parent's", "spec", "scope")
	}
	for i, s := range p.Spec.Sizes {
		v4, v6 := int(s.IPv4), int(s.IPv6)
		if v4 < 0 || v4 > 32 || v6 < 0 || v6 > 128 || v4 == 0 && v6 == 0 {
			l.wrong(p.document, "size", "expected ipv4 from 1 to 32, ipv6 from 1 to 128, or both", "spec", "sizes", i)
		}
		if s.Name == "" || slices.ContainsFunc(made.Sizes, func(other Size) bool { return other.Name == s.Name }) {
			l.wrong(p.document, "size", "expected each size to have a name of its own", "spec", "sizes", i, "name")
		}
		made.Sizes = append(made.Sizes, Size{s.Name, v4, v6})
	}
	if parent := l.pool(p.Spec.Parent); parent != nil && parent.Broken {
		p.Broken = true // what is wrong is said of the parent
	}
	p.Broken = p.Broken || len(l.found) > before
	if p.Broken {
		return
	}
	if err := l.a.Space.AddPool(made); err != nil {
		p.Broken = true
		l.wrong(p.document, "prefixes", "expected prefixes that are free: "+err.Error(), "spec", "prefixes")
		return
	}
	l.checkPlans(p)
}

// checkPlans says which plans of a pool can never be fulfilled.
func (l *loader) checkPlans(p *AddressPool) {
	in := (*l.a.Space.pools.Load())[p.Name]
	for i, planned := range p.Spec.Planned {
		family := IPv4
		if planned.Family == landing.IPv6 {
			family = IPv6
		} else if planned.Family != "" && planned.Family != landing.IPv4 {
			l.wrong(p.document, "family", "expected IPv4 or IPv6", "spec", "planned", i, "family")
			continue
		}
		if planned.Count < 1 {
			l.wrong(p.document, "planned", "expected at least 1", "spec", "planned", i, "count")
		}
		if _, err := in.length(Request{Token: "planned", Pool: p.Name, Family: family, Size: planned.Size}); err != nil {
			l.wrong(p.document, "planned", "expected a size of the pool: "+err.Error(), "spec", "planned", i, "size")
		}
	}
}

// prefixes parses a pool's prefixes.
func (l *loader) prefixes(p *AddressPool) []netip.Prefix {
	var all []netip.Prefix
	for i, text := range p.Spec.Prefixes {
		if prefix, ok := parse(text); ok {
			all = append(all, prefix)
			continue
		}
		l.wrong(p.document, "prefix", wantPrefix, "spec", "prefixes", i)
	}
	if len(p.Spec.Prefixes) == 0 {
		l.wrong(p.document, "prefix", "expected at least one prefix", "spec", "prefixes")
	}
	return all
}

const wantPrefix = "expected a prefix without bits after its length, like 10.0.0.0/12"

func parse(text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	return p, err == nil && p == p.Masked() && !p.Addr().Is4In6()
}

// holdRanges takes out what is reserved or foreign, after claims have theirs: where
// they meet, the range is what is wrong.
func (l *loader) holdRanges(p *AddressPool) {
	for _, list := range []struct {
		field  string
		ranges []landing.AddressRange
	}{{"reserved", p.Spec.Reserved}, {"foreign", p.Spec.Foreign}} {
		field := list.field
		for i, r := range list.ranges {
			prefix, ok := parse(r.Prefix)
			if !ok {
				l.wrong(p.document, "prefix", wantPrefix, "spec", field, i, "prefix")
				l.a.doubts = append(l.a.doubts, fmt.Sprintf("%s, whose %s ranges have errors", p.Name, field))
				continue
			}
			if p.Broken {
				if field == "foreign" {
					l.a.doubts = append(l.a.doubts, fmt.Sprintf("%s, which has errors and names foreign ranges", p.Name))
				}
				continue
			}
			hold := func() error { return l.a.Space.Reserve(p.Name, prefix) }
			if field == "foreign" {
				hold = func() error { return l.a.Space.Foreign(l.a.Space.scope(p.Name), prefix) }
			}
			if err := hold(); err != nil {
				l.wrong(p.document, field, "expected a range of which no network has a part: "+err.Error(), "spec", field, i, "prefix")
			}
		}
	}
}

func (s *Space) scope(pool string) string {
	return (*s.pools.Load())[pool].Scope
}

// route finds the pool of a claim and makes its request.
func (l *loader) route(c *AddressClaim) {
	s := c.Spec
	c.request = Request{Token: cmp.Or(s.Token, c.Name), Pool: s.Pool, Family: IPv4, Size: s.Size, Length: int(s.PrefixLength)}
	refuse := func(code, want string, steps ...any) {
		l.wrong(c.document, code, want, steps...)
		c.Wrong = cmp.Or(c.Wrong, want)
	}
	switch s.Family {
	case "", landing.IPv4:
	case landing.IPv6:
		c.request.Family = IPv6
	default:
		refuse("family", "expected IPv4 or IPv6", "spec", "family")
	}
	if (s.Size == "") == (s.PrefixLength == 0) {
		refuse("size", "expected exactly one of size and prefixLength", "spec")
	}
	if s.Pool != "" && (s.Region != "" || s.Environment != "") {
		refuse("pool", "expected a pool, or a region and an environment, not both", "spec", "pool")
	}
	if broken := l.brokenFor(s); s.Pool == "" && broken != nil {
		c.Wrong = cmp.Or(c.Wrong, "pool "+broken.Name+" has errors ("+broken.Place.String()+")")
	} else if s.Pool == "" {
		name, want := l.a.choose(s, c.request.Family)
		if want != "" {
			if broken := slices.IndexFunc(l.a.Pools, func(p *AddressPool) bool { return p.Broken }); broken >= 0 {
				c.Wrong = cmp.Or(c.Wrong, want+"; pool "+l.a.Pools[broken].Name+" has errors")
			} else {
				refuse("pool", want, "spec")
			}
		}
		c.request.Pool = name
	} else if !slices.ContainsFunc(l.a.Pools, func(p *AddressPool) bool { return p.Name == s.Pool }) {
		refuse("pool", "expected the name of a pool", "spec", "pool")
	}
	if other := l.tokens[c.request.Token]; other != nil {
		refuse("token", "expected a token of its own: "+other.Name+" has this one too", "spec", "token")
	} else {
		l.tokens[c.request.Token] = c
	}
	if c.Status.Prefix != "" {
		prefix, ok := parse(c.Status.Prefix)
		if !ok {
			refuse("prefix", wantPrefix, "status", "prefix")
		}
		c.has = prefix
	}
}

// brokenFor returns a pool with errors that would be the one of a claim's region and
// environment, or nil: then another pool is not the right one, though it may fit too.
func (l *loader) brokenFor(s landing.AddressClaimSpec) *AddressPool {
	for _, environment := range slices.Compact([]string{s.Environment, ""}) {
		sound := false
		for _, p := range l.a.Pools {
			region := l.inherited(p, func(p *AddressPool) string { return p.Spec.Region })
			if l.inherited(p, func(p *AddressPool) string { return p.Spec.Environment }) != environment {
				continue
			}
			unread := region == "" && p.document.Root.Get("spec", "region") != nil
			if p.Broken && (region == s.Region || unread) {
				return p
			}
			sound = sound || region == s.Region
		}
		if sound {
			return nil
		}
	}
	return nil
}

// inherited returns what a pool, or the nearest pool above it, says of itself.
func (l *loader) inherited(p *AddressPool, says func(*AddressPool) string) string {
	for range len(l.a.Pools) {
		if p == nil || says(p) != "" {
			break
		}
		p = l.pool(p.Spec.Parent)
	}
	if p == nil {
		return ""
	}
	return says(p)
}

// choose returns the pool of a region and an environment, or what was expected.
func (a *Addresses) choose(s landing.AddressClaimSpec, f Family) (name, want string) {
	if s.Region == "" {
		return "", "expected a pool, or a region"
	}
	for _, environment := range slices.Compact([]string{s.Environment, ""}) {
		var names []string
		for _, p := range inOrder(*a.Space.pools.Load()) {
			if p.Region == s.Region && p.Environment == environment && slices.ContainsFunc(p.areas, func(a area) bool { return a.family == f }) {
				names = append(names, p.Name)
			}
		}
		if len(names) == 1 {
			return names[0], ""
		}
		if len(names) > 1 {
			return "", fmt.Sprintf("expected the name of a pool: %s are for region %s, environment %q", strings.Join(names, ", "), s.Region, environment)
		}
	}
	return "", fmt.Sprintf("expected a pool for %s in region %s, environment %q", f, s.Region, s.Environment)
}

// take records what a claim's file says that it was given. What cannot be recorded
// is somewhere else, nobody knows where: then nothing more is given.
func (l *loader) take(c *AddressClaim) {
	if c.Status.Prefix == "" {
		if c.Wrong != "" && c.document.Root.Get("status") != nil {
			l.a.doubts = append(l.a.doubts, c.Name+", which has errors")
		}
		return
	}
	if c.has.IsValid() && c.Wrong == "" {
		err := l.a.Space.Take(c.request, c.has)
		if err == nil {
			return
		}
		c.Wrong = err.Error()
		if p := l.pool(c.request.Pool); p == nil || !p.Broken {
			l.wrong(c.document, "taken", "expected a network that it can have: "+c.Wrong, "status", "prefix")
		}
	}
	l.a.doubts = append(l.a.doubts, fmt.Sprintf("%s, which says that it has %s", c.Name, c.Status.Prefix))
}

func (l *loader) pool(name string) *AddressPool {
	for _, p := range l.a.Pools {
		if p.Name == name {
			return p
		}
	}
	return nil
}
