package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// A Freeze refuses teams' changes in one cluster while controllers go on working.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=crossfade
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.cluster`
// +kubebuilder:printcolumn:name="Frozen",type=string,JSONPath=`.status.conditions[?(@.type=="Frozen")].status`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.since`
// +kubebuilder:printcolumn:name="Migration",type=string,JSONPath=`.spec.migration`
type Freeze struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   FreezeSpec   `json:"spec"`
	Status FreezeStatus `json:"status,omitempty"`
}

// FreezeSpec says what is frozen and what a refused person reads.
type FreezeSpec struct {
	// Cluster names the Cluster whose API refuses.
	// +kubebuilder:validation:MinLength=1
	Cluster string `json:"cluster"`
	// +kubebuilder:validation:MinLength=1
	Migration string `json:"migration"`
	// Side is the side of the migration that the cluster is.
	Side Side `json:"side"`
	// Reason and Contact are part of the refusal's sentence.
	// +kubebuilder:validation:MinLength=1
	Reason string `json:"reason"`
	// +kubebuilder:validation:MinLength=1
	Contact string `json:"contact"`
	// Exempt lists user names that may write, as break-glass.
	// +optional
	// +listType=set
	Exempt []string `json:"exempt,omitempty"`
}

// FreezeStatus is what was proved of a freeze.
type FreezeStatus struct {
	// Since is when a team's write was first seen refused.
	Since *metav1.MicroTime `json:"since,omitempty"`
	// ProvedAt is when every try had been refused, on the clock of the cluster's API
	// server: what a team is seen to have written later got past the freeze.
	ProvedAt *metav1.Time `json:"provedAt,omitempty"`
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// FreezeList is a list of freezes.
//
// +kubebuilder:object:root=true
type FreezeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Freeze `json:"items"`
}
