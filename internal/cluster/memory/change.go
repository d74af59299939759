package memory

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// create stores a new object, which it owns from here on, and returns it.
func (c *Cluster) create(k *kind, obj Object, w write) (Object, error) {
	w.operation = "CREATE"
	if obj.GetResourceVersion() != "" {
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: "resourceVersion should not be set on objects to be created",
		}}
	}
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		obj.SetName(obj.GetGenerateName() + c.suffix())
	}
	if err := c.placed(k, obj); err != nil {
		return nil, err
	}
	obj.SetUID(c.newUID())
	obj.SetCreationTimestamp(c.now())
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	obj.SetSelfLink("")
	obj.SetGeneration(0)
	if k.generation {
		obj.SetGeneration(1)
	}
	if k.status {
		setStatus(obj, nil)
	}
	obj.SetManagedFields(nil)
	c.setDefaults(obj, nil)
	if err := c.valid(k, obj, nil); err != nil {
		return nil, err
	}
	if err := c.policies.admit(k, nil, obj, w); err != nil {
		return nil, err
	}
	key := k.key(obj)
	if c.tables[k.GroupKind()].get(key) != nil {
		return nil, apierrors.NewAlreadyExists(k.groupResource(), obj.GetName())
	}
	c.sign(k, nil, obj, w)
	if w.dryRun {
		return obj, nil
	}
	c.allocate(obj)
	return c.put(k, key, nil, obj, w), nil
}

// suffix is what generateName is completed with.
func (c *Cluster) suffix() string {
	c.uids++
	return word(c.hash("name", fmt.Sprint(c.uids)), 5)
}

// word writes a number with the letters that Kubernetes uses in generated names.
func word(h uint64, length int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	out := make([]byte, length)
	for i := range out {
		out[i] = letters[h%uint64(len(letters))]
		h /= uint64(len(letters))
	}
	return string(out)
}

// placed checks name and namespace: a namespaced object needs one that exists and
// is not going away.
func (c *Cluster) placed(k *kind, obj Object) error {
	if obj.GetName() == "" {
		return apierrors.NewInvalid(k.GroupKind(), "", field.ErrorList{field.Required(field.NewPath("metadata", "name"), "name or generateName is required")})
	}
	if !k.namespaced {
		if obj.GetNamespace() != "" {
			return apierrors.NewBadRequest("namespace must be empty for " + k.Kind)
		}
		return nil
	}
	if obj.GetNamespace() == "" {
		return apierrors.NewBadRequest("namespace is required for " + k.Kind)
	}
	ns, _ := c.tables[namespaces].get(types.NamespacedName{Name: obj.GetNamespace()}).(*corev1.Namespace)
	if ns == nil {
		return apierrors.NewNotFound(c.kinds[namespaces].groupResource(), obj.GetNamespace())
	}
	if ns.DeletionTimestamp != nil {
		err := apierrors.NewForbidden(k.groupResource(), obj.GetName(), fmt.Errorf("unable to create new content in namespace %s because it is being terminated", ns.Name))
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause, Message: "namespace " + ns.Name + " is being terminated", Field: "metadata.namespace"}}
		return err
	}
	return nil
}

// replace stores what becomes of old, which new (owned from here on) asks for,
// and returns it. Nothing is stored, and the resourceVersion stays, when nothing differs.
func (c *Cluster) replace(k *kind, old, new Object, w write) (Object, error) {
	w.operation = "UPDATE"
	if err := current(k, old, new.GetUID(), new.GetResourceVersion()); err != nil {
		return nil, err
	}
	if w.subresource == "status" && !k.status {
		return nil, apierrors.NewNotFound(k.groupResource(), old.GetName())
	}
	new, claimed := c.carryOver(k, old, new, w)
	if old.GetDeletionTimestamp() != nil && addsFinalizer(old, new) {
		return nil, apierrors.NewInvalid(k.GroupKind(), old.GetName(), field.ErrorList{field.Forbidden(field.NewPath("metadata", "finalizers"),
			"no new finalizers can be added if the object is being deleted")})
	}
	differs := false
	if w.subresource == "" {
		c.setDefaults(new, old)
		if err := c.valid(k, new, old); err != nil {
			return nil, err
		}
		if k.generation && respecified(old, new) {
			new.SetGeneration(old.GetGeneration() + 1)
			differs = true
		}
	}
	if err := c.policies.admit(k, old, new, w); err != nil {
		return nil, err
	}
	if !differs && same(old, new) {
		return old, nil
	}
	if !claimed {
		c.sign(k, old, new, w)
	}
	if w.dryRun {
		return new, nil
	}
	if gone(new) {
		c.put(k, k.key(old), old, nil, w)
		return new, nil
	}
	c.allocate(new)
	return c.put(k, k.key(old), old, new, w), nil
}

