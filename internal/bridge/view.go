package bridge

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
)

// A view is what was read of one cluster. Nothing in it may be changed: it may be
// a cache's own memory.
type view struct {
	services map[Key]*corev1.Service
	// own are the slices of the endpoint controller, ours those of the bridge,
	// others those that somebody else manages.
	own, ours, others map[Key][]*discoveryv1.EndpointSlice
}

func newView() view {
	return view{
		services: map[Key]*corev1.Service{},
		own:      map[Key][]*discoveryv1.EndpointSlice{},
		ours:     map[Key][]*discoveryv1.EndpointSlice{},
		others:   map[Key][]*discoveryv1.EndpointSlice{},
	}
}

// add files a slice under its Service. Ours are kept wherever they are, so that
// they are removed from a namespace that is no longer of the estate.
func (v view) add(slice *discoveryv1.EndpointSlice, inScope bool) {
	key, ok := KeyOf(slice)
	switch {
	case !ok:
	case isOurs(slice):
		v.ours[key] = append(v.ours[key], slice)
	case !inScope:
	case slice.Labels[discoveryv1.LabelManagedBy] == controllerManagedBy:
		v.own[key] = append(v.own[key], slice)
	case slice.Labels[discoveryv1.LabelManagedBy] != ManagedBy:
		v.others[key] = append(v.others[key], slice)
	}
}

func (b *Bridge) lookAll(ctx context.Context, side v1.Side) (view, error) {
	api := b.api(side)
	v := newView()
	var services corev1.ServiceList
	if err := api.List(ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		return v, fmt.Errorf("list services in the %s: %w", side, err)
	}
	for i := range services.Items {
		service := &services.Items[i]
		if b.concerns(service.Namespace, service.Name) {
			v.services[client.ObjectKeyFromObject(service)] = service
		}
	}
	var list discoveryv1.EndpointSliceList
	if err := api.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return v, fmt.Errorf("list endpoint slices in the %s: %w", side, err)
	}
	for i := range list.Items {
		slice := &list.Items[i]
		v.add(slice, b.concerns(slice.Namespace, slice.Labels[discoveryv1.LabelServiceName]))
	}
	return v, nil
}

func (b *Bridge) look(ctx context.Context, side v1.Side, keys []Key) (view, error) {
	api := b.api(side)
	v := newView()
	for _, key := range keys {
		inScope := b.concerns(key.Namespace, key.Name)
		if inScope {
			service := &corev1.Service{}
			switch err := api.Get(ctx, key, service); {
			case err == nil:
				v.services[key] = service
			case client.IgnoreNotFound(err) != nil:
				return v, fmt.Errorf("read service %s in the %s: %w", key, side, err)
			}
		}
		var list discoveryv1.EndpointSliceList
		err := api.List(ctx, &list, client.InNamespace(key.Namespace), client.UnsafeDisableDeepCopy,
			client.MatchingLabels{discoveryv1.LabelServiceName: key.Name})
		if err != nil {
			return v, fmt.Errorf("list endpoint slices of service %s in the %s: %w", key, side, err)
		}
		for i := range list.Items {
			v.add(&list.Items[i], inScope)
		}
	}
	return v, nil
}

// concerns is true for the services that the bridge looks after: the estate's, but
// never the API server's own.
func (b *Bridge) concerns(namespace, service string) bool {
	ofTheServer := namespace == corev1.NamespaceDefault && service == "kubernetes"
	return !ofTheServer && b.config.Namespaces(namespace)
}

func keysOf(views ...view) []Key {
	all := map[Key]bool{}
	for _, v := range views {
		for key := range v.services {
			all[key] = true
		}
		for key := range v.ours {
			all[key] = true
		}
	}
	return sorted(slices.Collect(maps.Keys(all)))
}

func sorted(keys []Key) []Key {
	keys = slices.SortedFunc(slices.Values(keys), func(a, b Key) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return slices.Compact(keys)
}

// wentBack is true if one of the slices was seen before in a later state: then the
// read is older than what the bridge already acted on.
func (b *Bridge) wentBack(slices []*discoveryv1.EndpointSlice) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	back := false
	for _, slice := range slices {
		version, err := strconv.ParseUint(slice.ResourceVersion, 10, 64)
		if err != nil {
			continue // opaque on this server: nothing to compare
		}
		if version < b.newest[slice.UID] {
			back = true
		} else {
			b.newest[slice.UID] = version
		}
	}
	return back
}

// forget drops what is remembered of slices and services that no longer exist.
func (b *Bridge) forget(keys []Key, views ...view) {
	there := make(map[Key]bool, len(keys))
	for _, key := range keys {
		there[key] = true
	}
	slices := 0
	for _, v := range views {
		for _, list := range v.own {
			slices += len(list)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.settled, func(p place, _ memo) bool { return !there[p.key] })
	if len(b.newest) <= 2*slices+1000 {
		return
	}
	live := make(map[types.UID]bool, slices)
	for _, v := range views {
		for _, list := range v.own {
			for _, slice := range list {
				live[slice.UID] = true
			}
		}
	}
	maps.DeleteFunc(b.newest, func(uid types.UID, _ uint64) bool { return !live[uid] })
}
