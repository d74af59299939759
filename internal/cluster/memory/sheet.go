package memory

import (
	"reflect"
	"sort"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A sheet is a table as the items of a list, kept for readers that promise
// not to change what they read: as long as nothing changes, a list costs nothing.
type sheet struct {
	items    reflect.Value
	revision uint64 // of the table's last change when the items were taken
}

// lend fills a list without selectors, typed or of metadata alone, from the table's
// sheet. It returns false when the list has to be put together.
func (c *Cluster) lend(k *kind, list client.ObjectList, o *client.ListOptions) bool {
	byLabel := o.LabelSelector != nil && !o.LabelSelector.Empty()
	byField := o.FieldSelector != nil && !o.FieldSelector.Empty()
	pointer, err := meta.GetItemsPtr(list)
	if err != nil || !k.typed || byLabel || byField {
		return false
	}
	items := reflect.ValueOf(pointer).Elem()
	bare := items.Type().Elem() == metadataType
	if !bare && items.Type().Elem() != k.goType() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t, revision, next := c.tables[k.GroupKind()], c.revision, ""
	from, to := t.bounds(o.Namespace)
	if o.Continue != "" {
		began, first, err := place(o.Continue)
		if later, _ := t.since(began); err != nil || len(later) > 0 {
			return false
		}
		revision = began
		from = sort.Search(len(t.order), func(i int) bool { return compareKeys(t.order[i].key, first) >= 0 })
	}
	if limit := int(o.Limit); limit > 0 && from+limit < to {
		to = from + limit
		next = continueAt(revision, t.order[to].key)
	}
	if bare {
		list.GetObjectKind().SetGroupVersionKind(listKind(k))
	}
	items.Set(t.written(k, bare).Slice3(from, to, to))
	list.SetResourceVersion(strconv.FormatUint(revision, 10))
	list.SetContinue(next)
	return true
}

var metadataType = reflect.TypeFor[metav1.PartialObjectMetadata]()

// written returns the table's sheet, or that of its metadata (bare), which is taken
// anew if anything has changed.
func (t *table) written(k *kind, bare bool) reflect.Value {
	last := t.trimmed
	if len(t.log) > 0 {
		last = t.log[len(t.log)-1].revision
	}
	kept := &t.sheet
	if bare {
		kept = &t.bare
	}
	if kept.items.IsValid() && kept.revision == last {
		return kept.items
	}
	if bare {
		items := make([]metav1.PartialObjectMetadata, len(t.order))
		for i, r := range t.order {
			items[i] = *partial(r.obj, k)
		}
		*kept = sheet{reflect.ValueOf(items), last}
		return kept.items
	}
	items := reflect.MakeSlice(reflect.SliceOf(k.goType()), len(t.order), len(t.order))
	for i, r := range t.order {
		items.Index(i).Set(reflect.ValueOf(r.obj).Elem())
	}
	*kept = sheet{items, last}
	return items
}

// bounds says where the records of a namespace begin and end; all if it is empty.
func (t *table) bounds(namespace string) (from, to int) {
	if namespace == "" {
		return 0, len(t.order)
	}
	from, _ = t.search(types.NamespacedName{Namespace: namespace})
	for to = from; to < len(t.order) && t.order[to].key.Namespace == namespace; {
		to++
	}
	return from, to
}
