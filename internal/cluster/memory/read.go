package memory

import (
	"context"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/object"
)

// A speaker is the API in one person's name.
type speaker struct {
	c      *Cluster
	user   string
	groups []string
}

// As returns the API in another person's name.
func (s *speaker) As(user string, groups ...string) cluster.API {
	return &speaker{c: s.c, user: user, groups: append(append([]string(nil), groups...), "system:authenticated")}
}

// Get reads one object.
func (s *speaker) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k, err := s.c.kindIn(obj)
	if err != nil {
		return err
	}
	if !k.namespaced {
		key.Namespace = ""
	}
	_, bare := obj.(*metav1.PartialObjectMetadata)
	f := s.fault(Op{Verb: "get", Kind: k.GroupVersionKind, Namespace: key.Namespace, Name: key.Name, Bare: bare})
	if f.Before != nil {
		return f.Before
	}
	found := s.c.look(k, key, f.Stale)
	if f.After != nil {
		return f.After
	}
	if found == nil {
		return apierrors.NewNotFound(k.groupResource(), key.Name)
	}
	var o client.GetOptions
	o.ApplyOptions(opts)
	if o.UnsafeDisableDeepCopy == nil || !*o.UnsafeDisableDeepCopy {
		found = k.lent(found, obj)
	}
	return fill(obj, found, k)
}

func (c *Cluster) kindIn(obj runtime.Object) (*kind, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.kindOf(obj)
}

// look returns the object as it is, or was a number of the kind's changes ago.
func (c *Cluster) look(k *kind, key types.NamespacedName, stale int) Object {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t := c.tables[k.GroupKind()]
	later, _ := t.since(t.revisionBefore(stale))
	for _, e := range later {
		if stale > 0 && e.key == key {
			return e.old
		}
	}
	return t.get(key)
}

// lent is a copy of a stored object that a reader may change once it is in the form of
// into; what is written out in fields is copied by that.
func (k *kind) lent(obj, into Object) Object {
	if _, loose := into.(*unstructured.Unstructured); loose && k.typed {
		return obj
	}
	return obj.DeepCopyObject().(Object)
}

// fill makes into what from is, in into's own form. It keeps from's inner values:
// from must be a copy unless the reader promised not to change it.
func fill(into client.Object, from Object, k *kind) error {
	gvk := into.GetObjectKind().GroupVersionKind()
	switch out := into.(type) {
	case *metav1.PartialObjectMetadata:
		*out = *partial(from, k)
	case *unstructured.Unstructured:
		in, err := loose(from, k)
		if err != nil {
			return err
		}
		out.Object = in.Object
	default:
		if reflect.TypeOf(into) != reflect.TypeOf(from) {
			return fmt.Errorf("read %s into a %T", k.Kind, into)
		}
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(from).Elem())
		into.GetObjectKind().SetGroupVersionKind(gvk)
	}
	return nil
}

func partial(from Object, k *kind) *metav1.PartialObjectMetadata {
	out := &metav1.PartialObjectMetadata{}
	out.SetGroupVersionKind(k.GroupVersionKind)
	if source, ok := from.(metav1.ObjectMetaAccessor); ok {
		if m, ok := source.GetObjectMeta().(*metav1.ObjectMeta); ok {
			out.ObjectMeta = *m
			return out
		}
	}
	in := from.(*unstructured.Unstructured)
	var m metav1.PartialObjectMetadata
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(in.Object, &m); err != nil {
		panic(fmt.Errorf("stored %s %s has no metadata: %w", k.Kind, from.GetName(), err))
	}
	out.ObjectMeta = m.ObjectMeta
	return out
}

// loose is an object in unstructured form.
func loose(from Object, k *kind) (*unstructured.Unstructured, error) {
	if in, ok := from.(*unstructured.Unstructured); ok {
		return in, nil
	}
	out, err := object.Unstructured(from)
	if err != nil {
		return nil, fmt.Errorf("write out %s %s: %w", k.Kind, from.GetName(), err)
	}
	out.SetGroupVersionKind(k.GroupVersionKind)
	return out, nil
}

// List reads the objects of a kind in the order of namespace and name. Later pages
// are of the same moment as the first.
func (s *speaker) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k, err := s.c.kindIn(list)
	if err != nil {
		return err
	}
	var o client.ListOptions
	o.ApplyOptions(opts)
	_, bare := list.(*metav1.PartialObjectMetadataList)
	f := s.fault(Op{Verb: "list", Kind: k.GroupVersionKind, Namespace: o.Namespace, Bare: bare})
	if f.Before != nil {
		return f.Before
	}
	if err := selectable(k, o.FieldSelector); err != nil {
		return err
	}
	shared := o.UnsafeDisableDeepCopy != nil && *o.UnsafeDisableDeepCopy
	if shared && f.Stale == 0 && f.After == nil && s.c.lend(k, list, &o) {
		return nil
	}
	found, next, revision, err := s.c.find(k, &o, f.Stale)
	if f.After != nil {
		return f.After
	}
	if err != nil {
		return err
	}
	list.SetResourceVersion(strconv.FormatUint(revision, 10))
	list.SetContinue(next)
	return fillList(list, found, k, shared)
}

