package estate

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// standing is what names depend on: who leads to whom. Objects keep their order.
type standing struct {
	services  []*corev1.Service
	ingresses []*networkingv1.Ingress
	byName    map[string]*corev1.Service // by namespace/name
	workloads map[string][]workload      // by namespace
}

type workload struct {
	kind         string
	labels       labels.Set // of its pods
	image        string     // of its first container
	replicas     int32
	graceSeconds int64
}

// survey reads the objects; those of other kinds do not matter to it.
func survey(objects []*unstructured.Unstructured) *standing {
	s := &standing{byName: map[string]*corev1.Service{}, workloads: map[string][]workload{}}
	for _, u := range objects {
		switch u.GetAPIVersion() + " " + u.GetKind() {
		case "v1 Service":
			service := typed[corev1.Service](u)
			s.services = append(s.services, service)
			s.byName[service.Namespace+"/"+service.Name] = service
		case "networking.k8s.io/v1 Ingress":
			s.ingresses = append(s.ingresses, typed[networkingv1.Ingress](u))
		case "apps/v1 Deployment":
			d := typed[appsv1.Deployment](u)
			s.add(u, d.Spec.Template, d.Spec.Replicas)
		case "apps/v1 StatefulSet":
			d := typed[appsv1.StatefulSet](u)
			s.add(u, d.Spec.Template, d.Spec.Replicas)
		case "apps/v1 DaemonSet":
			s.add(u, typed[appsv1.DaemonSet](u).Spec.Template, nil)
		}
	}
	return s
}

func (s *standing) add(u *unstructured.Unstructured, template corev1.PodTemplateSpec, replicas *int32) {
	w := workload{kind: u.GetKind(), labels: template.Labels, replicas: 1, graceSeconds: defaultGraceSeconds}
	if replicas != nil {
		w.replicas = *replicas
	}
	if grace := template.Spec.TerminationGracePeriodSeconds; grace != nil {
		w.graceSeconds = *grace
	}
	if containers := template.Spec.Containers; len(containers) > 0 {
		w.image = containers[0].Image
	}
	s.workloads[u.GetNamespace()] = append(s.workloads[u.GetNamespace()], w)
}

// behind returns the first workload whose pods the Service selects.
func (s *standing) behind(namespace, service string) (workload, bool) {
	found := s.byName[namespace+"/"+service]
	if found == nil || len(found.Spec.Selector) == 0 {
		return workload{}, false
	}
	selector := labels.SelectorFromSet(found.Spec.Selector)
	all := s.workloads[namespace]
	i := slices.IndexFunc(all, func(w workload) bool { return selector.Matches(w.labels) })
	if i < 0 {
		return workload{}, false
	}
	return all[i], true
}

func (s *standing) balancers() []*corev1.Service {
	var found []*corev1.Service
	for _, service := range s.services {
		if service.Spec.Type == corev1.ServiceTypeLoadBalancer {
			found = append(found, service)
		}
	}
	return found
}

// balancerName asks the first port that looks like HTTP. Without one the name
// only leads there.
func (s *standing) balancerName(service *corev1.Service, host string) Name {
	entry := Entry{"Service", service.Namespace, service.Name}
	if port, found := httpPort(service); found {
		return s.name(host, "/", port.Port, entry, service.Name)
	}
	name := Name{Host: host, Scheme: "http", Path: "/", Entry: entry, Service: service.Name}
	if len(service.Spec.Ports) > 0 {
		name.Port = service.Spec.Ports[0].Port
	}
	return name
}

// leadsToHTTP holds unless all that the Service has is known to be something else.
func (s *standing) leadsToHTTP(namespace, service string) bool {
	found := s.byName[namespace+"/"+service]
	return found != nil && slices.ContainsFunc(found.Spec.Ports, func(p corev1.ServicePort) bool {
		return !isGRPC(p) && !isData(p)
	})
}

// typed returns u as a T. Objects are checked against their types before they get here.
func typed[T any](u *unstructured.Unstructured) *T {
	var object T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &object); err != nil {
		panic(fmt.Sprintf("read %s %s/%s: %v", u.GetKind(), u.GetNamespace(), u.GetName(), err))
	}
	return &object
}
