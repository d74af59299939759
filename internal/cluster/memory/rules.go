package memory

import (
	"fmt"
	"net/netip"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The kinds that the cluster's own code speaks of.
var (
	namespaces      = schema.GroupKind{Kind: "Namespace"}
	nodes           = schema.GroupKind{Kind: "Node"}
	pods            = schema.GroupKind{Kind: "Pod"}
	services        = schema.GroupKind{Kind: "Service"}
	configMaps      = schema.GroupKind{Kind: "ConfigMap"}
	serviceAccounts = schema.GroupKind{Kind: "ServiceAccount"}
	deployments     = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	replicaSets     = schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}
	statefulSets    = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
	autoscalers     = schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}
	ingresses       = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	slicesOf        = schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}
	definitions     = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
	admission       = schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"}
	bindings        = schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"}
)

// immortal is true of the namespaces that can't be deleted.
func immortal(gk schema.GroupKind, name string) bool {
	return gk == namespaces && (name == "default" || name == "kube-system" || name == "kube-public")
}

// valid checks the rules that a wrong engine would break: what must be there, and
// what can't change once it is. Old is nil for a creation.
func (c *Cluster) valid(k *kind, obj, old Object) error {
	var errs field.ErrorList
	if old == nil {
		errs = c.validNew(obj)
	} else {
		errs = validChange(obj, old)
	}
	if s, ok := obj.(*corev1.Service); ok {
		was, _ := old.(*corev1.Service)
		errs = append(errs, c.validService(s, was)...)
	}
	if n := replicasOf(obj); n != nil && *n < 0 {
		errs = append(errs, field.Invalid(field.NewPath("spec", "replicas"), *n, "must be greater than or equal to 0"))
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(k.GroupKind(), obj.GetName(), errs)
	}
	return nil
}

func (c *Cluster) validNew(obj Object) field.ErrorList {
	spec := field.NewPath("spec")
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return validSelector(spec, o.Spec.Selector, &o.Spec.Template)
	case *appsv1.StatefulSet:
		return validSelector(spec, o.Spec.Selector, &o.Spec.Template)
	case *appsv1.DaemonSet:
		return validSelector(spec, o.Spec.Selector, &o.Spec.Template)
	case *corev1.Pod:
		if len(o.Spec.Containers) == 0 {
			return field.ErrorList{field.Required(spec.Child("containers"), "")}
		}
	case *discoveryv1.EndpointSlice:
		return validSlice(o)
	case *corev1.Service:
		if len(o.Spec.Ports) == 0 && o.Spec.Type != corev1.ServiceTypeExternalName && o.Spec.ClusterIP != corev1.ClusterIPNone {
			return field.ErrorList{field.Required(spec.Child("ports"), "")}
		}
	}
	return nil
}

