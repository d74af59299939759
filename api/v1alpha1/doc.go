// Package v1alpha1 holds the kinds by which people and the engine speak to each
// other: Cluster, Migration, Move, Freeze and Ledger. Desired state and progress
// are these objects and nothing else; they live in the hub.
//
// +kubebuilder:object:generate=true
// +groupName=crossfade.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "crossfade.dev", Version: "v1alpha1"}

// AddToScheme makes the kinds known to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Cluster{}, &ClusterList{},
		&Migration{}, &MigrationList{},
		&Move{}, &MoveList{},
		&Freeze{}, &FreezeList{},
		&Ledger{}, &LedgerList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
