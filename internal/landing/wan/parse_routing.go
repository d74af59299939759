package wan

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"crossfade.dev/internal/landing/source"
)

func (p *Policy) routingPolicy(c cursor) {
	r := RoutingPolicy{}
	if c.object("a routing policy", "routing-policy-name", "routing-policy-description", "routing-policy-direction", "routing-policy-number",
		"routing-policy-rules") {
		at := c.field("routing-policy-name")
		r.Name = at.text("the name of a routing policy")
		if r.Name != "" && (!alphanumeric(r.Name) || len(r.Name) > 100) {
			at.wrong("name", "a name of at most 100 letters and digits")
		}
		c.described("routing-policy-description")
		r.Inbound = c.field("routing-policy-direction").one("direction", "inbound", "outbound") == "inbound"
		number := c.field("routing-policy-number")
		r.Number = int(number.number("rule-number", 1, maxRouting))
		for _, other := range p.RoutingPolicies {
			if other.Name == r.Name && r.Name != "" {
				at.wrong("twice", "names to be different")
			}
			if other.Number == r.Number && r.Number != 0 {
				number.warn("twice", "%s has this number too: which of them runs first is not documented", other.Name)
			}
		}
		taken := map[int64]bool{}
		for _, item := range c.field("routing-policy-rules").some("routing policy rules") {
			p.routingRule(item, &r, taken)
		}
	}
	slices.SortStableFunc(r.Rules, func(a, b RoutingRule) int { return a.Number - b.Number })
	p.RoutingPolicies = append(p.RoutingPolicies, r)
}

func (p *Policy) routingRule(c cursor, policy *RoutingPolicy, taken map[int64]bool) {
	if !c.object("a routing policy rule", "rule-number", "rule-definition") {
		return
	}
	r := RoutingRule{Number: c.ruleNumber(maxRouting, taken)}
	definition := c.field("rule-definition")
	if definition.object("rule-definition", "match-conditions", "condition-logic", "action") {
		conditions := definition.field("match-conditions").some("conditions")
		for _, item := range conditions {
			r.Match = append(r.Match, routeMatch(item))
		}
		r.And = definition.logic(len(conditions)) == "and"
		p.routingAction(definition.field("action"), &r)
		if r.Action == actSummarize && policy.Inbound {
			definition.field("action").wrong("summarize", "a routing policy of direction outbound, the only one that summarizes")
		}
	}
	policy.Rules = append(policy.Rules, r)
}

var community = regexp.MustCompile(`^([0-9]{1,5}):([0-9]{1,5})$`)

func (c cursor) community() string {
	text := c.text("a community like 65051:100")
	match := community.FindStringSubmatch(text)
	ok := match != nil
	for _, part := range match[min(1, len(match)):] {
		n, err := strconv.ParseUint(part, 10, 16)
		ok = ok && err == nil && n <= 65535
	}
	if text != "" && !ok {
		c.wrong("community", "a community like 65051:100")
	}
	return text
}

// numeral returns a number of up to 32 bits that may stand in quotes, as some tools
// write it.
func (c cursor) numeral(code string, least int64) int64 {
	if c.there() && c.node.Kind == source.String {
		bare := *c.node
		bare.Kind = source.Number
		c.node = &bare
	}
	return c.number(code, least, maxASN)
}

func routeMatch(c cursor) RouteMatch {
	var m RouteMatch
	if !c.object("a condition", "type", "value") {
		return m
	}
	value := c.field("value")
	m.Type = c.field("type").one("condition", prefixEquals, prefixInCIDR, prefixInList, asnInPath, communityIn, medEquals)
	switch m.Type {
	case prefixEquals, prefixInCIDR:
		m.Prefix = value.prefix()
	case prefixInList:
		m.Text = value.text("the alias of a prefix list")
	case communityIn:
		m.Text = value.community()
	case asnInPath:
		m.Number = value.numeral("asn", 1)
	case medEquals:
		m.Number = value.numeral("med", 0)
	}
	return m
}

func (p *Policy) routingAction(c cursor, r *RoutingRule) {
	if !c.object("action", "type", "value") {
		return
	}
	value := c.field("value")
	r.Action = c.field("type").one("action", actDrop, actAllow, actSummarize, actPrepend, actRemoveASN, actReplaceASN,
		actAddCommunity, actRemoveCommunity, actMED, actPreference)
	switch r.Action {
	case actDrop, actAllow:
		if value.there() {
			value.warn("action", "%s takes no value", r.Action)
		}
	case actSummarize:
		r.Prefix = value.prefix()
	case actPrepend, actRemoveASN, actReplaceASN:
		for _, item := range value.some("ASNs") {
			asn := item.numeral("asn", 1)
			r.Numbers = append(r.Numbers, asn)
			if p.ours(asn) {
				item.wrong("asn", "an ASN outside asn-ranges, which belong to the core network")
			}
		}
	case actAddCommunity, actRemoveCommunity:
		r.Text = value.community()
	case actMED, actPreference:
		r.Numbers = []int64{value.numeral("number", 0)}
	}
}

var (
	defaultV4 = netip.MustParsePrefix("0.0.0.0/0")
	defaultV6 = netip.MustParsePrefix("::/0")
)

// insideCIDR reads a range for Connect tunnels: at least a /24, or a /64 for IPv6.
func insideCIDR(c cursor) netip.Prefix {
	p := c.prefix()
	if p.IsValid() && (p.Addr().Is4() && p.Bits() > 24 || p.Addr().Is6() && p.Bits() > 64) {
		c.wrong("inside-cidr", "a range of /24 or larger, /64 or larger for IPv6")
	}
	return p
}

func appendValid(list []netip.Prefix, p netip.Prefix) []netip.Prefix {
	if !p.IsValid() {
		return list
	}
	return append(list, p)
}

// covered reports whether one of the prefixes contains p.
func covered(list []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(list, func(c netip.Prefix) bool { return contains(c, p) })
}

// contains reports whether outer contains all of inner; a prefix contains itself.
func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}
