package ingress

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"

	netv1 "k8s.io/api/networking/v1"
)

// otherHosts labels, in metrics, what matched no rule with a host.
const otherHosts = "_"

// A table says where requests go. It never changes once it is in use.
type table struct {
	hosts map[string][]route // by host, "*.example.com", or "" for rules without one
	// certificates names the Secrets for TLS by host, in the same form.
	certificates map[string]string
}

// A route leads one path of a host to a backend.
type route struct {
	path    string // "" is the default backend, which takes what nothing else takes
	exact   bool
	backend *backend
}

// routes makes a table from Ingresses of any class. Where two say the same, the
// older one holds (then the one whose name sorts first).
func routes(ingresses []*netv1.Ingress, backendFor func(backendKey) *backend) *table {
	ingresses = slices.SortedFunc(slices.Values(ingresses), older)
	t := &table{hosts: map[string][]route{}, certificates: map[string]string{}}
	for _, ingress := range ingresses {
		t.addRules(ingress, backendFor)
		t.addCertificates(ingress)
	}
	for host := range t.hosts {
		slices.SortStableFunc(t.hosts[host], byPrecedence)
	}
	return t
}

func older(a, b *netv1.Ingress) int {
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// byPrecedence puts longer paths first, and Exact before Prefix.
func byPrecedence(a, b route) int {
	if n := cmp.Compare(len(b.path), len(a.path)); n != 0 {
		return n
	}
	switch {
	case a.exact && !b.exact:
		return -1
	case b.exact && !a.exact:
		return 1
	}
	return 0
}

func (t *table) addRules(ingress *netv1.Ingress, backendFor func(backendKey) *backend) {
	speaks := annotatedProtocol(ingress.Annotations)
	lead := func(b *netv1.IngressBackend) *backend {
		if b == nil || b.Service == nil {
			return nil
		}
		port := b.Service.Port.Name
		if port == "" {
			port = strconv.Itoa(int(b.Service.Port.Number))
		}
		return backendFor(backendKey{ingress.Namespace + "/" + b.Service.Name, port, speaks})
	}
	byDefault := lead(ingress.Spec.DefaultBackend)
	if byDefault != nil && len(ingress.Spec.Rules) == 0 {
		t.hosts[""] = append(t.hosts[""], route{backend: byDefault})
	}
	for _, rule := range ingress.Spec.Rules {
		host := strings.ToLower(rule.Host)
		if rule.HTTP != nil {
			for _, path := range rule.HTTP.Paths {
				to := lead(&path.Backend)
				if to == nil {
					continue
				}
				exact := path.PathType != nil && *path.PathType == netv1.PathTypeExact
				t.hosts[host] = append(t.hosts[host], route{cmp.Or(path.Path, "/"), exact, to})
			}
		}
		if byDefault != nil {
			t.hosts[host] = append(t.hosts[host], route{backend: byDefault})
		}
	}
}

func (t *table) addCertificates(ingress *netv1.Ingress) {
	for _, section := range ingress.Spec.TLS {
		if section.SecretName == "" {
			continue
		}
		hosts := section.Hosts
		if len(hosts) == 0 {
			for _, rule := range ingress.Spec.Rules {
				hosts = append(hosts, rule.Host)
			}
		}
		for _, host := range hosts {
			host = strings.ToLower(host)
			if t.certificates[host] == "" {
				t.certificates[host] = ingress.Namespace + "/" + section.SecretName
			}
		}
	}
}

// match returns the backend for a request and the host of the rule that says so;
// nil if no rule does. Rules for the very host come before those for its wildcard,
// and those before rules without a host.
func (t *table) match(host, path string) (string, *backend) {
	for _, candidate := range candidates(host) {
		for _, route := range t.hosts[candidate] {
			if route.matches(path) {
				return cmp.Or(candidate, otherHosts), route.backend
			}
		}
	}
	return otherHosts, nil
}

// candidates are the forms under which a host may be in a rule: itself, with its
// first label replaced (a wildcard covers exactly one), and none.
func candidates(host string) []string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if _, rest, found := strings.Cut(host, "."); found {
		return []string{host, "*." + rest, ""}
	}
	return []string{host, ""}
}

// matches compares by path elements: /foo is a prefix of /foo/bar and not of
// /foobar (Ingress API). ImplementationSpecific is Prefix here.
func (r route) matches(path string) bool {
	switch {
	case r.path == "":
		return true
	case r.exact:
		return path == r.path
	}
	prefix := strings.TrimSuffix(r.path, "/")
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/' || prefix == "")
}

// annotatedProtocol reads what an Ingress says of its backends in the annotations
// of controllers in wide use.
func annotatedProtocol(annotations map[string]string) protocol {
	for _, key := range []string{
		"crossfade.dev/backend-protocol",
		"nginx.ingress.kubernetes.io/backend-protocol",
		"traefik.ingress.kubernetes.io/service.serversscheme",
		"alb.ingress.kubernetes.io/backend-protocol-version",
	} {
		switch strings.ToUpper(annotations[key]) {
		case "GRPC", "H2C", "HTTP2":
			return h2c
		case "HTTPS":
			return https
		case "GRPCS":
			return grpcsTLS
		case "HTTP", "HTTP1":
			return http1
		}
	}
	return ""
}
