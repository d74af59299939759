package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A pin is how a controller of Ingresses or load balancers is told by an annotation
// to lead a client to the same pod. The setting is on if its value has one of the
// words, or, without words, is not off.
type pin struct {
	controller, key string
	words           []string
}

// sticky lists the annotations of Ingresses and Services that pin clients, after the
// controllers' documentation.
var sticky = []pin{
	{"ingress-nginx", "nginx.ingress.kubernetes.io/affinity", []string{"cookie"}},
	{"ingress-nginx", "nginx.ingress.kubernetes.io/upstream-hash-by", nil},
	{"ingress-nginx", "nginx.ingress.kubernetes.io/load-balance", []string{"ip_hash"}},
	{"NGINX", "nginx.org/sticky-cookie-services", nil},
	{"NGINX", "nginx.com/sticky-cookie-services", nil},
	{"NGINX", "nginx.org/lb-method", []string{"hash"}},
	{"Higress", "higress.io/affinity", []string{"cookie"}},
	{"Higress", "higress.io/upstream-hash-by", nil},
	{"Traefik", "traefik.ingress.kubernetes.io/service.sticky.cookie", nil},
	{"Traefik", "traefik.ingress.kubernetes.io/service.sticky", nil},
	{"Traefik", "traefik.ingress.kubernetes.io/affinity", nil},
	{"Traefik", "traefik.backend.loadbalancer.sticky", nil},
	{"Traefik", "traefik.backend.loadbalancer.stickiness", nil},
	{"HAProxy", "haproxy.org/cookie-persistence", nil},
	{"HAProxy", "haproxy.org/load-balance", []string{"source", "hdr(", "uri", "url_param", "rdp-cookie"}},
	{"HAProxy", "haproxy.com/cookie-persistence", nil},
	{"HAProxy Ingress", "haproxy-ingress.github.io/affinity", []string{"cookie"}},
	{"HAProxy Ingress", "haproxy-ingress.github.io/balance-algorithm", []string{"source", "hdr(", "uri"}},
	{"HAProxy Ingress", "ingress.kubernetes.io/affinity", []string{"cookie"}},
	{"HAProxy Ingress", "ingress.kubernetes.io/balance-algorithm", []string{"source"}},
	{"OpenShift", "haproxy.router.openshift.io/balance", []string{"source"}},
	{"Voyager", "ingress.appscode.com/affinity", []string{"cookie"}},
	{"AWS", "alb.ingress.kubernetes.io/target-group-attributes", []string{"stickiness.enabled=true"}},
	{"AWS", "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes", []string{"stickiness.enabled=true"}},
	{"Azure", "appgw.ingress.kubernetes.io/cookie-based-affinity", []string{"true"}},
	{"Google", "cloud.google.com/backend-config", []string{"sticky", "affinity", "session"}},
	{"Google", "beta.cloud.google.com/backend-config", []string{"sticky", "affinity", "session"}},
	{"DigitalOcean", "service.beta.kubernetes.io/do-loadbalancer-sticky-sessions-type", []string{"cookies"}},
	{"DigitalOcean", "kubernetes.digitalocean.com/load-balancer-sticky-sessions-type", []string{"cookies"}},
	{"Scaleway", "service.beta.kubernetes.io/scw-loadbalancer-sticky-sessions", []string{"cookie", "table"}},
	{"Hetzner", "load-balancer.hetzner.cloud/http-sticky-sessions", []string{"true"}},
	{"Vultr", "service.beta.kubernetes.io/vultr-loadbalancer-sticky-session-enabled", []string{"on", "true"}},
	{"Exoscale", "service.beta.kubernetes.io/exoscale-loadbalancer-service-strategy", []string{"source-hash"}},
	{"Alibaba", "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-sticky-session", []string{"on"}},
	{"Alibaba", "service.beta.kubernetes.io/alicloud-loadbalancer-sticky-session", []string{"on"}},
	{"Alibaba", "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-persistence-timeout", nil},
	{"Alibaba", "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-scheduler", []string{"sch", "tch"}},
	{"Alibaba", "alb.ingress.kubernetes.io/sticky-session", []string{"true"}},
	{"Huawei", "kubernetes.io/elb.session-affinity-mode", []string{"SOURCE_IP", "COOKIE"}},
	{"Huawei", "kubernetes.io/elb.session-affinity-flag", []string{"on"}},
	{"Huawei", "kubernetes.io/elb.lb-algorithm", []string{"SOURCE_IP"}},
	{"Tencent", "service.cloud.tencent.com/session-expire-time", nil},
	{"Tencent", "ingress.cloud.tencent.com/session-expire-time", nil},
	{"Oracle", "oci.oraclecloud.com/loadbalancer-policy", []string{"IP_HASH"}},
	{"Oracle", "service.beta.kubernetes.io/oci-load-balancer-policy", []string{"IP_HASH"}},
	{"Oracle", "oci-native-ingress.oraclecloud.com/policy", []string{"IP_HASH"}},
	{"OpenStack", "loadbalancer.openstack.org/lb-method", []string{"SOURCE_IP"}},
	{"IBM", "ingress.bluemix.net/sticky-cookie-services", nil},
	{"Citrix", "ingress.citrix.com/lbvserver", []string{"COOKIEINSERT", "SOURCEIP", "RULE", "cookieinsert", "sourceip"}},
	{"Citrix", "service.citrix.com/lbvserver", []string{"COOKIEINSERT", "SOURCEIP", "cookieinsert", "sourceip"}},
	{"F5", "virtual-server.f5.com/balance", []string{"source", "cookie", "hash"}},
	{"F5", "virtual-server.f5.com/persistence", nil},
	{"Kong", "konghq.com/hash-on", nil},
	{"Kong", "konghq.com/upstream-policy", []string{"sticky", "affinity", "session", "hash"}},
	{"Kong", "configuration.konghq.com", []string{"sticky", "affinity", "session-hash", "hash"}},
	{"Ambassador", "getambassador.io/config", []string{"ring_hash", "maglev"}},
	{"Skipper", "zalando.org/skipper-loadbalancer", []string{"consistentHash"}},
	{"Contour", "projectcontour.io/load-balancer-policy", []string{"Cookie", "RequestHash"}},
	{"APISIX", "k8s.apisix.apache.org/lb-type", []string{"chash"}},
	{"Linode", "service.beta.kubernetes.io/linode-loadbalancer-default-stickiness", []string{"table", "http_cookie"}},
}

