package clustertest

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func creation(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	if cm.UID == "" || cm.ResourceVersion == "" || cm.CreationTimestamp.IsZero() {
		t.Errorf("created %+v, want UID, resourceVersion and creationTimestamp", cm.ObjectMeta)
	}
	if err := r.API.Create(r.ctx, r.configMap("one", "b")); !apierrors.IsAlreadyExists(err) {
		t.Errorf("created again: %v, want AlreadyExists", err)
	}
}

func creationNeedsNamespace(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	cm.Namespace = r.namespace + "-not"
	if err := r.API.Create(r.ctx, cm); !apierrors.IsNotFound(err) {
		t.Errorf("created in no namespace: %v, want NotFound", err)
	}
}

func creationTakesNoVersion(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	cm.ResourceVersion = "1"
	if err := r.API.Create(r.ctx, cm); err == nil {
		t.Error("created with a resourceVersion, want an error")
	}
	cm.ResourceVersion = ""
	r.create(t, cm)
}

func generatedName(t *testing.T, r *room) {
	cm := r.configMap("", "a")
	cm.GenerateName = "some-"
	r.create(t, cm)
	if len(cm.Name) <= len("some-") || cm.Name[:5] != "some-" {
		t.Errorf("name %q, want some-…", cm.Name)
	}
}

func updateOfOldVersion(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	old := cm.DeepCopy()
	cm.Data["key"] = "b"
	if err := r.API.Update(r.ctx, cm); err != nil {
		t.Fatal(err)
	}
	if cm.ResourceVersion == old.ResourceVersion {
		t.Error("the resourceVersion stayed, want a new one")
	}
	old.Data["key"] = "c"
	if err := r.API.Update(r.ctx, old); !apierrors.IsConflict(err) {
		t.Errorf("updated an old version: %v, want Conflict", err)
	}
}

func updateOfAnotherUID(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	cm.UID = "11111111-2222-3333-4444-555555555555"
	cm.Data["key"] = "b"
	if err := r.API.Update(r.ctx, cm); !apierrors.IsConflict(err) {
		t.Errorf("updated another UID: %v, want Conflict", err)
	}
}

func updateOfNothing(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	cm.UID, cm.ResourceVersion = "11111111-2222-3333-4444-555555555555", "1"
	if err := r.API.Update(r.ctx, cm); !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		t.Errorf("updated nothing: %v, want NotFound or Conflict", err)
	}
}

func updateOfNothingNew(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	version := cm.ResourceVersion
	if err := r.API.Update(r.ctx, cm); err != nil {
		t.Fatal(err)
	}
	if cm.ResourceVersion != version {
		t.Errorf("resourceVersion %s became %s though nothing changed", version, cm.ResourceVersion)
	}
}

func generation(t *testing.T, r *room) {
	in := r.ingress("one")
	r.create(t, in)
	if in.Generation != 1 {
		t.Errorf("generation %d of a new object, want 1", in.Generation)
	}
	in.Labels = map[string]string{"a": "b"}
	if err := r.API.Update(r.ctx, in); err != nil {
		t.Fatal(err)
	}
	if in.Generation != 1 {
		t.Errorf("generation %d after a label, want 1", in.Generation)
	}
	in.Spec.DefaultBackend.Service.Name = "other"
	if err := r.API.Update(r.ctx, in); err != nil {
		t.Fatal(err)
	}
	if in.Generation != 2 {
		t.Errorf("generation %d after a change of the specification, want 2", in.Generation)
	}
}

