package object

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// serverMetadata is what an API server writes into metadata by itself.
var serverMetadata = []string{
	"uid", "resourceVersion", "creationTimestamp", "generation", "selfLink",
	"deletionTimestamp", "deletionGracePeriodSeconds", "managedFields",
}

// clusterFinalizers are set by controllers of the cluster that the object stands
// in. A copy must not carry them: there, nobody may be left to remove them.
var clusterFinalizers = []string{
	"service.kubernetes.io/load-balancer-cleanup",
	"kubernetes.io/pvc-protection",
	"kubernetes.io/pv-protection",
	"foregroundDeletion",
	"orphan",
}

// clusterAnnotations are written by controllers of the cluster that the object
// stands in.
var clusterAnnotations = []string{
	"deployment.kubernetes.io/revision",
	"deprecated.daemonset.template.generation",
	"endpoints.kubernetes.io/last-change-trigger-time",
	"kubernetes.io/service-account.uid",
	"pv.kubernetes.io/bind-completed",
	"pv.kubernetes.io/bound-by-controller",
	"volume.kubernetes.io/selected-node",
	"control-plane.alpha.kubernetes.io/leader",
}

const lastApplied = corev1.LastAppliedConfigAnnotation

// byKind holds what else is the cluster's, by kind. The functions may change what
// they are given.
var byKind = map[schema.GroupKind]struct{ portable, canonical func(map[string]any) }{
	{Kind: "Service"}:                    {portable: stripService, canonical: ignoreNodePorts},
	{Kind: "Secret"}:                     {portable: stripToken},
	{Kind: "ServiceAccount"}:             {portable: stripTokenNames},
	{Kind: "Namespace"}:                  {portable: remove("spec", "finalizers")},
	{Kind: "PersistentVolumeClaim"}:      {canonical: remove("spec", "volumeName")},
	{Kind: "PersistentVolume"}:           {portable: stripClaimRef},
	{Group: "apps", Kind: "StatefulSet"}: {canonical: stripClaimTemplates},
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: {portable: remove("spec", "preserveUnknownFields")},
}

func portable(obj *unstructured.Unstructured) {
	dropNulls(obj.Object)
	metadata, _ := obj.Object["metadata"].(map[string]any)
	for _, field := range serverMetadata {
		delete(metadata, field)
	}
	delete(obj.Object, "status")
	keepStrings(obj, "finalizers", func(f string) bool { return !slices.Contains(clusterFinalizers, f) })
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		for _, name := range clusterAnnotations {
			delete(annotations, name)
		}
	}
	if strip := byKind[obj.GroupVersionKind().GroupKind()].portable; strip != nil {
		strip(obj.Object)
	}
	dropEmptyMetadata(metadata)
}

func canonical(obj *unstructured.Unstructured) {
	if strip := byKind[obj.GroupVersionKind().GroupKind()].canonical; strip != nil {
		strip(obj.Object)
	}
	owners, _, _ := unstructured.NestedSlice(obj.Object, "metadata", "ownerReferences")
	for _, owner := range owners {
		if fields, ok := owner.(map[string]any); ok {
			delete(fields, "uid")
		}
	}
	if len(owners) > 0 {
		_ = unstructured.SetNestedSlice(obj.Object, owners, "metadata", "ownerReferences")
	}
}

// dropNulls removes null fields, which mean the same as absent ones.
func dropNulls(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			if field == nil {
				delete(value, key)
			} else {
				dropNulls(field)
			}
		}
	case []any:
		for _, item := range value {
			dropNulls(item)
		}
	}
}

func dropEmptyMetadata(metadata map[string]any) {
	for key, field := range metadata {
		switch field := field.(type) {
		case map[string]any:
			if len(field) == 0 {
				delete(metadata, key)
			}
		case []any:
			if len(field) == 0 {
				delete(metadata, key)
			}
		}
	}
}

func keepStrings(obj *unstructured.Unstructured, field string, keep func(string) bool) {
	list, found, _ := unstructured.NestedStringSlice(obj.Object, "metadata", field)
	if found {
		list = slices.DeleteFunc(list, func(s string) bool { return !keep(s) })
		_ = unstructured.SetNestedStringSlice(obj.Object, list, "metadata", field)
	}
}

