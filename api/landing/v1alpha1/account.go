package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// An Account is one account of the organization, vended or about to be. Its
// metadata.name is how people and other objects name it.
//
// +kubebuilder:object:root=true
type Account struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec AccountSpec `json:"spec"`
}

// AccountSpec is where an account hangs and whose it is.
type AccountSpec struct {
	// ID is the account's 12 digits. An account that is only planned has none yet:
	// what depends on the id is then unknown.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9]{12}$`
	ID string `json:"id,omitempty"`

	// Unit is the path of the unit that the account hangs in, for example
	// Workloads/Prod; empty means the root.
	// +optional
	Unit string `json:"unit,omitempty"`

	// Owner is the team that answers for the account.
	// +optional
	Owner string `json:"owner,omitempty"`

	// Environment is what the account is for, for example dev, staging or prod.
	// +optional
	Environment string `json:"environment,omitempty"`

	// Regions are those in which the account works; empty means the organization's.
	// +optional
	// +listType=set
	Regions []string `json:"regions,omitempty"`

	// Tags are the tags of the account.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`

	// WithoutFullAccess holds when FullAWSAccess was detached from the account.
	// +optional
	WithoutFullAccess bool `json:"withoutFullAccess,omitempty"`
}

// AccountList is a list of accounts.
//
// +kubebuilder:object:root=true
type AccountList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Account `json:"items"`
}