func validSelector(spec *field.Path, selector *metav1.LabelSelector, template *corev1.PodTemplateSpec) field.ErrorList {
	if selector == nil {
		return field.ErrorList{field.Required(spec.Child("selector"), "")}
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil || s.Empty() || !s.Matches(labelSet(template.Labels)) {
		return field.ErrorList{field.Invalid(spec.Child("template", "metadata", "labels"), template.Labels, "`selector` does not match template `labels`")}
	}
	if len(template.Spec.Containers) == 0 {
		return field.ErrorList{field.Required(spec.Child("template", "spec", "containers"), "")}
	}
	return nil
}

// validSlice refuses what the real server refuses, loopback addresses among it.
func validSlice(s *discoveryv1.EndpointSlice) (errs field.ErrorList) {
	if s.AddressType == "" {
		errs = append(errs, field.Required(field.NewPath("addressType"), ""))
	}
	if len(s.Endpoints) > 1000 {
		errs = append(errs, field.TooMany(field.NewPath("endpoints"), len(s.Endpoints), 1000))
	}
	for i, e := range s.Endpoints {
		path := field.NewPath("endpoints").Index(i).Child("addresses")
		if len(e.Addresses) == 0 {
			errs = append(errs, field.Required(path, "must contain at least 1 address"))
		}
		for _, a := range e.Addresses {
			if ip, err := netip.ParseAddr(a); s.AddressType != discoveryv1.AddressTypeFQDN && (err != nil || ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast()) {
				errs = append(errs, field.Invalid(path, a, "must be an IP address that is not loopback, unspecified or link-local"))
			}
		}
	}
	return errs
}

// validChange refuses changes of what can't change.
func validChange(obj, old Object) field.ErrorList {
	spec := field.NewPath("spec")
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return immutable(spec.Child("selector"), o.Spec.Selector, old.(*appsv1.Deployment).Spec.Selector)
	case *appsv1.ReplicaSet:
		return immutable(spec.Child("selector"), o.Spec.Selector, old.(*appsv1.ReplicaSet).Spec.Selector)
	case *appsv1.DaemonSet:
		return immutable(spec.Child("selector"), o.Spec.Selector, old.(*appsv1.DaemonSet).Spec.Selector)
	case *appsv1.StatefulSet:
		return immutable(spec, fixedOf(o), fixedOf(old.(*appsv1.StatefulSet)))
	case *batchv1.Job:
		return immutable(spec.Child("template"), o.Spec.Template, old.(*batchv1.Job).Spec.Template)
	case *corev1.Secret:
		was := old.(*corev1.Secret)
		errs := immutable(field.NewPath("type"), o.Type, was.Type)
		if was.Immutable != nil && *was.Immutable {
			errs = append(errs, immutable(field.NewPath("data"), o.Data, was.Data)...)
		}
		return errs
	case *corev1.ConfigMap:
		if was := old.(*corev1.ConfigMap); was.Immutable != nil && *was.Immutable {
			return append(immutable(field.NewPath("data"), o.Data, was.Data), immutable(field.NewPath("binaryData"), o.BinaryData, was.BinaryData)...)
		}
	case *corev1.PersistentVolumeClaim:
		was := old.(*corev1.PersistentVolumeClaim)
		return immutable(spec.Child("storageClassName"), o.Spec.StorageClassName, was.Spec.StorageClassName)
	case *discoveryv1.EndpointSlice:
		return append(immutable(field.NewPath("addressType"), o.AddressType, old.(*discoveryv1.EndpointSlice).AddressType), validSlice(o)...)
	case *rbacv1.RoleBinding:
		return immutable(field.NewPath("roleRef"), o.RoleRef, old.(*rbacv1.RoleBinding).RoleRef)
	case *rbacv1.ClusterRoleBinding:
		return immutable(field.NewPath("roleRef"), o.RoleRef, old.(*rbacv1.ClusterRoleBinding).RoleRef)
	}
	return nil
}

func immutable(path *field.Path, value, old any) field.ErrorList {
	if equality.Semantic.DeepEqual(value, old) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, "field is immutable")}
}

// fixedOf is the part of a StatefulSet's specification that can't change.
func fixedOf(s *appsv1.StatefulSet) appsv1.StatefulSetSpec {
	fixed := s.Spec
	fixed.Replicas, fixed.Ordinals, fixed.Template = nil, nil, corev1.PodTemplateSpec{}
	fixed.UpdateStrategy, fixed.MinReadySeconds = appsv1.StatefulSetUpdateStrategy{}, 0
	fixed.PersistentVolumeClaimRetentionPolicy, fixed.RevisionHistoryLimit = nil, nil
	return fixed
}

