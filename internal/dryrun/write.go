package dryrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/object"
)

// Create implements cluster.API.
func (c *Cluster) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	var o client.CreateOptions
	o.ApplyOptions(opts)
	n, gvk, err := nameOf(obj, client.ObjectKeyFromObject(obj))
	if err != nil {
		return err
	}
	if have := c.lookup(n); asksOnly(gvk) || len(o.DryRun) > 0 && (have == nil || have.now == nil) {
		return c.api.Create(ctx, obj, opts...)
	}
	if obj.GetResourceVersion() != "" { // a dry run would not say so
		return apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	sent, err := fieldsOf(obj, gvk)
	if err != nil {
		return err
	}
	w := Write{Place: c.place, Verb: Create, Kind: gvk.Kind, Namespace: n.Namespace, Name: n.Name, Object: object.Veiled(bare(sent))}
	if err := c.mayCreate(ctx, n, obj); err != nil {
		return err
	}
	told := false
	if c.asks && c.lookup(n) == nil {
		asked := obj.DeepCopyObject().(client.Object)
		if told, err = c.answered(n, c.askCreate(ctx, n, asked, opts), &w); err != nil {
			return err
		}
		if told {
			if sent, err = fieldsOf(asked, gvk); err != nil {
				return err
			}
		}
	}
	if !told {
		c.born(sent)
	}
	n.Name, w.Name = sent.GetName(), sent.GetName()
	c.keep(n, sent, "")
	c.record.Note(w)
	return fill(obj, sent)
}

// askCreate asks what would be made of an object. In a Namespace whose own creation was
// only caught nothing can be created: there the answer is that of another Namespace.
func (c *Cluster) askCreate(ctx context.Context, n name, asked client.Object, opts []client.CreateOption) error {
	opts = append(append([]client.CreateOption{client.FieldOwner(cluster.FieldManager)}, opts...), client.DryRunAll)
	if !c.made(n.Namespace) {
		return c.api.Create(ctx, asked, opts...)
	}
	asked.SetNamespace(metav1.NamespaceDefault)
	err := c.api.Create(ctx, asked, opts...)
	if apierrors.IsAlreadyExists(err) {
		asked.SetName("dry-run-" + rand.String(5))
		err = c.api.Create(ctx, asked, opts...)
	}
	asked.SetNamespace(n.Namespace)
	if n.Name != "" {
		asked.SetName(n.Name)
	}
	return err
}

// asksOnly is true of kinds whose creation is a question, and makes nothing.
func asksOnly(gvk schema.GroupVersionKind) bool {
	return gvk.Group == "authorization.k8s.io" || gvk.Group == "authentication.k8s.io"
}

// mayCreate refuses to create what stands, where the API server is not asked.
func (c *Cluster) mayCreate(ctx context.Context, n name, obj client.Object) error {
	if have := c.lookup(n); n.Name == "" || have == nil && c.asks {
		return nil
	}
	_, _, err := c.current(ctx, n, obj)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return apierrors.NewAlreadyExists(resource(n), n.Name)
}

// born completes what no API server was asked about.
func (c *Cluster) born(obj *unstructured.Unstructured) {
	if obj.GetName() == "" {
		obj.SetName(obj.GetGenerateName() + rand.String(5))
	}
	obj.SetUID(types.UID(uuid.NewString()))
	obj.SetCreationTimestamp(metav1.NewTime(c.record.now()))
	obj.SetGeneration(1)
	delete(obj.Object, "status")
}

// Update implements cluster.API.
func (c *Cluster) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	var o client.UpdateOptions
	o.ApplyOptions(opts)
	return c.update(ctx, obj, "", len(o.DryRun) > 0, func(asked client.Object) error {
		return c.api.Update(ctx, asked, append(append([]client.UpdateOption{client.FieldOwner(cluster.FieldManager)}, opts...), client.DryRunAll)...)
	})
}

// update makes obj what an object becomes, or its subresource; only tried, it does not
// last. Ask asks the API server.
func (c *Cluster) update(ctx context.Context, obj client.Object, sub string, tried bool, ask func(client.Object) error) error {
	n, gvk, err := nameOf(obj, client.ObjectKeyFromObject(obj))
	if err != nil {
		return err
	}
	if obj.GetUID() == "" || obj.GetResourceVersion() == "" {
		return fmt.Errorf("update %s %s: %w: UID %q, resourceVersion %q", n.Kind, n.NamespacedName, cluster.ErrUnconditional, obj.GetUID(), obj.GetResourceVersion())
	}
	before, behind, err := c.current(ctx, n, obj)
	if err != nil {
		return err
	}
	next, err := fieldsOf(obj, gvk)
	if err != nil {
		return err
	}
	if err := conditional(n, before, next); err != nil {
		return err
	}
	ch := change{name: n, before: before, next: next, behind: behind, sub: sub, tried: tried,
		write: Write{Place: c.place, Verb: Update, Kind: n.Kind, Namespace: n.Namespace, Name: n.Name, Subresource: sub, Object: object.Veiled(bare(next))}}
	if c.asks && behind != "" {
		asked := obj.DeepCopyObject().(client.Object)
		asked.SetResourceVersion(behind)
		if err := c.ask(&ch, asked, ask(asked)); err != nil {
			return err
		}
	}
	return c.finish(&ch, obj)
}

