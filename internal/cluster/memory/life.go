package memory

import (
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func resourceOf(s string) resource.Quantity { return resource.MustParse(s) }

// syncBalancer gives a Service of type LoadBalancer its address 5 to 30 s after
// it was made, and takes it from one that is no longer of that type.
func (c *Cluster) syncBalancer(key types.NamespacedName) (time.Time, error) {
	s, _ := c.tables[services].get(key).(*corev1.Service)
	if s == nil {
		return time.Time{}, nil
	}
	out, wants := *s, s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.DeletionTimestamp == nil
	switch {
	case wants == (len(s.Status.LoadBalancer.Ingress) > 0):
		return time.Time{}, nil
	case wants:
		due := s.CreationTimestamp.Add(c.between(5*time.Second, 30*time.Second, "balancer", key.String()))
		if c.options.Clock.Now().Before(due) {
			return due, nil
		}
		mode := corev1.LoadBalancerIPModeVIP
		out.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: c.networks.balancer(), IPMode: &mode}}
	default:
		for _, in := range s.Status.LoadBalancer.Ingress {
			delete(c.networks.taken, in.IP)
		}
		out.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	}
	_, err := c.replace(c.kinds[services], s, &out, system(balancerController).on("status"))
	return time.Time{}, err
}

// syncIngress gives an Ingress the ingress controller's address 5 to 30 s after it was made.
func (c *Cluster) syncIngress(key types.NamespacedName) (time.Time, error) {
	in, _ := c.tables[ingresses].get(key).(*networkingv1.Ingress)
	if in == nil || len(in.Status.LoadBalancer.Ingress) > 0 {
		return time.Time{}, nil
	}
	due := in.CreationTimestamp.Add(c.between(5*time.Second, 30*time.Second, "ingress", key.String()))
	if c.options.Clock.Now().Before(due) {
		return due, nil
	}
	out := *in
	out.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: c.networks.ingress()}}
	_, err := c.replace(c.kinds[ingresses], in, &out, system(ingressController).on("status"))
	return time.Time{}, err
}

// syncAutoscaler keeps the replicas of its target between minReplicas and
// maxReplicas, unless there are none: then it is inert. It does not measure load.
func (c *Cluster) syncAutoscaler(key types.NamespacedName) error {
	h, _ := c.tables[autoscalers].get(key).(*autoscalingv2.HorizontalPodAutoscaler)
	if h == nil || h.DeletionTimestamp != nil {
		return nil
	}
	gk := schema.GroupKind{Group: "apps", Kind: h.Spec.ScaleTargetRef.Kind}
	if gk != deployments && gk != statefulSets {
		return nil
	}
	target := c.tables[gk].get(types.NamespacedName{Namespace: key.Namespace, Name: h.Spec.ScaleTargetRef.Name})
	if target == nil {
		return nil
	}
	w, have := system(autoscaler), *replicasOf(target)
	want := have
	if have > 0 {
		want = min(max(have, ptr.Deref(h.Spec.MinReplicas, 1)), h.Spec.MaxReplicas)
	}
	if want != have {
		scaled := target.DeepCopyObject().(Object)
		setReplicas(scaled, want)
		if _, err := c.replace(c.kinds[gk], target, scaled, w); err != nil {
			return err
		}
	}
	if h.Status.CurrentReplicas == have && h.Status.DesiredReplicas == want {
		return nil
	}
	out := h.DeepCopy()
	out.Status.CurrentReplicas, out.Status.DesiredReplicas = have, want
	_, err := c.replace(c.kinds[autoscalers], h, out, w.on("status"))
	return err
}

// syncAccount makes what every namespace gets: an account and the cluster's root certificate.
func (c *Cluster) syncAccount(key types.NamespacedName) error {
	ns := c.tables[namespaces].get(key)
	if ns == nil || ns.GetDeletionTimestamp() != nil {
		return nil
	}
	made := map[schema.GroupKind]Object{
		serviceAccounts: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: key.Name}},
		configMaps: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kube-root-ca.crt", Namespace: key.Name},
			Data: map[string]string{"ca.crt": "root of " + c.options.Name}},
	}
	for _, gk := range []schema.GroupKind{serviceAccounts, configMaps} {
		if c.tables[gk].get(types.NamespacedName{Namespace: key.Name, Name: made[gk].GetName()}) == nil {
			if _, err := c.create(c.kinds[gk], made[gk], system(accountController)); err != nil {
				return err
			}
		}
	}
	return nil
}

