package wan

import (
	"fmt"
	"slices"

	landing "crossfade.dev/api/landing/v1alpha1"
)

// A HopKind is what a packet passes.
type HopKind string

// The kinds of hops.
const (
	HopSegment    HopKind = "segment"    // a route table of a segment
	HopGroup      HopKind = "group"      // an attachment of a network function group
	HopAttachment HopKind = "attachment" // an attachment that is led to, or that returns packets
)

// A Hop is one thing that a packet passes, and where.
type Hop struct {
	Kind HopKind `json:"kind"`
	Name string  `json:"name"`
	// Region is where; empty if the vendor does not say which of several it is.
	Region string `json:"region,omitempty"`
}

func (h Hop) String() string {
	text := h.Name
	switch h.Kind {
	case HopSegment:
		text = "segment " + h.Name
	case HopGroup:
		text = "inspection by " + h.Name
	}
	if h.Region == "" {
		return text
	}
	return text + " in " + h.Region
}

// mostTables is how many tables are looked into for one packet, on all the ways that
// it may take, before the answer is unknown.
const mostTables = 1000

// A journey is what happens to packets from one place to one address.
type journey struct {
	arrives answer
	// why says why they do not arrive, or what would have to be known.
	why  string
	hops []Hop
	// end is the attachment that they are handed to, and where.
	end     *Attachment
	endEdge int
}

// A walker follows one packet.
type walker struct {
	p     *plane
	to    *Attachment // whose address it is; nil: nobody's
	dst   *entry      // the smallest entry that contains the address
	left  int
	rooms [][]route
}

// start makes the walker follow a new packet.
func (w *walker) start(dst *entry, to *Attachment) { w.to, w.dst, w.left = to, dst, mostTables }

// newHops returns memory for a way of the usual length.
func newHops() []Hop { return make([]Hop, 0, 6) }

// travel follows packets from an attachment's segment to an address in dst, but in no
// smaller entry, that to owns.
func (w *walker) travel(from *Attachment, dst *entry, to *Attachment) journey {
	t := &w.p.sites[from.number]
	var all []journey
	for i, edge := range t.edges {
		w.start(dst, to)
		j := w.told(from, t, i, w.segment(t.segment, edge, newHops()))
		if len(t.edges) == 1 {
			return j
		}
		all = append(all, j)
	}
	return agree(all, "in which region packets of "+from.Name+" enter")
}

// told makes a journey unknown that starts behind a BGP peer which the core network
// does not tell of a route: a static route there could send packets all the same.
func (w *walker) told(from *Attachment, t *site, i int, j journey) journey {
	policies := t.outbound[i].outbound
	if j.arrives == no || len(policies) == 0 || !from.bgp() {
		return j
	}
	fact := ""
	for e := w.dst; e != nil; e = e.above {
		found := w.p.lookup(t.segment, t.edges[i], e, nil)
		for _, r := range found.best {
			f := w.p.net.pass(policies, false, e.prefix, r.fate.routes)
			if f.passes == yes && contains(f.prefix, w.dst.prefix) {
				return j
			}
			if f.passes == maybe {
				fact = f.fact
			}
		}
	}
	if fact == "" {
		fact = fmt.Sprintf("whether %s sends packets to %s, which the core network does not advertise to it", from.Name, w.dst.prefix)
	}
	return journey{arrives: maybe, why: fact}
}

// agree returns what several possible journeys have in common: the first, if they
// end alike, otherwise an unknown one, of which fact is missing.
func agree(all []journey, fact string) journey {
	if len(all) == 0 {
		return journey{arrives: no, why: "nothing leads there"}
	}
	first := all[0]
	for _, j := range all[1:] {
		if j.arrives != first.arrives || !sameEnd(j.end, first.end) || !slices.Equal(groupsOf(j.hops), groupsOf(first.hops)) {
			if j.arrives == maybe {
				return j
			}
			if first.arrives == maybe {
				return first
			}
			return journey{arrives: maybe, why: fact}
		}
		for i := range first.hops { // where they part, the region is not known
			if i >= len(j.hops) || j.hops[i] != first.hops[i] {
				if i < len(j.hops) && j.hops[i].Name == first.hops[i].Name {
					first.hops[i].Region = ""
				}
			}
		}
	}
	return first
}

// sameEnd reports whether it makes no difference which of two attachments packets are
// handed to: attachments of one group do the same.
func sameEnd(a, b *Attachment) bool {
	return a == b || a != nil && b != nil && a.Landing.Group != "" && a.Landing.Group == b.Landing.Group
}

// groupsOf returns the names of the groups that inspect along the way, in order,
// each as often in a row as once.
func groupsOf(hops []Hop) []string {
	var out []string
	for _, h := range hops {
		if h.Kind == HopGroup && (len(out) == 0 || out[len(out)-1] != h.Name) {
			out = append(out, h.Name)
		}
	}
	return out
}