func statusApart(t *testing.T, r *room) {
	in := r.ingress("one")
	in.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
	r.create(t, in)
	if len(in.Status.LoadBalancer.Ingress) != 0 {
		t.Error("a creation set the status")
	}
	in.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.2"}}
	in.Spec.DefaultBackend.Service.Name = "other"
	if err := r.API.Status().Update(r.ctx, in); err != nil {
		t.Fatal(err)
	}
	if len(in.Status.LoadBalancer.Ingress) != 1 || in.Spec.DefaultBackend.Service.Name != "web" || in.Generation != 1 {
		t.Errorf("a write of the status gave %+v, want the new status only", in)
	}
	in.Status.LoadBalancer.Ingress = nil
	in.Spec.DefaultBackend.Service.Name = "third"
	if err := r.API.Update(r.ctx, in); err != nil {
		t.Fatal(err)
	}
	if len(in.Status.LoadBalancer.Ingress) != 1 || in.Spec.DefaultBackend.Service.Name != "third" {
		t.Errorf("an update gave %+v, want the new specification and the old status", in)
	}
	base := in.DeepCopy()
	in.Status.LoadBalancer.Ingress[0].IP = "192.0.2.3"
	if err := r.API.Status().Patch(r.ctx, in, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
	if ip := in.Status.LoadBalancer.Ingress[0].IP; ip != "192.0.2.3" {
		t.Errorf("a patch of the status gave %s, want 192.0.2.3", ip)
	}
}

func mergePatch(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	cm.Data["other"] = "stays"
	cm.Labels = map[string]string{"gone": "soon"}
	r.create(t, cm)
	base := cm.DeepCopy()
	cm.Data["key"] = "b"
	cm.Labels = nil
	if err := r.API.Patch(r.ctx, cm, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		t.Fatal(err)
	}
	r.read(t, cm)
	if cm.Data["key"] != "b" || cm.Data["other"] != "stays" || len(cm.Labels) != 0 {
		t.Errorf("patched %+v, want key=b, other=stays, no labels", cm)
	}
}

func strategicPatch(t *testing.T, r *room) {
	d := r.deployment("web")
	d.Spec.Replicas = new(int32(0))
	r.create(t, d)
	data := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"registry.test/web:2"}]}}}}`)
	if err := r.API.Patch(r.ctx, d, client.RawPatch(types.StrategicMergePatchType, data)); err != nil {
		t.Fatal(err)
	}
	c := d.Spec.Template.Spec.Containers[0]
	if c.Image != "registry.test/web:2" || len(c.Ports) != 1 {
		t.Errorf("patched container %+v, want the new image and the old port", c)
	}
}

func jsonPatch(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	data := []byte(`[{"op":"test","path":"/data/key","value":"a"},{"op":"replace","path":"/data/key","value":"b"}]`)
	if err := r.API.Patch(r.ctx, cm, client.RawPatch(types.JSONPatchType, data)); err != nil {
		t.Fatal(err)
	}
	if cm.Data["key"] != "b" {
		t.Errorf("patched %v, want key=b", cm.Data)
	}
	if err := r.API.Patch(r.ctx, cm, client.RawPatch(types.JSONPatchType, data)); err == nil {
		t.Error("a patch whose test does not hold was taken")
	}
}

func patchOfOldVersion(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	base := cm.DeepCopy()
	cm.Data["key"] = "b"
	if err := r.API.Update(r.ctx, cm); err != nil {
		t.Fatal(err)
	}
	mine := base.DeepCopy()
	mine.Data["key"] = "c"
	err := r.API.Patch(r.ctx, mine, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
	if !apierrors.IsConflict(err) {
		t.Errorf("patched an old version: %v, want Conflict", err)
	}
}

// patchOfAnotherUID: what an update calls a conflict, a patch calls invalid.
func patchOfAnotherUID(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	data := []byte(`{"metadata":{"uid":"11111111-2222-3333-4444-555555555555"},"data":{"key":"b"}}`)
	if err := r.API.Patch(r.ctx, cm, client.RawPatch(types.MergePatchType, data)); !apierrors.IsInvalid(err) {
		t.Errorf("patched another UID: %v, want Invalid", err)
	}
}

func deletionPreconditions(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	other := types.UID("11111111-2222-3333-4444-555555555555")
	if err := r.API.Delete(r.ctx, cm, client.Preconditions{UID: &other}); !apierrors.IsConflict(err) {
		t.Errorf("deleted another UID: %v, want Conflict", err)
	}
	if err := r.API.Delete(r.ctx, cm, client.Preconditions{UID: &cm.UID, ResourceVersion: new("1")}); !apierrors.IsConflict(err) {
		t.Errorf("deleted another version: %v, want Conflict", err)
	}
	if err := r.API.Delete(r.ctx, cm, client.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion}); err != nil {
		t.Errorf("deleted what was read: %v", err)
	}
	if err := r.API.Delete(r.ctx, cm, client.Preconditions{UID: &cm.UID}); !apierrors.IsNotFound(err) {
		t.Errorf("deleted again: %v, want NotFound", err)
	}
}

func finalizersHold(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	cm.Finalizers = []string{"conformance.test/hold"}
	r.create(t, cm)
	if err := r.API.Delete(r.ctx, cm, client.Preconditions{UID: &cm.UID}); err != nil {
		t.Fatal(err)
	}
	r.read(t, cm)
	if cm.DeletionTimestamp == nil {
		t.Error("a deleted object that is held has no deletionTimestamp")
	}
	more := cm.DeepCopy()
	more.Finalizers = append(more.Finalizers, "conformance.test/more")
	if err := r.API.Update(r.ctx, more); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
		t.Errorf("added a finalizer to what is being deleted: %v, want Invalid or Forbidden", err)
	}
	cm.Finalizers = nil
	if err := r.API.Update(r.ctx, cm); err != nil {
		t.Fatal(err)
	}
	if !r.gone(cm) {
		t.Error("the object is still there though nothing holds it")
	}
}

func dryRun(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	if err := r.API.Create(r.ctx, cm.DeepCopy(), client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if !r.gone(cm.DeepCopy()) {
		t.Fatal("a dry creation made an object")
	}
	r.create(t, cm)
	changed := cm.DeepCopy()
	changed.Data["key"] = "b"
	if err := r.API.Update(r.ctx, changed, client.DryRunAll); err != nil || changed.Data["key"] != "b" {
		t.Errorf("a dry update gave %v, %v, want what it would be", changed.Data, err)
	}
	if err := r.API.Patch(r.ctx, cm.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"data":{"key":"c"}}`)), client.DryRunAll); err != nil {
		t.Error(err)
	}
	if err := r.API.Delete(r.ctx, cm, client.DryRunAll, client.Preconditions{UID: &cm.UID}); err != nil {
		t.Error(err)
	}
	now := cm.DeepCopy()
	r.read(t, now)
	if now.Data["key"] != "a" || now.ResourceVersion != cm.ResourceVersion {
		t.Errorf("dry runs left %+v, want it as created", now)
	}
}

