package mirror

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
)

var configMaps = cluster.Kind{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, Resource: "configmaps", Namespaced: true}

// A listener is a feed's caller that keeps what it was told.
type listener struct {
	t     *testing.T
	feed  Feed
	api   *memory.Cluster
	wire  *cuttable
	told  map[string]string // name -> value
	gone  []string
	heard Heard
}

func (l *listener) hear() {
	l.t.Helper()
	l.told, l.gone = map[string]string{}, nil
	heard, err := l.feed.Hear(l.t.Context(), configMaps, l.heard.Version, func(obj client.Object, gone bool) error {
		if gone {
			l.gone = append(l.gone, obj.GetName())
			return nil
		}
		l.told[obj.GetName()] = must(fieldsOf(configMaps.GroupVersionKind, obj)).Object["data"].(map[string]any)["v"].(string)
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.heard = heard
}

func (l *listener) put(name, value string) {
	l.t.Helper()
	obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	if err := l.api.Get(l.t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		obj.Data = map[string]string{"v": value}
		add(l.t, l.api, "test", obj)
		return
	}
	obj.Data = map[string]string{"v": value}
	if err := l.api.Update(l.t.Context(), obj); err != nil {
		l.t.Fatal(err)
	}
}

// TestFeeds is the conformance suite of Feed.
func TestFeeds(t *testing.T) {
	feeds := map[string]func(context.Context, cluster.API) Feed{
		"polled": func(ctx context.Context, api cluster.API) Feed { return Polled(ctx, api, clock.RealClock{}) },
		"watches": func(ctx context.Context, api cluster.API) Feed {
			return Watches(ctx, api, clock.RealClock{}, func() {})
		},
	}
	cases := map[string]func(*testing.T, *listener){
		"everything at first, then what changed": func(t *testing.T, l *listener) {
			l.put("a", "1")
			l.put("b", "1")
			l.hear()
			if !l.heard.Complete || !maps.Equal(l.told, map[string]string{"a": "1", "b": "1"}) {
				t.Errorf("first heard %v, %+v", l.told, l.heard)
			}
			l.put("b", "2")
			l.put("c", "1")
			synctest.Wait()
			l.hear()
			if l.told["b"] != "2" || l.told["c"] != "1" {
				t.Errorf("then heard %v", l.told)
			}
		},
		"a deletion is told, or shows in a complete answer": func(t *testing.T, l *listener) {
			l.put("a", "1")
			l.put("b", "1")
			l.hear()
			erase(t, l.api, &corev1.ConfigMap{}, "default", "a")
			synctest.Wait()
			l.hear()
			_, still := l.told["a"]
			if still || !l.heard.Complete && !slices.Equal(l.gone, []string{"a"}) {
				t.Errorf("told %v, gone %v, %+v", l.told, l.gone, l.heard)
			}
		},
		"versions only rise": func(t *testing.T, l *listener) {
			l.put("a", "1")
			l.hear()
			first := l.heard.Version
			l.put("a", "2")
			synctest.Wait()
			l.hear()
			if !older(first, l.heard.Version) {
				t.Errorf("from %s to %s", first, l.heard.Version)
			}
		},
		"an answer older than what is known tells nothing": func(t *testing.T, l *listener) {
			l.put("a", "1")
			l.heard.Version = "1000000"
			l.hear()
			if len(l.told) > 0 || l.heard.Complete {
				t.Errorf("told %v, %+v", l.told, l.heard)
			}
			if _, deaf := l.feed.Deaf(); !deaf {
				t.Error("a feed that only gets old answers must say that it is deaf")
			}
		},
		"what tell refused is told again": func(t *testing.T, l *listener) {
			l.put("a", "1")
			l.hear()
			l.put("a", "2")
			synctest.Wait()
			_, err := l.feed.Hear(t.Context(), configMaps, l.heard.Version, func(client.Object, bool) error { return context.Canceled })
			if err == nil {
				t.Error("the error of tell was swallowed")
			}
			l.hear()
			if l.told["a"] != "2" {
				t.Errorf("told %v", l.told)
			}
		},
		"a feed that can't hear says so, and catches up": func(t *testing.T, l *listener) {
			l.put("a", "1")
			l.hear()
			l.api.SetFaults(func(op memory.Op) memory.Fault {
				if op.Verb == "list" || op.Verb == "watch" {
					return memory.TimedOut(op)
				}
				return memory.Fault{}
			})
			l.wire.cut()
			_, _ = l.feed.Hear(t.Context(), configMaps, "", func(client.Object, bool) error { return nil })
			if _, deaf := l.feed.Deaf(); !deaf {
				t.Error("not deaf, though nothing can be heard")
			}
			l.put("a", "2")
			l.api.SetFaults(nil)
			<-time.After(time.Minute)
			synctest.Wait()
			l.hear()
			if _, deaf := l.feed.Deaf(); deaf || l.told["a"] != "2" {
				t.Errorf("deaf %v, told %v", deaf, l.told)
			}
		},
		"a lost place leads to a complete answer": func(t *testing.T, l *listener) {
			l.put("a", "1")
			l.hear()
			erase(t, l.api, &corev1.ConfigMap{}, "default", "a")
			l.api.SetFaults(func(op memory.Op) memory.Fault {
				if op.Verb == "list" {
					l.api.SetFaults(nil)
				}
				if op.Verb == "watch" {
					return memory.Fault{Before: apierrors.NewResourceExpired("too old")}
				}
				return memory.Fault{}
			})
			l.wire.cut()
			l.put("b", "1")
			l.hear()
			if want := map[string]string{"b": "1"}; !l.heard.Complete || !maps.Equal(l.told, want) {
				t.Errorf("told %v, want %v, %+v", l.told, want, l.heard)
			}
		},
	}
	for feedName, feed := range feeds {
		for caseName, test := range cases {
			t.Run(feedName+"/"+caseName, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := memory.New(memory.Options{Name: "c", Number: 1, Seed: 1, Clock: clock.RealClock{}, WatchBuffer: 100})
					wire := &cuttable{API: api}
					l := &listener{t: t, api: api, wire: wire, feed: feed(t.Context(), wire)}
					test(t, l)
				})
			})
		}
	}
}

// A cuttable cluster can end the watches that are open.
type cuttable struct {
	cluster.API
	mu      sync.Mutex
	watches []watch.Interface
}

func (c *cuttable) Watch(ctx context.Context, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
	w, err := c.API.Watch(ctx, list, opts...)
	if err == nil {
		c.mu.Lock()
		c.watches = append(c.watches, w)
		c.mu.Unlock()
	}
	return w, err
}

func (c *cuttable) cut() {
	c.mu.Lock()
	for _, w := range c.watches {
		w.Stop()
	}
	c.watches = nil
	c.mu.Unlock()
	synctest.Wait()
}
