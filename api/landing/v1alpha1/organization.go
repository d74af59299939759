package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// An Organization is the tree that accounts hang in: a root and units below it.
// A folder holds exactly one.
//
// +kubebuilder:object:root=true
type Organization struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec OrganizationSpec `json:"spec"`
}

// OrganizationSpec is the tree.
type OrganizationSpec struct {
	// ID is the organization's id, for example o-a1b2c3d4e5. Without it, what
	// depends on aws:PrincipalOrgID or aws:ResourceOrgID is unknown.
	// +optional
	// +kubebuilder:validation:Pattern=`^o-[a-z0-9]{10,32}$`
	ID string `json:"id,omitempty"`

	// RootID is the id of the root, for example r-ab12. Without it, and the ids of
	// the units, what depends on aws:PrincipalOrgPaths is unknown.
	// +optional
	// +kubebuilder:validation:Pattern=`^r-[a-z0-9]{4,32}$`
	RootID string `json:"rootID,omitempty"`

	// ManagementAccount is the 12-digit id of the management account, which no
	// guardrail concerns.
	// +kubebuilder:validation:Pattern=`^[0-9]{12}$`
	ManagementAccount string `json:"managementAccount"`

	// Partition is the partition of the cloud that the organization lives in.
	// +optional
	// +kubebuilder:default=aws
	// +kubebuilder:validation:Enum=aws;aws-cn;aws-us-gov
	Partition string `json:"partition,omitempty"`

	// WithoutFullAccess holds when the service control policy FullAWSAccess, which
	// is attached to every root, unit and account at first, was detached from the
	// root: only what guardrails attached to it allow passes.
	// +optional
	WithoutFullAccess bool `json:"withoutFullAccess,omitempty"`

	// Units are the organizational units, in any order.
	// +optional
	// +listType=map
	// +listMapKey=path
	Units []Unit `json:"units,omitempty"`

	// Regions are those in which the organization works; what a change lets happen
	// is computed for these. Empty means every region that the product knows.
	// +optional
	// +listType=set
	Regions []string `json:"regions,omitempty"`
}

// A Unit is one organizational unit.
type Unit struct {
	// Path is the names from below the root to the unit, for example
	// Workloads/Prod. Its parent is a unit of its own.
	// +kubebuilder:validation:MinLength=1
	Path string `json:"path"`

	// ID is the unit's id, for example ou-ab12-11111111.
	// +optional
	// +kubebuilder:validation:Pattern=`^ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}$`
	ID string `json:"id,omitempty"`

	// WithoutFullAccess holds when FullAWSAccess was detached from the unit.
	// +optional
	WithoutFullAccess bool `json:"withoutFullAccess,omitempty"`
}

// OrganizationList is a list of organizations.
//
// +kubebuilder:object:root=true
type OrganizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Organization `json:"items"`
}
