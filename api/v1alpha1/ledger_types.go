package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// A Ledger is one chunk of a migration's durable record. People read it with
// `crossfade`; only the engine writes it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=crossfade
// +kubebuilder:printcolumn:name="Migration",type=string,JSONPath=`.spec.migration`
// +kubebuilder:printcolumn:name="Record",type=string,JSONPath=`.spec.record`
// +kubebuilder:printcolumn:name="Part",type=string,JSONPath=`.spec.part`
// +kubebuilder:printcolumn:name="Entries",type=integer,JSONPath=`.spec.entries`
type Ledger struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec LedgerSpec `json:"spec"`
}

// LedgerSpec is the chunk.
type LedgerSpec struct {
	Migration string `json:"migration"`
	// Record is what the entries are: what was found, created or intended.
	Record Record `json:"record"`
	// Part is the hand-over or the side that the entries belong to.
	Part string `json:"part"`
	// Chunk numbers the chunks of one part, from 0.
	Chunk int32 `json:"chunk"`
	// Entries is how many entries Data holds.
	Entries int32 `json:"entries"`
	// Data is a zstd-compressed (RFC 8878) JSON object from key to entry.
	Data []byte `json:"data"`
}

// LedgerList is a list of chunks.
//
// +kubebuilder:object:root=true
type LedgerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Ledger `json:"items"`
}
