package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A Guardrail is one policy on a part of the organization: what nobody there may
// do, or what must hold of its resources.
//
// +kubebuilder:object:root=true
type Guardrail struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec GuardrailSpec `json:"spec"`
}

// A GuardrailType says what a guardrail is.
//
// +kubebuilder:validation:Enum=ServiceControl;ResourceControl;Detective
type GuardrailType string

const (
	// ServiceControl is a service control policy: what the principals of an
	// account may do at most.
	ServiceControl GuardrailType = "ServiceControl"
	// ResourceControl is a resource control policy: what may be done at most with
	// the resources of an account.
	ResourceControl GuardrailType = "ResourceControl"
	// Detective is a pack of rules over snapshots of resources.
	Detective GuardrailType = "Detective"
)

// GuardrailSpec is what a guardrail says and where it applies. ServiceControl and
// ResourceControl have exactly one of policy and policyFile; Detective has rules.
type GuardrailSpec struct {
	Type GuardrailType `json:"type"`

	// Description says why the guardrail is there.
	// +optional
	Description string `json:"description,omitempty"`

	// Targets are what the guardrail is attached to. Without targets it applies
	// nowhere.
	// +optional
	Targets []Target `json:"targets,omitempty"`

	// Policy is the policy document: Version and Statement.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Policy *runtime.RawExtension `json:"policy,omitempty"`

	// PolicyFile is the path of a JSON file with the policy document, relative to
	// the file that names it.
	// +optional
	PolicyFile string `json:"policyFile,omitempty"`

	// Rules are what a Detective guardrail checks.
	// +optional
	// +listType=map
	// +listMapKey=name
	Rules []DetectiveRule `json:"rules,omitempty"`
}

// A Target is one thing that guardrails are attached to: exactly one field is
// set.
type Target struct {
	// Root holds when the target is the root of the organization.
	// +optional
	Root bool `json:"root,omitempty"`
	// Unit is the path of an organizational unit.
	// +optional
	Unit string `json:"unit,omitempty"`
	// Account is the metadata.name of an account.
	// +optional
	Account string `json:"account,omitempty"`
}

// A DetectiveRule says what must hold of every resource of one type.
type DetectiveRule struct {
	// Name is unique in the guardrail.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`

	// ResourceType is the type of resource that the rule is about, for example
	// AWS::S3::Bucket.
	// +kubebuilder:validation:MinLength=1
	ResourceType string `json:"resourceType"`

	// Expression is a CEL expression over the variable resource that is true when
	// the resource complies. resource has the fields type, id, account, region,
	// tags and configuration.
	// +kubebuilder:validation:MinLength=1
	Expression string `json:"expression"`

	// Message says what is wrong when the resource does not comply.
	// +optional
	Message string `json:"message,omitempty"`
}

// GuardrailList is a list of guardrails.
//
// +kubebuilder:object:root=true
type GuardrailList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Guardrail `json:"items"`
}