// syncNamespace empties a namespace that was deleted, and then lets it go.
func (c *Cluster) syncNamespace(key types.NamespacedName) error {
	ns, _ := c.tables[namespaces].get(key).(*corev1.Namespace)
	if ns == nil || ns.DeletionTimestamp == nil {
		return nil
	}
	w := system(namespaceController)
	for _, t := range c.namespacedTables() {
		for _, r := range slices.Clone(t.in(key.Name)) {
			if err := c.remove(t.kind, r.key, noOptions, w); err != nil {
				return err
			}
		}
	}
	for _, t := range c.namespacedTables() {
		if len(t.in(key.Name)) > 0 {
			return nil // the last removal calls again
		}
	}
	if ns, _ = c.tables[namespaces].get(key).(*corev1.Namespace); ns == nil {
		return nil
	}
	out := *ns
	out.Spec.Finalizers = nil
	if !gone(&out) {
		return nil
	}
	return c.settle(c.kinds[namespaces], key, ns, nil, w)
}

func (c *Cluster) namespacedTables() []*table {
	var found []*table
	for _, t := range c.tables {
		if t.kind.namespaced {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b *table) int {
		return compareRefs(ref{kind: a.kind.GroupKind()}, ref{kind: b.kind.GroupKind()})
	})
	return found
}

// collect removes an object none of whose owners is there any more, and finishes
// deletions that wait for dependents.
func (c *Cluster) collect(r ref) error {
	t := c.tables[r.kind]
	obj := t.get(r.key)
	if obj == nil {
		return nil
	}
	w := system(collector)
	if obj.GetDeletionTimestamp() != nil && slices.Contains(obj.GetFinalizers(), metav1.FinalizerDeleteDependents) {
		return c.collectDependents(t, obj, w)
	}
	owners := obj.GetOwnerReferences()
	if len(owners) == 0 || slices.ContainsFunc(owners, func(o metav1.OwnerReference) bool { return c.lives(o, r.key.Namespace) }) {
		return nil
	}
	return c.remove(t.kind, r.key, noOptions, w)
}

// lives is true of an owner that exists where a dependent of this namespace may have it.
func (c *Cluster) lives(o metav1.OwnerReference, namespace string) bool {
	r, ok := c.byUID[o.UID]
	return ok && r.kind.Kind == o.Kind && r.key.Name == o.Name && (r.key.Namespace == "" || r.key.Namespace == namespace)
}

// collectDependents deletes what an object owns and then lets the object go.
func (c *Cluster) collectDependents(t *table, obj Object, w write) error {
	key, waits := t.kind.key(obj), false
	for _, r := range c.owned(obj.GetUID()) {
		if err := c.remove(c.tables[r.kind].kind, r.key, noOptions, w); err != nil {
			return err
		}
		waits = waits || c.tables[r.kind].get(r.key) != nil
	}
	if waits {
		return nil
	}
	obj = t.get(key)
	out := obj.DeepCopyObject().(Object)
	out.SetFinalizers(slices.DeleteFunc(out.GetFinalizers(), func(f string) bool { return f == metav1.FinalizerDeleteDependents }))
	_, err := c.replace(t.kind, obj, out, w)
	return err
}

// orphan takes the owner out of everything that it owns.
func (c *Cluster) orphan(old Object) {
	for _, r := range c.owned(old.GetUID()) {
		t := c.tables[r.kind]
		obj := t.get(r.key)
		out := obj.DeepCopyObject().(Object)
		out.SetOwnerReferences(slices.DeleteFunc(out.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == old.GetUID() }))
		c.put(t.kind, r.key, obj, out, system(collector))
	}
}

// syncDefinition says that a new definition is served; when one goes, so do its objects.
func (c *Cluster) syncDefinition(key types.NamespacedName) error {
	crd, _ := c.tables[definitions].get(key).(*apiextensionsv1.CustomResourceDefinition)
	if crd == nil || slices.ContainsFunc(crd.Status.Conditions, func(s apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return s.Type == apiextensionsv1.Established
	}) {
		return nil
	}
	now, out := c.now(), crd.DeepCopy()
	for _, kind := range []apiextensionsv1.CustomResourceDefinitionConditionType{apiextensionsv1.NamesAccepted, apiextensionsv1.Established} {
		out.Status.Conditions = append(out.Status.Conditions, apiextensionsv1.CustomResourceDefinitionCondition{
			Type: kind, Status: apiextensionsv1.ConditionTrue, LastTransitionTime: now, Reason: "NoConflicts",
		})
	}
	out.Status.AcceptedNames = out.Spec.Names
	if equality.Semantic.DeepEqual(crd, out) {
		return nil
	}
	_, err := c.replace(c.kinds[definitions], crd, out, system(definitionController).on("status"))
	return err
}