// A change of one object.
type change struct {
	name
	before, next *unstructured.Unstructured
	behind, sub  string
	// tried is true of a dry run of the engine's own; told once the API server has said
	// what it makes of the change, which then is next.
	tried, told bool
	write       Write
}

// ask takes what the API server said about a change: asked, or an error.
func (c *Cluster) ask(ch *change, asked client.Object, err error) error {
	if ch.told, err = c.answered(ch.name, err, &ch.write); !ch.told {
		return err
	}
	ch.next, err = fieldsOf(asked, ch.next.GroupVersionKind())
	return err
}

// finish keeps and notes a change, unless it is none or was only tried, and fills obj.
func (c *Cluster) finish(ch *change, obj client.Object) error {
	switch status := ch.next.Object["status"]; {
	case ch.sub != "":
		ch.next = ch.before.DeepCopy()
		ch.next.Object["status"] = status
	case ch.told:
		ch.next.Object["status"] = ch.before.Object["status"]
		ch.next.SetResourceVersion(ch.before.GetResourceVersion())
	default:
		settle(ch.before, ch.next)
	}
	if ch.next.Object["status"] == nil {
		delete(ch.next.Object, "status")
	}
	if err := ch.leaving(); err != nil {
		return err
	}
	ch.write.Fields = changes(ch.before, ch.next)
	switch {
	case len(ch.write.Fields) == 0:
		return fill(obj, ch.before)
	case ch.tried:
		return fill(obj, ch.next)
	}
	c.keep(ch.name, ch.next, ch.behind)
	c.record.Note(ch.write)
	return fill(obj, ch.next)
}

// leaving refuses to hold back by a new finalizer what is being deleted already.
func (ch *change) leaving() error {
	if ch.before.GetDeletionTimestamp() == nil {
		return nil
	}
	for _, f := range ch.next.GetFinalizers() {
		if !slices.Contains(ch.before.GetFinalizers(), f) {
			return apierrors.NewForbidden(resource(ch.name), ch.Name, fmt.Errorf("it is being deleted: no new finalizer %s", f))
		}
	}
	return nil
}

// Patch implements cluster.API.
func (c *Cluster) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	var o client.PatchOptions
	o.ApplyOptions(opts)
	return c.patch(ctx, obj, "", len(o.DryRun) > 0, patch, asking{
		patch: func(asked client.Object, p client.Patch) error {
			return c.api.Patch(ctx, asked, p, append(append([]client.PatchOption{client.FieldOwner(cluster.FieldManager)}, opts...), client.DryRunAll)...)
		},
		update: func(asked client.Object) error {
			return c.api.Update(ctx, asked, client.FieldOwner(cluster.FieldManager), client.DryRunAll)
		},
	})
}

// asking is how an API server is asked about a patch: by itself, or by the whole object
// after other writes of it were caught.
type asking struct {
	patch  func(client.Object, client.Patch) error
	update func(client.Object) error
}

func (c *Cluster) patch(ctx context.Context, obj client.Object, sub string, tried bool, patch client.Patch, ask asking) error {
	n, gvk, err := nameOf(obj, client.ObjectKeyFromObject(obj))
	if err != nil {
		return err
	}
	data, err := patch.Data(obj)
	if err != nil {
		return err
	}
	before, behind, err := c.current(ctx, n, obj)
	if err != nil {
		return err
	}
	ch := change{name: n, before: before, next: &unstructured.Unstructured{}, behind: behind, sub: sub, tried: tried,
		write: Write{Place: c.place, Verb: Patch, Kind: n.Kind, Namespace: n.Namespace, Name: n.Name, Subresource: sub, Patch: shown(n.Kind, patch.Type(), data)}}
	ch.next.SetGroupVersionKind(gvk)
	first := behind == before.GetResourceVersion()
	if c.asks && first {
		asked := obj.DeepCopyObject().(client.Object)
		if err := c.ask(&ch, asked, ask.patch(asked, client.RawPatch(patch.Type(), data))); err != nil {
			return err
		}
	}
	if ch.told {
		return c.finish(&ch, obj)
	}
	if ch.next, err = merged(n, before, patch.Type(), data); err != nil {
		return err
	}
	if c.asks && behind != "" && !first && ask.update != nil {
		asked := ch.next.DeepCopy()
		asked.SetResourceVersion(behind)
		if err := c.ask(&ch, asked, ask.update(asked)); err != nil {
			return err
		}
	}
	return c.finish(&ch, obj)
}

// merged is an object after a patch.
func merged(n name, before *unstructured.Unstructured, kind types.PatchType, data []byte) (*unstructured.Unstructured, error) {
	text, err := before.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if text, err = patched(text, before.GroupVersionKind(), kind, data); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	next := &unstructured.Unstructured{}
	if err := next.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	if next.GetUID() != before.GetUID() {
		return nil, apierrors.NewInvalid(n.GroupKind, n.Name, nil)
	}
	return next, conditional(n, before, next)
}

