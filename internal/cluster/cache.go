package cluster

import (
	"context"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// A Cache keeps the kinds that the engine asks for often up to date in memory, and
// says when any of them changed: Deployments, Services, Ingresses,
// HorizontalPodAutoscalers, EndpointSlices and the metadata of Pods. Only
// Deployments and HorizontalPodAutoscalers keep their managedFields.
//
// As a client.Reader it answers for those, and asks the server for every other
// kind or form. What it answers is as old as the connection is bad: an absence
// must be confirmed by the Cluster itself before anything follows from it.
type Cache struct {
	cache   cache.Cache
	ears    *hearing
	server  client.Reader
	held    map[form]bool
	changed chan struct{}
	ended   chan struct{}
}

// A form is a kind, whole or by its metadata only.
type form struct {
	kind schema.GroupVersionKind
	bare bool
}

var podMetadata = func() *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return m
}()

// StartCache fills a cache and keeps it until ctx ends. It returns when everything
// was read once; the error says so when ctx ends before that.
func (c *Cluster) StartCache(ctx context.Context) (*Cache, error) {
	signed := cache.ByObject{}
	unsigned := cache.ByObject{Transform: cache.TransformStripManagedFields()}
	kinds := map[client.Object]cache.ByObject{
		&appsv1.Deployment{}: signed, &autoscalingv2.HorizontalPodAutoscaler{}: signed,
		&corev1.Service{}: unsigned, &networkingv1.Ingress{}: unsigned,
		&discoveryv1.EndpointSlice{}: unsigned, podMetadata: unsigned,
	}
	ears := newHearing(c.live.over(c.live.wire, c.live.config, 0).Transport)
	inner, err := cache.New(c.live.config, cache.Options{
		HTTPClient: &http.Client{Transport: ears}, Scheme: Scheme(), Mapper: c.live.mapper,
		ByObject: kinds, ReaderFailOnMissingInformer: true,
	})
	if err != nil {
		return nil, fmt.Errorf("cache of %s: %w", c.live.config.Host, err)
	}
	k := &Cache{cache: inner, ears: ears, server: c.live, held: map[form]bool{}, changed: make(chan struct{}, 1), ended: make(chan struct{})}
	for obj := range kinds {
		if err := k.hold(ctx, obj); err != nil {
			return nil, err
		}
	}
	go func() {
		defer close(k.ended)
		_ = inner.Start(ctx) // ends with ctx, and only with it
	}()
	if !inner.WaitForCacheSync(ctx) {
		return nil, fmt.Errorf("fill the cache of %s: %w", c.live.config.Host, context.Cause(ctx))
	}
	return k, nil
}

// hold adds a kind to the cache.
func (k *Cache) hold(ctx context.Context, obj client.Object) error {
	f, err := formOf(obj)
	if err != nil {
		return err
	}
	informer, err := k.cache.GetInformer(ctx, obj, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch %s: %w", f.kind.Kind, err)
	}
	k.held[f] = true
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { k.signal() }, DeleteFunc: func(any) { k.signal() },
		UpdateFunc: func(old, new any) {
			if old.(client.Object).GetResourceVersion() != new.(client.Object).GetResourceVersion() {
				k.signal()
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch %s: %w", f.kind.Kind, err)
	}
	return nil
}

func (k *Cache) signal() {
	select {
	case k.changed <- struct{}{}:
	default: // one is waiting already
	}
}

// Changed receives once after any number of changes since it last did. It has one
// receiver: who needs more of them passes the signal on.
func (k *Cache) Changed() <-chan struct{} { return k.changed }

// Deaf tells since when the cache may be missing changes, if it may be: since a
// watch ended and until it was begun again. A connection that went dead without a
// word is noticed after some seconds only.
func (k *Cache) Deaf() (since time.Time, deaf bool) { return k.ears.deaf() }

// Ended is closed when the cache has stopped, after its context ended.
func (k *Cache) Ended() <-chan struct{} { return k.ended }

// Get reads one object.
func (k *Cache) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return k.readerFor(obj).Get(ctx, key, obj, opts...)
}

// List reads many.
func (k *Cache) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	if o.Continue != "" || o.FieldSelector != nil && !o.FieldSelector.Empty() {
		return k.server.List(ctx, list, opts...) // the cache has neither pages nor indexes
	}
	return k.readerFor(list).List(ctx, list, opts...)
}

func (k *Cache) readerFor(obj runtime.Object) client.Reader {
	if f, err := formOf(obj); err == nil && k.held[f] {
		return k.cache
	}
	return k.server
}

// formOf tells the kind of an object, or of the items of a list, and its form. It
// fails for unstructured objects, which are never in the cache.
func formOf(obj runtime.Object) (form, error) {
	if _, loose := obj.(runtime.Unstructured); loose {
		return form{}, fmt.Errorf("%T is not cached", obj)
	}
	gvk, err := apiutil.GVKForObject(obj, Scheme())
	if err != nil {
		return form{}, err
	}
	bare := false
	switch obj.(type) {
	case *metav1.PartialObjectMetadata, *metav1.PartialObjectMetadataList:
		bare = true
	}
	if _, isList := obj.(client.ObjectList); isList {
		gvk.Kind = gvk.Kind[:len(gvk.Kind)-len("List")]
	}
	return form{gvk, bare}, nil
}

// ReadingFrom is api with its Get and List answered by another reader, such as a Cache.
func ReadingFrom(api API, reader client.Reader) API { return &readingFrom{API: api, reader: reader} }

type readingFrom struct {
	API
	reader client.Reader
}

func (r *readingFrom) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return r.reader.Get(ctx, key, obj, opts...)
}

func (r *readingFrom) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return r.reader.List(ctx, list, opts...)
}
