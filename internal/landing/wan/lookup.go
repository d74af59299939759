package wan

import (
	"cmp"
	"fmt"
	"slices"

	landing "crossfade.dev/api/landing/v1alpha1"
)

// A routeKind is what a route does with packets.
type routeKind uint8

const (
	toAttachment routeKind = iota // hand them over
	toEdge                        // cross to another edge and look there again
	toGroup                       // through a network function group
	toNowhere                     // a blackhole
)

// A route is what one route table says about one prefix.
type route struct {
	kind   routeKind
	owner  *Attachment // whose prefix it is, or where a static route leads
	edge   int         // where owner stands; the edge to cross to
	ins    *Insertion  // of toGroup
	static bool
	fate   fate // attributes, for the choice between routes and for further policies
}

// routes are the routes of one prefix in one table: those among which the vendor
// does not say which wins. doubt is why there may be another one.
type routes struct {
	best  []route
	doubt string
}

// lookup returns the routes of segment s at edge for exactly the prefix of e. room is
// reused for the answer.
func (p *plane) lookup(s, edge int, e *entry, room []route) routes {
	out := routes{best: room[:0]}
	p.staticRoutes(s, edge, e, &out)
	if len(out.best) > 0 || out.doubt != "" {
		return out
	}
	inserted := 0
	for i, a := range e.owners {
		t := &p.sites[a.number]
		if t.segment < 0 {
			p.perhapsOwner(s, a, t, &out)
			continue
		}
		direct := p.direct(s, edge, e, i, &out)
		if ins := p.via[s][t.segment]; len(ins) > 0 && !direct {
			inserted += p.inserted(ins, e, i, &out)
		}
	}
	if len(out.best) > 1 {
		if inserted > 0 && inserted < len(out.best) {
			out.doubt = fmt.Sprintf("which route to %s wins in segment %s: a direct one or the one through a group; the vendor does not say", e.prefix, p.segments[s].Name)
		}
		out.best = p.choose(edge, out.best)
	}
	return out
}

// perhapsOwner records a doubt about an owner that may land where its prefix becomes
// a route of segment s.
func (p *plane) perhapsOwner(s int, a *Attachment, t *site, out *routes) {
	for _, r := range t.perhaps {
		if r == s || p.exchange[s][r] != nil || len(p.via[s][r]) > 0 {
			out.doubt = "where " + a.Name + " lands: " + list(a.Landing.Missing)
		}
	}
}

// staticRoutes adds the static routes of a segment, and the default routes of
// send-to, which are static too.
func (p *plane) staticRoutes(s, edge int, e *entry, out *routes) {
	if e.whole {
		for _, ins := range p.egress[s] {
			out.best = append(out.best, route{kind: toGroup, ins: ins, static: true})
		}
	}
	r := p.statics[s][e.prefix]
	if r == nil {
		p.doubleDefault(s, e, out)
		return
	}
	if r.Blackhole {
		out.best = append(out.best, route{kind: toNowhere, static: true})
		p.doubleDefault(s, e, out)
		return
	}
	var local, remote []route
	for _, id := range r.Destinations {
		a := p.net.byID[id]
		if a == nil {
			out.doubt = "which attachment is " + id
			continue
		}
		if t := &p.sites[a.number]; t.segment < 0 && t.group < 0 {
			out.doubt = "what a static route to " + a.Name + " does while that lands in " + placeOf(a.Landing) + ": the vendor does not say"
			continue
		}
		for _, at := range p.sites[a.number].edges {
			if at == edge {
				local = append(local, route{kind: toAttachment, owner: a, edge: at, static: true})
				continue
			}
			switch f := p.net.passCrossing(p.crossing[s][edge][at], fate{passes: yes, prefix: e.prefix}); f.passes {
			case yes:
				remote = append(remote, route{kind: toEdge, owner: a, edge: at, static: true})
			case maybe:
				out.doubt = f.fact
			}
		}
	}
	if len(local) > 0 {
		remote = nil
	}
	out.best = append(append(out.best, local...), remote...)
	p.doubleDefault(s, e, out)
}

// doubleDefault records a doubt about two default routes that are both static.
func (p *plane) doubleDefault(s int, e *entry, out *routes) {
	if e.whole && len(p.egress[s]) > 0 && len(out.best) > 1 {
		out.doubt = "which default route of segment " + p.segments[s].Name + " wins: the vendor does not say"
	}
}

// passCrossing runs the routing policies of a crossing over a route.
func (n *Network) passCrossing(c crossed, f fate) fate {
	if f.passes != yes || len(c.inbound) == 0 && len(c.outbound) == 0 {
		return f
	}
	// leaving one side comes before entering the other
	out := n.pass(c.outbound, false, f.prefix, f.routes)
	if out.passes == no {
		return out
	}
	in := n.pass(c.inbound, true, out.prefix, out.routes)
	if in.passes == yes && out.passes == maybe {
		return in.doubted(out.fact)
	}
	return in
}

// direct adds the routes by which segment s knows the prefix of an owner: as its own
// attachment, or by sharing. It reports whether there is one.
func (p *plane) direct(s, edge int, e *entry, i int, out *routes) bool {
	a := e.owners[i]
	t := &p.sites[a.number]
	var x *exchange
	if t.segment != s {
		if x = p.exchange[s][t.segment]; x == nil {
			return false
		}
	} else if p.segments[s].Isolated && a.Type != landing.AttachmentTransit {
		// A transit gateway route table goes on advertising into a segment that isolates
		// its attachments: aws-cloud-wan-blueprints, "Segments", isolate-attachments.
		return false
	}
	before := len(out.best)
	for j, at := range t.edges {
		if out.add(edge, at, a, p.arrives(s, edge, at, t.segment, x, e.fates[i][j]), before) {
			break
		}
	}
	return len(out.best) > before
}

