package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// A MirrorMode says how the mirror treats the objects of a MirrorRule.
// +kubebuilder:validation:Enum=Exclude;Inert;Parked;Observed
type MirrorMode string

// The modes. A custom resource without a rule is Held, because what its controller
// would do with a second one is not known; so are the built-in kinds that act on
// creation.
const (
	// Exclude leaves the objects where they are.
	Exclude MirrorMode = "Exclude"
	// Inert copies and follows them: a person knows that a second one does no harm,
	// with the patch if there is one.
	Inert MirrorMode = "Inert"
	// Parked copies them with a patch that keeps their controller from acting on the
	// copy. What the patch touches is then left to either side. When the writer turns,
	// the copies wake and the originals are parked.
	Parked MirrorMode = "Parked"
	// Observed copies them with a patch that lets their controller only look, and
	// waits until the copy's condition Ready says that it has found what is there.
	Observed MirrorMode = "Observed"
)

// A MirrorRule says how objects are mirrored that the built-in rules Hold, or copy
// otherwise than wanted. Of several rules that match an object the first one counts.
// No rule moves what is never moved: Pods, Jobs, and whatever tells of its own
// cluster.
//
// +kubebuilder:validation:XValidation:rule="self.mode in ['Exclude', 'Inert'] || size(self.patch) > 0",message="rules[].patch: a rule that parks or observes needs a patch that keeps the controller from acting"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Exclude' || size(self.patch) == 0 && !self.status && size(self.finalizers) == 0",message="rules[].mode: what is excluded is not changed: leave out patch, status and finalizers"
type MirrorRule struct {
	// Group is the API group; empty is the core group.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`
	// Kind is the kind; a star stands for every kind of the group.
	// +kubebuilder:validation:Pattern=`^([A-Z][A-Za-z0-9]*|\*)$`
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// Namespaces limits the rule; empty means every namespace of the estate.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	Namespaces []string `json:"namespaces,omitempty"`
	// Selector limits the rule to objects with these labels.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	Mode MirrorMode `json:"mode"`

	// Patch is a JSON patch (RFC 6902), as JSON or YAML, that is applied to each copy.
	// Values that it adds may have parents that are missing, and what it removes may
	// be missing. It must not touch kind, apiVersion, name, namespace or status.
	// +optional
	// +kubebuilder:default=""
	// +kubebuilder:validation:MaxLength=16384
	Patch string `json:"patch,omitempty"`
	// Status copies the status too, and follows it. It is for kinds whose status is
	// not computed again, such as the names of resources that a controller has made.
	// +optional
	// +kubebuilder:default=false
	Status bool `json:"status,omitempty"`
	// Finalizers lists those that the copies keep: the ones whose controllers run in
	// both clusters. Undo takes them off before it deletes a copy, so that nothing is
	// cleaned up that the original still needs.
	// +optional
	// +listType=set
	// +kubebuilder:default={}
	// +kubebuilder:validation:MaxItems=20
	Finalizers []string `json:"finalizers,omitempty"`

	// By and Reason say who decided, and why.
	// +kubebuilder:validation:MinLength=1
	By string `json:"by"`
	// +optional
	Reason string `json:"reason,omitempty"`
}