// lost ends a journey that does not arrive.
func lost(hops []Hop, why string) journey { return journey{arrives: no, why: why, hops: hops} }

// segment follows the packet from the table of a segment at an edge.
func (w *walker) segment(s, edge int, hops []Hop) journey {
	p := w.p
	hop := Hop{HopSegment, p.segments[s].Name, p.regions[edge]}
	if slices.Contains(hops, hop) {
		return lost(hops, "it goes round in a loop")
	}
	if w.left--; w.left < 0 {
		return journey{arrives: maybe, why: "which of very many ways packets take", hops: hops}
	}
	hops = append(hops, hop)
	for e := w.dst; e != nil; e = e.above {
		found := p.lookup(s, edge, e, w.room(len(hops)))
		if found.doubt != "" {
			return journey{arrives: maybe, why: found.doubt, hops: hops}
		}
		if len(found.best) == 1 {
			return w.follow(s, edge, e, found.best[0], hops)
		}
		if len(found.best) > 1 {
			var all []journey
			for _, r := range slices.Clone(found.best) {
				all = append(all, w.follow(s, edge, e, r, slices.Clone(hops)))
			}
			return agree(all, fmt.Sprintf("which route to %s wins in segment %s in %s", e.prefix, p.segments[s].Name, p.regions[edge]))
		}
	}
	return lost(hops, "segment "+p.segments[s].Name+" has no route there in "+p.regions[edge])
}

// room is memory for the routes of one lookup, so far along the way.
func (w *walker) room(depth int) []route {
	for len(w.rooms) <= depth {
		w.rooms = append(w.rooms, make([]route, 0, 2))
	}
	return w.rooms[depth]
}

// follow follows the packet along one route of segment s.
func (w *walker) follow(s, edge int, e *entry, r route, hops []Hop) journey {
	p := w.p
	switch r.kind {
	case toNowhere:
		return lost(hops, "a blackhole of segment "+p.segments[s].Name+" for "+e.prefix.String()+" drops it")
	case toAttachment:
		return w.hand(r.owner, r.edge, hops)
	case toEdge:
		at := p.regions[r.edge]
		switch owner := p.sites[r.owner.number].segment; {
		case p.segments[s].in(at):
			return w.segment(s, r.edge, hops)
		case r.static || owner < 0: // the route leads out of the segment's edges
			return w.hand(r.owner, r.edge, hops)
		default:
			return w.segment(owner, r.edge, hops)
		}
	}
	g := p.net.Policy.groupIndex[r.ins.Group]
	if r.ins.Egress {
		return w.out(g, edge, r.ins, hops)
	}
	to := p.sites[r.owner.number].edges
	if len(to) == 1 {
		return w.inspect(g, edge, to[0], r.ins, hops)
	}
	var all []journey
	for _, at := range to {
		all = append(all, w.inspect(g, edge, at, r.ins, slices.Clone(hops)))
		if at == edge {
			all = all[len(all)-1:]
			break
		}
	}
	return agree(all, "in which region packets leave to "+r.owner.Name)
}

// inspect leads the packet from edge through group g on its way to another edge, as
// send-via says.
func (w *walker) inspect(g, edge, to int, in *Insertion, hops []Hop) journey {
	if in.Mode == DualHop {
		return w.at(g, edge, hops, true)
	}
	if use, ok := in.override(w.p.regions[edge], w.p.regions[to]); ok {
		return w.at(g, w.p.net.Policy.edgeIndex[use], hops, true)
	}
	return w.pass(g, w.p.candidates(g, edge, to), hops, true)
}

// candidates are the edges where a group may inspect between two edges if the policy
// does not say where: the local one within an edge, otherwise one of the two, or any
// one, by a list of the vendor's that is not published. Edges where an attachment may
// land in the group, or may not, are among them.
func (p *plane) candidates(g, edge, to int) []int {
	var ends, others []int
	sure := false
	for at := range p.regions {
		here := len(p.groups[g].at[at]) > 0
		switch {
		case !here && len(p.groups[g].perhaps[at]) == 0:
		case here && at == edge && at == to:
			return []int{at}
		case at == edge || at == to:
			ends = append(ends, at)
			sure = sure || here
		default:
			others = append(others, at)
		}
	}
	if sure && edge != to {
		return ends
	}
	return append(ends, others...)
}

// out leads the packet out of the core network through group g, as send-to says: at
// the edge where it is, or where an override says.
func (w *walker) out(g, edge int, in *Insertion, hops []Hop) journey {
	edges := w.p.candidates(g, edge, edge)
	if use, ok := in.override(w.p.regions[edge], w.p.regions[edge]); ok {
		at := w.p.net.Policy.edgeIndex[use]
		if len(w.p.groups[g].at[edge]) == 0 {
			edges = []int{at}
		} else if at != edge { // which of the two wins is not documented
			edges = []int{edge, at}
		}
	}
	return w.pass(g, edges, hops, false)
}

