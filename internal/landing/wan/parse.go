package wan

import (
	"slices"
	"strconv"
	"strings"

	"crossfade.dev/internal/landing/catalog"
	"crossfade.dev/internal/landing/source"
)

// The limits of the vendor that no increase lifts. Cloud WAN User Guide, "AWS Cloud
// WAN Quotas", read in 2026; numbers of rules are those of "Core network policy
// version parameters".
const (
	maxSegments    = 40
	maxPolicyBytes = 1 << 20
	maxRule        = 65535
	maxRouting     = 9999
	maxASN         = 4294967295
)

// Parse reads a core network policy document that stands in file at path, and
// returns everything in it that the vendor would refuse (errors) or that is likely
// not meant so (warnings). A policy with errors is returned too, and is Broken.
//
// The rules are those of the Cloud WAN User Guide, "Core network policy version
// parameters" (cloudwan-policies-json), "Quotas", and the pages that they lead to,
// and of the vendor's aws-samples/aws-cloud-wan-blueprints.
func Parse(file string, n *source.Node, path string) (*Policy, source.Findings) {
	root := cursor{parser: &parser{file: file}, node: n, path: path, above: n}
	p := &Policy{place: root.place()}
	p.index()
	if root.object("a core network policy document", "version", "core-network-configuration", "segments", "network-function-groups",
		"segment-actions", "attachment-policies", "attachment-routing-policy-rules", "routing-policies") {
		p.document(root)
	}
	if size := len(n.JSON()); size > maxPolicyBytes {
		root.wrong("size", "at most %d bytes, not %d", maxPolicyBytes, size)
	}
	p.Broken = len(root.found.Errors()) > 0
	return p, root.found
}

// document reads what is declared before what refers to it.
func (p *Policy) document(root cursor) {
	p.Version = root.field("version").one("version", Version2021, Version2025)
	p.configuration(root.field("core-network-configuration"))
	p.index()
	for _, c := range root.field("segments").some("segments") {
		p.Segments = append(p.Segments, Segment{Name: c.declared("a segment", func(name string) bool {
			return slices.ContainsFunc(p.Segments, func(s Segment) bool { return s.Name == name })
		})})
	}
	for _, c := range root.field("network-function-groups").items("network function groups") {
		p.group(c)
	}
	for _, c := range root.field("routing-policies").items("routing policies") {
		p.routingPolicy(c)
	}
	p.count(root)
	slices.SortStableFunc(p.RoutingPolicies, func(a, b RoutingPolicy) int { return a.Number - b.Number })
	p.index()
	for i, c := range root.field("segments").items("segments") {
		p.segment(c, &p.Segments[i])
	}
	for _, c := range root.field("segment-actions").items("segment actions") {
		p.action(c)
	}
	p.insertions(root.field("segment-actions"))
	p.attachmentRules(root.field("attachment-policies"))
	p.labelRules(root.field("attachment-routing-policy-rules"))
	for _, name := range []string{"attachment-routing-policy-rules", "routing-policies"} {
		p.newer(root.field(name))
	}
}

// newer records that a field needs the newer version of policy documents.
func (p *Policy) newer(c cursor) {
	if c.there() && p.Version == Version2021 {
		c.wrong("version", "version %s, which routing policies need", Version2025)
	}
}

func (p *Policy) count(root cursor) {
	at := root.field("segments")
	if len(p.Segments) > maxSegments {
		at.wrong("limit", "at most %d segments, not %d", maxSegments, len(p.Segments))
	} else if n := len(p.Segments) + len(p.Groups); n > maxSegments {
		at.warn("limit", "%d segments and network function groups together: the vendor's samples count both towards the limit of %d", n, maxSegments)
	}
}

// declared returns the name of what is declared here, which must be different from
// those before it.
func (c cursor) declared(what string, taken func(name string) bool) string {
	if c.node.Kind != source.Map {
		c.wrong("type", "%s, an object", what)
		return ""
	}
	at := c.field("name")
	text := at.name(what)
	if text == "" {
		return ""
	}
	if taken(text) {
		at.wrong("twice", "names to be different")
	}
	return text
}

func (p *Policy) configuration(c cursor) {
	if !c.object("core-network-configuration", "asn-ranges", "inside-cidr-blocks", "edge-locations", "vpn-ecmp-support", "dns-support",
		"security-group-referencing-support") {
		return
	}
	for _, item := range c.field("asn-ranges").some("ASN ranges") {
		p.asnRange(item)
	}
	for _, item := range c.field("inside-cidr-blocks").items("address ranges") {
		p.InsideCIDRs = appendValid(p.InsideCIDRs, insideCIDR(item))
	}
	for _, item := range c.field("edge-locations").some("edge locations") {
		p.edge(item)
	}
	for _, name := range []string{"vpn-ecmp-support", "dns-support", "security-group-referencing-support"} {
		c.field(name).boolean(false)
	}
	var numbers int64
	for _, r := range p.Ranges {
		numbers += r.To - r.From
	}
	if len(p.Ranges) > 0 && numbers < int64(len(p.Edges)) {
		c.field("asn-ranges").wrong("asn", "an ASN for each of %d edge locations, not %d (the last number of a range is not in it)", len(p.Edges), numbers)
	}
}

