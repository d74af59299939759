package clustertest

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

func ownedBy(owner *corev1.ConfigMap) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
}

func ownedGoes(t *testing.T, r *room) {
	owner := r.configMap("owner", "a")
	r.create(t, owner)
	owned := r.configMap("owned", "a")
	owned.OwnerReferences = ownedBy(owner)
	r.create(t, owned)
	if err := r.API.Delete(r.ctx, owner, client.Preconditions{UID: &owner.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	r.until(t, "what was owned is gone", func() bool { return r.gone(owned) })
}

func strangerGoes(t *testing.T, r *room) {
	owner := r.configMap("owner", "a")
	r.create(t, owner)
	impostor := owner.DeepCopy()
	impostor.UID = "11111111-2222-3333-4444-555555555555"
	owned := r.configMap("owned", "a")
	owned.OwnerReferences = ownedBy(impostor)
	r.create(t, owned)
	r.until(t, "what names an owner by another UID is gone", func() bool { return r.gone(owned) })
}

func orphanStays(t *testing.T, r *room) {
	owner := r.configMap("owner", "a")
	r.create(t, owner)
	owned := r.configMap("owned", "a")
	owned.OwnerReferences = ownedBy(owner)
	r.create(t, owned)
	if err := r.API.Delete(r.ctx, owner, client.Preconditions{UID: &owner.UID}, client.PropagationPolicy(metav1.DeletePropagationOrphan)); err != nil {
		t.Fatal(err)
	}
	r.until(t, "the orphan has no owner", func() bool {
		return r.gone(owner) && r.API.Get(r.ctx, client.ObjectKeyFromObject(owned), owned) == nil && len(owned.OwnerReferences) == 0
	})
}

func loopbackRefused(t *testing.T, r *room) {
	slice := func(address string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta: r.meta("slice"), AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}}},
			Ports:     []discoveryv1.EndpointPort{{Port: new(int32(80))}},
		}
	}
	if err := r.API.Create(r.ctx, slice("127.1.1.1")); !apierrors.IsInvalid(err) {
		t.Errorf("created a slice of a loopback address: %v, want Invalid", err)
	}
	good := slice("10.1.1.1")
	r.create(t, good)
	if good.Ports[0].Protocol == nil || *good.Ports[0].Protocol != corev1.ProtocolTCP {
		t.Errorf("ports %+v, want the protocol completed", good.Ports)
	}
}

func namespaceGoes(t *testing.T, r *room) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "conformance-"}}
	r.create(t, ns)
	inside := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "one", Finalizers: []string{"conformance.test/hold"}}}
	r.create(t, inside)
	if err := r.API.Delete(r.ctx, ns, client.Preconditions{UID: &ns.UID}); err != nil {
		t.Fatal(err)
	}
	late := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "late"}}
	if err := r.API.Create(r.ctx, late); !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		t.Errorf("created in a namespace that goes: %v, want Forbidden because of that", err)
	}
	r.until(t, "the content is marked", func() bool {
		return r.API.Get(r.ctx, client.ObjectKeyFromObject(inside), inside) == nil && inside.DeletionTimestamp != nil
	})
	if r.gone(ns) {
		t.Fatal("the namespace is gone before its content")
	}
	inside.Finalizers = nil
	if err := r.API.Update(r.ctx, inside); err != nil {
		t.Fatal(err)
	}
	r.until(t, "the namespace is gone", func() bool { return r.gone(ns) })
}

func systemStays(t *testing.T, r *room) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}}
	r.read(t, ns)
	if err := r.API.Delete(r.ctx, ns, client.Preconditions{UID: &ns.UID}, client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("a dry deletion of kube-system: %v, want Forbidden", err)
	}
}

