// Package wan proves what a Cloud WAN core network policy lets reach what, before
// it is deployed: Load reads core networks, Land says where an attachment lands and
// why, Reach who reaches whom, along which hops and through which inspection, and
// Compare what a change of policy or attachments changes, in sentences.
//
// # The model
//
// A segment is one route table at each of its edges. Into it come the prefixes of
// its own attachments (unless it isolates them), those of the attachments of
// segments that are shared with it and that its filters take, its static routes,
// and the routes that lead to network function groups. Routing policies drop
// routes where they enter from an attachment, cross a share, or cross between
// edges. The most specific route wins; then static ones, those to a VPC in the same
// region, and what the vendor's route evaluation says. A packet that crosses to
// another edge is looked up there again.
//
// Sources: Cloud WAN User Guide, "Core network policy version parameters"
// (cloudwan-policies-json), "Route evaluation" (cloudwan-route-evaluation), "Add
// segment actions" (cloudwan-policy-network-actions-routes), "Service insertion"
// (cloudwan-policy-service-insertion), and the samples that the vendor publishes as
// aws-samples/aws-cloud-wan-blueprints, as read in 2026. What they leave open, or
// what the documents do not tell, makes an answer unknown, and is named.
package wan

import (
	"net/netip"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

// A Network is one core network: a policy, and what is attached.
type Network struct {
	Name        string
	Policy      *Policy
	Attachments []*Attachment // by name
	Place       source.Place

	lists    map[string][]netip.Prefix
	byName   map[string]*Attachment
	byID     map[string]*Attachment
	accounts map[string]string // ids of accounts by name; "" if not known
	plane    *plane            // nil until somebody asks
}

// An Attachment is one attachment, and where it lands.
type Attachment struct {
	Name  string
	ID    string
	Type  landing.AttachmentType
	Label string // by which routing policies are associated; empty: none
	// Account is the owner as the documents name it, AccountID the 12 digits, empty if
	// they are not known.
	Account, AccountID string
	Regions            []string
	ResourceID         string
	Tags               map[string]string // nil: not known
	Prefixes           []netip.Prefix
	// PrefixesKnown holds when the documents say which prefixes it advertises.
	PrefixesKnown bool
	Acceptance    landing.Acceptance
	Transit       landing.Transit
	Landing       Landing
	Place         source.Place

	number int
	routes attributes // of what it advertises
}

// bgp reports whether the attachment has a BGP peer on the far side.
func (a *Attachment) bgp() bool { return a.Type != landing.AttachmentVPC }

// A Landing says where an attachment lands: in a segment, in a network function
// group, or nowhere.
type Landing struct {
	Segment string `json:"segment,omitempty"`
	Group   string `json:"group,omitempty"`
	// Rule is the number of the rule that matched, 0 if none did.
	Rule int `json:"rule,omitempty"`
	// Why says why the attachment lands nowhere.
	Why string `json:"why,omitempty"`
	// Missing are the facts without which it is not known where it lands; then
	// Segment and Group are empty.
	Missing []string `json:"missing,omitempty"`

	perhaps []Landing // where it may land, if that is not known
}

func (l Landing) String() string {
	switch {
	case len(l.Missing) > 0:
		return "unknown: " + list(l.Missing)
	case l.Segment != "":
		return "segment " + l.Segment
	case l.Group != "":
		return "network function group " + l.Group
	}
	return "nowhere: " + l.Why
}

// lands reports whether two landings are of the same place.
func (l Landing) lands(other Landing) bool {
	return l.Segment == other.Segment && l.Group == other.Group && (len(l.Missing) > 0) == (len(other.Missing) > 0)
}

// Attachment returns the attachment of a name, or nil.
func (n *Network) Attachment(name string) *Attachment { return n.byName[name] }