// find selects the objects of one page, and says where the next one begins.
func (c *Cluster) find(k *kind, o *client.ListOptions, stale int) (found []Object, next string, revision uint64, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, revision := c.tables[k.GroupKind()], c.revision
	if stale > 0 {
		revision = t.revisionBefore(stale)
	}
	var from types.NamespacedName
	if o.Continue != "" {
		if revision, from, err = place(o.Continue); err != nil {
			return nil, "", 0, err
		}
		if _, kept := t.since(revision); !kept {
			return nil, "", 0, apierrors.NewResourceExpired("the provided continue parameter is too old")
		}
	}
	records := t.asOf(revision, o.Namespace)
	first := sort.Search(len(records), func(i int) bool { return compareKeys(records[i].key, from) >= 0 })
	match := matcher(o)
	found = make([]Object, 0, len(records)-first)
	for i, r := range records[first:] {
		if !match(r.obj) {
			continue
		}
		found = append(found, r.obj)
		if rest := records[first+i+1:]; o.Limit > 0 && int64(len(found)) == o.Limit && len(rest) > 0 {
			return found, continueAt(revision, rest[0].key), revision, nil
		}
	}
	return found, "", revision, nil
}

// continueAt says where the next page begins, and as of when.
func continueAt(revision uint64, key types.NamespacedName) string {
	return fmt.Sprintf("%d/%s/%s", revision, key.Namespace, key.Name)
}

// place reads where a page begins: the revision of the first one, namespace and name.
func place(next string) (revision uint64, from types.NamespacedName, err error) {
	parts := strings.SplitN(next, "/", 3)
	if len(parts) == 3 {
		if revision, err = strconv.ParseUint(parts[0], 10, 64); err == nil {
			return revision, types.NamespacedName{Namespace: parts[1], Name: parts[2]}, nil
		}
	}
	return 0, from, apierrors.NewBadRequest("continue key is not valid: " + next)
}

// matcher tells which objects the options select.
func matcher(o *client.ListOptions) func(Object) bool {
	byLabel := o.LabelSelector != nil && !o.LabelSelector.Empty()
	byField := o.FieldSelector != nil && !o.FieldSelector.Empty()
	return func(obj Object) bool {
		return (!byLabel || o.LabelSelector.Matches(labelSet(obj.GetLabels()))) &&
			(!byField || o.FieldSelector.Matches(fieldsOf(obj)))
	}
}

// selectable refuses field selectors that a real server would not have an answer to.
func selectable(k *kind, selector fields.Selector) error {
	if selector == nil {
		return nil
	}
	for _, r := range selector.Requirements() {
		pod := k.GroupKind() == pods && (r.Field == "spec.nodeName" || r.Field == "status.phase" || r.Field == "status.podIP")
		if r.Field != "metadata.name" && r.Field != "metadata.namespace" && !pod {
			return apierrors.NewBadRequest("field label not supported: " + r.Field)
		}
	}
	return nil
}

func fieldsOf(obj Object) fields.Set {
	set := fields.Set{"metadata.name": obj.GetName(), "metadata.namespace": obj.GetNamespace()}
	if pod, ok := obj.(*corev1.Pod); ok {
		set["spec.nodeName"], set["status.phase"], set["status.podIP"] = pod.Spec.NodeName, string(pod.Status.Phase), pod.Status.PodIP
	}
	return set
}

// fillList puts objects into a list of any form. Shared means that the reader
// will not change them.
func fillList(list client.ObjectList, found []Object, k *kind, shared bool) error {
	switch out := list.(type) {
	case *metav1.PartialObjectMetadataList:
		out.SetGroupVersionKind(listKind(k))
		out.Items = make([]metav1.PartialObjectMetadata, len(found))
		for i, obj := range found {
			out.Items[i] = *partial(obj, k)
			if !shared {
				out.Items[i] = *out.Items[i].DeepCopy()
			}
		}
		return nil
	case *unstructured.UnstructuredList:
		out.SetGroupVersionKind(listKind(k))
		out.Items = make([]unstructured.Unstructured, len(found))
		for i, obj := range found {
			if !shared {
				obj = k.lent(obj, &out.Items[i])
			}
			in, err := loose(obj, k)
			if err != nil {
				return err
			}
			out.Items[i] = *in
		}
		return nil
	}
	pointer, err := meta.GetItemsPtr(list)
	if err != nil {
		return err
	}
	items := reflect.ValueOf(pointer).Elem()
	slice := reflect.MakeSlice(items.Type(), len(found), len(found))
	for i, obj := range found {
		if !shared {
			obj = obj.DeepCopyObject().(Object)
		}
		slice.Index(i).Set(reflect.ValueOf(obj).Elem())
	}
	items.Set(slice)
	return nil
}

func listKind(k *kind) (gvk schema.GroupVersionKind) {
	gvk = k.GroupVersionKind
	gvk.Kind += "List"
	return gvk
}
