package ipam

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/source"
)

// An Outcome is what becomes of a claim.
type Outcome string

// The outcomes.
const (
	Kept      Outcome = "Kept"
	Allocated Outcome = "Allocated"
	Grown     Outcome = "Grown"
	Shrunk    Outcome = "Shrunk"
	Released  Outcome = "Released"
	// Refused means that the claim cannot be fulfilled; Why names what was free.
	Refused Outcome = "Refused"
	// Unknown means that a fact is missing, which Why names.
	Unknown Outcome = "Unknown"
)

// A Step is what becomes of one claim.
type Step struct {
	Claim   string  `json:"claim"`
	Account string  `json:"account,omitempty"`
	Pool    string  `json:"pool,omitempty"`
	Size    string  `json:"size,omitempty"`
	Outcome Outcome `json:"outcome"`
	// From is what the claim has, To what it will have; not valid if nothing.
	From netip.Prefix `json:"from,omitzero"`
	To   netip.Prefix `json:"to,omitzero"`
	// CanDouble holds if what it will have can double in place.
	CanDouble bool         `json:"canDouble,omitempty"`
	Why       string       `json:"why,omitempty"`
	Place     source.Place `json:"place"`

	cause error
}

// String says the step as one line.
func (s Step) String() string {
	text := fmt.Sprintf("%s %s", s.Claim, strings.ToLower(string(s.Outcome)))
	switch s.Outcome {
	case Kept, Allocated:
		text += fmt.Sprintf(": %s of pool %s", s.To, s.Pool)
	case Grown, Shrunk:
		text += fmt.Sprintf(": %s to %s of pool %s", s.From, s.To, s.Pool)
	case Released:
		text += fmt.Sprintf(": %s of pool %s", s.From, s.Pool)
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

// Plan says what becomes of every claim, and does it in a.Space: first what shrinks,
// then what grows, then what is new, by the day on which it is needed and by name;
// so the order of the files makes no difference. before is the state that was there
// earlier, nil if none is known: what had a network then and has no claim now is
// Released. Steps are in order of claims' names. Plan may be called again: it says
// the same.
func (a *Addresses) Plan(before *Addresses) []Step {
	if a.steps == nil {
		a.steps = a.serve()
	}
	steps := slices.Clone(a.steps)
	if before != nil {
		steps = append(steps, a.released(before)...)
	}
	slices.SortStableFunc(steps, func(x, y Step) int { return cmp.Compare(x.Claim, y.Claim) })
	return steps
}

// serve does what claims ask for, and returns a step for each.
func (a *Addresses) serve() []Step {
	steps := make([]Step, len(a.Claims))
	for _, turn := range []func(*AddressClaim, int) bool{
		func(c *AddressClaim, length int) bool { return c.Wrong != "" },
		func(c *AddressClaim, length int) bool { return c.has.IsValid() && length >= c.has.Bits() },
		func(c *AddressClaim, length int) bool { return c.has.IsValid() },
	} {
		for i, c := range a.Claims {
			if steps[i].Outcome == "" && turn(c, a.length(c)) {
				steps[i] = a.step(c)
			}
		}
	}
	for _, i := range a.new(steps) {
		steps[i] = a.step(a.Claims[i])
	}
	for i, s := range steps {
		steps[i].CanDouble = a.Space.canDouble(s.Pool, s.To)
	}
	return steps
}

// new returns the claims without a step, in the order in which they are served.
func (a *Addresses) new(steps []Step) []int {
	var left []int
	for i := range steps {
		if steps[i].Outcome == "" {
			left = append(left, i)
		}
	}
	slices.SortStableFunc(left, func(i, j int) int {
		x, y := a.Claims[i].Spec.NeededBy, a.Claims[j].Spec.NeededBy
		if (x == "") != (y == "") {
			return cmp.Compare(y, x) // who needs it on a day comes before who does not say
		}
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.Claims[i].Name, a.Claims[j].Name))
	})
	return left
}