// current checks preconditions; empty ones hold.
func current(k *kind, old Object, uid types.UID, resourceVersion string) error {
	if uid != "" && uid != old.GetUID() {
		return apierrors.NewConflict(k.groupResource(), old.GetName(),
			fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", uid, old.GetUID())) //nolint:staticcheck // the server's own words
	}
	if resourceVersion != "" && resourceVersion != old.GetResourceVersion() {
		return apierrors.NewConflict(k.groupResource(), old.GetName(),
			errors.New("the object has been modified; please apply your changes to the latest version and try again"))
	}
	return nil
}

// carryOver completes new by what a writer can't change. Claimed is true when new
// says itself who manages its fields.
func (c *Cluster) carryOver(k *kind, old, new Object, w write) (out Object, claimed bool) {
	if w.subresource == "status" {
		status := statusOf(new)
		new = old.DeepCopyObject().(Object)
		setStatus(new, status)
		return new, false
	}
	if k.status {
		setStatus(new, statusOf(old))
	}
	new.SetUID(old.GetUID())
	new.SetResourceVersion(old.GetResourceVersion())
	new.SetGeneration(old.GetGeneration())
	new.SetCreationTimestamp(old.GetCreationTimestamp())
	new.SetDeletionTimestamp(old.GetDeletionTimestamp())
	new.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	new.SetSelfLink("")
	claimed = new.GetManagedFields() != nil && !equality.Semantic.DeepEqual(old.GetManagedFields(), new.GetManagedFields())
	if !claimed {
		new.SetManagedFields(old.GetManagedFields())
	}
	return new, claimed
}

func addsFinalizer(old, new Object) bool {
	return slices.ContainsFunc(new.GetFinalizers(), func(f string) bool { return !slices.Contains(old.GetFinalizers(), f) })
}

// gone is true of an object that nothing holds any longer after its deletion.
func gone(obj Object) bool {
	if obj.GetDeletionTimestamp() == nil || len(obj.GetFinalizers()) > 0 {
		return false
	}
	if ns, ok := obj.(*corev1.Namespace); ok && len(ns.Spec.Finalizers) > 0 {
		return false
	}
	grace := obj.GetDeletionGracePeriodSeconds()
	return grace == nil || *grace == 0
}

// remove deletes an object at once, or marks it as going.
func (c *Cluster) remove(k *kind, key types.NamespacedName, o *client.DeleteOptions, w write) error {
	w.operation = "DELETE"
	old := c.tables[k.GroupKind()].get(key)
	if old == nil {
		return apierrors.NewNotFound(k.groupResource(), key.Name)
	}
	if immortal(k.GroupKind(), key.Name) {
		return apierrors.NewForbidden(k.groupResource(), key.Name, errors.New("this namespace may not be deleted"))
	}
	if p := o.Preconditions; p != nil {
		var uid types.UID
		var version string
		if p.UID != nil {
			uid = *p.UID
		}
		if p.ResourceVersion != nil {
			version = *p.ResourceVersion
		}
		if err := current(k, old, uid, version); err != nil {
			return err
		}
	}
	if err := c.policies.admit(k, old, nil, w); err != nil {
		return err
	}
	if w.dryRun {
		return nil
	}
	if o.PropagationPolicy != nil && *o.PropagationPolicy == metav1.DeletePropagationOrphan {
		c.orphan(old)
	}
	marked := c.mark(old, o)
	switch {
	case marked != nil && gone(marked), marked == nil && gone(old):
		c.put(k, key, old, nil, w)
	case marked != nil:
		c.put(k, key, old, marked, w)
	}
	return nil
}

// mark returns old as it is while it goes away; nil if it already is as asked.
func (c *Cluster) mark(old Object, o *client.DeleteOptions) Object {
	grace := int64(0)
	if pod, ok := old.(*corev1.Pod); ok {
		grace = graceOf(pod, o.GracePeriodSeconds)
	}
	if had := old.GetDeletionGracePeriodSeconds(); old.GetDeletionTimestamp() != nil && (had == nil || *had <= grace) {
		return nil
	}
	new := old.DeepCopyObject().(Object)
	at := metav1.NewTime(c.now().Add(secondsOf(grace)))
	new.SetDeletionTimestamp(&at)
	new.SetDeletionGracePeriodSeconds(&grace)
	if old.GetGeneration() > 0 {
		new.SetGeneration(old.GetGeneration() + 1)
	}
	if o.PropagationPolicy != nil && *o.PropagationPolicy == metav1.DeletePropagationForeground {
		new.SetFinalizers(append(new.GetFinalizers(), metav1.FinalizerDeleteDependents))
	}
	if ns, ok := new.(*corev1.Namespace); ok {
		ns.Status.Phase = corev1.NamespaceTerminating
	}
	return new
}

// same is true when nothing differs. What changes most often is compared first.
func same(old, new Object) bool {
	if _, loose := old.(*unstructured.Unstructured); loose || reflect.TypeOf(old) != reflect.TypeOf(new) {
		return equality.Semantic.DeepEqual(old, new)
	}
	a, b := reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem()
	for i := a.NumField() - 1; i >= 0; i-- { // the metadata is the first of them
		if !equality.Semantic.DeepEqual(a.Field(i).Addr().Interface(), b.Field(i).Addr().Interface()) {
			return false
		}
	}
	return true
}

// respecified is true when something other than metadata and status differs, or,
// as real servers have it, the annotations of a Deployment.
func respecified(old, new Object) bool {
	if a, ok := old.(*unstructured.Unstructured); ok {
		b := new.(*unstructured.Unstructured)
		return !equality.Semantic.DeepEqual(withoutFrame(a.Object), withoutFrame(b.Object))
	}
	a, b := reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem()
	for i := range a.NumField() {
		switch a.Type().Field(i).Name {
		case "TypeMeta", "ObjectMeta", "Status":
			continue
		}
		if !equality.Semantic.DeepEqual(a.Field(i).Addr().Interface(), b.Field(i).Addr().Interface()) {
			return true
		}
	}
	return a.Type().Name() == "Deployment" && !equality.Semantic.DeepEqual(old.GetAnnotations(), new.GetAnnotations())
}

func withoutFrame(content map[string]any) map[string]any {
	out := make(map[string]any, len(content))
	for key, value := range content {
		if key != "metadata" && key != "status" {
			out[key] = value
		}
	}
	return out
}

// statusOf returns the status of an object; nil if it has none.
func statusOf(obj Object) any {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return u.Object["status"]
	}
	return reflect.ValueOf(obj).Elem().FieldByName("Status").Interface()
}

