package dryrun

import (
	"context"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// A Cluster is a cluster.API whose writes are caught. Nothing that it sends to the API
// server behind it lasts: writes are dry runs, and reads are reads.
type Cluster struct {
	api    cluster.API
	place  Place
	record *Recorder
	// asks is true if the API server is asked what it would make of a write.
	asks bool

	mu      sync.Mutex
	objects map[name]*caught
	version uint64
}

var _ cluster.API = (*Cluster)(nil)

// Cluster catches the writes to the cluster behind api, which must not be fenced: the
// fence is for who writes. The hub is not asked what it would make of a write: its
// objects are the engine's own, and who dry-runs need not be allowed to write them.
func (r *Recorder) Cluster(place Place, api cluster.API) *Cluster {
	return &Cluster{api: api, place: place, record: r, asks: place != Hub, objects: map[name]*caught{}, version: ahead}
}

// ahead is before the first resourceVersion of what was caught, which are later than
// any of a real server: an answer without the write is known for an older one.
const ahead = 1 << 62

// A name is that of an object, whatever version of its kind it is asked for in.
type name struct {
	schema.GroupKind
	types.NamespacedName
}

// caught is an object of which a write was caught.
type caught struct {
	now *unstructured.Unstructured // nil once it is deleted
	// behind is the resourceVersion of the object behind it, in the API server; empty if
	// there is none.
	behind string
}

// lookup is what was caught of an object; nil if nothing was.
func (c *Cluster) lookup(n name) *caught {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.objects[n]
}

// Get implements cluster.API.
func (c *Cluster) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	n, _, err := nameOf(obj, key)
	if err != nil {
		return err
	}
	have := c.lookup(n)
	switch {
	case have == nil:
		return c.api.Get(ctx, key, obj, opts...)
	case have.now == nil:
		return apierrors.NewNotFound(resource(n), n.Name)
	}
	return fill(obj, have.now)
}

// List implements cluster.API. What was caught stands at the end of the first page.
func (c *Cluster) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	kind, err := kindOf(list)
	if err != nil {
		return err
	}
	all, version := c.of(kind.GroupKind())
	if len(all) == 0 {
		return c.api.List(ctx, list, opts...)
	}
	var o client.ListOptions
	o.ApplyOptions(opts)
	o.UnsafeDisableDeepCopy = nil // it is changed below
	if err := c.api.List(ctx, list, &o); err != nil && !meta.IsNoMatchError(err) {
		return err
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	kept := make([]runtime.Object, 0, len(items)+len(all))
	for _, item := range items {
		at := item.(client.Object)
		if all[client.ObjectKeyFromObject(at)] == nil {
			kept = append(kept, item)
		}
	}
	if o.Continue == "" {
		made, err := matching(list, kind, all, o)
		if err != nil {
			return err
		}
		kept = append(kept, made...)
	}
	list.SetResourceVersion(version)
	return meta.SetList(list, kept)
}

// of is what was caught of a kind, and the version of the last of all writes.
func (c *Cluster) of(kind schema.GroupKind) (map[client.ObjectKey]*caught, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[client.ObjectKey]*caught{}
	for n, have := range c.objects {
		if n.GroupKind == kind {
			all[n.NamespacedName] = have
		}
	}
	return all, strconv.FormatUint(c.version, 10)
}

