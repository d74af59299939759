// Package feed tells of every change of a kind of object in a cluster, and keeps
// what it knew while the API server is away.
package feed

import (
	"context"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// relistAfter is the pause between attempts to reach an API server that is away.
// Reflectors wait for up to a minute by default; what runs here would act on old
// news for that long after its return.
const relistAfter = 250 * time.Millisecond

// An Object is what a feed can tell of.
type Object interface {
	comparable
	runtime.Object
	metav1.Object
}

// A Change is one object's new state: created, changed, or gone.
type Change[T Object] struct {
	Name   string // namespace/name
	Object T      // as last seen if it is gone; owned by the feed, not to be changed
	Gone   bool
	// First is whether the object was there when the feed began.
	First bool
}

// A Feed calls a function for every change of the objects of one type, once for
// each version, one at a time.
type Feed[T Object] struct {
	tell   func(Change[T])
	synced chan struct{}
	known  map[string]T
	listed bool
}

// New makes a feed that calls tell.
func New[T Object](tell func(Change[T])) *Feed[T] {
	return &Feed[T]{tell: tell, synced: make(chan struct{}), known: map[string]T{}}
}

// Synced is closed after the first list was told.
func (f *Feed[T]) Synced() <-chan struct{} { return f.synced }

// Await waits until all of synced are closed; the error is ctx's if it ends before.
func Await(ctx context.Context, synced ...<-chan struct{}) error {
	for _, one := range synced {
		select {
		case <-one:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Run lists and watches until ctx ends.
func (f *Feed[T]) Run(ctx context.Context, source cache.ListerWatcher) {
	var expected T
	reflector := cache.NewReflectorWithOptions(source, expected, (*store[T])(f), cache.ReflectorOptions{
		Backoff: &wait.Backoff{Duration: relistAfter, Jitter: 1},
	})
	reflector.RunWithContext(ctx)
}

// A client is what a typed client offers for one kind.
type client[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// Source makes a source for Run of a typed client's kind. fields selects, as in
// "type=x"; empty is everything.
func Source[L runtime.Object](of client[L], fields string) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = fields
			return of.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = fields
			return of.Watch(ctx, options)
		},
	}
}

// A store is a feed as the reflector writes to it.
type store[T Object] Feed[T]

func (s *store[T]) Add(object any) error    { return s.set(object.(T), false) }
func (s *store[T]) Update(object any) error { return s.set(object.(T), false) }
func (s *store[T]) Resync() error           { return nil }

func (s *store[T]) Delete(object any) error {
	s.drop(cache.MetaObjectToName(object.(T)).String(), object.(T))
	return nil
}

func (s *store[T]) Replace(objects []any, _ string) error {
	gone := maps.Clone(s.known)
	for _, object := range objects {
		delete(gone, cache.MetaObjectToName(object.(T)).String())
		if err := s.set(object.(T), !s.listed); err != nil {
			return err
		}
	}
	for name, object := range gone {
		s.drop(name, object)
	}
	if !s.listed {
		s.listed = true
		close(s.synced)
	}
	return nil
}

func (s *store[T]) set(object T, first bool) error {
	name := cache.MetaObjectToName(object).String()
	old, known := s.known[name]
	if known && old.GetUID() == object.GetUID() && old.GetResourceVersion() == object.GetResourceVersion() && object.GetResourceVersion() != "" {
		return nil
	}
	object.SetManagedFields(nil) // nobody here reads them, and they are half of an object
	if known && old.GetUID() != object.GetUID() {
		s.tell(Change[T]{Name: name, Object: old, Gone: true})
	}
	s.known[name] = object
	s.tell(Change[T]{Name: name, Object: object, First: first})
	return nil
}

func (s *store[T]) drop(name string, object T) {
	if _, known := s.known[name]; !known {
		return
	}
	delete(s.known, name)
	object.SetManagedFields(nil)
	s.tell(Change[T]{Name: name, Object: object, Gone: true})
}