// setStatus replaces the status of an object; nil empties it.
func setStatus(obj Object, status any) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		if status == nil {
			delete(u.Object, "status")
		} else {
			u.Object["status"] = status
		}
		return
	}
	f := reflect.ValueOf(obj).Elem().FieldByName("Status")
	if status == nil {
		f.SetZero()
	} else {
		f.Set(reflect.ValueOf(status))
	}
}

// sign notes in managedFields who wrote: manager, operation and time for all, and
// of the fields only whose spec.replicas or spec.minReplicas is, which is what the
// engine reads there.
func (c *Cluster) sign(k *kind, old, new Object, w write) {
	now := c.now()
	entries := slices.Clone(new.GetManagedFields())
	replicas, had, field := replicasOf(new), replicasOf(old), replicasField
	if h, ok := new.(*autoscalingv2.HorizontalPodAutoscaler); ok {
		replicas, field = h.Spec.MinReplicas, minimumField
		if was, ok := old.(*autoscalingv2.HorizontalPodAutoscaler); ok {
			had = was.Spec.MinReplicas
		}
	}
	sets := w.subresource == "" && replicas != nil && (had == nil || *had != *replicas)
	mine := -1
	for i, e := range entries {
		if e.Manager == w.manager && e.Operation == metav1.ManagedFieldsOperationUpdate && e.Subresource == w.subresource {
			mine = i
		} else if sets && e.Subresource == "" {
			entries[i].FieldsV1 = noFields
		}
	}
	if mine < 0 {
		mine = len(entries)
		entries = append(entries, metav1.ManagedFieldsEntry{
			Manager: w.manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: w.subresource,
			APIVersion: k.GroupVersion().String(), FieldsType: "FieldsV1", FieldsV1: noFields,
		})
	}
	entries[mine].Time = &now
	if sets {
		entries[mine].FieldsV1 = field
	}
	new.SetManagedFields(entries)
}

var (
	noFields      = metav1.NewFieldsV1(`{}`)
	replicasField = metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)
	minimumField  = metav1.NewFieldsV1(`{"f:spec":{"f:minReplicas":{}}}`)
)

func decodeLoose(data []byte) (Object, error) {
	out := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return out, nil
}

func labelSet(m map[string]string) labels.Set { return labels.Set(m) }
