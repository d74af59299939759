// Package census reads a whole cluster once, for a plan: one list for each kind, in
// pages, and nothing else. It writes nothing; access reviews, which are asked by
// creating an object that is not kept, are the only requests that look like writes.
//
// What cannot be read is noted and the census goes on: a plan says what it could not
// see.
package census

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
)

// pageSize is how many objects one answer holds; lists is how many kinds are read at
// the same time.
const (
	pageSize = 500
	lists    = 6
)

// typed holds, by group and resource, the lists that are read by type, and so as
// protobuf, which costs a fifth of JSON.
var typed = map[schema.GroupResource]func() client.ObjectList{
	{Group: "apps", Resource: "deployments"}:                                             of[appsv1.DeploymentList],
	{Group: "apps", Resource: "statefulsets"}:                                            of[appsv1.StatefulSetList],
	{Group: "apps", Resource: "daemonsets"}:                                              of[appsv1.DaemonSetList],
	{Group: "apps", Resource: "replicasets"}:                                             of[appsv1.ReplicaSetList],
	{Group: "batch", Resource: "cronjobs"}:                                               of[batchv1.CronJobList],
	{Group: "batch", Resource: "jobs"}:                                                   of[batchv1.JobList],
	{Resource: "pods"}:                                                                   of[corev1.PodList],
	{Resource: "services"}:                                                               of[corev1.ServiceList],
	{Resource: "namespaces"}:                                                             of[corev1.NamespaceList],
	{Resource: "configmaps"}:                                                             of[corev1.ConfigMapList],
	{Resource: "secrets"}:                                                                of[corev1.SecretList],
	{Resource: "serviceaccounts"}:                                                        of[corev1.ServiceAccountList],
	{Resource: "persistentvolumeclaims"}:                                                 of[corev1.PersistentVolumeClaimList],
	{Resource: "persistentvolumes"}:                                                      of[corev1.PersistentVolumeList],
	{Resource: "nodes"}:                                                                  of[corev1.NodeList],
	{Resource: "resourcequotas"}:                                                         of[corev1.ResourceQuotaList],
	{Resource: "limitranges"}:                                                            of[corev1.LimitRangeList],
	{Group: "networking.k8s.io", Resource: "ingresses"}:                                  of[netv1.IngressList],
	{Group: "networking.k8s.io", Resource: "ingressclasses"}:                             of[netv1.IngressClassList],
	{Group: "networking.k8s.io", Resource: "networkpolicies"}:                            of[netv1.NetworkPolicyList],
	{Group: "autoscaling", Resource: "horizontalpodautoscalers"}:                         of[autoscalingv2.HorizontalPodAutoscalerList],
	{Group: "policy", Resource: "poddisruptionbudgets"}:                                  of[policyv1.PodDisruptionBudgetList],
	{Group: "storage.k8s.io", Resource: "storageclasses"}:                                of[storagev1.StorageClassList],
	{Group: "scheduling.k8s.io", Resource: "priorityclasses"}:                            of[schedulingv1.PriorityClassList],
	{Group: "coordination.k8s.io", Resource: "leases"}:                                   of[coordinationv1.LeaseList],
	{Group: "rbac.authorization.k8s.io", Resource: "roles"}:                              of[rbacv1.RoleList],
	{Group: "rbac.authorization.k8s.io", Resource: "rolebindings"}:                       of[rbacv1.RoleBindingList],
	{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}:                       of[rbacv1.ClusterRoleList],
	{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}:                of[rbacv1.ClusterRoleBindingList],
	{Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations"}: of[admissionv1.ValidatingWebhookConfigurationList],
	{Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations"}:   of[admissionv1.MutatingWebhookConfigurationList],
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}:               of[apiextensionsv1.CustomResourceDefinitionList],
	{Group: "flowcontrol.apiserver.k8s.io", Resource: "flowschemas"}:                     of[flowcontrolv1.FlowSchemaList],
	{Group: "flowcontrol.apiserver.k8s.io", Resource: "prioritylevelconfigurations"}:     of[flowcontrolv1.PriorityLevelConfigurationList],
}

func of[T any, P interface {
	*T
	client.ObjectList
}]() client.ObjectList {
	return P(new(T))
}

// passing are resources of which a plan needs nothing: others make them again.
var passing = []string{"events", "endpoints", "endpointslices", "controllerrevisions", "componentstatuses", "volumeattachments", "csinodes", "bindings", "podtemplates",
	"validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "servicecidrs", "ipaddresses",
	"csidrivers", "csistoragecapacities", "runtimeclasses", "certificatesigningrequests", "storageversions", "storageversionmigrations", "resourceslices", "deviceclasses", "volumeattributesclasses"}

// Take reads a cluster. The side's Address, CA, Issuer and Level are left to whoever
// has the connection. The error is that of ctx; everything else becomes Unseen.
func Take(ctx context.Context, api client.Reader, facts cluster.Facts, name string) (finding.Side, error) {
	side := finding.Side{Name: name, Present: map[schema.GroupVersionKind]int{}}
	kinds, err := facts.Kinds(ctx)
	if err != nil {
		side.Unseen = append(side.Unseen, finding.Unseen{Verb: "discover", Resource: "kinds", Why: why(err)})
		kinds = fallback()
	} else {
		side.Serves = map[schema.GroupVersionKind]bool{}
		for _, k := range kinds {
			side.Serves[k.GroupVersionKind] = true
		}
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	seats := make(chan struct{}, lists)
	for _, k := range wanted(kinds) {
		group.Go(func() {
			seats <- struct{}{}
			defer func() { <-seats }()
			found, err := list(ctx, api, k)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				side.Unseen = append(side.Unseen, finding.Unseen{Verb: "list", Resource: k.Resource, Why: why(err)})
			}
			if found.count > 0 {
				side.Present[k.GroupVersionKind] = found.count
			}
			for _, obj := range found.objects {
				side.Objects.Add(obj)
			}
		})
	}
	group.Wait()
	slices.SortFunc(side.Unseen, func(a, b finding.Unseen) int { return strings.Compare(a.Verb+a.Resource, b.Verb+b.Resource) })
	return side, ctx.Err()
}

func why(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return "forbidden"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// fallback are the kinds that are tried when discovery fails.
func fallback() []cluster.Kind {
	var out []cluster.Kind
	for gr, list := range typed {
		gvks, _, err := cluster.Scheme().ObjectKinds(list())
		if err != nil {
			continue
		}
		kind := strings.TrimSuffix(gvks[0].Kind, "List")
		out = append(out, cluster.Kind{GroupVersionKind: gvks[0].GroupVersion().WithKind(kind), Resource: gr.Resource, Verbs: []string{"list"}})
	}
	return out
}

// wanted are the kinds that are listed.
func wanted(kinds []cluster.Kind) []cluster.Kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k cluster.Kind) bool {
		builtIn := !strings.Contains(k.Group, ".") || strings.HasSuffix(k.Group, ".k8s.io")
		return !slices.Contains(k.Verbs, "list") || builtIn && slices.Contains(passing, k.Resource) || k.Group == "metrics.k8s.io"
	})
}

