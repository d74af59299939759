package wan

import (
	"net/netip"
	"slices"
)

// A plane is what a network does with packets: its policy and attachments with
// names resolved, ready to be looked up. It is not changed once it is built.
type plane struct {
	net      *Network
	regions  []string
	segments []Segment
	// exchange[s][r] is what lets routes of segment r into s; nil if nothing does.
	exchange [][]*exchange
	// via[s][r] leads packets of s to r through a group; more than one is a doubt.
	via    [][][]*Insertion
	egress [][]*Insertion
	// crossing[s][to][from] are the routing policies for routes of s between two edges.
	crossing [][][]crossed
	groups   []groupPlane
	entries  map[netip.Prefix]*entry
	statics  []map[netip.Prefix]*StaticRoute
	sites    []site // by number of attachment
}

// An exchange is the alternatives by which routes cross from one segment into
// another: one for each share of the two.
type exchange struct{ alternatives []crossed }

// crossed are the routing policies that run when a route crosses somewhere, each in
// its direction.
type crossed struct{ inbound, outbound []int }

// A groupPlane is where a network function group has attachments, and which
// segments' prefixes its tables have.
type groupPlane struct {
	name    string
	at      [][]*Attachment // by edge
	perhaps [][]*Attachment // which may land there
	members []bool          // by segment
	dual    bool
}

// A site is where an attachment stands, with names resolved.
type site struct {
	segment, group int // -1: none
	edges          []int
	perhaps        []int // segments where it may land, if that is not known
	inbound        []crossed
	outbound       []crossed // by the position in edges
}

// An entry is one prefix that somebody advertises or routes.
type entry struct {
	prefix netip.Prefix
	owners []*Attachment
	above  *entry // the next larger prefix; nil for the default route
	whole  bool   // the default route
	leaf   bool   // no smaller entry is in it
	// fates are what inbound routing policies do to the routes of each owner, by its
	// edges.
	fates [][]fate
}

// plan returns the plane of a network, which is built once.
func (n *Network) plan() *plane {
	if n.plane == nil {
		n.plane = buildPlane(n)
	}
	return n.plane
}

func buildPlane(n *Network) *plane {
	if n.Policy.Broken { // what is attached lands nowhere that is known, so that no table is looked into
		empty := *n
		empty.Policy = &Policy{}
		n = &empty
		n.Policy.index()
	}
	p := &plane{net: n, segments: n.Policy.Segments}
	for _, e := range n.Policy.Edges {
		p.regions = append(p.regions, e.Region)
	}
	p.exchanges()
	p.insertions()
	p.crossings()
	p.placeSites()
	p.prefixes()
	return p
}

// indices resolves names of routing policies.
func (p *plane) indices(names []string) []int {
	out := make([]int, len(names))
	for i, name := range names {
		out[i] = p.net.Policy.routingPolicyName[name]
	}
	return out
}

func (p *plane) exchanges() {
	p.exchange = make([][]*exchange, len(p.segments))
	for s := range p.segments {
		p.exchange[s] = make([]*exchange, len(p.segments))
		for r := range p.segments {
			if s == r || !p.segments[s].takes(p.segments[r].Name) {
				continue
			}
			into, from := p.segments[s].Name, p.segments[r].Name
			var x exchange
			for _, share := range p.net.Policy.Shares {
				switch { // directions are read from the segment that the share is declared on
				case share.Segment == into && share.With.Has(from):
					x.alternatives = append(x.alternatives, crossed{inbound: p.indices(share.Policies)})
				case share.Segment == from && share.With.Has(into):
					x.alternatives = append(x.alternatives, crossed{outbound: p.indices(share.Policies)})
				}
			}
			if len(x.alternatives) > 0 {
				p.exchange[s][r] = &x
			}
		}
	}
}

func (p *plane) insertions() {
	policy := p.net.Policy
	for _, g := range policy.Groups {
		p.groups = append(p.groups, groupPlane{name: g.Name, at: make([][]*Attachment, len(p.regions)), perhaps: make([][]*Attachment, len(p.regions)),
			members: make([]bool, len(p.segments))})
	}
	p.via = make([][][]*Insertion, len(p.segments))
	p.egress = make([][]*Insertion, len(p.segments))
	for s := range p.segments {
		p.via[s] = make([][]*Insertion, len(p.segments))
	}
	for i := range policy.Insertions {
		in := &policy.Insertions[i]
		g := &p.groups[policy.groupIndex[in.Group]]
		s := policy.segmentIndex[in.Segment]
		g.members[s] = true
		if in.Egress {
			p.egress[s] = append(p.egress[s], in)
			continue
		}
		g.dual = g.dual || in.Mode == DualHop
		for r := range p.segments {
			if !policy.inspects(*in, p.segments[r].Name) {
				continue
			}
			g.members[r] = true
			p.via[s][r] = append(p.via[s][r], in)
			if s != r { // what is inspected on the way there is inspected on the way back
				p.via[r][s] = append(p.via[r][s], in)
			}
		}
	}
}