func remove(path ...string) func(map[string]any) {
	return func(obj map[string]any) { unstructured.RemoveNestedField(obj, path...) }
}

// stripService frees the addresses and ports that the old cluster allocated. A
// headless Service stays headless; a port that a person declared stays declared.
// The caller has already removed managedFields, so declared means here: written in
// the last applied configuration, which travels with the object.
func stripService(obj map[string]any) {
	if ip, _, _ := unstructured.NestedString(obj, "spec", "clusterIP"); ip != corev1.ClusterIPNone {
		unstructured.RemoveNestedField(obj, "spec", "clusterIP")
		unstructured.RemoveNestedField(obj, "spec", "clusterIPs")
	}
	declared := declaredService(obj)
	if declared.Spec.HealthCheckNodePort == 0 {
		unstructured.RemoveNestedField(obj, "spec", "healthCheckNodePort")
	}
	wanted := map[int64]bool{}
	for _, port := range declared.Spec.Ports {
		wanted[int64(port.NodePort)] = true
	}
	forPorts(obj, func(port map[string]any) {
		if number, ok := port["nodePort"].(int64); !ok || !wanted[number] {
			delete(port, "nodePort")
		}
	})
}

func ignoreNodePorts(obj map[string]any) {
	forPorts(obj, func(port map[string]any) { delete(port, "nodePort") })
	unstructured.RemoveNestedField(obj, "spec", "healthCheckNodePort")
}

// declaredService is the Service as it was last applied by kubectl, or empty.
func declaredService(obj map[string]any) corev1.Service {
	var declared corev1.Service
	text, _, _ := unstructured.NestedString(obj, "metadata", "annotations", lastApplied)
	if err := json.Unmarshal([]byte(text), &declared); err != nil {
		return corev1.Service{}
	}
	return declared
}

func forPorts(obj map[string]any, change func(map[string]any)) {
	spec, _ := obj["spec"].(map[string]any)
	ports, _ := spec["ports"].([]any)
	for _, port := range ports {
		if fields, ok := port.(map[string]any); ok {
			change(fields)
		}
	}
}

// stripToken clears a service account's token, which another cluster would not
// accept; its controller fills the Secret again.
func stripToken(obj map[string]any) {
	if obj["type"] != string(corev1.SecretTypeServiceAccountToken) {
		return
	}
	for _, key := range []string{corev1.ServiceAccountTokenKey, corev1.ServiceAccountRootCAKey, corev1.ServiceAccountNamespaceKey} {
		unstructured.RemoveNestedField(obj, "data", key)
	}
	if data, ok := obj["data"].(map[string]any); ok && len(data) == 0 {
		delete(obj, "data")
	}
}

// stripTokenNames drops the Secrets that old clusters made for a service account.
func stripTokenNames(obj map[string]any) {
	metadata, _ := obj["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	secrets, _ := obj["secrets"].([]any)
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(secret any) bool {
		fields, _ := secret.(map[string]any)
		of, _ := fields["name"].(string)
		return len(of) == len(name)+len("-token-")+5 && of[:len(name)+7] == name+"-token-"
	})
	if len(secrets) == 0 {
		delete(obj, "secrets")
		return
	}
	obj["secrets"] = secrets
}

// stripClaimTemplates drops what API servers add to a StatefulSet's claims when they
// answer in JSON, but not in protobuf.
func stripClaimTemplates(obj map[string]any) {
	spec, _ := obj["spec"].(map[string]any)
	claims, _ := spec["volumeClaimTemplates"].([]any)
	for _, claim := range claims {
		if fields, ok := claim.(map[string]any); ok {
			delete(fields, "apiVersion")
			delete(fields, "kind")
			delete(fields, "status")
		}
	}
}

func stripClaimRef(obj map[string]any) {
	unstructured.RemoveNestedField(obj, "spec", "claimRef", "uid")
	unstructured.RemoveNestedField(obj, "spec", "claimRef", "resourceVersion")
}
