package ingress

import (
	"context"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// relistAfter is the pause between attempts to reach an API server that is away.
// Reflectors wait for up to a minute by default; endpoints would be stale for
// that long after its return.
const relistAfter = 250 * time.Millisecond

type object interface {
	runtime.Object
	metav1.Object
}

// A change is one object's new state: created, changed, or gone.
type change[T object] struct {
	name   string // namespace/name
	object T
	gone   bool
	// first is whether the object was there when the ingress began.
	first bool
}

// A feed tells of every change of the objects of one type, once for each version.
// What it last knew stays known while the API server is away.
type feed[T object] struct {
	tell   func(change[T])
	synced chan struct{} // closed after the first list was told
	known  map[string]T
	listed bool
}

func newFeed[T object](tell func(change[T])) *feed[T] {
	return &feed[T]{tell: tell, synced: make(chan struct{}), known: map[string]T{}}
}

// run lists and watches until ctx ends. Its calls of tell come one at a time.
func (f *feed[T]) run(ctx context.Context, source cache.ListerWatcher) {
	var expected T
	reflector := cache.NewReflectorWithOptions(source, expected, f, cache.ReflectorOptions{
		Backoff: &wait.Backoff{Duration: relistAfter, Jitter: 1},
	})
	reflector.RunWithContext(ctx)
}

// Add takes in a new object; with Update, Delete, Replace and Resync it makes a
// feed a cache.ReflectorStore.
func (f *feed[T]) Add(object any) error { return f.set(object.(T), false) }

// Update takes in a changed object.
func (f *feed[T]) Update(object any) error { return f.set(object.(T), false) }

// Delete takes in that an object went.
func (f *feed[T]) Delete(object any) error {
	f.drop(cache.MetaObjectToName(object.(T)).String(), object.(T))
	return nil
}

// Replace takes in a whole list.
func (f *feed[T]) Replace(objects []any, _ string) error {
	gone := maps.Clone(f.known)
	for _, object := range objects {
		delete(gone, cache.MetaObjectToName(object.(T)).String())
		if err := f.set(object.(T), !f.listed); err != nil {
			return err
		}
	}
	for name, object := range gone {
		f.drop(name, object)
	}
	if !f.listed {
		f.listed = true
		close(f.synced)
	}
	return nil
}

// Resync does nothing: tell is told of each change once.
func (f *feed[T]) Resync() error { return nil }

func (f *feed[T]) set(object T, first bool) error {
	name := cache.MetaObjectToName(object).String()
	old, known := f.known[name]
	if known && old.GetUID() == object.GetUID() && old.GetResourceVersion() == object.GetResourceVersion() && object.GetResourceVersion() != "" {
		return nil
	}
	f.known[name] = object
	f.tell(change[T]{name: name, object: object, first: first})
	return nil
}

func (f *feed[T]) drop(name string, object T) {
	if _, known := f.known[name]; !known {
		return
	}
	delete(f.known, name)
	f.tell(change[T]{name: name, object: object, gone: true})
}

// source lists and watches one kind of object in every namespace. fields selects,
// as in "type=kubernetes.io/tls".
func source[L runtime.Object](
	client kubernetes.Interface, fields string,
	list func(context.Context, metav1.ListOptions) (L, error),
	follow func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = fields
			return list(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = fields
			return follow(ctx, options)
		},
	}, client)
}
