package plan

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// sticky lists the annotations of Ingresses and Services by which their controllers
// pin a client to a pod, and the value that does it ("" is any but off).
var sticky = []struct{ key, value string }{
	{"nginx.ingress.kubernetes.io/affinity", "cookie"},
	{"nginx.ingress.kubernetes.io/upstream-hash-by", ""},
	{"nginx.org/sticky-cookie-services", ""},
	{"traefik.ingress.kubernetes.io/service.sticky.cookie", ""},
	{"traefik.ingress.kubernetes.io/affinity", ""},
	{"haproxy.org/cookie-persistence", ""},
	{"haproxy-ingress.github.io/affinity", "cookie"},
	{"ingress.kubernetes.io/affinity", "cookie"},
	{"appgw.ingress.kubernetes.io/cookie-based-affinity", ""},
	{"alb.ingress.kubernetes.io/target-group-attributes", "stickiness.enabled=true"},
	{"service.beta.kubernetes.io/aws-load-balancer-target-group-attributes", "stickiness.enabled=true"},
	{"konghq.com/hash-on", ""},
}

func stickyIn(annotations map[string]string) string {
	for _, s := range sticky {
		value, set := annotations[s.key]
		if set && !off(value) && strings.Contains(value, s.value) {
			return s.key + "=" + value
		}
	}
	return ""
}

func seeAffinity(_ shape, w Workload, c context) string {
	if len(w.Services) == 0 {
		return ""
	}
	for _, svc := range c.servicesNamed(w) {
		if svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
			return fmt.Sprintf("Service %s pins clients to pods (sessionAffinity ClientIP)", svc.Name)
		}
		if said := stickyIn(svc.Annotations); said != "" {
			return fmt.Sprintf("Service %s pins clients to pods (%s)", svc.Name, said)
		}
	}
	for _, i := range c.ingressesTo(w) {
		if said := stickyIn(i.Annotations); said != "" {
			return fmt.Sprintf("Ingress %s pins clients to pods (%s)", i.Name, said)
		}
	}
	for _, u := range c.affinities[w.Namespace] {
		if pins(u, w.Services) {
			return fmt.Sprintf("%s %s pins clients to pods", u.GetKind(), u.GetName())
		}
	}
	return ""
}

// pins tells whether a routing object of a mesh or gateway pins clients of one of
// the Services.
func pins(u *unstructured.Unstructured, services []string) bool {
	if u.GetKind() == "DestinationRule" {
		host, _, _ := unstructured.NestedString(u.Object, "spec", "host")
		hash, _, _ := unstructured.NestedMap(u.Object, "spec", "trafficPolicy", "loadBalancer", "consistentHash")
		return len(hash) > 0 && named(host, services)
	}
	rules, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
	for _, r := range rules {
		rule, ok := r.(map[string]any)
		if !ok || rule["sessionPersistence"] == nil {
			continue
		}
		refs, _, _ := unstructured.NestedSlice(rule, "backendRefs")
		for _, ref := range refs {
			if m, ok := ref.(map[string]any); ok {
				if name, _ := m["name"].(string); named(name, services) {
					return true
				}
			}
		}
	}
	return false
}

// named tells whether a host's first label is one of the names.
func named(host string, names []string) bool {
	first, _, _ := strings.Cut(host, ".")
	for _, n := range names {
		if n == first {
			return true
		}
	}
	return false
}
