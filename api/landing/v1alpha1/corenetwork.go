package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A CoreNetwork is a Cloud WAN core network: its policy document, and what is
// attached to it or about to be.
//
// +kubebuilder:object:root=true
type CoreNetwork struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec CoreNetworkSpec `json:"spec"`
}

// CoreNetworkSpec is what a core network is made of. It has exactly one of policy
// and policyFile.
type CoreNetworkSpec struct {
	// Description says what the core network is for.
	// +optional
	Description string `json:"description,omitempty"`

	// Policy is the core network policy document, version 2021.12 or 2025.11.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Policy *runtime.RawExtension `json:"policy,omitempty"`

	// PolicyFile is the path of a JSON file with the policy document, relative to
	// the file that names it.
	// +optional
	PolicyFile string `json:"policyFile,omitempty"`

	// Attachments are what is attached, or about to be.
	// +optional
	// +listType=map
	// +listMapKey=name
	Attachments []NetworkAttachment `json:"attachments,omitempty"`

	// PrefixLists are the managed prefix lists that are associated with the core
	// network, by the alias by which routing policies name them.
	// +optional
	// +listType=map
	// +listMapKey=alias
	PrefixLists []PrefixList `json:"prefixLists,omitempty"`
}

// An AttachmentType is what kind of thing is attached.
//
// +kubebuilder:validation:Enum=vpc;site-to-site-vpn;connect;direct-connect-gateway;transit-gateway-route-table
type AttachmentType string

// The types of attachments, by the vendor's names.
const (
	AttachmentVPC           AttachmentType = "vpc"
	AttachmentVPN           AttachmentType = "site-to-site-vpn"
	AttachmentConnect       AttachmentType = "connect"
	AttachmentDirectConnect AttachmentType = "direct-connect-gateway"
	AttachmentTransit       AttachmentType = "transit-gateway-route-table"
)

// Acceptance says whether an attachment that needs to be accepted was.
//
// +kubebuilder:validation:Enum=Accepted;Pending
type Acceptance string

const (
	// AttachmentAccepted attachments join their segment.
	AttachmentAccepted Acceptance = "Accepted"
	// AttachmentPending attachments wait, and reach nothing.
	AttachmentPending Acceptance = "Pending"
)

// Transit says what the network behind an attachment does with packets for
// addresses that are not its own.
//
// +kubebuilder:validation:Enum=Returns;Ends
type Transit string

const (
	// Returns means that it sends them back into the core network, as a firewall or
	// a router does.
	Returns Transit = "Returns"
	// Ends means that they do not come back: they are dropped, or leave for good.
	Ends Transit = "Ends"
)

// A NetworkAttachment is one attachment of a core network. What is left out is not
// known, and answers that depend on it are unknown.
type NetworkAttachment struct {
	// Name is unique in the core network: how people name the attachment.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`

	// ID is the attachment's id, for example attachment-05e1da91f4a52b4e6, by which
	// static routes of the policy name it.
	// +optional
	ID string `json:"id,omitempty"`

	Type AttachmentType `json:"type"`

	// Account is the owner: the metadata.name of an account, or 12 digits.
	// +optional
	Account string `json:"account,omitempty"`

	// Regions is where the attachment stands: one region, or several for a Direct
	// Connect gateway.
	// +kubebuilder:validation:MinItems=1
	// +listType=set
	Regions []string `json:"regions"`

	// ResourceID is what is attached, for example a VPC's id.
	// +optional
	ResourceID string `json:"resourceID,omitempty"`

	// Tags are those of the attachment, not of what is attached; {} means that it
	// has none.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`

	// Prefixes are the address ranges that the attachment advertises to the core
	// network; [] means none.
	// +optional
	Prefixes []string `json:"prefixes,omitempty"`

	// Acceptance is asked for where the policy requires that somebody accepts.
	// +optional
	Acceptance Acceptance `json:"acceptance,omitempty"`

	// Transit is asked for where packets for other addresses are led to the
	// attachment. Attachments of a network function group return what they inspect
	// unless they say Ends.
	// +optional
	Transit Transit `json:"transit,omitempty"`

	// RoutingPolicyLabel is the label by which the policy's attachment routing rules
	// find the attachment; empty means that it has none.
	// +optional
	RoutingPolicyLabel string `json:"routingPolicyLabel,omitempty"`

	// Path is the AS path of the routes that a BGP peer advertises, nearest first.
	// +optional
	Path []int64 `json:"path,omitempty"`

	// Communities are the BGP communities of the routes that a peer advertises; []
	// means none.
	// +optional
	Communities []string `json:"communities,omitempty"`

	// MED is the multi-exit discriminator of the routes that a peer advertises.
	// +optional
	MED *int64 `json:"med,omitempty"`
}

// A PrefixList is a managed prefix list.
type PrefixList struct {
	// Alias is how routing policies name the list.
	// +kubebuilder:validation:MinLength=1
	Alias string `json:"alias"`
	// Prefixes are the ranges of the list.
	// +listType=set
	Prefixes []string `json:"prefixes"`
}

// CoreNetworkList is a list of core networks.
//
// +kubebuilder:object:root=true
type CoreNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CoreNetwork `json:"items"`
}
