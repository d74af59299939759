package wan

import (
	"net/netip"
	"regexp"
	"slices"

	"crossfade.dev/internal/landing/source"
)

// The segment actions.
const (
	actionShare     = "share"
	actionRoute     = "create-route"
	actionSendVia   = "send-via"
	actionSendTo    = "send-to"
	actionAssociate = "associate-routing-policy"
)

// fieldsOfAction are the fields of each action beside action and segment.
var fieldsOfAction = map[string][]string{
	actionShare:     {"mode", "share-with", "routing-policy-names"},
	actionRoute:     {"destination-cidr-blocks", "destinations"},
	actionSendVia:   {"mode", "when-sent-to", "via"},
	actionSendTo:    {"via"},
	actionAssociate: {"edge-location-association"},
}

// action reads one segment action. The vendor takes share for an action that is not
// named.
func (p *Policy) action(c cursor) {
	if !c.there() || c.node.Kind != source.Map {
		c.wrong("type", "a segment action, an object")
		return
	}
	name := actionShare
	if at := c.field("action"); at.there() {
		name = at.one("action", actionShare, actionRoute, actionSendVia, actionSendTo, actionAssociate)
	}
	if fieldsOfAction[name] == nil {
		return
	}
	c.object("a segment action", append([]string{"action", "segment", "description"}, fieldsOfAction[name]...)...)
	c.described("description")
	segment := p.isSegment(c.field("segment"))
	switch name {
	case actionShare:
		c.field("mode").one("mode", "attachment-route")
		p.share(c, segment)
	case actionRoute:
		p.route(c, segment)
	case actionSendVia, actionSendTo:
		p.insertion(c, segment, name == actionSendTo)
	case actionAssociate:
		p.newer(c.field("edge-location-association"))
		p.edgePair(c.field("edge-location-association"), segment)
	}
}

func (p *Policy) share(c cursor, segment string) {
	s := Share{Segment: segment, With: p.segmentSet(c.field("share-with"), segment)}
	if slices.Contains(s.With.Names, segment) && !s.With.Except && segment != "" {
		c.field("share-with").warn("share", "a segment is not shared with itself")
	}
	names := c.field("routing-policy-names")
	p.newer(names)
	s.Policies = p.routingPolicies(names, false)
	p.Shares = append(p.Shares, s)
}

// segmentSet reads what share-with and when-sent-to have in common: "*", a list, or,
// for shares, an object with except.
func (p *Policy) segmentSet(c cursor, of string) SegmentSet {
	switch {
	case !c.there():
		c.wrong("required", `"*", a list of segments, or an object with except`)
	case c.node.Kind == source.String && c.node.Text == "*":
		return SegmentSet{All: true}
	case c.node.Kind == source.List:
		if len(c.node.Items) == 0 {
			c.wrong("required", "at least one segment")
		}
		return SegmentSet{Names: p.segments(c)}
	case c.node.Kind == source.Map:
		c.object("except", "except")
		c.field("except").some("segments")
		return SegmentSet{Except: true, Names: append(p.segments(c.field("except")), of)}
	default:
		c.wrong("type", `"*", a list of segments, or an object with except`)
	}
	return SegmentSet{}
}

var attachmentIDPattern = regexp.MustCompile(`^attachment-[0-9a-f]{8,17}$`)

func (p *Policy) route(c cursor, segment string) {
	r := StaticRoute{Segment: segment, place: c.place()}
	for _, item := range c.field("destination-cidr-blocks").some("address ranges") {
		prefix := item.prefix()
		if slices.Contains(r.Prefixes, prefix) && prefix.IsValid() {
			item.wrong("twice", "each address range once")
			continue
		}
		if p.routed(segment, prefix) {
			item.wrong("twice", "one create-route for an address range of a segment")
		}
		r.Prefixes = appendValid(r.Prefixes, prefix)
	}
	items := c.field("destinations").some(`ids of attachments, or "blackhole"`)
	r.Destinations = c.texts("the destinations", items)
	for _, item := range items {
		switch text := item.text("an attachment id"); {
		case text == "blackhole" && len(items) == 1:
			r.Blackhole, r.Destinations = true, nil
		case text == "blackhole":
			item.wrong("destination", "blackhole alone, or ids of attachments")
		case text != "" && !attachmentIDPattern.MatchString(text):
			item.wrong("destination", "an id like attachment-05e1da91f4a52b4e6, or blackhole")
		}
	}
	p.Routes = append(p.Routes, r)
}

