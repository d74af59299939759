package estate

import (
	"cmp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A Kind is a way of asking under a name.
type Kind string

const (
	// Get is a plain GET of the name's path.
	Get Kind = "get"
	// Write is numbered writes, read back later: POST {"id"} to /v1/events, and
	// GET of /v1/events/{id}.
	Write Kind = "write"
	// Player follows the live stream whose playlist is at the name's PlaylistPath.
	Player Kind = "player"
	// Slow is a GET with `delay=2s`, for pods whose grace period leaves time to
	// finish it.
	Slow Kind = "slow"
)

// slowGraceSeconds is the grace period from which on slow requests are fair.
const slowGraceSeconds = 30

// A Name is a URL under which the estate is asked. A host with several paths has a
// Name for each.
type Name struct {
	Host   string `json:"host"` // absolute, without the final dot
	Scheme string `json:"scheme"`
	Port   int32  `json:"port"`
	Path   string `json:"path"`
	// PlaylistPath is set where there is a live stream.
	PlaylistPath string `json:"playlistPath,omitempty"`
	// Kinds is empty when the host has to lead somewhere, but nothing that speaks
	// HTTP stands behind it.
	Kinds []Kind `json:"kinds,omitempty"`
	// Entry is the object whose address the host has to lead to.
	Entry Entry `json:"entry"`
	// Service is the Service in Entry's namespace that answers.
	Service string `json:"service"`
}

// An Entry is an Ingress, or a Service of type LoadBalancer.
type Entry struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Names returns the public names of objects under zone: the hosts of Ingresses,
// and one for each Service of type LoadBalancer, which is the one that its
// external-dns annotation asks for, or is made up from its own name. Hosts outside
// the zone are left out. An Ingress without a host gets one that is made up.
func Names(objects []*unstructured.Unstructured, zone string) []Name {
	return survey(objects).names(zone)
}

func (s *standing) names(zone string) []Name {
	hosts := newHosts(zone)
	hosts.take(s)

	var names []Name
	for _, service := range s.balancers() {
		names = append(names, s.balancerName(service, hosts.ofBalancer(service)))
	}
	for _, ingress := range s.ingresses {
		names = append(names, s.ingressNames(ingress, hosts)...)
	}
	slices.SortStableFunc(names, func(a, b Name) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Path, b.Path))
	})
	return names
}

func (s *standing) ingressNames(ingress *networkingv1.Ingress, hosts *hosts) []Name {
	entry := Entry{"Ingress", ingress.Namespace, ingress.Name}
	var names []Name
	for _, led := range leads(ingress) {
		host, known := hosts.ofRule(ingress, led.host)
		if !known {
			continue
		}
		names = append(names, s.name(host, led.path, 80, entry, led.service))
	}
	return names
}

// A lead is one way through an Ingress.
type lead struct {
	host    string // as it stands in the rule
	path    string
	service string
}

func leads(ingress *networkingv1.Ingress) []lead {
	var all []lead
	for _, rule := range ingress.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			if path.Backend.Service != nil {
				all = append(all, lead{rule.Host, askable(path), path.Backend.Service.Name})
			}
		}
	}
	if backend := ingress.Spec.DefaultBackend; len(all) == 0 && backend != nil && backend.Service != nil {
		all = append(all, lead{"", "/", backend.Service.Name})
	}
	return all
}

// askable is a URL path that the rule's path matches. A path whose matching is up
// to the controller may be a pattern: what comes before its first special
// character is asked.
func askable(path networkingv1.HTTPIngressPath) string {
	text := path.Path
	if path.PathType != nil && *path.PathType == networkingv1.PathTypeImplementationSpecific {
		if i := strings.IndexAny(text, "(*[.?+|$^\\"); i >= 0 {
			text = text[:i]
		}
	}
	if !strings.HasPrefix(text, "/") {
		return "/" + text
	}
	return text
}

// name decides how service, which answers under host and path, can be asked.
func (s *standing) name(host, path string, port int32, entry Entry, service string) Name {
	name := Name{Host: host, Scheme: "http", Port: port, Path: path, Entry: entry, Service: service}
	w, found := s.behind(entry.Namespace, service)
	if !found || w.replicas == 0 {
		return name
	}
	if entry.Kind == "Ingress" && !s.leadsToHTTP(entry.Namespace, service) {
		return name
	}
	name.Kinds = []Kind{Get}
	switch w.image {
	case Web.Image():
		name.Kinds = append(name.Kinds, Write)
	case Origin.Image():
		name.Kinds = append(name.Kinds, Player)
		name.PlaylistPath = "/live/playlist.m3u8"
		name.Path = name.PlaylistPath
	}
	if w.graceSeconds >= slowGraceSeconds {
		name.Kinds = append(name.Kinds, Slow)
	}
	return name
}
