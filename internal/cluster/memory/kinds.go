package memory

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"crossfade.dev/internal/cluster"
)

// A kind is one kind that the cluster serves, in the one version it serves.
type kind struct {
	schema.GroupVersionKind
	resource   string
	namespaced bool
	status     bool // has a status subresource
	generation bool // counts changes of its specification
	typed      bool // stored as its Go type; else unstructured
}

// goType is the Go type of a typed kind.
func (k *kind) goType() reflect.Type { return cluster.Scheme().AllKnownTypes()[k.GroupVersionKind] }

func (k *kind) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.resource}
}

// Flags of builtin kinds: C is cluster-scoped, S has a status subresource, G
// counts generations, U has no Go type here.
var builtin = []string{
	"v1 Namespace namespaces CS", "v1 Node nodes CS", "v1 PersistentVolume persistentvolumes CS",
	"v1 Pod pods SG", "v1 Service services S", "v1 Endpoints endpoints", "v1 ConfigMap configmaps",
	"v1 Secret secrets", "v1 ServiceAccount serviceaccounts", "v1 Event events",
	"v1 PersistentVolumeClaim persistentvolumeclaims S", "v1 LimitRange limitranges",
	"v1 ResourceQuota resourcequotas S", "v1 PodTemplate podtemplates G",
	"v1 ReplicationController replicationcontrollers SG",
	"apps/v1 Deployment deployments SG", "apps/v1 StatefulSet statefulsets SG",
	"apps/v1 DaemonSet daemonsets SG", "apps/v1 ReplicaSet replicasets SG",
	"apps/v1 ControllerRevision controllerrevisions",
	"batch/v1 Job jobs SG", "batch/v1 CronJob cronjobs SG",
	"autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers S",
	"policy/v1 PodDisruptionBudget poddisruptionbudgets SG",
	"networking.k8s.io/v1 Ingress ingresses SG", "networking.k8s.io/v1 IngressClass ingressclasses CG",
	"networking.k8s.io/v1 NetworkPolicy networkpolicies G",
	"discovery.k8s.io/v1 EndpointSlice endpointslices G",
	"rbac.authorization.k8s.io/v1 Role roles", "rbac.authorization.k8s.io/v1 RoleBinding rolebindings",
	"rbac.authorization.k8s.io/v1 ClusterRole clusterroles C",
	"rbac.authorization.k8s.io/v1 ClusterRoleBinding clusterrolebindings C",
	"coordination.k8s.io/v1 Lease leases",
	"scheduling.k8s.io/v1 PriorityClass priorityclasses CG",
	"storage.k8s.io/v1 StorageClass storageclasses C", "storage.k8s.io/v1 CSIDriver csidrivers C",
	"storage.k8s.io/v1 CSINode csinodes C", "storage.k8s.io/v1 VolumeAttachment volumeattachments CS",
	"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy validatingadmissionpolicies CSG",
	"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding validatingadmissionpolicybindings CG",
	"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration validatingwebhookconfigurations CG",
	"admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutatingwebhookconfigurations CG",
	"apiextensions.k8s.io/v1 CustomResourceDefinition customresourcedefinitions CSG",
	"apiregistration.k8s.io/v1 APIService apiservices CSU",
	"crossfade.dev/v1alpha1 Cluster clusters SG", "crossfade.dev/v1alpha1 Migration migrations SG",
	"crossfade.dev/v1alpha1 Move moves SG", "crossfade.dev/v1alpha1 Freeze freezes SG",
	"crossfade.dev/v1alpha1 Ledger ledgers G",
}

func builtinKinds() map[schema.GroupKind]*kind {
	kinds := map[schema.GroupKind]*kind{}
	for _, line := range builtin {
		f := append(strings.Fields(line), "")
		gv, err := schema.ParseGroupVersion(f[0])
		if err != nil {
			panic(err)
		}
		k := &kind{
			GroupVersionKind: gv.WithKind(f[1]), resource: f[2],
			namespaced: !strings.Contains(f[3], "C"), status: strings.Contains(f[3], "S"),
			generation: strings.Contains(f[3], "G"), typed: !strings.Contains(f[3], "U"),
		}
		kinds[k.GroupKind()] = k
	}
	return kinds
}

// definedKind is the kind that a CustomResourceDefinition makes the cluster serve.
func definedKind(crd *apiextensionsv1.CustomResourceDefinition) *kind {
	k := &kind{
		resource: crd.Spec.Names.Plural, generation: true,
		namespaced: crd.Spec.Scope == apiextensionsv1.NamespaceScoped,
	}
	for _, v := range crd.Spec.Versions {
		if v.Storage {
			k.GroupVersionKind = schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}
			k.status = v.Subresources != nil && v.Subresources.Status != nil
		}
	}
	k.typed = cluster.Scheme().Recognizes(k.GroupVersionKind)
	return k
}

// kindOf finds the kind of obj, or of the items of a list. The error is a
// meta.NoKindMatchError when the cluster does not serve it in that version.
func (c *Cluster) kindOf(obj runtime.Object) (*kind, error) {
	gvk, err := apiutil.GVKForObject(obj, cluster.Scheme())
	if err != nil {
		return nil, err
	}
	if _, isList := obj.(client.ObjectList); isList {
		gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	}
	if k := c.kinds[gvk.GroupKind()]; k != nil && k.Version == gvk.Version {
		return k, nil
	}
	return nil, &meta.NoKindMatchError{GroupKind: gvk.GroupKind(), SearchedVersions: []string{gvk.Version}}
}

// stored returns a copy of obj in the form in which its kind is stored.
func (k *kind) stored(obj client.Object) (client.Object, error) {
	var out client.Object
	switch in := obj.(type) {
	case *metav1.PartialObjectMetadata:
		return nil, fmt.Errorf("write %s: metadata alone is not an object", k.Kind)
	case *unstructured.Unstructured:
		if !k.typed {
			return in.DeepCopy(), nil
		}
		typed, err := cluster.Scheme().New(k.GroupVersionKind)
		if err != nil {
			return nil, err
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(in.Object, typed); err != nil {
			return nil, fmt.Errorf("read the fields of %s %s: %w", k.Kind, in.GetName(), err)
		}
		out = typed.(client.Object)
	default:
		out = obj.DeepCopyObject().(client.Object)
	}
	out.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return out, nil
}

// public lists the kind as cluster.Facts tells it.
func (k *kind) public() cluster.Kind {
	return cluster.Kind{
		GroupVersionKind: k.GroupVersionKind, Versions: []string{k.Version}, Resource: k.resource, Namespaced: k.namespaced, Status: k.status,
		Verbs: []string{"create", "delete", "get", "list", "patch", "update", "watch"},
	}
}

func byGroupKind(a, b cluster.Kind) int {
	return slices.Compare([]string{a.Group, a.Kind}, []string{b.Group, b.Kind})
}