// pass leads the packet through an attachment of group g at one of the edges. What
// the group inspects on the way (via) comes back into the core network.
func (w *walker) pass(g int, edges []int, hops []Hop, via bool) journey {
	group := &w.p.groups[g]
	if len(edges) == 1 {
		return w.at(g, edges[0], hops, via)
	}
	var all []journey
	for _, at := range edges {
		all = append(all, w.at(g, at, slices.Clone(hops), via))
	}
	if len(edges) == 0 {
		return lost(hops, "group "+group.name+" has no attachment")
	}
	return agree(all, "which attachment of group "+group.name+" inspects")
}

// at leads the packet through an attachment of group g at an edge.
func (w *walker) at(g, edge int, hops []Hop, via bool) journey {
	group := &w.p.groups[g]
	hop := Hop{HopGroup, group.name, w.p.regions[edge]}
	if slices.Contains(hops, hop) {
		return lost(hops, "it goes round in a loop")
	}
	hops = append(hops, hop)
	sure, perhaps := group.at[edge], group.perhaps[edge]
	switch {
	case len(sure) == 1 && len(perhaps) == 0:
		return w.leave(g, edge, sure[0], hops, via)
	case len(sure) > 0:
		var all []journey
		for _, a := range slices.Concat(sure, perhaps) {
			all = append(all, w.leave(g, edge, a, slices.Clone(hops), via))
		}
		return agree(all, "which attachment of group "+group.name+" inspects")
	case len(perhaps) > 0:
		return journey{arrives: maybe, why: "where " + perhaps[0].Name + " lands: " + list(perhaps[0].Landing.Missing), hops: hops}
	}
	return lost(hops, "group "+group.name+" has no attachment in "+w.p.regions[edge])
}

// leave follows the packet from an attachment of a group.
func (w *walker) leave(g, edge int, a *Attachment, hops []Hop, via bool) journey {
	switch {
	case a.Transit == landing.Ends && (via || w.to != nil):
		return lost(hops, a.Name+" does not return packets")
	case !via && w.to == nil:
		return journey{arrives: yes, hops: hops, end: a, endEdge: edge}
	case !via && a.Transit == "":
		return journey{arrives: maybe, why: "what " + a.Name + " does with packets for other addresses of the core network (transit)", hops: hops}
	}
	return w.group(g, edge, hops)
}

// group follows the packet from the table of a group at an edge.
func (w *walker) group(g, edge int, hops []Hop) journey {
	if w.left--; w.left < 0 {
		return journey{arrives: maybe, why: "which of very many ways packets take", hops: hops}
	}
	for e := w.dst; e != nil; e = e.above {
		found := w.p.groupLookup(g, edge, e, w.room(len(hops)))
		if found.doubt != "" {
			return journey{arrives: maybe, why: found.doubt, hops: hops}
		}
		if len(found.best) == 0 {
			continue
		}
		if len(found.best) == 1 {
			return w.onward(g, found.best[0], hops)
		}
		var all []journey
		for _, r := range slices.Clone(found.best) {
			all = append(all, w.onward(g, r, slices.Clone(hops)))
		}
		return agree(all, fmt.Sprintf("which route to %s wins in group %s in %s", e.prefix, w.p.groups[g].name, w.p.regions[edge]))
	}
	return lost(hops, "group "+w.p.groups[g].name+" has no route there in "+w.p.regions[edge])
}

// onward follows the packet along one route of group g.
func (w *walker) onward(g int, r route, hops []Hop) journey {
	switch {
	case r.kind == toAttachment:
		return w.hand(r.owner, r.edge, hops)
	case w.p.groups[g].dual:
		return w.at(g, r.edge, hops, true)
	}
	return w.group(g, r.edge, hops)
}

// hand gives the packet to an attachment: its own network, or one that may return it.
// A static route may lead to an attachment of a group, which inspects it then.
func (w *walker) hand(a *Attachment, edge int, hops []Hop) journey {
	t := &w.p.sites[a.number]
	if t.group >= 0 {
		hop := Hop{HopGroup, w.p.groups[t.group].name, w.p.regions[edge]}
		if slices.Contains(hops, hop) {
			return lost(hops, "it goes round in a loop")
		}
		return w.leave(t.group, edge, a, append(hops, hop), false)
	}
	hops = append(hops, Hop{HopAttachment, a.Name, w.p.regions[edge]})
	switch {
	case a == w.to || w.to == nil && a.Transit != landing.Returns:
		return journey{arrives: yes, hops: hops, end: a, endEdge: edge}
	case a.Transit == landing.Ends:
		return lost(hops, a.Name+" gets it, and does not return it")
	case a.Transit == "":
		return journey{arrives: maybe, why: "what " + a.Name + " does with packets for other addresses than its own (transit)", hops: hops}
	}
	if t.segment >= 0 {
		return w.segment(t.segment, edge, hops)
	}
	return lost(hops, a.Name+" returns it, but is in no segment")
}
