package wan

import (
	"fmt"
	"net/netip"
	"slices"

	landing "crossfade.dev/api/landing/v1alpha1"
)

// Attributes are what a route carries beside its prefix, as far as it is known.
type attributes struct {
	path             []int64
	communities      []string
	med              int64
	preference       int64
	pathKnown        bool
	communitiesKnown bool
	medKnown         bool
}

// attributesOf returns the attributes of the routes that an attachment advertises. A
// VPC advertises without BGP, so that they are empty.
func attributesOf(from *landing.NetworkAttachment) attributes {
	vpc := from.Type == landing.AttachmentVPC
	out := attributes{path: from.Path, communities: from.Communities, pathKnown: vpc || from.Path != nil,
		communitiesKnown: vpc || from.Communities != nil, medKnown: vpc || from.MED != nil}
	if from.MED != nil {
		out.med = *from.MED
	}
	return out
}

// A fate says whether a route passes routing policies: no, it is dropped; maybe, fact
// would have to be known; yes, with the prefix and the attributes that it then has.
type fate struct {
	passes answer
	fact   string
	prefix netip.Prefix
	routes attributes
}

// pass runs routing policies of one direction, in order, over a route. Whatever is
// not dropped passes; drop and allow end the evaluation, over all policies of the
// scope. Cloud WAN User Guide, "Routing policies".
func (n *Network) pass(policies []int, inbound bool, p netip.Prefix, routes attributes) fate {
	out := fate{passes: yes, prefix: p, routes: routes}
	perhapsDropped, perhapsAllowed := "", ""
	for _, i := range policies {
		policy := &n.Policy.RoutingPolicies[i]
		if policy.Inbound != inbound {
			continue
		}
		for j := range policy.Rules {
			r := &policy.Rules[j]
			match, fact := r.matches(n, out.prefix, &out.routes)
			switch {
			case match == no:
			case match == maybe && r.Action == actDrop:
				perhapsDropped = fact
			case match == maybe && r.Action == actAllow:
				perhapsAllowed = fact
			case match == maybe:
				out.routes.forget(r)
			case r.Action == actDrop:
				if perhapsAllowed != "" {
					return fate{passes: maybe, fact: perhapsAllowed}
				}
				return fate{passes: no}
			case r.Action == actAllow:
				return out.doubted(perhapsDropped)
			default:
				r.apply(&out)
			}
		}
	}
	return out.doubted(perhapsDropped)
}

// doubted returns the fate of a route that may have been dropped for a reason.
func (f fate) doubted(fact string) fate {
	if fact != "" {
		f.passes, f.fact = maybe, fact
	}
	return f
}

// matches reports whether a rule matches a route, and what would have to be known.
func (r *RoutingRule) matches(n *Network, p netip.Prefix, routes *attributes) (answer, string) {
	result, missing := no, ""
	if r.And {
		result = yes
	}
	for i := range r.Match {
		match, fact := r.Match[i].matches(n, p, routes)
		if match == maybe {
			missing = fact
		}
		if r.And {
			result = min(result, match)
		} else {
			result = max(result, match)
		}
	}
	return result, missing
}

// matches: a prefix is not in a CIDR that it equals, only what is smaller is.
func (m *RouteMatch) matches(n *Network, p netip.Prefix, routes *attributes) (answer, string) {
	switch m.Type {
	case prefixEquals:
		return known(p == m.Prefix), ""
	case prefixInCIDR:
		return known(contains(m.Prefix, p) && p != m.Prefix), ""
	case prefixInList:
		prefixes, ok := n.lists[m.Text]
		if !ok {
			return maybe, "the prefix list " + m.Text
		}
		return known(slices.Contains(prefixes, p)), ""
	case asnInPath:
		if !routes.pathKnown {
			return maybe, fmt.Sprintf("the AS path of %s", p)
		}
		return known(slices.Contains(routes.path, m.Number)), ""
	case communityIn:
		if !routes.communitiesKnown {
			return maybe, fmt.Sprintf("the communities of %s", p)
		}
		return known(slices.Contains(routes.communities, m.Text)), ""
	}
	if !routes.medKnown {
		return maybe, fmt.Sprintf("the MED of %s", p)
	}
	return known(routes.med == m.Number), ""
}

// apply does what a rule that ends nothing does to a route.
func (r *RoutingRule) apply(f *fate) {
	a := &f.routes
	switch r.Action {
	case actSummarize:
		f.prefix = r.Prefix
	case actPrepend:
		a.path = append(slices.Clone(r.Numbers), a.path...)
	case actRemoveASN:
		a.path = slices.DeleteFunc(slices.Clone(a.path), func(n int64) bool { return slices.Contains(r.Numbers, n) })
	case actReplaceASN:
		a.path = slices.Clone(r.Numbers)
	case actAddCommunity:
		if !slices.Contains(a.communities, r.Text) {
			a.communities = append(slices.Clone(a.communities), r.Text)
		}
	case actRemoveCommunity:
		a.communities = slices.DeleteFunc(slices.Clone(a.communities), func(c string) bool { return c == r.Text })
	case actMED:
		a.med, a.medKnown = r.Numbers[0], true
	case actPreference:
		a.preference = r.Numbers[0]
	}
}

// forget marks what a rule may or may not have changed as not known.
func (a *attributes) forget(r *RoutingRule) {
	switch r.Action {
	case actPrepend, actRemoveASN, actReplaceASN:
		a.pathKnown = false
	case actAddCommunity, actRemoveCommunity:
		a.communitiesKnown = false
	case actMED:
		a.medKnown = false
	}
}