// length is the prefix length that a claim asks for, 0 if that is not known.
func (a *Addresses) length(c *AddressClaim) int {
	p, err := a.Space.pool(c.request)
	if err != nil {
		return 0
	}
	length, _ := p.length(c.request)
	return length
}

func (a *Addresses) step(c *AddressClaim) Step {
	s := Step{Claim: c.Name, Account: c.Spec.Account, Pool: c.request.Pool, Size: c.request.size(), From: c.has, Place: c.Place}
	stay := func(outcome Outcome, why string, cause error) Step {
		s.Outcome, s.Why, s.cause, s.To = outcome, why, cause, s.From
		return s
	}
	if c.Wrong != "" {
		return stay(Unknown, c.Wrong, nil)
	}
	for _, p := range a.Pools {
		if p.Name == s.Pool && p.Broken {
			return stay(Unknown, "pool "+p.Name+" has errors ("+p.Place.String()+")", nil)
		}
	}
	length := a.length(c)
	if length != 0 && c.has.IsValid() && length == c.has.Bits() {
		return stay(Kept, "", nil)
	}
	shrinks := c.has.IsValid() && length > c.has.Bits()
	if len(a.doubts) > 0 && !shrinks {
		return stay(Unknown, "nothing can be given while it is not known what is taken by "+strings.Join(a.doubts, "; "), nil)
	}
	if !c.has.IsValid() {
		given, err := a.Space.Allocate(c.request)
		if err != nil {
			return stay(Refused, err.Error(), err)
		}
		s.Outcome, s.To = Allocated, given.Prefix
		return s
	}
	given, err := a.Space.Resize(c.request.Token, c.request.Size, c.request.Length)
	if err != nil {
		return stay(Refused, err.Error(), err)
	}
	s.Outcome, s.To = Grown, given.Prefix
	if shrinks {
		s.Outcome = Shrunk
	}
	return s
}

// released returns a step for each network of before that no claim has any more.
func (a *Addresses) released(before *Addresses) []Step {
	kept := map[string]bool{}
	for _, c := range a.Claims {
		kept[c.request.Token] = true
	}
	var steps []Step
	for _, c := range before.Claims {
		if c.has.IsValid() && !kept[c.request.Token] {
			steps = append(steps, Step{Claim: c.Name, Account: c.Spec.Account, Pool: c.request.Pool, Size: c.request.size(),
				Outcome: Released, From: c.has, Place: c.Place})
		}
	}
	return steps
}

// canDouble reports whether a network of a pool can double where it is.
func (s *Space) canDouble(pool string, prefix netip.Prefix) bool {
	p := (*s.pools.Load())[pool]
	if p == nil || !prefix.IsValid() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	area := p.at(prefix)
	if area == nil {
		return false
	}
	depth, index := indexIn(area.prefix, prefix)
	if _, is := area.find(index, depth); is != network {
		return false
	}
	return area.reach(index, depth) < depth
}

// Findings says what of a plan people should know: claims that are refused, and
// those of which it is not known.
func Findings(steps []Step) []finding.Finding {
	var found []finding.Finding
	for _, s := range steps {
		f := finding.Finding{Object: KindClaim + " " + s.Claim, Place: s.Place, Observed: s.Why}
		switch {
		case s.Outcome == Unknown:
			f.ID, f.Severity = "LZ-ADDR-003", finding.Unknown
			f.Why, f.Fix = "what a claim is given cannot be said before that is known", "mend what is named"
		case s.Outcome != Refused:
			continue
		case errors.Is(s.cause, ErrRoom):
			f.ID, f.Severity = "LZ-ADDR-002", finding.Fail
			f.Why, f.Fix = "the network cannot grow without changing addresses", "add a second claim beside it, or move to a larger one"
		default:
			f.ID, f.Severity = "LZ-ADDR-001", finding.Fail
			f.Why, f.Fix = "the account would stand without a network", "add a prefix to the pool, ask for a smaller size, or release what is not used"
		}
		found = append(found, f)
	}
	return found
}
