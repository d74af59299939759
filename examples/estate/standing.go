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

func newStanding() *standing {
	return &standing{byName: map[string]*corev1.Service{}, workloads: map[string][]workload{}}
}

// survey reads the objects; those of other kinds do not matter to it.
func survey(objects []*unstructured.Unstructured) *standing {
	s := newStanding()
	for _, u := range objects {
		switch u.GetAPIVersion() + " " + u.GetKind() {
		case "v1 Service":
			s.add(typed[corev1.Service](u))
		case "networking.k8s.io/v1 Ingress":
			s.add(typed[networkingv1.Ingress](u))
		case "apps/v1 Deployment":
			s.add(typed[appsv1.Deployment](u))
		case "apps/v1 StatefulSet":
			s.add(typed[appsv1.StatefulSet](u))
		case "apps/v1 DaemonSet":
			s.add(typed[appsv1.DaemonSet](u))
		}
	}
	return s
}

func (s *standing) add(object runtime.Object) {
	switch o := object.(type) {
	case *corev1.Service:
		s.services = append(s.services, o)
		s.byName[o.Namespace+"/"+o.Name] = o
	case *networkingv1.Ingress:
		s.ingresses = append(s.ingresses, o)
	case *appsv1.Deployment:
		s.addWorkload("Deployment", o.Namespace, o.Spec.Template, o.Spec.Replicas)
	case *appsv1.StatefulSet:
		s.addWorkload("StatefulSet", o.Namespace, o.Spec.Template, o.Spec.Replicas)
	case *appsv1.DaemonSet:
		s.addWorkload("DaemonSet", o.Namespace, o.Spec.Template, nil)
	}
}

func (s *standing) addWorkload(kind, namespace string, template corev1.PodTemplateSpec, replicas *int32) {
	w := workload{kind: kind, labels: template.Labels, replicas: 1, graceSeconds: defaultGraceSeconds}
	if replicas != nil {
		w.replicas = *replicas
	}
	if grace := template.Spec.TerminationGracePeriodSeconds; grace != nil {
		w.graceSeconds = *grace
	}
	if containers := template.Spec.Containers; len(containers) > 0 {
		w.image = containers[0].Image
	}
	s.workloads[namespace] = append(s.workloads[namespace], w)
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