// patched is the JSON of an object after a patch: RFC 7386, RFC 6902, or Kubernetes' own,
// for which the Go type says how lists are merged.
func patched(text []byte, gvk schema.GroupVersionKind, kind types.PatchType, data []byte) ([]byte, error) {
	switch kind {
	case types.MergePatchType:
		return jsonpatch.MergePatch(text, data)
	case types.JSONPatchType:
		operations, err := jsonpatch.DecodePatch(data)
		if err != nil {
			return nil, err
		}
		return operations.Apply(text)
	case types.StrategicMergePatchType:
		typed, err := cluster.Scheme().New(gvk)
		if err != nil {
			return nil, err
		}
		return strategicpatch.StrategicMergePatch(text, data, typed)
	}
	return nil, fmt.Errorf("a patch of type %s: %w", kind, errors.ErrUnsupported)
}

// conditional refuses a write of something else than stands.
func conditional(n name, before, next *unstructured.Unstructured) error {
	if next.GetUID() != before.GetUID() || next.GetResourceVersion() != before.GetResourceVersion() {
		return apierrors.NewConflict(resource(n), n.Name, errors.New("the object has been modified; read it again"))
	}
	return nil
}

// Delete implements cluster.API. What the object owns is not told to go with it.
func (c *Cluster) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	var o client.DeleteOptions
	o.ApplyOptions(opts)
	n, _, err := nameOf(obj, client.ObjectKeyFromObject(obj))
	if err != nil {
		return err
	}
	if o.Preconditions == nil || o.Preconditions.UID == nil || *o.Preconditions.UID == "" {
		return fmt.Errorf("delete %s %s: %w: no UID", n.Kind, n.NamespacedName, cluster.ErrUnconditional)
	}
	before, behind, err := c.current(ctx, n, obj)
	if err != nil {
		return err
	}
	if version := o.Preconditions.ResourceVersion; *o.Preconditions.UID != before.GetUID() || version != nil && *version != before.GetResourceVersion() {
		return apierrors.NewConflict(resource(n), n.Name, errors.New("the precondition does not hold"))
	}
	w := Write{Place: c.place, Verb: Delete, Kind: n.Kind, Namespace: n.Namespace, Name: n.Name}
	if c.asks && behind != "" {
		asked := o
		asked.Preconditions, asked.DryRun = &metav1.Preconditions{UID: o.Preconditions.UID}, []string{metav1.DryRunAll}
		if _, err := c.answered(n, c.api.Delete(ctx, obj.DeepCopyObject().(client.Object), &asked), &w); err != nil {
			return err
		}
	}
	if len(o.DryRun) > 0 || before.GetDeletionTimestamp() != nil {
		return nil
	}
	c.leave(n, before, behind)
	c.record.Note(w)
	return nil
}

// answered takes an API server's answer to a dry run. It has not told if it could not
// be asked, which is no error: because the write depends on one that was only caught,
// or because it takes no dry run of it, such as for a webhook. A refusal for good is
// noted, and is an error like any other.
func (c *Cluster) answered(n name, err error, w *Write) (told bool, _ error) {
	switch {
	case err == nil:
		return true, nil
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err) && c.made(n.Namespace):
		return false, nil
	case apierrors.IsBadRequest(err):
		w.Unasked = sentence(err)
		return false, nil
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsMethodNotSupported(err), apierrors.IsRequestEntityTooLargeError(err):
		w.Refused = sentence(err)
		c.record.Note(*w)
	}
	return false, err
}

func sentence(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// made tells whether a namespace is one whose creation was caught.
func (c *Cluster) made(namespace string) bool {
	have := c.lookup(name{schema.GroupKind{Kind: "Namespace"}, types.NamespacedName{Name: namespace}})
	return have != nil && have.now != nil && have.behind == ""
}

// Status implements cluster.API.
func (c *Cluster) Status() client.SubResourceWriter { return status{cluster: c} }

type status struct {
	nothing
	cluster *Cluster
}

func (s status) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	return s.cluster.update(ctx, obj, "status", false, func(asked client.Object) error {
		return s.cluster.api.Status().Update(ctx, asked, append(append([]client.SubResourceUpdateOption{client.FieldOwner(cluster.FieldManager)}, opts...), client.DryRunAll)...)
	})
}

func (s status) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.cluster.patch(ctx, obj, "status", false, patch, asking{patch: func(asked client.Object, p client.Patch) error {
		return s.cluster.api.Status().Patch(ctx, asked, p, append(append([]client.SubResourcePatchOption{client.FieldOwner(cluster.FieldManager)}, opts...), client.DryRunAll)...)
	}})
}

// nothing refuses what no engine writes.
type nothing struct{}

func (nothing) Create(context.Context, client.Object, client.Object, ...client.SubResourceCreateOption) error {
	return errors.ErrUnsupported
}

func (nothing) Update(context.Context, client.Object, ...client.SubResourceUpdateOption) error {
	return errors.ErrUnsupported
}

func (nothing) Patch(context.Context, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
	return errors.ErrUnsupported
}

func (nothing) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	return errors.ErrUnsupported
}