// routed reports whether a segment has a static route for the prefix already.
func (p *Policy) routed(segment string, prefix netip.Prefix) bool {
	return slices.ContainsFunc(p.Routes, func(r StaticRoute) bool { return r.Segment == segment && slices.Contains(r.Prefixes, prefix) })
}

func (p *Policy) insertion(c cursor, segment string, egress bool) {
	in := Insertion{Segment: segment, Egress: egress, place: c.place()}
	if !egress {
		in.Mode = Mode(c.field("mode").one("mode", string(SingleHop), string(DualHop)))
		in.To = SegmentSet{Names: []string{segment}}
		if to := c.field("when-sent-to"); to.there() && to.object("when-sent-to", "segments") {
			in.To = p.segmentSet(to.field("segments"), segment)
			if in.To.Except {
				to.field("segments").wrong("type", `"*" or a list of segments`)
			}
		}
	}
	via := c.field("via")
	if via.object("via", "network-function-groups", "with-edge-overrides") {
		in.Group = p.isGroup(via.field("network-function-groups"))
		for _, item := range via.field("with-edge-overrides").items("edge overrides") {
			in.Overrides = append(in.Overrides, p.override(item))
		}
		if in.Mode == DualHop && len(in.Overrides) > 0 {
			via.field("with-edge-overrides").warn("edge-override", "dual-hop inspects in both regions: overrides change nothing")
		}
	}
	p.Insertions = append(p.Insertions, in)
}

// isGroup reads the list of exactly one network function group.
func (p *Policy) isGroup(c cursor) string {
	items := c.some("network function groups")
	if len(items) > 1 {
		c.wrong("group", "one network function group")
	}
	if len(items) == 0 {
		return ""
	}
	text := items[0].text("the name of a network function group")
	if _, ok := p.groupIndex[text]; !ok && text != "" {
		items[0].wrong("group", "the name of a declared network function group")
	}
	return text
}

func (p *Policy) override(c cursor) Override {
	var o Override
	if !c.object("an edge override", "edge-sets", "use-edge-location", "use-edge") {
		return o
	}
	for _, item := range c.field("edge-sets").some("pairs of edge locations") {
		set := p.edges(item)
		if len(set) < 1 || len(set) > 2 {
			item.wrong("edge-override", "one or two edge locations")
		}
		o.Sets = append(o.Sets, set)
	}
	use := c.field("use-edge-location")
	if old := c.field("use-edge"); !use.there() && old.there() {
		use = old
	}
	o.Use = p.isEdge(use)
	return o
}

// override returns the edge that inspects between two regions, if one is named.
func (in *Insertion) override(a, b string) (string, bool) {
	for _, o := range in.Overrides {
		for _, set := range o.Sets {
			if len(set) == 1 && a == b && set[0] == a || len(set) == 2 && (set[0] == a && set[1] == b || set[0] == b && set[1] == a) {
				return o.Use, true
			}
		}
	}
	return "", false
}

func (p *Policy) edgePair(c cursor, segment string) {
	if !c.object("edge-location-association", "edge-location", "peer-edge-location", "routing-policy-names") {
		return
	}
	pair := EdgePair{Segment: segment, Edge: p.isEdge(c.field("edge-location")), Peer: p.isEdge(c.field("peer-edge-location"))}
	if pair.Edge == pair.Peer && pair.Edge != "" {
		c.field("peer-edge-location").wrong("edge-location", "another edge location than %s", pair.Edge)
	}
	pair.Policies = p.routingPolicies(c.field("routing-policy-names"), true)
	p.EdgePairs = append(p.EdgePairs, pair)
}