func (p *plane) crossings() {
	p.crossing = make([][][]crossed, len(p.segments))
	for s := range p.segments {
		p.crossing[s] = make([][]crossed, len(p.regions))
		for to := range p.regions {
			p.crossing[s][to] = make([]crossed, len(p.regions))
		}
	}
	policy := p.net.Policy
	for _, pair := range policy.EdgePairs {
		of := p.crossing[policy.segmentIndex[pair.Segment]]
		edge, peer, indices := policy.edgeIndex[pair.Edge], policy.edgeIndex[pair.Peer], p.indices(pair.Policies)
		of[edge][peer].inbound = append(of[edge][peer].inbound, indices...)
		of[peer][edge].outbound = append(of[peer][edge].outbound, indices...)
		slices.Sort(of[edge][peer].inbound)
		slices.Sort(of[peer][edge].outbound)
	}
}

// placeSites resolves where attachments land. Only the edges where their segment is
// count.
func (p *plane) placeSites() {
	policy := p.net.Policy
	p.sites = make([]site, len(p.net.Attachments))
	for i, a := range p.net.Attachments {
		t := site{segment: -1, group: -1}
		switch {
		case a.Landing.Segment != "":
			t.segment = policy.segmentIndex[a.Landing.Segment]
		case a.Landing.Group != "":
			t.group = policy.groupIndex[a.Landing.Group]
		}
		for _, l := range a.Landing.perhaps {
			switch {
			case l.Segment != "":
				t.perhaps = append(t.perhaps, policy.segmentIndex[l.Segment])
			case l.Group == "" && len(l.Missing) > 0: // a tag that is not known names the segment
				for s := range p.segments {
					t.perhaps = append(t.perhaps, s)
				}
			}
		}
		for _, r := range a.Regions {
			e, ok := policy.edgeIndex[r]
			if !ok || t.segment >= 0 && !p.segments[t.segment].in(r) {
				continue
			}
			t.edges = append(t.edges, e)
			t.inbound = append(t.inbound, crossed{inbound: p.labelled(a, r, true)})
			t.outbound = append(t.outbound, crossed{outbound: p.labelled(a, r, false)})
			if t.group >= 0 {
				p.groups[t.group].at[e] = append(p.groups[t.group].at[e], a)
			}
			for _, l := range a.Landing.perhaps {
				if l.Group != "" {
					g := &p.groups[policy.groupIndex[l.Group]]
					g.perhaps[e] = append(g.perhaps[e], a)
				}
			}
		}
		p.sites[i] = t
	}
}

// labelled returns the routing policies of one direction that an attachment's label
// gives it at an edge.
func (p *plane) labelled(a *Attachment, region string, inbound bool) []int {
	var out []int
	for _, r := range p.net.Policy.RoutingRules {
		if a.Label == "" || !slices.Contains(r.Labels, a.Label) || r.Edges != nil && !slices.Contains(r.Edges, region) {
			continue
		}
		for _, i := range p.indices(r.Policies) {
			if p.net.Policy.RoutingPolicies[i].Inbound == inbound && !slices.Contains(out, i) {
				out = append(out, i)
			}
		}
	}
	slices.Sort(out)
	return out
}

// prefixes builds the entries of everything that is advertised or routed, each with
// the next larger one above it, and the default routes at the top.
func (p *plane) prefixes() {
	p.entries = map[netip.Prefix]*entry{}
	p.entry(defaultV4).whole, p.entry(defaultV6).whole = true, true
	for _, a := range p.net.Attachments {
		for _, prefix := range a.Prefixes {
			if e := p.entry(prefix); !slices.Contains(e.owners, a) {
				e.owners = append(e.owners, a)
			}
		}
	}
	p.statics = make([]map[netip.Prefix]*StaticRoute, len(p.segments))
	for i := range p.net.Policy.Routes {
		r := &p.net.Policy.Routes[i]
		s := p.net.Policy.segmentIndex[r.Segment]
		if p.statics[s] == nil {
			p.statics[s] = map[netip.Prefix]*StaticRoute{}
		}
		for _, prefix := range r.Prefixes {
			p.entry(prefix)
			p.statics[s][prefix] = r
		}
	}
	var lengths [2][129]bool
	for prefix := range p.entries {
		lengths[family(prefix)][prefix.Bits()] = true
	}
	for _, e := range p.entries {
		e.leaf = true
	}
	for _, e := range p.entries {
		e.above = p.larger(e.prefix, &lengths)
		if e.above != nil {
			e.above.leaf = false
		}
		for _, a := range e.owners {
			e.fates = append(e.fates, p.entering(a, e.prefix))
		}
	}
}

func (p *plane) entry(prefix netip.Prefix) *entry {
	e := p.entries[prefix]
	if e == nil {
		e = &entry{prefix: prefix}
		p.entries[prefix] = e
	}
	return e
}

// larger returns the smallest entry that contains prefix and is not the same.
func (p *plane) larger(prefix netip.Prefix, lengths *[2][129]bool) *entry {
	for bits := prefix.Bits() - 1; bits >= 0; bits-- {
		if !lengths[family(prefix)][bits] {
			continue
		}
		if e := p.entries[netip.PrefixFrom(prefix.Addr(), bits).Masked()]; e != nil {
			return e
		}
	}
	return nil
}

func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

// entering is what happens to an attachment's route where it enters at each edge.
func (p *plane) entering(a *Attachment, prefix netip.Prefix) []fate {
	t := &p.sites[a.number]
	out := make([]fate, len(t.edges))
	for i := range t.edges {
		out[i] = p.net.pass(t.inbound[i].inbound, true, prefix, a.routes)
	}
	return out
}