// add adds the route to an owner's prefix that is known at an edge, and reports
// whether it is the owner's local one, besides which no other of the owner counts.
// before is how many routes other owners have.
func (out *routes) add(edge, at int, a *Attachment, f fate, before int) (local bool) {
	switch {
	case f.passes == maybe:
		out.doubt = f.fact
	case f.passes == yes && at == edge:
		out.best = append(out.best[:before], route{kind: toAttachment, owner: a, edge: at, fate: f})
		return true
	case f.passes == yes:
		out.best = append(out.best, route{kind: toEdge, owner: a, edge: at, fate: f})
	}
	return false
}

// arrives runs what a route passes between its entry at an edge and the table of s at
// another: the share, and the crossing between the edges.
func (p *plane) arrives(s, edge, at, from int, x *exchange, f fate) fate {
	if f.passes == no {
		return f
	}
	if x != nil {
		f = p.exchanged(x, f)
	}
	if at == edge || f.passes == no {
		return f
	}
	own := p.net.passCrossing(p.crossing[s][edge][at], f)
	if from == s {
		return own
	}
	other := p.net.passCrossing(p.crossing[from][edge][at], f)
	if own.passes != other.passes {
		return fate{passes: maybe, fact: fmt.Sprintf("whether routes of %s cross between %s and %s as routes of %s or of %s: the vendor does not say",
			p.segments[from].Name, p.regions[at], p.regions[edge], p.segments[from].Name, p.segments[s].Name)}
	}
	return own
}

// exchanged runs the routing policies of a share over a route. Shares of the same two
// segments with other outcomes leave a doubt.
func (p *plane) exchanged(x *exchange, f fate) fate {
	first := p.net.passCrossing(x.alternatives[0], f)
	for _, c := range x.alternatives[1:] {
		if other := p.net.passCrossing(c, f); other.passes != first.passes {
			return fate{passes: maybe, fact: fmt.Sprintf("which of several shares a route to %s crosses: the vendor does not say", f.prefix)}
		}
	}
	return first
}

// inserted adds the route through a group to an owner's prefix, and returns how many
// it added.
func (p *plane) inserted(ins []*Insertion, e *entry, i int, out *routes) int {
	a := e.owners[i]
	passes := no
	for _, f := range e.fates[i] {
		if f.passes == maybe {
			out.doubt = f.fact
		}
		passes = max(passes, f.passes)
	}
	if passes != yes {
		return 0
	}
	for _, in := range ins[1:] {
		if in.Group != ins[0].Group || in.Mode != ins[0].Mode {
			out.doubt = fmt.Sprintf("which of two send-via leads packets to %s: the vendor does not say", a.Name)
		}
	}
	out.best = append(out.best, route{kind: toGroup, owner: a, ins: ins[0]})
	return 1
}

// choose keeps the best of several routes that are not static: those to a VPC in the
// same region, then, where everything is known that decides, the shortest AS path,
// the least MED, and the vendor's order of types. What cannot be told apart is all
// kept. Cloud WAN User Guide, "Route evaluation".
func (p *plane) choose(edge int, all []route) []route {
	local := func(r route) bool {
		return r.kind == toAttachment && r.edge == edge && r.owner.Type == landing.AttachmentVPC
	}
	if slices.ContainsFunc(all, local) {
		return slices.DeleteFunc(all, func(r route) bool { return !local(r) })
	}
	for _, r := range all {
		if r.kind == toGroup || !r.fate.routes.pathKnown || !r.fate.routes.medKnown {
			return all
		}
	}
	best := slices.MinFunc(all, compareRoutes)
	return slices.DeleteFunc(all, func(r route) bool { return compareRoutes(r, best) != 0 })
}

func compareRoutes(a, b route) int {
	length := func(r route) int {
		if r.kind == toEdge { // the other edge adds its own ASN
			return len(r.fate.routes.path) + 1
		}
		return len(r.fate.routes.path)
	}
	rank := func(r route) int {
		switch {
		case r.owner.Type == landing.AttachmentDirectConnect:
			return 0
		case r.kind == toEdge:
			return 3
		case r.owner.Type == landing.AttachmentConnect:
			return 1
		case r.owner.Type == landing.AttachmentVPN:
			return 2
		}
		return 3
	}
	return cmp.Or(cmp.Compare(b.fate.routes.preference, a.fate.routes.preference), cmp.Compare(length(a), length(b)),
		cmp.Compare(a.fate.routes.med, b.fate.routes.med), cmp.Compare(rank(a), rank(b)))
}

// groupLookup returns the routes of a network function group's table at an edge for
// exactly the prefix of e: those of the attachments of every segment that the group
// serves. Routing policies other than those of attachments do not concern it.
func (p *plane) groupLookup(g, edge int, e *entry, room []route) routes {
	out := routes{best: room[:0]}
	for i, a := range e.owners {
		t := &p.sites[a.number]
		if t.segment < 0 {
			for _, r := range t.perhaps {
				if p.groups[g].members[r] {
					out.doubt = "where " + a.Name + " lands: " + list(a.Landing.Missing)
				}
			}
			continue
		}
		if !p.groups[g].members[t.segment] {
			continue
		}
		before := len(out.best)
		for j, at := range t.edges {
			if out.add(edge, at, a, e.fates[i][j], before) {
				break
			}
		}
	}
	if len(out.best) > 1 {
		out.best = p.choose(edge, out.best)
	}
	return out
}
