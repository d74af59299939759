package estate

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// reserved are the first labels that a zone and the platform itself use.
var reserved = []string{"api", "ns", "ns1", "ns2", "ns3", "ns4", "www", "mail"}

const longestLabel = 63 // bytes, RFC 1035 2.3.4

// hosts gives out host names under one zone, each once.
type hosts struct {
	zone  string
	taken map[string]bool
	made  map[string]string // what was made up, by what it is for
}

func newHosts(zone string) *hosts {
	h := &hosts{zone: zone, taken: map[string]bool{}, made: map[string]string{}}
	for _, label := range reserved {
		h.taken[label+"."+zone] = true
	}
	return h
}

// take keeps the hosts that manifests name themselves out of what is made up.
func (h *hosts) take(s *standing) {
	for _, ingress := range s.ingresses {
		for _, rule := range ingress.Spec.Rules {
			h.taken[rule.Host] = true
		}
	}
	for _, service := range s.balancers() {
		if host, found := h.annotated(service); found {
			h.taken[host] = true
		}
	}
}

func (h *hosts) ofBalancer(service *corev1.Service) string {
	if host, found := h.annotated(service); found {
		return host
	}
	return h.makeUp("Service", service.Namespace, service.Name)
}

func (h *hosts) annotated(service *corev1.Service) (string, bool) {
	host, _, _ := strings.Cut(service.Annotations[hostnameNote], ",")
	host = strings.TrimSuffix(strings.TrimSpace(host), ".")
	return host, h.under(host)
}

// ofRule returns the host to ask for a rule of ingress with the given host, and
// whether there is one: a host outside the zone is somebody else's to lead.
func (h *hosts) ofRule(ingress *networkingv1.Ingress, host string) (string, bool) {
	switch {
	case host == "":
		return h.makeUp("Ingress", ingress.Namespace, ingress.Name), true
	case strings.HasPrefix(host, "*."):
		made := hosts{zone: host[2:], taken: h.taken, made: h.made}
		return made.makeUp("Ingress "+host, ingress.Namespace, ingress.Name), h.under(host[2:])
	}
	return host, h.under(host)
}

// under holds for hosts below the zone. The zone itself counts only as the parent
// of a wildcard.
func (h *hosts) under(host string) bool {
	return strings.HasSuffix(host, "."+h.zone) || (host == h.zone && h.zone != "")
}

// makeUp returns the host for an object: <name>.<zone>, or with the namespace or a
// number if somebody has that already. The same object gets the same host again.
func (h *hosts) makeUp(kind, namespace, name string) string {
	key := kind + " " + namespace + "/" + name
	if host, found := h.made[key]; found {
		return host
	}
	name = strings.ReplaceAll(name, ".", "-")
	host := h.join(name)
	if h.taken[host] {
		host = h.join(name + "-" + namespace)
	}
	for n := 2; h.taken[host]; n++ {
		host = h.join(fmt.Sprintf("%d-%s-%s", n, name, namespace))
	}
	h.taken[host], h.made[key] = true, host
	return host
}

func (h *hosts) join(label string) string {
	label = strings.TrimRight(label[:min(len(label), longestLabel)], "-")
	return label + "." + h.zone
}
