package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// A Move is the record of one app in a migration.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=crossfade
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.namespace`
// +kubebuilder:printcolumn:name="App",type=string,JSONPath=`.spec.app`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Share",type=integer,JSONPath=`.status.share`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`
type Move struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   MoveSpec   `json:"spec"`
	Status MoveStatus `json:"status,omitempty"`
}

// MoveSpec names an app: the unit of inventory and of quarantine.
type MoveSpec struct {
	Migration string `json:"migration"`
	Namespace string `json:"namespace"`
	App       string `json:"app"`
}

// MoveStatus is how far the app has moved.
type MoveStatus struct {
	State   MoveState `json:"state,omitempty"`
	Message string    `json:"message,omitempty"`
	// Share is the part of the app's serving capacity that stands in the target,
	// in percent.
	Share int32 `json:"share"`
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	Workloads []WorkloadStatus `json:"workloads,omitempty"`
}

// WorkloadStatus is what is known of one workload.
type WorkloadStatus struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Decide is how the workload moves; Undecided asks for a decision by name.
	Decide Decide `json:"decide"`
	// +listType=atomic
	Traits []TraitEvidence `json:"traits,omitempty"`
	// Wanted is how many replicas the team wants; Source and Target are how many
	// are ready on either side.
	Wanted int32 `json:"wanted,omitempty"`
	Source int32 `json:"source,omitempty"`
	Target int32 `json:"target,omitempty"`
}

// TraitEvidence is a trait of a workload and why it is believed.
type TraitEvidence struct {
	Trait    Trait  `json:"trait"`
	Evidence string `json:"evidence"`
}

// MoveList is a list of moves.
//
// +kubebuilder:object:root=true
type MoveList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Move `json:"items"`
}
