package wan

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A classifier says which hosts nothing in the policy tells apart.
type classifier struct {
	p *plane
	// named are attachments that static routes lead to, which are told apart.
	named map[*Attachment]bool
	// routed are prefixes of static routes.
	routed map[netip.Prefix]bool
	// tests are the conditions on prefixes of routing policies that run where routes
	// cross.
	tests []*RouteMatch
	text  []byte
}

func newClassifier(p *plane) *classifier {
	c := &classifier{p: p, named: map[*Attachment]bool{}, routed: map[netip.Prefix]bool{}}
	for _, r := range p.net.Policy.Routes {
		for _, prefix := range r.Prefixes {
			c.routed[prefix] = true
		}
		for _, id := range r.Destinations {
			c.named[p.net.byID[id]] = true
		}
	}
	for i := range p.net.Policy.RoutingPolicies {
		for j := range p.net.Policy.RoutingPolicies[i].Rules {
			r := &p.net.Policy.RoutingPolicies[i].Rules[j]
			for k := range r.Match {
				switch r.Match[k].Type {
				case prefixEquals, prefixInCIDR, prefixInList:
					c.tests = append(c.tests, &r.Match[k])
				}
			}
		}
	}
	return c
}

// standing writes what is the same for all attachments that are not in a segment.
func (c *classifier) standing(a *Attachment) {
	switch {
	case len(a.Landing.Missing) > 0:
		c.text = append(c.text, 'm')
	case a.Landing.Group != "":
		c.text = append(append(c.text, 'g'), a.Landing.Group...)
	default:
		c.text = append(append(c.text, 'w'), a.Landing.Why...)
	}
}

// source returns what decides where packets of a host go, beside their target.
func (c *classifier) source(h *host) string {
	c.text = c.text[:0]
	if h.Attachment == nil {
		return "outside"
	}
	t := &c.p.sites[h.Attachment.number]
	if t.segment < 0 {
		c.standing(h.Attachment)
		return string(c.text)
	}
	c.site(t)
	if h.Attachment.bgp() {
		for _, x := range t.outbound {
			c.text = fmt.Appendf(c.text, "o%v", x.outbound)
		}
		if slices.ContainsFunc(t.outbound, func(x crossed) bool { return len(x.outbound) > 0 }) {
			c.text = append(c.text, h.Attachment.Name...)
		}
	}
	return string(c.text)
}

func (c *classifier) site(t *site) {
	c.number(t.segment)
	for _, e := range t.edges {
		c.number(e)
	}
}

func (c *classifier) number(n int) { c.text = strconv.AppendInt(append(c.text, ' '), int64(n), 10) }

// target returns what decides what happens to packets for a host, beside where they
// come from.
func (c *classifier) target(h *host) string {
	c.text = c.text[:0]
	a := h.Attachment
	if a == nil {
		return "outside " + h.entry.prefix.String()
	}
	if c.p.sites[a.number].segment < 0 {
		c.standing(a)
		return string(c.text)
	}
	if h.entry == nil {
		return "unknown prefixes"
	}
	if c.named[a] {
		c.text = append(append(c.text, 'n'), a.Name...)
	}
	c.text = append(c.text, string(a.Type)+string(a.Transit)...)
	c.site(&c.p.sites[a.number])
	for e := h.entry; e != nil; e = e.above {
		c.entry(a, e)
	}
	return string(c.text)
}

// entry writes what tells one entry above a target from others. One that only the
// target's attachment has is told by what routing policies see of it.
func (c *classifier) entry(a *Attachment, e *entry) {
	if e.whole || c.routed[e.prefix] || len(e.owners) != 1 || e.owners[0] != a {
		c.text = append(c.text, '=')
		c.text = e.prefix.AppendTo(c.text)
		if slices.Contains(e.owners, a) {
			c.text = append(c.text, '!')
			c.text = append(c.text, a.Name...)
		}
		return
	}
	c.text = append(c.text, '~')
	for _, f := range e.fates[0] {
		c.text = append(c.text, byte('0'+f.passes))
		if f.passes == maybe {
			c.text = append(c.text, f.fact...)
		}
		if a.bgp() || len(f.routes.communities) > 0 || len(f.routes.path) > 0 || f.routes.preference != 0 || f.routes.med != 0 {
			c.text = fmt.Appendf(c.text, "%v", f.routes)
		}
	}
	var none attributes
	for _, m := range c.tests {
		match, _ := m.matches(c.p.net, e.prefix, &none)
		c.text = append(c.text, byte('0'+match))
	}
	if c.unread(a) {
		c.text = e.prefix.AppendTo(c.text)
	}
}

