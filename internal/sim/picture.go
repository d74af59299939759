package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/dns"
	dnsmemory "crossfade.dev/internal/dns/memory"
	"crossfade.dev/internal/object"
	"crossfade.dev/internal/zone"
)

// A picture is both sides and every zone as a person would find them.
type picture struct {
	objects map[v1.Side]map[string]*unstructured.Unstructured // by kind, namespace and name
	zones   map[string][]dns.RecordSet
}

// pictured are the kinds that people make, and those in which an engine would
// leave something behind.
var pictured = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Namespace"}, {Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Secret"},
	{Version: "v1", Kind: "ServiceAccount"}, {Version: "v1", Kind: "Service"},
	{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "batch", Version: "v1", Kind: "CronJob"},
	{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
	{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"}, {Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "Role"}, {Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "RoleBinding"},
	{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingAdmissionPolicy"},
	{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingAdmissionPolicyBinding"},
	{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
}

func nameIn(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

// look takes a picture.
func (w *world) look(ctx context.Context) (picture, error) {
	p := picture{objects: map[v1.Side]map[string]*unstructured.Unstructured{}, zones: map[string][]dns.RecordSet{}}
	for _, side := range []v1.Side{v1.Source, v1.Target} {
		p.objects[side] = map[string]*unstructured.Unstructured{}
		for _, kind := range pictured {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
			if err := outside(w.cluster(side), "eyes").List(ctx, list); err != nil {
				return p, fmt.Errorf("look at %s of the %s: %w", kind.Kind, side, err)
			}
			for i := range list.Items {
				obj := &list.Items[i]
				obj.SetGroupVersionKind(kind)
				if kind.Kind == "EndpointSlice" && obj.GetLabels()["endpointslice.kubernetes.io/managed-by"] != bridge.ManagedBy {
					continue
				}
				object.Reduce(obj)
				p.objects[side][nameIn(kind.Kind, obj.GetNamespace(), obj.GetName())] = obj
			}
		}
	}
	w.names.person = true
	defer func() { w.names.person = false }()
	for name, at := range map[string]struct {
		service *dnsmemory.Service
		zone    string
	}{"old": {w.names.old, zoneName}, "new": {w.names.fresh, zoneName}, "parent": {w.names.parent, parentName}} {
		sets, err := at.service.RecordSets(ctx, at.zone)
		if err != nil {
			return p, err
		}
		p.zones[name] = sets
	}
	return p, nil
}

// differ says how two sets of objects differ, as one line each.
func differ(where string, want, have map[string]*unstructured.Unstructured) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] == nil {
			out = append(out, fmt.Sprintf("%s: %s is missing", where, name))
			continue
		}
		for _, d := range object.Diff(want[name], have[name]) {
			out = append(out, fmt.Sprintf("%s: %s: %s", where, name, d))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if want[name] == nil {
			out = append(out, fmt.Sprintf("%s: %s was left", where, name))
		}
	}
	return out
}

func differInNames(where string, want, have []dns.RecordSet) []string {
	var out []string
	for _, d := range zone.Diff(want, have) {
		out = append(out, fmt.Sprintf("%s: %s", where, d))
	}
	return out
}
