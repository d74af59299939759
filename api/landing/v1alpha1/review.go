package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// A Review is what a workload's people answered to the questions of a lens.
//
// +kubebuilder:object:root=true
type Review struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ReviewSpec `json:"spec"`
}

// ReviewSpec is the lens, the answers of today, and those kept from earlier days.
type ReviewSpec struct {
	// Workload is what was reviewed.
	// +kubebuilder:validation:MinLength=1
	Workload string `json:"workload"`
	// Lens is the path of a custom lens, a JSON file, relative to the file that names
	// it.
	// +kubebuilder:validation:MinLength=1
	Lens string `json:"lens"`
	// Answers are those of today.
	// +optional
	// +listType=map
	// +listMapKey=question
	Answers []Answer `json:"answers,omitempty"`
	// Milestones are answers as they were on a day.
	// +optional
	// +listType=map
	// +listMapKey=name
	Milestones []Milestone `json:"milestones,omitempty"`
	// Waivers let findings pass for a while.
	// +optional
	Waivers []Waiver `json:"waivers,omitempty"`
}

// An Answer is what was answered to one question: exactly one of choices and
// notApplicable is given.
type Answer struct {
	// Question is the id of a question of the lens.
	Question string `json:"question"`
	// Choices are the ids of the choices that hold.
	// +optional
	// +listType=set
	Choices []string `json:"choices,omitempty"`
	// NotApplicable is the reason why the question does not concern the workload.
	// +optional
	NotApplicable string `json:"notApplicable,omitempty"`
	// Notes are for people.
	// +optional
	Notes string `json:"notes,omitempty"`
}

// A Milestone is a review as it was on a day.
type Milestone struct {
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	On   Day    `json:"on"`
	// +optional
	// +listType=map
	// +listMapKey=question
	Answers []Answer `json:"answers,omitempty"`
}

// ReviewList is a list of reviews.
//
// +kubebuilder:object:root=true
type ReviewList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Review `json:"items"`
}
