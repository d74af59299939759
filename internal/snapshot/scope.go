package snapshot

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"crossfade.dev/internal/cluster"
)

var (
	namespaceKind = schema.GroupKind{Kind: "Namespace"}
	secretKind    = schema.GroupKind{Kind: "Secret"}
	definitions   = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
)

// never lists kinds, or with a star whole groups, of which no object is kept: they
// tell of the cluster that they stand in, or a controller makes them again.
var never = map[schema.GroupKind]bool{
	{Kind: "Node"}: true, {Kind: "Event"}: true, {Kind: "Endpoints"}: true, {Kind: "ComponentStatus"}: true,
	{Group: "events.k8s.io", Kind: "*"}: true, {Group: "coordination.k8s.io", Kind: "*"}: true,
	{Group: "apps", Kind: "ControllerRevision"}:         true,
	{Group: "storage.k8s.io", Kind: "CSINode"}:          true,
	{Group: "storage.k8s.io", Kind: "CSIDriver"}:        true,
	{Group: "storage.k8s.io", Kind: "VolumeAttachment"}: true, {Group: "storage.k8s.io", Kind: "CSIStorageCapacity"}: true,
	{Group: "certificates.k8s.io", Kind: "*"}: true, {Group: "flowcontrol.apiserver.k8s.io", Kind: "*"}: true,
	{Group: "internal.apiserver.k8s.io", Kind: "*"}: true, {Group: "storagemigration.k8s.io", Kind: "*"}: true,
	{Group: "networking.k8s.io", Kind: "IPAddress"}: true, {Group: "networking.k8s.io", Kind: "ServiceCIDR"}: true,
	{Group: "resource.k8s.io", Kind: "ResourceSlice"}: true, {Group: "resource.k8s.io", Kind: "ResourceClaim"}: true,
	{Group: "metrics.k8s.io", Kind: "*"}: true, {Group: "authentication.k8s.io", Kind: "*"}: true,
	{Group: "authorization.k8s.io", Kind: "*"}: true, {Group: "crossfade.dev", Kind: "*"}: true,
}

// acts lists kinds whose objects would act as soon as they were restored.
var acts = map[schema.GroupKind]string{
	{Kind: "Pod"}:                 "a pod that no controller makes runs as soon as it exists",
	{Group: "batch", Kind: "Job"}: "a job runs as soon as it exists",
}

// ranks is the order in which kinds are restored: what others name comes first, and
// what could refuse others comes last. Kinds that are not listed, custom resources
// above all, come between the two lists.
var ranks = func() map[schema.GroupKind]int {
	order := map[schema.GroupKind]int{}
	for i, kind := range []schema.GroupKind{
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
		{Kind: "Namespace"},
		{Group: "scheduling.k8s.io", Kind: "PriorityClass"},
		{Group: "storage.k8s.io", Kind: "StorageClass"},
		{Group: "networking.k8s.io", Kind: "IngressClass"},
		{Group: "node.k8s.io", Kind: "RuntimeClass"},
		{Kind: "PersistentVolume"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
		{Group: "rbac.authorization.k8s.io", Kind: "Role"},
		{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},
		{Kind: "ServiceAccount"},
		{Kind: "Secret"},
		{Kind: "ConfigMap"},
		{Kind: "PersistentVolumeClaim"},
		{Kind: "LimitRange"},
		{Kind: "Service"},
		{Group: "discovery.k8s.io", Kind: "EndpointSlice"},
	} {
		order[kind] = i
	}
	for i, kind := range []schema.GroupKind{
		{Group: "apps", Kind: "Deployment"},
		{Group: "apps", Kind: "StatefulSet"},
		{Group: "apps", Kind: "DaemonSet"},
		{Group: "apps", Kind: "ReplicaSet"},
		{Kind: "ReplicationController"},
		{Group: "policy", Kind: "PodDisruptionBudget"},
		{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"},
		{Group: "batch", Kind: "CronJob"},
		{Kind: "ResourceQuota"},
		{Group: "apiregistration.k8s.io", Kind: "APIService"},
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"},
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"},
		{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicy"},
		{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicyBinding"},
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
		{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"},
	} {
		order[kind] = otherRank + 1 + i
	}
	return order
}()

// otherRank is the rank of the kinds that are not listed.
const otherRank = 50

func rankOf(kind schema.GroupKind) int {
	if rank, listed := ranks[kind]; listed {
		return rank
	}
	return otherRank
}

// inOrder returns the kinds that an archive is made of, in the order of restoring.
func inOrder(kinds []cluster.Kind) []cluster.Kind {
	kinds = slices.DeleteFunc(slices.Clone(kinds), func(k cluster.Kind) bool {
		group := schema.GroupKind{Group: k.Group, Kind: "*"}
		_, active := acts[k.GroupKind()]
		return never[k.GroupKind()] || never[group] || active || !verbs(k, "list", "get", "create", "delete")
	})
	slices.SortStableFunc(kinds, func(a, b cluster.Kind) int { return rankOf(a.GroupKind()) - rankOf(b.GroupKind()) })
	return kinds
}

func verbs(k cluster.Kind, needed ...string) bool {
	for _, verb := range needed {
		if !slices.Contains(k.Verbs, verb) {
			return false
		}
	}
	return true
}

// A scope says which objects of a kind belong to an archive.
type scope struct{ namespaces func(string) bool }

// holds is true for the objects that people made, or that their tools did.
func (s scope) holds(obj *unstructured.Unstructured) bool {
	kind := obj.GroupVersionKind().GroupKind()
	switch {
	case obj.GetNamespace() != "" && !s.namespaces(obj.GetNamespace()):
		return false
	case kind == namespaceKind && !s.namespaces(obj.GetName()):
		return false
	case kind == schema.GroupKind{Kind: "PersistentVolume"}:
		claimed, _, _ := unstructured.NestedString(obj.Object, "spec", "claimRef", "namespace")
		return claimed == "" || s.namespaces(claimed)
	}
	return !furnished(kind, obj) && !remade(kind, obj)
}

// furnished is true for what every cluster has by itself, and for Crossfade's own.
func furnished(kind schema.GroupKind, obj *unstructured.Unstructured) bool {
	name, labels := obj.GetName(), obj.GetLabels()
	switch kind {
	case schema.GroupKind{Kind: "ConfigMap"}:
		return name == "kube-root-ca.crt" || name == "openshift-service-ca.crt"
	case schema.GroupKind{Kind: "Service"}:
		return name == "kubernetes" && obj.GetNamespace() == "default"
	case schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:
		return labels["endpointslice.kubernetes.io/managed-by"] != "" || name == "kubernetes"
	case schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:
		return strings.HasPrefix(name, "system-")
	case schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}:
		return labels["kube-aggregator.kubernetes.io/automanaged"] != ""
	case schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		return strings.HasSuffix(name, ".crossfade.dev")
	}
	switch kind.Group {
	case "rbac.authorization.k8s.io":
		return strings.HasPrefix(name, "system:") || strings.HasPrefix(name, "crossfade") || labels["kubernetes.io/bootstrapping"] == "rbac-defaults"
	case "admissionregistration.k8s.io":
		return strings.HasPrefix(name, "crossfade-")
	}
	return false
}

// remade is true for what a controller makes again from its owner.
func remade(kind schema.GroupKind, obj *unstructured.Unstructured) bool {
	for _, owner := range obj.GetOwnerReferences() {
		if !isController(owner) {
			continue
		}
		return kind == schema.GroupKind{Group: "apps", Kind: "ReplicaSet"} && owner.Kind == "Deployment"
	}
	return false
}
