// Package bridge makes a Service of one cluster lead to the ready pods of both. It
// adds EndpointSlices of its own to the Service, filled with what the endpoint
// controller of the other cluster wrote about the Service of the same name there.
// kube-proxy, ingress controllers and cluster DNS obey every slice of a Service,
// whoever manages it, and the endpoint controller leaves slices alone that carry
// another managed-by label than its own. Teams' objects are never touched.
//
// The bridge keeps no progress: its slices in the API servers are the record. What
// it remembers only saves work and keeps late reads from undoing newer ones.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// ManagedBy is the value of the label endpointslice.kubernetes.io/managed-by on the
// bridge's slices.
const ManagedBy = "crossfade.dev"

// controllerManagedBy is that value on the slices of Kubernetes' own controller.
const controllerManagedBy = "endpointslice-controller.k8s.io"

// A Key names a Service in both clusters.
type Key = types.NamespacedName

// Config is what a Bridge works with. All fields but Workers must be set.
type Config struct {
	// Source and Target may read from caches: a read that lags costs another pass,
	// nothing else. For a terminating pod to leave the other side within 100 ms of
	// its event, reads must come from caches whose events call SyncServices.
	Source, Target cluster.API
	// Namespaces is true for the namespaces of the estate.
	Namespaces func(string) bool
	Clock      clock.PassiveClock
	// Workers is how many services are written at once; with 1 or less a pass runs
	// in the caller's goroutine alone, in the order of side, namespace and name.
	Workers int
}

// Ways says in which directions traffic may cross.
type Ways struct {
	// ToTarget leads clients in the source to pods of the target as well: the
	// bridge's slices stand in the source.
	ToTarget bool
	// ToSource leads clients in the target to pods of the source as well: the
	// bridge's slices stand in the target.
	ToSource bool
}

// From is true if clients in the cluster on side are led to the other one.
func (w Ways) From(side v1.Side) bool {
	if side == v1.Source {
		return w.ToTarget
	}
	return w.ToSource
}

// A Bridge spans two clusters. Its methods may be called from several goroutines.
type Bridge struct {
	config Config

	mu sync.Mutex
	// passes counts the passes begun. A pass leaves alone what a later one settled:
	// its reads are older.
	passes  uint64
	settled map[place]memo
	// newest is the highest resourceVersion seen of each slice of the endpoint
	// controllers, by which a read that went back in time is told.
	newest map[types.UID]uint64
}

// A place is one Service in the cluster of one side.
type place struct {
	side v1.Side
	key  Key
}

// New spans a bridge over which nothing crosses before the first Sync.
func New(config Config) *Bridge {
	return &Bridge{config: config, settled: map[place]memo{}, newest: map[types.UID]uint64{}}
}

func (b *Bridge) api(side v1.Side) cluster.API {
	if side == v1.Source {
		return b.config.Source
	}
	return b.config.Target
}

// Report is what a pass found and did.
type Report struct {
	// Services is how many services lead, or would lead once those behind have
	// caught up, to the pods of the other cluster on some way.
	Services int
	// Writes is how many slices were created, changed or deleted.
	Writes int
	// Behind lists services whose slices are not yet what they should be. The next
	// pass tries again.
	Behind []Behind
	// Blocked lists services that the bridge cannot serve, Notes those that it
	// serves with a consequence that people should know.
	Blocked []Finding
	Notes   []Finding
}

// Level is true if every slice of ours was what it should be when the pass ended.
func (r Report) Level() bool { return len(r.Behind) == 0 }

// Behind is a Service whose slices on one side are not yet what they should be.
type Behind struct {
	Side    v1.Side
	Service Key
	// Since is when a pass of this process first found the Service behind.
	Since time.Time
	Err   error
}

// Sync compares every Service of the estate on both sides and writes what differs.
// It costs four lists, and a write for each slice that differs; services of which
// nothing changed since the last pass are not looked at again.
//
// The error says that a cluster could not be read, or wraps cluster.ErrFenced; the
// report then covers what was done before. Refused writes are not errors of the
// pass: their services are Behind.
func (b *Bridge) Sync(ctx context.Context, ways Ways) (Report, error) {
	pass := b.begin()
	source, err := b.lookAll(ctx, v1.Source)
	if err != nil {
		return Report{}, err
	}
	target, err := b.lookAll(ctx, v1.Target)
	if err != nil {
		return Report{}, err
	}
	keys := keysOf(source, target)
	b.forget(keys, source, target)
	return b.cross(ctx, &crossing{pass: pass, ways: ways, source: source, target: target, keys: keys})
}

// SyncServices is Sync for a few services: what an event calls for. Its report
// covers these services alone.
func (b *Bridge) SyncServices(ctx context.Context, ways Ways, keys []Key) (Report, error) {
	pass := b.begin()
	source, err := b.look(ctx, v1.Source, keys)
	if err != nil {
		return Report{}, err
	}
	target, err := b.look(ctx, v1.Target, keys)
	if err != nil {
		return Report{}, err
	}
	return b.cross(ctx, &crossing{pass: pass, ways: ways, source: source, target: target, keys: sorted(keys)})
}

// KeyOf names the Service that an event about obj concerns: obj is a Service, or a
// slice that belongs to one. The second result is false for anything else.
func KeyOf(obj client.Object) (Key, bool) {
	switch obj := obj.(type) {
	case *corev1.Service:
		return client.ObjectKeyFromObject(obj), true
	case *discoveryv1.EndpointSlice:
		name := obj.Labels[discoveryv1.LabelServiceName]
		return Key{Namespace: obj.Namespace, Name: name}, name != ""
	}
	return Key{}, false
}

// Remove deletes the bridge's slices in the cluster of side, and nothing else. It
// returns how many it could not delete; the error joins theirs, or says that the
// cluster could not be read. Removing what is not there is no error.
func (b *Bridge) Remove(ctx context.Context, side v1.Side) (left int, err error) {
	left, err = Cut(ctx, b.api(side), func(Key) bool { return false })
	if err != nil {
		return left, fmt.Errorf("in the %s: %w", side, err)
	}
	return left, nil
}

// Cut deletes the bridge's slices in one cluster, but for Services that are to keep
// theirs. It needs no other cluster: it is for the time when that is lost. The results
// are those of Remove.
func Cut(ctx context.Context, api cluster.API, keep func(Key) bool) (left int, err error) {
	var list discoveryv1.EndpointSliceList
	if err := api.List(ctx, &list, client.MatchingLabels{discoveryv1.LabelManagedBy: ManagedBy}); err != nil {
		return 0, fmt.Errorf("list the bridge's slices: %w", err)
	}
	for i := range list.Items {
		slice := &list.Items[i]
		if key, _ := KeyOf(slice); !isOurs(slice) || keep(key) {
			continue
		}
		if failed := remove(ctx, api, slice); failed != nil {
			left++
			err = errors.Join(err, failed)
			if errors.Is(failed, cluster.ErrFenced) || ctx.Err() != nil {
				return left, err
			}
		}
	}
	return left, err
}