// awsActions begin the actions of the AWS load balancer controller, which
// are JSON.
const awsActions = "alb.ingress.kubernetes.io/actions."

// stickyIn is the annotation that pins clients, "" if none does.
func stickyIn(annotations map[string]string) string {
	for _, p := range sticky {
		if value, set := annotations[p.key]; set && p.on(value) {
			return p.key + "=" + value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		value := annotations[key]
		switch {
		case strings.HasPrefix(key, awsActions) && strings.Contains(strings.ReplaceAll(value, " ", ""), `"targetGroupStickinessConfig":{"enabled":true`),
			unlisted(key) && !off(value) && value != "" && !off(annotations[strings.TrimSuffix(key, "-type")]):
			return key + "=" + value
		}
	}
	return ""
}

func (p pin) on(value string) bool {
	if off(value) || value == "" {
		return false
	}
	return len(p.words) == 0 || slices.ContainsFunc(p.words, func(word string) bool { return strings.Contains(value, word) })
}

// unlisted tells whether an annotation of a controller that the list does not know
// switches stickiness on, by its name: not one that only says how long or by what name.
func unlisted(key string) bool {
	if slices.ContainsFunc(sticky, func(p pin) bool { return p.key == key }) {
		return false
	}
	for _, name := range []string{"/sticky-sessions", "/sticky-session", "/session-affinity", "/session-persistence", "-sticky-sessions", "-sticky-session", "-sticky-sessions-type", "-sticky-session-type", "-sticky-session-enabled",
		"-sticky-sessions-enabled", "-session-affinity", "-session-persistence", "-session-persistence-type", "/stickiness", "-stickiness", "/sticky"} {
		if strings.HasSuffix(key, name) {
			return true
		}
	}
	return false
}

func seeAffinity(s *subject) string {
	w, c := s.w, s.around
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
