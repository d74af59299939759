package mirror

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
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

// Polled is a feed that lists a kind once and then takes, at each Hear, what its
// watch has brought by then. It starts no goroutine: over a cluster that tells of a
// write before the write returns, as the in-memory one does, it is deterministic.
func Polled(ctx context.Context, api cluster.API, clock clock.PassiveClock) Feed {
	return &pollFeed{ctx: ctx, api: api, deafness: deafness{clock: clock}, kinds: map[schema.GroupVersionKind]*polled{}}
}

type pollFeed struct {
	ctx context.Context // of the watches, which outlast a call
	api cluster.API
	deafness
	kinds map[schema.GroupVersionKind]*polled
}

// polled is one kind of a pollFeed.
type polled struct {
	version string
	events  watch.Interface // nil if it has to be opened again
	untold  *watch.Event    // that tell refused
}

func (f *pollFeed) Hear(ctx context.Context, kind cluster.Kind, since string, tell func(client.Object, bool) error) (Heard, error) {
	heard, err := f.hear(ctx, kind, since, tell)
	f.note(kind.GroupVersionKind, err == nil && !older(heard.Version, since))
	return heard, err
}

func (f *pollFeed) hear(ctx context.Context, kind cluster.Kind, since string, tell func(client.Object, bool) error) (Heard, error) {
	if p := f.kinds[kind.GroupVersionKind]; p != nil {
		err := f.drain(kind, p, tell)
		if !lostPlace(err) {
			return Heard{Version: later(p.version, since)}, err
		}
		delete(f.kinds, kind.GroupVersionKind)
	}
	heard, err := list(ctx, f.api, kind, since, tell)
	if err == nil && heard.Complete {
		f.kinds[kind.GroupVersionKind] = &polled{version: heard.Version}
	}
	return heard, err
}

// drain tells of the events that are there.
func (f *pollFeed) drain(kind cluster.Kind, p *polled, tell func(client.Object, bool) error) error {
	for {
		if p.events == nil {
			var err error
			if p.events, err = watchFrom(f.ctx, f.api, kind, p.version); err != nil {
				return err
			}
		}
		next := p.untold
		if next == nil {
			select {
			case e, open := <-p.events.ResultChan():
				if !open {
					p.events = nil
					continue
				}
				next = &e
			default:
				return nil
			}
		}
		if err := p.tell(kind, *next, tell); err != nil {
			p.untold = next
			return err
		}
		p.untold = nil
	}
}

func (p *polled) tell(kind cluster.Kind, e watch.Event, tell func(client.Object, bool) error) error {
	obj, err := objectIn(kind, e)
	if err != nil {
		p.events.Stop()
		p.events = nil
		return err
	}
	if e.Type != watch.Bookmark {
		if err := tell(obj, e.Type == watch.Deleted); err != nil {
			return err
		}
	}
	p.version = later(p.version, obj.GetResourceVersion())
	return nil
}

// lostPlace is true if a watch can't go on where it was.
func lostPlace(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsNotFound(err)
}

// objectIn is the object that an event tells of.
func objectIn(kind cluster.Kind, e watch.Event) (client.Object, error) {
	if e.Type == watch.Error {
		return nil, apierrors.FromObject(e.Object)
	}
	obj, ok := e.Object.(client.Object)
	if !ok {
		return nil, fmt.Errorf("watch %s: got a %T", kind.Resource, e.Object)
	}
	return obj, nil
}

// Listed is a feed that lists a kind anew at each Hear, for who makes a few passes only.
// It starts no goroutine, and is never deaf.
func Listed(api cluster.API) Feed { return listFeed{api} }

type listFeed struct{ api cluster.API }

func (f listFeed) Hear(ctx context.Context, kind cluster.Kind, since string, tell func(client.Object, bool) error) (Heard, error) {
	return list(ctx, f.api, kind, since, tell)
}

// Deaf implements Feed.
func (listFeed) Deaf() (since time.Time, deaf bool) { return time.Time{}, false }

// watchSeconds is how long a watch lasts at least; up to twice as long, so that not
// all end at once.
const watchSeconds = 300

// watchFrom watches a kind from a resourceVersion on.
func watchFrom(ctx context.Context, api cluster.API, kind cluster.Kind, version string) (watch.Interface, error) {
	objects, err := listOf(kind)
	if err != nil {
		return nil, err
	}
	seconds := int64(watchSeconds + rand.IntN(watchSeconds))
	events, err := api.Watch(ctx, objects, &client.ListOptions{Raw: &metav1.ListOptions{
		ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
	}})
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", kind.Resource, err)
	}
	return events, nil
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
