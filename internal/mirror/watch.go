package mirror

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// Watches is a feed that lists a kind once and then watches it, one goroutine and
// one watch for each kind, until ctx ends. A watch that is cut goes on where it was;
// a kind whose place is lost (410 Gone) is listed again at the next Hear. changed is
// called, by several goroutines, whenever there is something to hear; it must not wait.
func Watches(ctx context.Context, api cluster.API, clock clock.Clock, changed func()) Feed {
	return &watchFeed{
		ctx: ctx, api: api, clock: clock, deafness: deafness{clock: clock},
		changed: changed, kinds: map[schema.GroupVersionKind]*watched{},
	}
}

type watchFeed struct {
	ctx   context.Context
	api   cluster.API
	clock clock.Clock
	deafness
	changed func()

	mu    sync.Mutex
	kinds map[schema.GroupVersionKind]*watched
}

// watched is one kind of a watchFeed.
type watched struct {
	kind cluster.Kind

	mu sync.Mutex
	// live is true while a goroutine watches; version is how far it has come.
	live    bool
	version string
	// events is what was heard since the last Hear, the latest of each object.
	events  map[types.NamespacedName]event
	drained chan struct{} // closed when events were taken
}

type event struct {
	obj  client.Object
	gone bool
}

const (
	// unheard is how many objects may have changed before the watch waits for Hear.
	unheard = 2000
	// Watches that fail are begun again after between leastWait and mostWait.
	leastWait = 100 * time.Millisecond
	mostWait  = 10 * time.Second
)

func (f *watchFeed) Hear(ctx context.Context, kind cluster.Kind, since string, tell func(client.Object, bool) error) (Heard, error) {
	w := f.watched(kind)
	if w.watching() {
		return w.hear(since, tell)
	}
	heard, err := list(ctx, f.api, kind, since, tell)
	if err != nil || !heard.Complete {
		f.note(kind.GroupVersionKind, false)
		return heard, err
	}
	w.begin(heard.Version)
	f.note(kind.GroupVersionKind, true)
	go f.watch(w)
	return heard, nil
}

func (f *watchFeed) watched(kind cluster.Kind) *watched {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.kinds[kind.GroupVersionKind]
	if w == nil {
		w = &watched{kind: kind}
		f.kinds[kind.GroupVersionKind] = w
	}
	return w
}

func (w *watched) watching() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.live
}

func (w *watched) begin(version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live, w.version = true, version
	w.events, w.drained = map[types.NamespacedName]event{}, make(chan struct{})
}

// hear tells what came since the last time. What could not be told is told again.
func (w *watched) hear(since string, tell func(client.Object, bool) error) (Heard, error) {
	w.mu.Lock()
	events, version := w.events, w.version
	w.events = map[types.NamespacedName]event{}
	close(w.drained)
	w.drained = make(chan struct{})
	w.mu.Unlock()

	for name, e := range events {
		if older(e.obj.GetResourceVersion(), since) && !e.gone {
			continue // it is known to the caller by another way
		}
		if err := tell(e.obj, e.gone); err != nil {
			w.putBack(events)
			return Heard{}, err
		}
		delete(events, name)
	}
	return Heard{Version: later(version, since)}, nil
}

func (w *watched) putBack(events map[types.NamespacedName]event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, e := range events {
		if _, newer := w.events[name]; !newer {
			w.events[name] = e
		}
	}
}

// watch follows one kind until its place is lost or the feed ends.
func (f *watchFeed) watch(w *watched) {
	wait := leastWait
	for f.ctx.Err() == nil {
		began := f.clock.Now()
		err := f.watchOnce(w)
		switch {
		case lostPlace(err):
			w.lose()
			f.changed()
			return
		case err == nil:
			continue // it ended by itself
		case f.clock.Since(began) > mostWait:
			wait = leastWait
		}
		f.note(w.kind.GroupVersionKind, false)
		pause := f.clock.NewTimer(wait + rand.N(wait))
		select {
		case <-pause.C():
		case <-f.ctx.Done():
			pause.Stop()
		}
		wait = min(2*wait, mostWait)
	}
}

// lose makes the next Hear list the kind again.
func (w *watched) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = false
}

// watchOnce runs one watch to its end. It returns nil if the server ended it as was
// asked for.
func (f *watchFeed) watchOnce(w *watched) error {
	w.mu.Lock()
	version := w.version
	w.mu.Unlock()
	events, err := watchFrom(f.ctx, f.api, w.kind, version)
	if err != nil {
		return err
	}
	defer events.Stop()
	f.note(w.kind.GroupVersionKind, true)
	for {
		select {
		case e, open := <-events.ResultChan():
			if !open {
				return nil
			}
			if err := f.take(w, e); err != nil {
				return err
			}
		case <-f.ctx.Done():
			return f.ctx.Err()
		}
	}
}

// take keeps one event for the next Hear.
func (f *watchFeed) take(w *watched, e watch.Event) error {
	obj, err := objectIn(w.kind, e)
	if err != nil {
		return err
	}
	if err := w.room(f.ctx); err != nil {
		return err
	}
	w.mu.Lock()
	w.version = later(w.version, obj.GetResourceVersion())
	if e.Type != watch.Bookmark {
		w.events[client.ObjectKeyFromObject(obj)] = event{obj, e.Type == watch.Deleted}
	}
	w.mu.Unlock()
	if e.Type != watch.Bookmark {
		f.changed()
	}
	return nil
}

// room waits until another event can be kept.
func (w *watched) room(ctx context.Context) error {
	for {
		w.mu.Lock()
		full, drained := len(w.events) >= unheard, w.drained
		w.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-drained:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
