package dns

import (
	"time"
)

// An nsRule is how a kind of resolver treats the NS set that a zone's own servers
// put beside their answers. The parent's set, from a referral, is what everybody
// begins with, and what everybody goes back to when the set in use runs out.
//
// The kinds are modelled on a laboratory of BIND 9.18, Unbound 1.17, PowerDNS
// Recursor 4.8 and Knot Resolver 5.6: when did each give its last answer from the
// old servers, after the parent had been pointed at new ones? nsrule_test.go
// holds those measurements.
type nsRule struct {
	// child returns the name servers to use from now on, nil for those in use. seen
	// is what the zone's own server said; old is nil if nothing is in time.
	child func(old, seen *delegation, now time.Time) *delegation
	// asksParentAgain: when no server of a zone gives an answer, the parent is asked
	// for others at once, and not only when the set in use runs out.
	asksParentAgain bool
}

var nsRules = map[Kind]nsRule{
	BIND:     {child: parentOnly},
	Unbound:  {child: parentOnly, asksParentAgain: true},
	PowerDNS: {child: childUntilFirstTTL},
	Knot:     {child: childWhenExpiring},
}

// parentOnly stays with the parent's set: the child's neither lengthens its time
// nor replaces it.
func parentOnly(_, _ *delegation, _ time.Time) *delegation { return nil }

// childUntilFirstTTL believes the child as soon as it speaks, and follows it to
// other servers at once, but never lets it put off the day on which the parent is
// asked again (so that a withdrawn delegation ends: "ghost domains").
func childUntilFirstTTL(old, seen *delegation, _ time.Time) *delegation {
	if old == nil || !old.authoritative {
		return seen
	}
	if old.sameHosts(seen) && !seen.expires.Before(old.expires) {
		return nil
	}
	next := *seen
	if next.expires.After(old.expires) {
		next.expires = old.expires
	}
	return &next
}

// childWhenExpiring leaves a set alone until it is about to expire, and then takes
// the child's for its full TTL: asked often enough, it never goes to the parent
// again. A set is about to expire when 5 s and 1 % of its TTL are left.
func childWhenExpiring(old, seen *delegation, now time.Time) *delegation {
	if old == nil {
		return seen
	}
	if left := old.expires.Sub(now); 100*(left-5*time.Second) >= old.ttl {
		return nil
	}
	return seen
}