// policyRefuses proves a ValidatingAdmissionPolicy as a freeze uses it: by whom,
// not only what, with its own sentence, dry runs included, until it is taken away.
func policyRefuses(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm, r.allow("teams"))
	team, exempt := r.API.As("anna", "teams"), r.API.As("break-glass", "teams")
	try := func(api cluster.API) error {
		return api.Patch(r.ctx, cm.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"data":{"key":"b"}}`)), client.DryRunAll)
	}
	r.until(t, "the team may write", func() bool { return try(team) == nil })
	policy, binding := r.policy("break-glass", "closed for")
	r.create(t, policy, binding)
	t.Cleanup(func() {
		_ = r.API.Delete(r.ctx, binding, client.Preconditions{UID: &binding.UID})
		_ = r.API.Delete(r.ctx, policy, client.Preconditions{UID: &policy.UID})
	})
	r.until(t, "the team is refused", func() bool { return try(team) != nil })
	if err := try(team); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "closed for anna") {
		t.Errorf("refused with %v, want Forbidden with the policy's sentence", err)
	}
	if err := team.Create(r.ctx, r.configMap("two", "a")); !apierrors.IsForbidden(err) {
		t.Errorf("a creation by the team: %v, want Forbidden", err)
	}
	if err := team.Delete(r.ctx, cm, client.Preconditions{UID: &cm.UID}); !apierrors.IsForbidden(err) {
		t.Errorf("a deletion by the team: %v, want Forbidden", err)
	}
	free := r.configMap("three", "a")
	free.Labels = map[string]string{"free": "yes"}
	if err := team.Create(r.ctx, free, client.DryRunAll); err != nil {
		t.Errorf("a creation that the expression lets through: %v", err)
	}
	for who, api := range map[string]cluster.API{"the exempt": exempt, "the API's own caller": r.API} {
		if err := try(api); err != nil {
			t.Errorf("a write by %s: %v", who, err)
		}
	}
	if err := r.API.Delete(r.ctx, binding, client.Preconditions{UID: &binding.UID}); err != nil {
		t.Fatal(err)
	}
	r.until(t, "the team may write again", func() bool { return try(team) == nil })
}

func customResource(t *testing.T, r *room) {
	crd := r.definition()
	r.create(t, crd)
	t.Cleanup(func() { _ = r.API.Delete(r.ctx, crd, client.Preconditions{UID: &crd.UID}) })
	widget := func() *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{
			"spec": map[string]any{"size": int64(1)}, "status": map[string]any{"phase": "Made up"},
		}}
		u.SetGroupVersionKind(schema.GroupVersionKind{Group: crd.Spec.Group, Version: "v1", Kind: "Widget"})
		u.SetNamespace(r.namespace)
		u.SetName("one")
		return u
	}
	w := widget()
	r.until(t, "the kind is served", func() bool { w = widget(); return r.API.Create(r.ctx, w) == nil })
	if _, has := w.Object["status"]; has || w.GetGeneration() != 1 {
		t.Errorf("created %v, want no status and generation 1", w.Object)
	}
	_ = unstructured.SetNestedField(w.Object, int64(2), "spec", "size")
	if err := r.API.Update(r.ctx, w); err != nil || w.GetGeneration() != 2 {
		t.Errorf("updated to generation %d, %v, want 2", w.GetGeneration(), err)
	}
	_ = unstructured.SetNestedField(w.Object, "Ready", "status", "phase")
	_ = unstructured.SetNestedField(w.Object, int64(3), "spec", "size")
	if err := r.API.Status().Update(r.ctx, w); err != nil {
		t.Fatal(err)
	}
	if size, _, _ := unstructured.NestedInt64(w.Object, "spec", "size"); size != 2 || w.GetGeneration() != 2 {
		t.Errorf("a write of the status gave %v, want size 2 at generation 2", w.Object)
	}
	data := []byte(`{"spec":{"size":4}}`)
	if err := r.API.Patch(r.ctx, w, client.RawPatch(types.MergePatchType, data)); err != nil {
		t.Fatal(err)
	}
	if size, _, _ := unstructured.NestedInt64(w.Object, "spec", "size"); size != 4 {
		t.Errorf("patched to %v, want size 4", w.Object)
	}
}

func rollout(t *testing.T, r *room) {
	if !r.Pods {
		t.Skip("this cluster runs no pods")
	}
	d, s := r.deployment("web"), r.service()
	d.Spec.Replicas = new(int32(2))
	r.create(t, d, s)
	r.until(t, "both pods are ready", func() bool {
		return r.API.Get(r.ctx, client.ObjectKeyFromObject(d), d) == nil && d.Status.ReadyReplicas == 2 && d.Status.ObservedGeneration == d.Generation
	})
	r.until(t, "both pods are served", func() bool { return r.readyEndpoints(s) == 2 })
	if err := r.API.Patch(r.ctx, d, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"template":{"metadata":{"annotations":{"again":"1"}}}}}`))); err != nil {
		t.Fatal(err)
	}
	r.until(t, "the new template is rolled out", func() bool {
		return r.API.Get(r.ctx, client.ObjectKeyFromObject(d), d) == nil && d.Status.ObservedGeneration == d.Generation &&
			d.Status.UpdatedReplicas == 2 && d.Status.Replicas == 2 && d.Status.AvailableReplicas == 2
	})
	if err := r.API.Patch(r.ctx, d, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":0}}`))); err != nil {
		t.Fatal(err)
	}
	r.until(t, "nothing is served", func() bool { return r.readyEndpoints(s) == 0 })
}

func (r *room) readyEndpoints(s *corev1.Service) (n int) {
	var list discoveryv1.EndpointSliceList
	if err := r.API.List(r.ctx, &list, client.InNamespace(s.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: s.Name}); err != nil {
		return -1
	}
	for _, slice := range list.Items {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && *e.Conditions.Ready {
				n++
			}
		}
	}
	return n
}

// termination proves what the bridge carries across: a pod that ends is first told
// of as terminating and no longer ready, and only later gone.
func termination(t *testing.T, r *room) {
	if !r.Pods {
		t.Skip("this cluster runs no pods")
	}
	d, s := r.deployment("web"), r.service()
	d.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(5))
	r.create(t, d, s)
	r.until(t, "the pod is served", func() bool { return r.readyEndpoints(s) == 1 })
	var before appsv1.Deployment
	if err := r.API.Get(r.ctx, client.ObjectKeyFromObject(d), &before); err != nil || equality.Semantic.DeepEqual(before.Status, d.Status) {
		t.Fatalf("status %+v, %v, want one that tells of the pod", before.Status, err)
	}
	if err := r.API.Patch(r.ctx, d, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":0}}`))); err != nil {
		t.Fatal(err)
	}
	r.until(t, "the pod is told of as terminating", func() bool {
		var list discoveryv1.EndpointSliceList
		if err := r.API.List(r.ctx, &list, client.InNamespace(s.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: s.Name}); err != nil {
			return false
		}
		for _, slice := range list.Items {
			for _, e := range slice.Endpoints {
				if ptr.Deref(e.Conditions.Terminating, false) && !ptr.Deref(e.Conditions.Ready, true) {
					return true
				}
			}
		}
		return false
	})
	r.until(t, "the pod is gone", func() bool {
		var list corev1.PodList
		return r.API.List(r.ctx, &list, client.InNamespace(s.Namespace)) == nil && len(list.Items) == 0
	})
}