// a yield is what one kind gave.
type yield struct {
	objects []plan.Object
	count   int
}

// list reads one kind, page by page. A list whose continuation has expired is not
// begun anew: what is missing then is said.
func list(ctx context.Context, api client.Reader, k cluster.Kind) (yield, error) {
	var out yield
	next := ""
	for {
		into := fresh(k)
		if err := api.List(ctx, into, client.Limit(pageSize), client.Continue(next)); err != nil {
			return out, err
		}
		err := meta.EachListItem(into, func(item runtime.Object) error {
			out.count++
			if obj := kept(item, k.GroupVersionKind); obj != nil {
				out.objects = append(out.objects, obj)
			}
			return nil
		})
		if err != nil {
			return out, fmt.Errorf("read a page: %w", err)
		}
		if next = into.GetContinue(); next == "" {
			return out, nil
		}
	}
}

func fresh(k cluster.Kind) client.ObjectList {
	if newList := typed[schema.GroupResource{Group: k.Group, Resource: k.Resource}]; newList != nil {
		return newList()
	}
	u := &unstructured.UnstructuredList{}
	u.SetGroupVersionKind(k.GroupVersion().WithKind(k.Kind + "List"))
	return u
}

// kept is an object as a plan keeps it, nil if it needs nothing of it.
func kept(item runtime.Object, gvk schema.GroupVersionKind) plan.Object {
	obj, ok := item.(plan.Object)
	if !ok {
		return nil
	}
	fields := obj.GetManagedFields()
	for i := range fields {
		fields[i].FieldsV1 = nil
	}
	obj.SetManagedFields(fields)
	switch o := obj.(type) {
	case *corev1.Pod:
		if metav1.GetControllerOf(o) != nil {
			return nil
		}
	case *appsv1.ReplicaSet:
		if metav1.GetControllerOf(o) != nil {
			return nil
		}
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	return obj
}
