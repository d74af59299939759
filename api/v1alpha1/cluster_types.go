package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// A Cluster is one Kubernetes cluster that a migration may read or write.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=cfc,categories=crossfade
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Reachable",type=string,JSONPath=`.status.conditions[?(@.type=="Reachable")].status`
// +kubebuilder:printcolumn:name="UID",type=string,JSONPath=`.status.uid`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Cluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ClusterSpec   `json:"spec"`
	Status ClusterStatus `json:"status,omitempty"`
}

// ClusterSpec says how to reach a cluster.
type ClusterSpec struct {
	// Kubeconfig names the Secret key, in this object's namespace, that holds a
	// kubeconfig file.
	Kubeconfig SecretKey `json:"kubeconfig"`

	// Context is the context of the kubeconfig to use; empty means its current one.
	// +optional
	Context string `json:"context,omitempty"`

	// UID pins the cluster: the UID of its kube-system namespace. A connection
	// that leads to any other cluster is refused. Empty means that the UID seen
	// first, kept in status, is the pin.
	// +optional
	UID string `json:"uid,omitempty"`

	// PodRanges are the address ranges of the cluster's pods, as CIDRs, used to
	// prove that the other side can reach them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	PodRanges []string `json:"podRanges,omitempty"`
}

// A SecretKey names one key of a Secret in the same namespace.
type SecretKey struct {
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:default=kubeconfig
	Key string `json:"key,omitempty"`
}

// ClusterStatus is what was last seen of a cluster.
type ClusterStatus struct {
	// UID is the UID of the kube-system namespace seen at the first contact.
	UID string `json:"uid,omitempty"`
	// Version is the API server's version, for example v1.36.3.
	Version string `json:"version,omitempty"`
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ClusterList is a list of clusters.
//
// +kubebuilder:object:root=true
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cluster `json:"items"`
}
