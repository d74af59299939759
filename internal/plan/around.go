package plan

import (
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// context answers what stands around a workload, by namespace.
type context struct {
	services    map[string][]*corev1.Service
	ingresses   map[string][]*netv1.Ingress
	leases      map[string][]*coordinationv1.Lease
	triggers    map[string][]*unstructured.Unstructured
	affinities  map[string][]*unstructured.Unstructured
	autoscalers map[string]string
}

func newContext(o Objects) context {
	c := context{
		services: map[string][]*corev1.Service{}, autoscalers: map[string]string{},
		ingresses: byNamespace(o.Ingresses), leases: byNamespace(o.Leases),
		triggers: map[string][]*unstructured.Unstructured{}, affinities: map[string][]*unstructured.Unstructured{},
	}
	for _, s := range o.Services {
		if len(s.Spec.Selector) > 0 {
			c.services[s.Namespace] = append(c.services[s.Namespace], s)
		}
	}
	for _, h := range o.Autoscalers {
		ref := h.Spec.ScaleTargetRef
		c.autoscalers[ref.Kind+"/"+h.Namespace+"/"+ref.Name] = h.Name
	}
	for _, u := range o.Others {
		switch u.GetKind() {
		case "ScaledObject", "ScaledJob":
			c.triggers[u.GetNamespace()] = append(c.triggers[u.GetNamespace()], u)
		case "DestinationRule", "HTTPRoute", "BackendTrafficPolicy":
			c.affinities[u.GetNamespace()] = append(c.affinities[u.GetNamespace()], u)
		}
	}
	return c
}

func byNamespace[T Object](all []T) map[string][]T {
	out := map[string][]T{}
	for _, obj := range all {
		out[obj.GetNamespace()] = append(out[obj.GetNamespace()], obj)
	}
	return out
}

// servicesOf names the Services that lead to a workload's pods.
func (c context) servicesOf(s shape) []string {
	var names []string
	for _, svc := range c.services[s.meta.Namespace] {
		if selects(svc.Spec.Selector, s.pod.Labels) {
			names = append(names, svc.Name)
		}
	}
	slices.Sort(names)
	return names
}

// selects tells whether labels have every pair of a Service's selector.
func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if has, found := labels[key]; !found || has != value {
			return false
		}
	}
	return true
}

func (c context) autoscalerOf(s shape) string {
	return c.autoscalers[s.kind+"/"+s.meta.Namespace+"/"+s.meta.Name]
}

// servicesNamed are the Services of a workload themselves.
func (c context) servicesNamed(w Workload) []*corev1.Service {
	var out []*corev1.Service
	for _, svc := range c.services[w.Namespace] {
		if slices.Contains(w.Services, svc.Name) {
			out = append(out, svc)
		}
	}
	return out
}

// ingressesTo are the Ingresses that lead to one of a workload's Services.
func (c context) ingressesTo(w Workload) []*netv1.Ingress {
	var out []*netv1.Ingress
	for _, i := range c.ingresses[w.Namespace] {
		if slices.ContainsFunc(backends(i), func(name string) bool { return slices.Contains(w.Services, name) }) {
			out = append(out, i)
		}
	}
	return out
}

// backends names the Services that an Ingress leads to.
func backends(i *netv1.Ingress) []string {
	var out []string
	add := func(b *netv1.IngressBackend) {
		if b != nil && b.Service != nil {
			out = append(out, b.Service.Name)
		}
	}
	add(i.Spec.DefaultBackend)
	for _, rule := range i.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			add(&path.Backend)
		}
	}
	return out
}
