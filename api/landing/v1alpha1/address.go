package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// An AddressPool is a range of addresses that networks are given of, for example
// those of one region, or of one environment in it.
//
// +kubebuilder:object:root=true
type AddressPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec AddressPoolSpec `json:"spec"`
}

// AddressPoolSpec is where a pool's addresses come from and what is given of them.
type AddressPoolSpec struct {
	// Scope is where addresses must not overlap. A pool with a parent is in its
	// parent's scope and has none of its own.
	// +optional
	// +kubebuilder:default=private
	Scope string `json:"scope,omitempty"`

	// Parent is the pool that the prefixes are taken out of.
	// +optional
	Parent string `json:"parent,omitempty"`

	// Region is where the networks of the pool stand, for example eu-west-1; empty
	// means the parent's.
	// +optional
	Region string `json:"region,omitempty"`

	// Environment is what the networks of the pool are for, for example prod; empty
	// means the parent's.
	// +optional
	Environment string `json:"environment,omitempty"`

	// Prefixes are the pool's addresses, for example 10.0.0.0/12 or fd00:10::/40.
	// +kubebuilder:validation:MinItems=1
	// +listType=set
	Prefixes []string `json:"prefixes"`

	// Sizes are the t-shirt sizes of networks; none means the parent's.
	// +optional
	// +listType=map
	// +listMapKey=name
	Sizes []NetworkSize `json:"sizes,omitempty"`

	// Reserved are ranges of the pool of which nothing is given.
	// +optional
	Reserved []AddressRange `json:"reserved,omitempty"`

	// Foreign are ranges of the scope that others have, whichever pools they meet:
	// offices, partners, networks from before.
	// +optional
	Foreign []AddressRange `json:"foreign,omitempty"`

	// Planned are networks that will be needed and have no claim yet.
	// +optional
	Planned []PlannedNetworks `json:"planned,omitempty"`
}

// A NetworkSize is a t-shirt size. It has one or both of the prefix lengths.
type NetworkSize struct {
	// Name is what claims call the size, for example S, M, L or XL.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`

	// IPv4 is the prefix length of an IPv4 network of this size.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	IPv4 int32 `json:"ipv4,omitempty"`

	// IPv6 is the prefix length of an IPv6 network of this size.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	IPv6 int32 `json:"ipv6,omitempty"`
}

// An AddressRange is a range that is not given to claims.
type AddressRange struct {
	Prefix string `json:"prefix"`

	// Reason says why, or whose it is.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// PlannedNetworks are so many networks that will be needed by a day.
type PlannedNetworks struct {
	// Size is the name of a size of the pool.
	Size string `json:"size"`

	// Family is IPv4 unless it says otherwise.
	// +optional
	Family AddressFamily `json:"family,omitempty"`

	// Count is how many networks.
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count"`

	// By is the day on which they are needed, for example 2027-03-31.
	By Day `json:"by"`

	// Reason says what they are needed for.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// An AddressFamily is a version of the Internet protocol.
//
// +kubebuilder:validation:Enum=IPv4;IPv6
type AddressFamily string

// The families.
const (
	IPv4 AddressFamily = "IPv4"
	IPv6 AddressFamily = "IPv6"
)

// An AddressClaim asks for one network. Its spec is what is wanted, its status what
// it was given: both stand in the file.
//
// +kubebuilder:object:root=true
type AddressClaim struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec AddressClaimSpec `json:"spec"`
	// +optional
	Status AddressClaimStatus `json:"status,omitempty"`
}

// AddressClaimSpec is which network is wanted: from a pool that is named, or from
// the one of a region and an environment; of a size, or with a prefix length.
type AddressClaimSpec struct {
	// Pool is the name of a pool.
	// +optional
	Pool string `json:"pool,omitempty"`

	// Region and Environment choose the pool if none is named: the one that has
	// both, or else the one that has the region and no environment.
	// +optional
	Region string `json:"region,omitempty"`
	// +optional
	Environment string `json:"environment,omitempty"`

	// Family is IPv4 unless it says otherwise.
	// +optional
	// +kubebuilder:default=IPv4
	Family AddressFamily `json:"family,omitempty"`

	// Size is the name of a size of the pool. Another size than that of the network
	// in status asks for growth, or shrinking, in place.
	// +optional
	Size string `json:"size,omitempty"`

	// PrefixLength is the length of the network's prefix, instead of a size.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	PrefixLength int32 `json:"prefixLength,omitempty"`

	// Account is the metadata.name of the account that the network is for.
	// +optional
	Account string `json:"account,omitempty"`

	// Token makes the claim idempotent: the same token is given the same network.
	// Empty means the claim's name.
	// +optional
	Token string `json:"token,omitempty"`

	// NeededBy is the day on which the network is needed, for example 2027-01-15.
	// +optional
	NeededBy Day `json:"neededBy,omitempty"`
}

// AddressClaimStatus is what a claim was given.
type AddressClaimStatus struct {
	// Prefix is the network; empty while nothing was given.
	// +optional
	Prefix string `json:"prefix,omitempty"`

	// AllocatedOn is the day on which it was given, for example 2026-05-03. Growth
	// is told from these days: a pool with a network without one has an unknown
	// growth.
	// +optional
	AllocatedOn Day `json:"allocatedOn,omitempty"`
}

// AddressPoolList is a list of pools.
//
// +kubebuilder:object:root=true
type AddressPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AddressPool `json:"items"`
}

// AddressClaimList is a list of claims.
//
// +kubebuilder:object:root=true
type AddressClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AddressClaim `json:"items"`
}
