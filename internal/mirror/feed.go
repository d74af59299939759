package mirror

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// A Feed tells what the objects of one cluster are, and what becomes of them.
type Feed interface {
	// Hear calls tell for the objects of a kind: for all of them at first, and
	// whenever the feed lost its place, else for those that changed since the last
	// Hear; gone is true for those that were deleted. An object may be told of again
	// though nothing changed. tell must not change or keep the object; its error ends
	// Hear. An answer that is older than since is not told at all.
	Hear(ctx context.Context, kind cluster.Kind, since string, tell func(obj client.Object, gone bool) error) (Heard, error)
	// Deaf tells since when the feed may be missing changes, if it may be. It may be
	// called at any time.
	Deaf() (since time.Time, deaf bool)
}

// Heard says what one Hear has told.
type Heard struct {
	// Version is the resourceVersion of the cluster up to which everything was told.
	Version string
	// Complete is true if every object that is there was told: one that was not, and
	// is not younger than Version, is gone.
	Complete bool
}

// Lists is a feed that lists every kind at each Hear. It is for clusters whose lists
// cost nothing, and starts no goroutine.
func Lists(api cluster.API, clock clock.PassiveClock) Feed {
	return &listFeed{api: api, deafness: deafness{clock: clock}}
}

type listFeed struct {
	api cluster.API
	deafness
}

func (f *listFeed) Hear(ctx context.Context, kind cluster.Kind, since string, tell func(client.Object, bool) error) (Heard, error) {
	heard, err := list(ctx, f.api, kind, since, tell)
	f.deafness.note(kind.GroupVersionKind, err == nil && !older(heard.Version, since))
	return heard, err
}

// page is how many objects are read at once.
const page = 500

// list tells of every object of a kind, page by page.
func list(ctx context.Context, api cluster.API, kind cluster.Kind, since string, tell func(client.Object, bool) error) (Heard, error) {
	objects, err := listOf(kind)
	if err != nil {
		return Heard{}, err
	}
	version, next := "", ""
	for {
		err := api.List(ctx, objects, client.Limit(page), client.Continue(next), client.UnsafeDisableDeepCopy)
		if err != nil {
			return Heard{}, fmt.Errorf("list %s: %w", kind.Resource, err)
		}
		if version == "" {
			version = objects.GetResourceVersion()
		}
		if older(version, since) {
			return Heard{Version: version}, nil
		}
		if err := eachOf(objects, func(obj client.Object) error { return tell(obj, false) }); err != nil {
			return Heard{}, err
		}
		if next = objects.GetContinue(); next == "" {
			return Heard{Version: version, Complete: true}, nil
		}
	}
}

// listOf makes an empty list: typed, which is read as protobuf, for kinds that have
// a Go type.
func listOf(kind cluster.Kind) (client.ObjectList, error) {
	gvk := kind.GroupVersionKind
	gvk.Kind += "List"
	if !cluster.Scheme().Recognizes(kind.GroupVersionKind) || !cluster.Scheme().Recognizes(gvk) {
		objects := &unstructured.UnstructuredList{}
		objects.SetGroupVersionKind(gvk)
		return objects, nil
	}
	objects, err := cluster.Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	return objects.(client.ObjectList), nil
}

// eachOf calls do for the items of a list, without copying them.
func eachOf(objects client.ObjectList, do func(client.Object) error) error {
	pointer, err := meta.GetItemsPtr(objects)
	if err != nil {
		return err
	}
	items := reflect.ValueOf(pointer).Elem()
	for i := range items.Len() {
		if err := do(items.Index(i).Addr().Interface().(client.Object)); err != nil {
			return err
		}
	}
	return nil
}

// deafness remembers since when kinds could not be heard.
type deafness struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	since map[schema.GroupVersionKind]time.Time
}

func (d *deafness) note(kind schema.GroupVersionKind, heard bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if heard {
		delete(d.since, kind)
		return
	}
	if d.since == nil {
		d.since = map[schema.GroupVersionKind]time.Time{}
	}
	if _, known := d.since[kind]; !known {
		d.since[kind] = d.clock.Now()
	}
}

// Deaf implements Feed.
func (d *deafness) Deaf() (since time.Time, deaf bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, at := range d.since {
		if !deaf || at.Before(since) {
			since, deaf = at, true
		}
	}
	return since, deaf
}
