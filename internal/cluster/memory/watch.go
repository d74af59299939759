package memory

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Watch tells what happens to a kind after the resourceVersion in the raw
// options, in the order in which it happens and before the write returns. Without
// one, it first adds what is there. Events come over a buffer of
// Options.WatchBuffer; who lets it run full is cut off with 410 Gone.
func (s *speaker) Watch(ctx context.Context, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k, err := s.c.kindIn(list)
	if err != nil {
		return nil, err
	}
	var o client.ListOptions
	o.ApplyOptions(opts)
	f := s.fault(Op{Verb: "watch", Kind: k.GroupVersionKind, Namespace: o.Namespace})
	if f.Before != nil {
		return nil, f.Before
	}
	if err := selectable(k, o.FieldSelector); err != nil {
		return nil, err
	}
	after := ""
	if raw := o.AsListOptions(); raw != nil {
		after = raw.ResourceVersion
	}
	w, err := s.c.watch(k, &o, after, shaper(list, k))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, w.Stop)
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	w.release = stop
	return w, nil
}

// shaper turns stored objects into the form of the watched list's items.
func shaper(list client.ObjectList, k *kind) func(Object) Object {
	switch list.(type) {
	case *metav1.PartialObjectMetadataList:
		return func(obj Object) Object { return partial(obj, k).DeepCopy() }
	case *unstructured.UnstructuredList:
		return func(obj Object) Object {
			u, err := loose(k.lent(obj, &unstructured.Unstructured{}), k)
			if err != nil {
				panic(err)
			}
			return u
		}
	}
	return func(obj Object) Object { return obj.DeepCopyObject().(Object) }
}

func (c *Cluster) watch(k *kind, o *client.ListOptions, after string, shape func(Object) Object) (*subscription, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tables[k.GroupKind()]
	match := matcher(o)
	w := &watcher{
		events: make(chan watch.Event, c.options.WatchBuffer), shape: shape,
		match: func(obj Object) bool {
			return obj != nil && (o.Namespace == "" || obj.GetNamespace() == o.Namespace) && match(obj)
		},
	}
	if after == "" || after == "0" {
		for _, r := range t.in(o.Namespace) {
			w.hear(change{new: r.obj})
		}
	} else {
		from, err := strconv.ParseUint(after, 10, 64)
		if err != nil {
			return nil, apierrors.NewBadRequest("invalid resourceVersion: " + strings.TrimSpace(after))
		}
		later, kept := t.since(from)
		if !kept {
			return nil, apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", from, t.trimmed))
		}
		for _, e := range later {
			w.hear(e)
		}
	}
	t.watchers = append(t.watchers, w)
	return &subscription{c: c, w: w}, nil
}

// A watcher passes on the changes of one table that its selector lets through.
type watcher struct {
	events  chan watch.Event
	match   func(Object) bool
	shape   func(Object) Object
	stopped bool
}

// hear passes on a change. It returns false when the watcher has ended.
func (w *watcher) hear(e change) bool {
	if w.stopped {
		return false
	}
	was, is := e.old != nil && w.match(e.old), e.new != nil && w.match(e.new)
	var event watch.Event
	switch {
	case !was && !is:
		return true
	case !was:
		event = watch.Event{Type: watch.Added, Object: w.shape(e.new)}
	case is:
		event = watch.Event{Type: watch.Modified, Object: w.shape(e.new)}
	case e.new != nil:
		event = watch.Event{Type: watch.Deleted, Object: w.shape(e.new)}
	default:
		event = watch.Event{Type: watch.Deleted, Object: w.shape(e.last)}
	}
	if len(w.events) < cap(w.events)-1 {
		w.events <- event
		return true
	}
	gone := apierrors.NewResourceExpired("the watcher is too far behind").ErrStatus
	w.events <- watch.Event{Type: watch.Error, Object: &gone}
	w.end()
	return false
}

// end closes the events. The cluster's lock is held.
func (w *watcher) end() {
	if !w.stopped {
		w.stopped = true
		close(w.events)
	}
}

// A subscription is a watcher as its reader sees it.
type subscription struct {
	c       *Cluster
	w       *watcher
	release func() bool // no longer waits for the context
}

// Stop ends the watch and closes its channel.
func (s *subscription) Stop() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.w.end()
	if s.release != nil {
		s.release()
	}
}

// ResultChan gives the events.
func (s *subscription) ResultChan() <-chan watch.Event { return s.w.events }