// asnRange reads one range. The vendor takes private ASNs only.
func (p *Policy) asnRange(c cursor) {
	const want = "a range like 64512-64555 within 64512-65534 or 4200000000-4294967294"
	text := c.text(want)
	if text == "" {
		return
	}
	first, last, ok := strings.Cut(text, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	to, err2 := strconv.ParseInt(last, 10, 64)
	inside := func(n int64) bool { return n >= 64512 && n <= 65534 || n >= 4200000000 && n <= 4294967294 }
	if !ok || err != nil || err2 != nil || !inside(from) || !inside(to) || from >= to || from <= 65534 && to > 65534 {
		c.wrong("asn-range", want)
		return
	}
	for _, r := range p.Ranges {
		if from < r.To && r.From < to {
			c.wrong("asn-range", "ranges that do not overlap: %d-%d does", r.From, r.To)
		}
	}
	p.Ranges = append(p.Ranges, ASNRange{from, to})
}

// ours reports whether an ASN belongs to the core network.
func (p *Policy) ours(asn int64) bool {
	return slices.ContainsFunc(p.Ranges, func(r ASNRange) bool { return asn >= r.From && asn < r.To })
}

func (p *Policy) edge(c cursor) {
	if !c.object("an edge location", "location", "asn", "inside-cidr-blocks") {
		return
	}
	at := c.field("location")
	e := Edge{Region: at.text("a region like eu-west-1")}
	if e.Region == "" {
		return
	}
	if slices.ContainsFunc(p.Edges, func(other Edge) bool { return other.Region == e.Region }) {
		at.wrong("twice", "each region once")
		return
	}
	if !slices.Contains(catalog.Regions, e.Region) {
		at.warn("region", "no region of the partition aws is called so")
	}
	if asn := c.field("asn"); asn.there() {
		e.ASN = asn.number("asn", 1, maxASN)
		switch {
		case e.ASN != 0 && len(p.Ranges) > 0 && !p.ours(e.ASN):
			asn.wrong("asn", "a number within asn-ranges (the last number of a range is not in it)")
		case slices.ContainsFunc(p.Edges, func(other Edge) bool { return other.ASN == e.ASN && e.ASN != 0 }):
			asn.wrong("asn", "a number of its own for each edge location")
		}
	}
	for _, item := range c.field("inside-cidr-blocks").items("address ranges") {
		block := insideCIDR(item)
		e.InsideCIDRs = appendValid(e.InsideCIDRs, block)
		if block.IsValid() && len(p.InsideCIDRs) > 0 && !covered(p.InsideCIDRs, block) {
			item.wrong("inside-cidr", "a range within inside-cidr-blocks of core-network-configuration")
		}
	}
	p.Edges = append(p.Edges, e)
}

// edges reads a list of regions, each of which must be an edge location.
func (p *Policy) edges(c cursor) []string {
	if !c.there() {
		return nil
	}
	items := c.items("edge locations")
	for _, item := range items {
		p.isEdge(item)
	}
	return c.texts("the edge locations", items)
}

// isEdge returns the region that stands here, which must be an edge location.
func (p *Policy) isEdge(c cursor) string {
	text := c.text("an edge location")
	if _, ok := p.edgeIndex[text]; !ok && text != "" {
		c.wrong("edge-location", "one of the edge locations of core-network-configuration")
	}
	return text
}

func (p *Policy) group(c cursor) {
	name := c.declared("a network function group", func(name string) bool {
		return slices.ContainsFunc(p.Groups, func(g Group) bool { return g.Name == name })
	})
	p.Groups = append(p.Groups, Group{Name: name})
	if c.object("a network function group", "name", "description", "require-attachment-acceptance") {
		c.described("description")
		p.Groups[len(p.Groups)-1].RequireAcceptance = c.field("require-attachment-acceptance").boolean(false)
	}
}

func (p *Policy) segment(c cursor, s *Segment) {
	if !c.object("a segment", "name", "description", "edge-locations", "isolate-attachments", "require-attachment-acceptance", "deny-filter", "allow-filter") {
		return
	}
	c.described("description")
	s.Edges = p.edges(c.field("edge-locations"))
	s.Isolated = c.field("isolate-attachments").boolean(false)
	s.RequireAcceptance = c.field("require-attachment-acceptance").boolean(true)
	s.Deny = p.segments(c.field("deny-filter"))
	s.Allow = p.segments(c.field("allow-filter"))
	if c.field("deny-filter").there() && c.field("allow-filter").there() {
		c.field("allow-filter").wrong("filter", "either deny-filter or allow-filter, not both")
	}
	for _, f := range []cursor{c.field("deny-filter"), c.field("allow-filter")} {
		for _, item := range f.items("segments") {
			if item.node.Text == s.Name && s.Name != "" {
				item.warn("filter", "filters say which other segments' routes come in: the segment itself is not concerned")
			}
		}
	}
}

// segments reads a list of names of segments; nil if it is not there.
func (p *Policy) segments(c cursor) []string {
	if !c.there() {
		return nil
	}
	items := c.items("segments")
	for _, item := range items {
		p.isSegment(item)
	}
	if out := c.texts("the segments", items); out != nil {
		return out
	}
	return []string{}
}

// isSegment returns the name that stands here, which must be one of a segment.
func (p *Policy) isSegment(c cursor) string {
	text := c.text("the name of a segment")
	if _, ok := p.segmentIndex[text]; !ok && text != "" {
		c.wrong("segment", "the name of a declared segment")
	}
	return text
}
