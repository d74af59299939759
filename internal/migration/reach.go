package migration

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/plan"
)

// reachable counts those of a workload's ready pods on one side to which every
// Service of theirs leads: the side's own, and the other side's of the same name,
// where that way of the bridge is wanted. A pod is ready some moments before any
// Service leads to it.
func (v *visit) reachable(s *site, w plan.Workload, ready int32) int32 {
	bridged := following(v.m).Ways.From(s.side.Other()) && !v.on(s.side.Other()).lost
	here, there := s.addresses(), v.on(s.side.Other()).addresses()
	for _, name := range w.Services {
		key := client.ObjectKey{Namespace: w.Namespace, Name: name}
		var led int32
		for address, pod := range here[key].own {
			if s.podsOf[client.ObjectKey{Namespace: w.Namespace, Name: pod}] == w.Name && (!bridged || there[key].carried[address]) {
				led++
			}
		}
		ready = min(ready, led)
	}
	return ready
}

// An audience is the ready addresses behind one Service: of the side's own pods,
// by pod, and of the other side's, carried over by the bridge.
type audience struct {
	own     map[string]string
	carried map[string]bool
}

// addresses gathers the ready addresses behind every Service of the site, once.
func (s *site) addresses() map[client.ObjectKey]audience {
	if s.audiences != nil {
		return s.audiences
	}
	known := &s.last.audiences[indexOf(s.side)]
	seeAll(&known.from, s.slices)
	if known.from.same() && known.of != nil {
		s.audiences = known.of
		return s.audiences
	}
	s.audiences = map[client.ObjectKey]audience{}
	known.of = s.audiences
	for _, slice := range s.slices {
		key := client.ObjectKey{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
		a, known := s.audiences[key]
		if !known {
			a = audience{own: map[string]string{}, carried: map[string]bool{}}
			s.audiences[key] = a
		}
		carried := slice.Labels[discoveryv1.LabelManagedBy] == bridge.ManagedBy
		for _, endpoint := range slice.Endpoints {
			if !ptr.Deref(endpoint.Conditions.Ready, true) {
				continue
			}
			for _, address := range endpoint.Addresses {
				switch {
				case carried:
					a.carried[address] = true
				case endpoint.TargetRef != nil:
					a.own[address] = endpoint.TargetRef.Name
				}
			}
		}
	}
	return s.audiences
}
