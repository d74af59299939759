package memory

import (
	"cmp"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// An Object is what the store holds. Once stored it is never changed: readers
// share it.
type Object = client.Object

// A ref names one object.
type ref struct {
	kind schema.GroupKind
	key  types.NamespacedName
}

// A record is the place of one object in its table.
type record struct {
	key types.NamespacedName
	obj Object
}

// A table holds the objects of one kind, and its last changes so that watches can
// start in the past and reads can be stale.
type table struct {
	kind     *kind
	byKey    map[types.NamespacedName]*record
	order    []*record // by namespace, then name
	log      []change  // oldest first
	watchers []*watcher
	// trimmed is the revision of the last change that the log no longer has.
	trimmed uint64
	sheet   sheet
	bare    sheet // of the metadata alone
}

// A change is one entry of a table's log.
type change struct {
	revision uint64
	key      types.NamespacedName
	old, new Object // nil where there is none
	last     Object // of a removal: the object as watchers hear it
}

// keptChanges is how many changes of a kind can be looked back at.
const keptChanges = 4096

func newTable(k *kind) *table {
	return &table{kind: k, byKey: map[types.NamespacedName]*record{}}
}

func (t *table) get(key types.NamespacedName) Object {
	if r := t.byKey[key]; r != nil {
		return r.obj
	}
	return nil
}

// in returns the records of a namespace; all of them if it is empty.
func (t *table) in(namespace string) []*record {
	from, to := t.bounds(namespace)
	return t.order[from:to:to]
}

func (t *table) search(key types.NamespacedName) (int, bool) {
	return slices.BinarySearchFunc(t.order, key, func(r *record, key types.NamespacedName) int {
		return compareKeys(r.key, key)
	})
}

func compareKeys(a, b types.NamespacedName) int {
	if c := cmp.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return cmp.Compare(a.Name, b.Name)
}

// put stores one change: a creation (old nil), an update, or a removal (new nil).
// It numbers it, tells watchers and controllers, and keeps the indexes.
func (c *Cluster) put(k *kind, key types.NamespacedName, old, new Object, w write) Object {
	t := c.tables[k.GroupKind()]
	c.revision++
	rv := strconv.FormatUint(c.revision, 10)
	entry := change{revision: c.revision, key: key, old: old, new: new}
	switch {
	case new == nil:
		entry.last = old.DeepCopyObject().(Object)
		entry.last.SetResourceVersion(rv)
		delete(t.byKey, key)
		i, _ := t.search(key)
		t.order = slices.Delete(t.order, i, i+1)
	case old == nil:
		new.SetResourceVersion(rv)
		r := &record{key: key, obj: new}
		t.byKey[key] = r
		i, _ := t.search(key)
		t.order = slices.Insert(t.order, i, r)
	default:
		new.SetResourceVersion(rv)
		t.byKey[key].obj = new
	}
	t.remember(entry)
	c.index(ref{k.GroupKind(), key}, old, new)
	c.guard(ref{k.GroupKind(), key}, new)
	c.touched(k, key, old, new)
	if c.options.Observe != nil {
		c.options.Observe(Change{Cluster: c.options.Name, Kind: k.GroupVersionKind, User: w.user, Old: old, New: new})
	}
	return new
}

// remember logs a change and passes it to the watchers.
func (t *table) remember(e change) {
	if len(t.log) >= 2*keptChanges {
		t.trimmed = t.log[keptChanges-1].revision
		t.log = append(t.log[:0:0], t.log[keptChanges:]...)
	}
	t.log = append(t.log, e)
	t.watchers = slices.DeleteFunc(t.watchers, func(w *watcher) bool { return !w.hear(e) })
}

// index keeps what is found by UID and by owner.
func (c *Cluster) index(r ref, old, new Object) {
	if old != nil {
		if new == nil {
			delete(c.byUID, old.GetUID())
		}
		for _, o := range old.GetOwnerReferences() {
			delete(c.children[o.UID], r)
			if len(c.children[o.UID]) == 0 {
				delete(c.children, o.UID)
			}
		}
	}
	if new == nil {
		return
	}
	c.byUID[new.GetUID()] = r
	for _, o := range new.GetOwnerReferences() {
		if c.children[o.UID] == nil {
			c.children[o.UID] = map[ref]struct{}{}
		}
		c.children[o.UID][r] = struct{}{}
	}
}

// owned lists what names uid as an owner, in a fixed order.
func (c *Cluster) owned(uid types.UID) []ref {
	refs := make([]ref, 0, len(c.children[uid]))
	for r := range c.children[uid] {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, compareRefs)
	return refs
}

func compareRefs(a, b ref) int {
	return cmp.Or(cmp.Compare(a.kind.Group, b.kind.Group), cmp.Compare(a.kind.Kind, b.kind.Kind), compareKeys(a.key, b.key))
}

// revisionBefore is the revision of the table a number of changes ago.
func (t *table) revisionBefore(changes int) uint64 {
	if at := len(t.log) - changes; at > 0 {
		return t.log[at-1].revision
	}
	return t.trimmed
}

// since returns the changes after a revision; false if the log no longer has them all.
func (t *table) since(revision uint64) ([]change, bool) {
	if len(t.log) == 0 || t.log[len(t.log)-1].revision <= revision {
		return nil, true
	}
	i, _ := slices.BinarySearchFunc(t.log, revision+1, func(e change, r uint64) int { return cmp.Compare(e.revision, r) })
	return t.log[i:], revision >= t.trimmed
}

// asOf returns the records of a namespace as they were after a revision, which the
// log must still have.
func (t *table) asOf(revision uint64, namespace string) []*record {
	later, _ := t.since(revision)
	if len(later) == 0 {
		return t.in(namespace)
	}
	then := map[types.NamespacedName]Object{}
	for _, e := range slices.Backward(later) {
		then[e.key] = e.old
	}
	old := newTable(t.kind)
	for _, r := range t.in(namespace) {
		if _, differs := then[r.key]; !differs {
			old.order = append(old.order, r)
		}
	}
	for key, obj := range then {
		if obj != nil && (namespace == "" || key.Namespace == namespace) {
			i, _ := old.search(key)
			old.order = slices.Insert(old.order, i, &record{key, obj})
		}
	}
	return old.order
}
