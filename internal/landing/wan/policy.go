package wan

import (
	"net/netip"
	"slices"

	"crossfade.dev/internal/landing/source"
)

// The versions of policy documents. Routing policies need the newer one.
// Cloud WAN User Guide, "Core network policy version parameters".
const (
	Version2021 = "2021.12"
	Version2025 = "2025.11"
)

// A Policy is a core network policy document, as it was written. Names that it does
// not declare, and everything else that the vendor would refuse, are findings of
// Parse.
type Policy struct {
	Version           string
	Ranges            []ASNRange
	InsideCIDRs       []netip.Prefix
	Edges             []Edge
	Segments          []Segment
	Groups            []Group
	Shares            []Share
	Routes            []StaticRoute
	Insertions        []Insertion
	EdgePairs         []EdgePair
	AttachmentRules   []AttachmentRule   // ascending numbers
	RoutingRules      []RoutingLabelRule // ascending numbers
	RoutingPolicies   []RoutingPolicy    // ascending numbers
	Broken            bool               // it has errors, so that what it lets happen is unknown
	place             source.Place
	edgeIndex         map[string]int
	segmentIndex      map[string]int
	groupIndex        map[string]int
	routingPolicyName map[string]int
}

// An ASNRange is left-closed and right-open, as the vendor reads it: From is in it
// and To is not. Cloud WAN User Guide, "Configure the core network settings".
type ASNRange struct{ From, To int64 }

// An Edge is a core network edge: the router in one region.
type Edge struct {
	Region      string
	ASN         int64 // 0: the service chooses
	InsideCIDRs []netip.Prefix
}

// A Segment is a routing domain.
type Segment struct {
	Name string
	// Edges are the regions that the segment is in; nil means every edge.
	Edges []string
	// Isolated holds when attachments of the segment learn no routes to each other.
	Isolated bool
	// RequireAcceptance holds when somebody has to accept each attachment; the
	// vendor's default.
	RequireAcceptance bool
	// Deny are the segments whose routes the segment refuses, Allow the only ones
	// whose routes it takes (nil: all). Both are applied after sharing.
	Deny, Allow []string
}

// A Group is a network function group: where inspection attachments land.
type Group struct {
	Name              string
	RequireAcceptance bool
}

// A SegmentSet is one of: the names, every segment, or every segment except the
// names.
type SegmentSet struct {
	All    bool
	Except bool
	Names  []string
}

// Has reports whether the set contains the segment called name.
func (s SegmentSet) Has(name string) bool {
	switch {
	case s.All:
		return true
	case s.Except:
		return !slices.Contains(s.Names, name)
	}
	return slices.Contains(s.Names, name)
}

// A Share exchanges routes to attachments between a segment and others, in both
// directions. It is not transitive.
type Share struct {
	Segment string
	With    SegmentSet
	// Policies are the names of routing policies, in the order in which they run;
	// their directions are read from Segment.
	Policies []string
}

// A StaticRoute leads prefixes of one segment to attachments, one a region, or
// nowhere.
type StaticRoute struct {
	Segment      string
	Prefixes     []netip.Prefix
	Destinations []string // ids of attachments
	Blackhole    bool
	place        source.Place
}

// A Mode is how packets pass the inspection of send-via.
type Mode string

// SingleHop inspects once, DualHop in the region of the source and in that of the
// destination. Network Manager API Reference, "ServiceInsertionAction".
const (
	SingleHop Mode = "single-hop"
	DualHop   Mode = "dual-hop"
)

// An Insertion leads packets of a segment through a network function group: those
// to other attachments (send-via), or those that leave (send-to, Egress).
type Insertion struct {
	Segment   string
	Egress    bool
	Mode      Mode
	To        SegmentSet // what send-via inspects packets to; without it the segment itself
	Group     string
	Overrides []Override
	place     source.Place
}

// An Override says which edge inspects packets between a pair of regions, or within
// one region.
type Override struct {
	Sets [][]string
	Use  string
}

// An EdgePair applies routing policies to routes of one segment that cross between
// two edges; directions are read from Edge.
type EdgePair struct {
	Segment    string
	Edge, Peer string
	Policies   []string
}

// An AttachmentRule says where attachments land; the first rule that matches wins.
type AttachmentRule struct {
	Number     int
	Or         bool // one condition is enough
	Conditions []Condition
	// Exactly one of these says where.
	Segment, TagKey, Group string
	RequireAcceptance      bool
	place                  source.Place
}

// The types of conditions of attachment rules.
const (
	anyAttachment  = "any"
	attachmentType = "attachment-type"
	account        = "account"
	accountID      = "account-id" // what tools of others write for account
	region         = "region"
	resourceID     = "resource-id"
	tagExists      = "tag-exists"
	tagName        = "tag-name"
	tagValue       = "tag-value"
)

// A Condition is one condition of an attachment rule.
type Condition struct {
	Type, Operator, Key, Value string
}

// A RoutingLabelRule applies routing policies to attachments that carry one of the
// labels. Every rule that matches applies, at the regions that it names.
type RoutingLabelRule struct {
	Number   int
	Labels   []string
	Edges    []string // nil: every edge of the attachment
	Policies []string
}

// A RoutingPolicy filters and changes routes as they propagate.
type RoutingPolicy struct {
	Name    string
	Number  int
	Inbound bool
	Rules   []RoutingRule // ascending numbers
}

// A RoutingRule does something with routes that match.
type RoutingRule struct {
	Number  int
	And     bool // every condition must match
	Match   []RouteMatch
	Action  string
	Prefix  netip.Prefix // of summarize
	Numbers []int64      // ASNs, or the one value of set-med and set-local-preference
	Text    string       // community
}

// The types of conditions on routes.
const (
	prefixEquals = "prefix-equals"
	prefixInCIDR = "prefix-in-cidr"
	prefixInList = "prefix-in-prefix-list"
	asnInPath    = "asn-in-as-path"
	communityIn  = "community-in-list"
	medEquals    = "med-equals"
)

// A RouteMatch is one condition on a route.
type RouteMatch struct {
	Type   string
	Prefix netip.Prefix
	Number int64
	Text   string // alias of a prefix list, or community
}

// What routing rules do. Only drop and allow end the evaluation.
const (
	actDrop            = "drop"
	actAllow           = "allow"
	actSummarize       = "summarize"
	actPrepend         = "prepend-asn-list"
	actRemoveASN       = "remove-asn-list"
	actReplaceASN      = "replace-asn-list"
	actAddCommunity    = "add-community"
	actRemoveCommunity = "remove-community"
	actMED             = "set-med"
	actPreference      = "set-local-preference"
)

// index makes the names of the policy quick to find.
func (p *Policy) index() {
	p.edgeIndex, p.segmentIndex = map[string]int{}, map[string]int{}
	p.groupIndex, p.routingPolicyName = map[string]int{}, map[string]int{}
	for i, e := range p.Edges {
		p.edgeIndex[e.Region] = i
	}
	for i, s := range p.Segments {
		p.segmentIndex[s.Name] = i
	}
	for i, g := range p.Groups {
		p.groupIndex[g.Name] = i
	}
	for i, r := range p.RoutingPolicies {
		p.routingPolicyName[r.Name] = i
	}
}

// in reports whether the segment is at the edge of a region.
func (s *Segment) in(region string) bool { return s.Edges == nil || slices.Contains(s.Edges, region) }

// takes reports whether the filters of the segment let routes of another one in.
func (s *Segment) takes(other string) bool {
	return !slices.Contains(s.Deny, other) && (s.Allow == nil || slices.Contains(s.Allow, other))
}