// matching are those that stand and that the options select, ordered by name, in the
// form of the list's items.
func matching(list client.ObjectList, kind schema.GroupVersionKind, all map[client.ObjectKey]*caught, o client.ListOptions) ([]runtime.Object, error) {
	var out []runtime.Object
	for _, key := range sorted(all) {
		now := all[key].now
		if now == nil || o.Namespace != "" && o.Namespace != key.Namespace ||
			o.LabelSelector != nil && !o.LabelSelector.Matches(labels.Set(now.GetLabels())) ||
			o.FieldSelector != nil && !o.FieldSelector.Matches(fields.Set{"metadata.name": key.Name, "metadata.namespace": key.Namespace}) {
			continue
		}
		item, err := itemOf(list, kind)
		if err != nil {
			return nil, err
		}
		if err := fill(item, now); err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}

// Watch implements cluster.API. It tells of what happens in the cluster, and of nothing
// that was caught.
func (c *Cluster) Watch(ctx context.Context, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
	return c.api.Watch(ctx, list, opts...)
}

// As implements cluster.API. All that is written in another's name is a dry run, as it
// should be, and is not noted; what was caught is not seen.
func (c *Cluster) As(user string, groups ...string) cluster.API {
	return trying{c.api.As(user, groups...)}
}

// trying is an API all of whose writes are dry runs.
type trying struct{ cluster.API }

func (t trying) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	return t.API.Create(ctx, obj, append(opts, client.DryRunAll)...)
}

func (t trying) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	return t.API.Update(ctx, obj, append(opts, client.DryRunAll)...)
}

func (t trying) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return t.API.Patch(ctx, obj, patch, append(opts, client.DryRunAll)...)
}

func (t trying) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	return t.API.Delete(ctx, obj, append(opts, client.DryRunAll)...)
}

// Status catches nothing: nobody proves anything by a status.
func (t trying) Status() client.SubResourceWriter { return nothing{} }

// Put makes obj what the cluster holds, as a person's command would; it notes a write
// if that changes anything. The status stays what it is.
func (c *Cluster) Put(ctx context.Context, obj client.Object) error {
	n, gvk, err := nameOf(obj, client.ObjectKeyFromObject(obj))
	if err != nil {
		return err
	}
	before, behind, err := c.current(ctx, n, obj)
	if apierrors.IsNotFound(err) {
		return c.Create(ctx, obj.DeepCopyObject().(client.Object))
	}
	if err != nil {
		return err
	}
	next, err := fieldsOf(obj, gvk)
	if err != nil {
		return err
	}
	settle(before, next)
	if changed := changes(before, next); len(changed) > 0 {
		c.keep(n, next, behind)
		c.record.Note(Write{Place: c.place, Verb: Patch, Kind: n.Kind, Namespace: n.Namespace, Name: n.Name, Fields: changed})
	}
	return nil
}

// current is an object as it stands, read in the form of like, and the resourceVersion
// of what is behind it in the API server.
func (c *Cluster) current(ctx context.Context, n name, like client.Object) (now *unstructured.Unstructured, behind string, err error) {
	if have := c.lookup(n); have != nil {
		if have.now == nil {
			return nil, have.behind, apierrors.NewNotFound(resource(n), n.Name)
		}
		return have.now, have.behind, nil
	}
	read, gvk, err := alike(like)
	if err != nil {
		return nil, "", err
	}
	if err := c.api.Get(ctx, n.NamespacedName, read); err != nil {
		return nil, "", err
	}
	now, err = fieldsOf(read, gvk)
	return now, read.GetResourceVersion(), err
}

// keep makes next what the cluster holds, under a version of its own. What was only
// held by its last finalizer goes with it.
func (c *Cluster) keep(n name, next *unstructured.Unstructured, behind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	next.SetResourceVersion(strconv.FormatUint(c.version, 10))
	c.objects[n] = &caught{now: next, behind: behind}
	if next.GetDeletionTimestamp() != nil && !held(n, next) {
		c.objects[n].now = nil
	}
}

// leave removes an object, or marks it while something holds it.
func (c *Cluster) leave(n name, before *unstructured.Unstructured, behind string) {
	next := before.DeepCopy()
	at := metav1.NewTime(c.record.now())
	next.SetDeletionTimestamp(&at)
	c.keep(n, next, behind)
}

// held tells whether a deleted object stays for now. A Namespace goes only after what
// it holds, which takes time.
func held(n name, obj *unstructured.Unstructured) bool {
	return len(obj.GetFinalizers()) > 0 || n.GroupKind == schema.GroupKind{Kind: "Namespace"}
}