// routingPolicies reads names of routing policies for a share or a pair of edges,
// where nothing can be summarized, and returns them in the order in which they run.
func (p *Policy) routingPolicies(c cursor, required bool) []string {
	items := c.items("routing policies")
	if required {
		items = c.some("routing policies")
	}
	for _, item := range items {
		if r := p.isRoutingPolicy(item); r != nil {
			for _, rule := range r.Rules {
				if rule.Action == actSummarize {
					item.wrong("summarize", "a routing policy that does not summarize, which only works towards attachments with BGP")
					break
				}
			}
		}
	}
	return p.inOrder(c.texts("the routing policies", items))
}

// inOrder sorts names of routing policies by their numbers.
func (p *Policy) inOrder(names []string) []string {
	slices.SortStableFunc(names, func(a, b string) int { return p.routingPolicyName[a] - p.routingPolicyName[b] })
	return names
}

func (p *Policy) isRoutingPolicy(c cursor) *RoutingPolicy {
	text := c.text("the name of a routing policy")
	i, ok := p.routingPolicyName[text]
	if !ok {
		if text != "" {
			c.wrong("routing-policy", "the name of a declared routing policy")
		}
		return nil
	}
	return &p.RoutingPolicies[i]
}

// insertions checks what send-via and send-to say together, and against shares.
func (p *Policy) insertions(actions cursor) {
	modes, groups, egress := map[string]Mode{}, map[string]bool{}, map[string]bool{}
	for _, in := range p.Insertions {
		at := cursor{parser: actions.parser, path: in.place.Path, above: actions.at(), node: &source.Node{Kind: source.Map, Line: in.place.Line, Column: in.place.Column}}
		dual := in.Mode == DualHop
		if used, ok := groups[in.Group]; ok && used != dual && in.Group != "" {
			at.wrong("group-mixed", "a network function group of its own for dual-hop: %s is also used for single-hop or send-to", in.Group)
		}
		groups[in.Group] = dual
		if in.Egress {
			if egress[in.Segment] || p.routed(in.Segment, defaultV4) {
				at.warn("default-twice", "%s has another default route: which one wins is not documented", in.Segment)
			}
			egress[in.Segment] = true
			continue
		}
		if mode, ok := modes[in.Segment]; ok && mode != in.Mode {
			at.wrong("mode-mixed", "one mode for all send-via of a segment: %s also has %s", in.Segment, mode)
		}
		modes[in.Segment] = in.Mode
		p.bypasses(at, in)
	}
}

// bypasses warns of routes that lead past an inspection.
func (p *Policy) bypasses(at cursor, in Insertion) {
	for _, s := range p.Segments {
		switch {
		case s.Name == in.Segment:
			if p.inspects(in, s.Name) && !s.Isolated {
				at.warn("bypass", "%s does not isolate its attachments, so packets between them go directly, past %s", s.Name, in.Group)
			}
		case p.inspects(in, s.Name) && p.shared(in.Segment, s.Name):
			at.warn("bypass", "%s and %s are shared, so packets between them go directly, past %s", in.Segment, s.Name, in.Group)
		}
	}
}

// inspects reports whether an insertion is about packets to a segment. "*" has the
// segment itself in it. Cloud WAN User Guide, "Service insertion".
func (p *Policy) inspects(in Insertion, to string) bool { return !in.Egress && in.To.Has(to) }

// shared reports whether two segments exchange routes, filters aside.
func (p *Policy) shared(a, b string) bool {
	return a != b && slices.ContainsFunc(p.Shares, func(s Share) bool {
		return s.Segment == a && s.With.Has(b) || s.Segment == b && s.With.Has(a)
	})
}
