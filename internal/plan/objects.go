package plan

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	netv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Objects is what was read of one cluster, in any order. What was not read is
// empty, which by itself does not mean that there is none: see Side.Unseen.
type Objects struct {
	Deployments  []*appsv1.Deployment
	StatefulSets []*appsv1.StatefulSet
	DaemonSets   []*appsv1.DaemonSet
	ReplicaSets  []*appsv1.ReplicaSet
	CronJobs     []*batchv1.CronJob
	Jobs         []*batchv1.Job
	Pods         []*corev1.Pod
	Services     []*corev1.Service
	Ingresses    []*netv1.Ingress
	Autoscalers  []*autoscalingv2.HorizontalPodAutoscaler

	Namespaces      []*corev1.Namespace
	ConfigMaps      []*corev1.ConfigMap
	Secrets         []*corev1.Secret
	ServiceAccounts []*corev1.ServiceAccount
	Claims          []*corev1.PersistentVolumeClaim
	Volumes         []*corev1.PersistentVolume
	StorageClasses  []*storagev1.StorageClass
	Nodes           []*corev1.Node
	Quotas          []*corev1.ResourceQuota
	LimitRanges     []*corev1.LimitRange
	PriorityClasses []*schedulingv1.PriorityClass
	Budgets         []*policyv1.PodDisruptionBudget
	NetworkPolicies []*netv1.NetworkPolicy
	IngressClasses  []*netv1.IngressClass
	Leases          []*coordinationv1.Lease
	Roles           []*rbacv1.Role
	RoleBindings    []*rbacv1.RoleBinding
	ClusterRoles    []*rbacv1.ClusterRole
	ClusterBindings []*rbacv1.ClusterRoleBinding
	Validating      []*admissionv1.ValidatingWebhookConfiguration
	Mutating        []*admissionv1.MutatingWebhookConfiguration
	Definitions     []*apiextensionsv1.CustomResourceDefinition
	FlowSchemas     []*flowcontrolv1.FlowSchema
	PriorityLevels  []*flowcontrolv1.PriorityLevelConfiguration

	// Others are objects of kinds that have no field here: custom resources, and
	// kinds that nobody knows. They are kept and counted.
	Others []*unstructured.Unstructured
}

// An Object is any Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}

// Add puts an object where it belongs.
func (o *Objects) Add(obj Object) {
	for _, f := range o.fields() {
		if f.take(obj) {
			return
		}
	}
}

// Each calls do with every object, kind after kind.
func (o *Objects) Each(do func(Object)) {
	for _, f := range o.fields() {
		f.each(do)
	}
}

// Within is the part of the objects that stands in accepted namespaces, and what
// stands in none.
func (o *Objects) Within(accept func(namespace string) bool) Objects {
	var out Objects
	o.Each(func(obj Object) {
		if ns := obj.GetNamespace(); ns == "" || accept(ns) {
			out.Add(obj)
		}
	})
	return out
}

// A field is one list of Objects.
type field struct {
	take func(Object) bool
	each func(func(Object))
}

// fields lists every list of Objects: the only place that has to know them all.
func (o *Objects) fields() []field {
	return []field{
		of(&o.Pods), of(&o.ConfigMaps), of(&o.Secrets), of(&o.ServiceAccounts), of(&o.Services), of(&o.Deployments),
		of(&o.Others), of(&o.ReplicaSets), of(&o.StatefulSets), of(&o.DaemonSets), of(&o.CronJobs), of(&o.Jobs), of(&o.Ingresses),
		of(&o.Autoscalers), of(&o.Budgets), of(&o.Roles), of(&o.RoleBindings), of(&o.Namespaces), of(&o.Claims), of(&o.Volumes),
		of(&o.StorageClasses), of(&o.Nodes), of(&o.Quotas), of(&o.LimitRanges), of(&o.PriorityClasses), of(&o.NetworkPolicies),
		of(&o.IngressClasses), of(&o.Leases), of(&o.ClusterRoles), of(&o.ClusterBindings), of(&o.Validating), of(&o.Mutating),
		of(&o.Definitions), of(&o.FlowSchemas), of(&o.PriorityLevels),
	}
}

func of[T Object](list *[]T) field {
	return field{
		take: func(obj Object) bool {
			typed, ok := obj.(T)
			if ok {
				*list = append(*list, typed)
			}
			return ok
		},
		each: func(do func(Object)) {
			for _, obj := range *list {
				do(obj)
			}
		},
	}
}