func dryRunFinds(t *testing.T, r *room) {
	cm := r.configMap("one", "a")
	r.create(t, cm)
	if err := r.API.Create(r.ctx, r.configMap("one", "b"), client.DryRunAll); !apierrors.IsAlreadyExists(err) {
		t.Errorf("dry creation of what is there: %v, want AlreadyExists", err)
	}
	old := cm.DeepCopy()
	cm.Data["key"] = "b"
	if err := r.API.Update(r.ctx, cm); err != nil {
		t.Fatal(err)
	}
	if err := r.API.Update(r.ctx, old, client.DryRunAll); !apierrors.IsConflict(err) {
		t.Errorf("dry update of an old version: %v, want Conflict", err)
	}
}

func replicasOwner(t *testing.T, r *room) {
	d := r.deployment("web")
	d.Spec.Replicas = new(int32(0))
	if err := r.API.Create(r.ctx, d, client.FieldOwner("first")); err != nil {
		t.Fatal(err)
	}
	if who := whoSetReplicas(d.ManagedFields); who != "first" {
		t.Errorf("replicas are %q's after the creation, want first's", who)
	}
	// The controller may have written meanwhile: such a patch needs no version.
	if err := r.API.Patch(r.ctx, d, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":1}}`)), client.FieldOwner("second")); err != nil {
		t.Fatal(err)
	}
	if who := whoSetReplicas(d.ManagedFields); who != "second" {
		t.Errorf("replicas are %q's after the patch, want second's", who)
	}
}

func whoSetReplicas(entries []metav1.ManagedFieldsEntry) (who string) {
	for _, e := range entries {
		if e.FieldsV1 != nil && containsReplicas(e.FieldsV1.GetRawString()) {
			who += e.Manager
		}
	}
	return who
}

func serviceAddress(t *testing.T, r *room) {
	s := r.service()
	r.create(t, s)
	if s.Spec.ClusterIP == "" || len(s.Spec.ClusterIPs) != 1 {
		t.Fatalf("a new Service has the addresses %v", s.Spec.ClusterIPs)
	}
	address := s.Spec.ClusterIP
	s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil
	s.Spec.Selector["more"] = "strict"
	if err := r.API.Update(r.ctx, s); err != nil {
		t.Fatal(err)
	}
	if s.Spec.ClusterIP != address {
		t.Errorf("address %s became %q by an update that left it out", address, s.Spec.ClusterIP)
	}
	s.Spec.ClusterIP = corev1.ClusterIPNone
	s.Spec.ClusterIPs = []string{corev1.ClusterIPNone}
	if err := r.API.Update(r.ctx, s); !apierrors.IsInvalid(err) {
		t.Errorf("took the address away: %v, want Invalid", err)
	}
}

func foreignAddress(t *testing.T, r *room) {
	s := r.service()
	s.Spec.ClusterIP = "192.0.2.10"
	if err := r.API.Create(r.ctx, s); !apierrors.IsInvalid(err) {
		t.Errorf("created a Service outside the range: %v, want Invalid", err)
	}
}

func selectorStays(t *testing.T, r *room) {
	d := r.deployment("web")
	d.Spec.Replicas = new(int32(0))
	r.create(t, d)
	data := []byte(`{"spec":{"selector":{"matchLabels":{"app":"other"}},"template":{"metadata":{"labels":{"app":"other"}}}}}`)
	if err := r.API.Patch(r.ctx, d, client.RawPatch(types.MergePatchType, data)); !apierrors.IsInvalid(err) {
		t.Errorf("changed a selector: %v, want Invalid", err)
	}
	if err := r.API.Create(r.ctx, mismatched(r)); !apierrors.IsInvalid(err) {
		t.Errorf("created a Deployment that does not select its pods: %v, want Invalid", err)
	}
}

func mismatched(r *room) *appsv1.Deployment {
	d := r.deployment("mismatched")
	d.Spec.Template.Labels = map[string]string{"app": fmt.Sprint("not-", d.Name)}
	return d
}

func deploymentDefaults(t *testing.T, r *room) {
	d := r.deployment("web")
	if err := r.API.Create(r.ctx, d, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	pod := d.Spec.Template.Spec
	if *d.Spec.Replicas != 1 || d.Spec.Strategy.RollingUpdate.MaxSurge.StrVal != "25%" || *d.Spec.RevisionHistoryLimit != 10 ||
		*pod.TerminationGracePeriodSeconds != 30 || pod.RestartPolicy != corev1.RestartPolicyAlways || pod.Containers[0].Ports[0].Protocol != corev1.ProtocolTCP {
		t.Errorf("completed %+v, want the defaults", d.Spec)
	}
}