// unread reports whether answers may name the prefix, since attributes of its routes
// are not known that a routing policy asks for.
func (c *classifier) unread(a *Attachment) bool {
	return a.bgp() && (!a.routes.pathKnown || !a.routes.communitiesKnown || !a.routes.medKnown) && len(c.p.net.Policy.RoutingPolicies) > 0
}

// find returns the hosts that a text names.
func (m *matrix) find(text string, outside bool) ([]*host, error) {
	if text == "*" || text == "" {
		return m.hosts, nil
	}
	if prefix, ok := rangeOf(text); ok {
		return m.inRange(prefix, outside)
	}
	kind, name, ok := strings.Cut(text, ":")
	if !ok {
		kind, name = "", text
	}
	kinds := []struct {
		name string
		is   func(*Attachment) bool
	}{
		{"attachment", func(a *Attachment) bool { return a.Name == name || a.ID == name }},
		{"segment", func(a *Attachment) bool { return a.Landing.Segment == name }},
		{"account", func(a *Attachment) bool { return a.Account == name || a.AccountID == name }},
		{"group", func(a *Attachment) bool { return a.Landing.Group == name }},
	}
	var found []*host
	var of []string
	declared := false
	for _, k := range kinds {
		if kind != "" && kind != k.name {
			continue
		}
		var some []*host
		for _, h := range m.hosts {
			if k.is(h.Attachment) {
				some = append(some, h)
			}
		}
		if len(some) > 0 {
			found, of = some, append(of, k.name)
		}
		declared = declared || k.name == "segment" && m.has(name)
	}
	switch {
	case len(of) > 1:
		return nil, fmt.Errorf("the name of %s: write %s:%s", list(of), of[0], name)
	case len(found) == 0 && declared:
		return nil, errors.New("nothing that advertises a prefix lands in this segment")
	case len(found) == 0:
		return nil, errors.New("no segment, attachment, account or group with an address is called so")
	}
	return found, nil
}

func (m *matrix) has(segment string) bool {
	_, ok := m.p.net.Policy.segmentIndex[segment]
	return ok
}

// rangeOf reads an address or an address range.
func rangeOf(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}

// inRange returns the hosts within an address range, or, for a range within the
// prefix of a host, that one. A range that nobody advertises is outside.
func (m *matrix) inRange(prefix netip.Prefix, outside bool) ([]*host, error) {
	var inside, around []*host
	for _, h := range m.hosts {
		switch {
		case h.entry == nil:
		case contains(prefix, h.Prefix) && prefix.Bits() > 0:
			inside = append(inside, h)
		case contains(h.Prefix, prefix) && (len(around) == 0 || around[0].Prefix.Bits() < h.Prefix.Bits()):
			around = []*host{h}
		case len(around) > 0 && around[0].Prefix == h.Prefix:
			around = append(around, h)
		}
	}
	switch {
	case len(inside) > 0:
		return inside, nil
	case len(around) > 0:
		return around, nil
	case !outside:
		return nil, errors.New("no attachment advertises it")
	}
	e := m.p.entries[prefix]
	for bits := prefix.Bits(); e == nil; bits-- {
		e = m.p.entries[netip.PrefixFrom(prefix.Addr(), bits).Masked()]
	}
	h := &host{Host: Host{Prefix: prefix}, entry: e}
	m.class(newClassifier(m.p), h)
	return []*host{h}, nil
}