// validService keeps cluster addresses where they are, and inside this cluster's range.
func (c *Cluster) validService(s, old *corev1.Service) field.ErrorList {
	path := field.NewPath("spec", "clusterIP")
	if len(s.Spec.ClusterIPs) > 0 && s.Spec.ClusterIP != s.Spec.ClusterIPs[0] {
		return field.ErrorList{field.Invalid(field.NewPath("spec", "clusterIPs"), s.Spec.ClusterIPs, "first value must match `clusterIP`")}
	}
	if old != nil && old.Spec.ClusterIP != "" && s.Spec.Type != corev1.ServiceTypeExternalName {
		return immutable(path, s.Spec.ClusterIP, old.Spec.ClusterIP)
	}
	if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	if err := c.networks.free(s.Spec.ClusterIP); err != nil {
		return field.ErrorList{field.Invalid(path, s.Spec.ClusterIP, err.Error())}
	}
	return nil
}

// allocate gives a Service the address and ports that it has none of yet.
func (c *Cluster) allocate(obj Object) {
	s, ok := obj.(*corev1.Service)
	if !ok || s.Spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	if s.Spec.ClusterIP == "" {
		s.Spec.ClusterIP = c.networks.service()
	}
	if s.Spec.ClusterIP != corev1.ClusterIPNone {
		c.networks.taken[s.Spec.ClusterIP] = true
	}
	if s.Spec.ClusterIPs == nil {
		s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
	}
	for i := range s.Spec.Ports {
		if outside(s) && s.Spec.Ports[i].NodePort == 0 {
			c.networks.nodePort = 30000 + (c.networks.nodePort-30000+1)%2768
			s.Spec.Ports[i].NodePort = c.networks.nodePort
		}
	}
}

// addresses gives out the cluster's addresses. They are taken in turn, so that
// one which was given back is not soon somebody else's.
type addresses struct {
	number    int
	taken     map[string]bool
	services  int
	pods      int
	balancers int
	nodePort  int32
}

func newAddresses(number int) *addresses {
	a := &addresses{number: number, taken: map[string]bool{}, nodePort: 30000}
	a.taken[a.dns()] = true
	return a
}

func (a *addresses) dns() string { return fmt.Sprintf("10.%d.0.10", 100+a.number) }

// free returns an error unless the address may be a new Service's.
func (a *addresses) free(ip string) error {
	addr, err := netip.ParseAddr(ip)
	if err != nil || !netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", 100+a.number)).Contains(addr) {
		return fmt.Errorf("failed to allocate IP %s: the provided IP is not in the valid range", ip)
	}
	if a.taken[ip] {
		return fmt.Errorf("failed to allocate IP %s: provided IP is already allocated", ip)
	}
	return nil
}

func (a *addresses) service() string {
	return a.next(&a.services, 1<<16-2, func(n int) string { return fmt.Sprintf("10.%d.%d.%d", 100+a.number, (n+1)>>8, (n+1)&255) })
}

func (a *addresses) pod() string {
	return a.next(&a.pods, 239*256, func(n int) string { return fmt.Sprintf("10.%d.%d.%d", a.number, 1+n>>8, n&255) })
}

// balancer gives out entry points. The first, 10.C.240.1, is the ingress controller's.
func (a *addresses) balancer() string {
	return a.next(&a.balancers, 253, func(n int) string { return fmt.Sprintf("10.%d.240.%d", a.number, 2+n) })
}

func (a *addresses) ingress() string { return fmt.Sprintf("10.%d.240.1", a.number) }

func (a *addresses) next(at *int, size int, write func(int) string) string {
	for range size {
		ip := write(*at)
		*at = (*at + 1) % size
		if !a.taken[ip] {
			a.taken[ip] = true
			return ip
		}
	}
	panic("no address is free")
}

// release gives back what a removed object had.
func (a *addresses) release(obj Object) {
	switch o := obj.(type) {
	case *corev1.Pod:
		delete(a.taken, o.Status.PodIP)
	case *corev1.Service:
		delete(a.taken, o.Spec.ClusterIP)
		for _, b := range o.Status.LoadBalancer.Ingress {
			delete(a.taken, b.IP)
		}
	}
}
