package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// A Decision is what was decided, and how one comes back from it.
//
// +kubebuilder:object:root=true
type Decision struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec DecisionSpec `json:"spec"`
}

// A DecisionStatus is where a decision stands; the words are MADR's.
//
// +kubebuilder:validation:Enum=proposed;accepted;rejected;deprecated;superseded
type DecisionStatus string

const (
	// Proposed decisions are not taken yet.
	Proposed DecisionStatus = "proposed"
	// Accepted decisions hold.
	Accepted DecisionStatus = "accepted"
	// Rejected decisions were not taken.
	Rejected DecisionStatus = "rejected"
	// Deprecated decisions no longer hold.
	Deprecated DecisionStatus = "deprecated"
	// Superseded decisions gave way to another one.
	Superseded DecisionStatus = "superseded"
)

// A Door says whether one can come back from a decision.
//
// +kubebuilder:validation:Enum=one-way;two-way
type Door string

const (
	// OneWay decisions cannot be taken back, or only at a cost nobody would pay.
	OneWay Door = "one-way"
	// TwoWay decisions can be taken back.
	TwoWay Door = "two-way"
)

// DecisionSpec is the decision.
type DecisionSpec struct {
	// +kubebuilder:validation:MinLength=1
	Title  string         `json:"title"`
	Status DecisionStatus `json:"status"`
	// SupersededBy names the decision that this one gave way to.
	// +optional
	SupersededBy string `json:"supersededBy,omitempty"`
	// Date is when the decision was last changed.
	// +optional
	Date Day `json:"date,omitempty"`
	// +optional
	Door Door `json:"door,omitempty"`
	// DecisionMakers are those who took the decision.
	// +optional
	DecisionMakers []string `json:"decisionMakers,omitempty"`
	// Approvers are those who must agree to a one-way door, by name.
	// +optional
	// +listType=map
	// +listMapKey=name
	Approvers []Approver `json:"approvers,omitempty"`
	// Reversal is the way back.
	// +optional
	Reversal *Reversal `json:"reversal,omitempty"`
	// Expires is the first day on which the decision has to be taken anew.
	// +optional
	Expires Day `json:"expires,omitempty"`
	// Waivers let findings pass for a while.
	// +optional
	Waivers []Waiver `json:"waivers,omitempty"`
}

// An Approver is a person whose agreement is asked for.
type Approver struct {
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Approved is the day on which the person agreed; empty if not yet.
	// +optional
	Approved Day `json:"approved,omitempty"`
}

// A TestResult is how a test ended.
//
// +kubebuilder:validation:Enum=passed;failed
type TestResult string

const (
	// TestPassed means that the way back was walked.
	TestPassed TestResult = "passed"
	// TestFailed means that it could not be.
	TestFailed TestResult = "failed"
)

// A Reversal is how one comes back from a decision, and when that was last tried.
type Reversal struct {
	// Cost says what the way back costs: time, money, what is lost.
	// +optional
	Cost string `json:"cost,omitempty"`
	// Test leads to the test of the way back: a URL, or the path of a file relative to
	// the one that names it.
	// +optional
	Test string `json:"test,omitempty"`
	// TestedAt is the day on which the test ran last.
	// +optional
	TestedAt Day `json:"testedAt,omitempty"`
	// Result is how it ended.
	// +optional
	Result TestResult `json:"result,omitempty"`
}

// DecisionList is a list of decisions.
//
// +kubebuilder:object:root=true
type DecisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Decision `json:"items"`
}
