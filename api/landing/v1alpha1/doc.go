// Package v1alpha1 holds the kinds by which a landing zone is written down
// before it exists: its organization and accounts, the guardrails on them, and
// the addresses, segments, quotas, reviews and decisions that go with them. They
// are read from files; nothing needs a cluster.
//
// A field without omitempty in its JSON tag is required.
//
// +kubebuilder:object:generate=true
// +groupName=landing.crossfade.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "landing.crossfade.dev", Version: "v1alpha1"}

// AddToScheme makes the kinds known to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Organization{}, &OrganizationList{},
		&Account{}, &AccountList{},
		&Guardrail{}, &GuardrailList{},
		&QuotaWatch{}, &QuotaWatchList{},
		&Review{}, &ReviewList{},
		&Decision{}, &DecisionList{},
		&AddressPool{}, &AddressPoolList{},
		&AddressClaim{}, &AddressClaimList{},
		&CoreNetwork{}, &CoreNetworkList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
