package estate

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// missingEntries are the Ingresses that objects need to be asked under zone: one
// beside each Ingress with hosts outside it; and if nothing can be asked then, one
// for each Service of a Deployment that speaks HTTP.
func missingEntries(objects []*unstructured.Unstructured, zone string) []*unstructured.Unstructured {
	s := survey(objects)
	hosts := newHosts(zone)
	hosts.take(s)
	for _, service := range s.balancers() {
		hosts.ofBalancer(service) // these go first, as they do in Names
	}
	var added []*unstructured.Unstructured
	for _, ingress := range s.ingresses {
		if beside := besideForeign(ingress, hosts); beside != nil {
			added = append(added, bare(beside))
		}
	}
	if asked(Names(append(objects[:len(objects):len(objects)], added...), zone)) {
		return added
	}
	for _, service := range s.services {
		if made := s.entryFor(service, hosts); made != nil {
			added = append(added, bare(made))
		}
	}
	return added
}

func asked(names []Name) bool {
	for _, name := range names {
		if len(name.Kinds) > 0 {
			return true
		}
	}
	return false
}

// besideForeign repeats the rules of ingress whose hosts are outside the zone, with
// hosts that are made up; nil if there are none. The ingress itself stays as it is.
func besideForeign(ingress *networkingv1.Ingress, hosts *hosts) *networkingv1.Ingress {
	beside := &networkingv1.Ingress{
		TypeMeta:   kind("networking.k8s.io/v1", "Ingress"),
		ObjectMeta: metav1.ObjectMeta{Name: ingress.Name + "-asked", Namespace: ingress.Namespace},
		Spec:       networkingv1.IngressSpec{IngressClassName: ingress.Spec.IngressClassName},
	}
	for _, rule := range ingress.Spec.Rules {
		if rule.Host == "" || rule.HTTP == nil || hosts.under(strings.TrimPrefix(rule.Host, "*.")) {
			continue
		}
		number := len(beside.Spec.Rules) + 1
		name := ingress.Name
		if number > 1 {
			name = fmt.Sprintf("%s-%d", name, number)
		}
		rule.Host = hosts.makeUp("Ingress "+rule.Host, ingress.Namespace, name)
		beside.Spec.Rules = append(beside.Spec.Rules, rule)
	}
	if len(beside.Spec.Rules) == 0 {
		return nil
	}
	return beside
}

// entryFor returns an Ingress for service, or nil if it is not one to ask.
func (s *standing) entryFor(service *corev1.Service, hosts *hosts) *networkingv1.Ingress {
	port, found := httpPort(service)
	w, running := s.behind(service.Namespace, service.Name)
	if !found || hasData(service) || !running || w.kind != "Deployment" || w.replicas == 0 {
		return nil
	}
	prefix := networkingv1.PathTypePrefix
	return &networkingv1.Ingress{
		TypeMeta:   kind("networking.k8s.io/v1", "Ingress"),
		ObjectMeta: metav1.ObjectMeta{Name: service.Name + "-asked", Namespace: service.Namespace},
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
			Host: hosts.makeUp("Service", service.Namespace, service.Name),
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
				Paths: []networkingv1.HTTPIngressPath{{
					Path: "/", PathType: &prefix,
					Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
						Name: service.Name,
						Port: networkingv1.ServiceBackendPort{Number: port.Port},
					}},
				}},
			}},
		}}},
	}
}
