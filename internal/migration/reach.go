package migration

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/plan"
)

// bridged tells whether every ready pod of a workload on one side can be reached
// through the other side's Services of the same names. Where that way of the
// bridge is not wanted, there is nothing to reach.
func (v *visit) bridged(s *site, w plan.Workload) bool {
	if !following(v.m).Ways.From(s.side.Other()) {
		return true
	}
	here, there := s.addresses(), v.on(s.side.Other()).addresses()
	for _, name := range w.Services {
		key := client.ObjectKey{Namespace: w.Namespace, Name: name}
		for address := range here[key].own {
			if !there[key].carried[address] {
				return false
			}
		}
	}
	return true
}

// An audience is the ready addresses behind one Service: of the side's own pods,
// and of the other side's, carried over by the bridge.
type audience struct {
	own, carried map[string]bool
}

// addresses gathers the ready addresses behind every Service of the site, once.
func (s *site) addresses() map[client.ObjectKey]audience {
	if s.audiences != nil {
		return s.audiences
	}
	s.audiences = map[client.ObjectKey]audience{}
	for _, slice := range s.slices {
		key := client.ObjectKey{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
		a, known := s.audiences[key]
		if !known {
			a = audience{own: map[string]bool{}, carried: map[string]bool{}}
			s.audiences[key] = a
		}
		into := a.own
		if slice.Labels[discoveryv1.LabelManagedBy] == bridge.ManagedBy {
			into = a.carried
		}
		for _, endpoint := range slice.Endpoints {
			if !ptr.Deref(endpoint.Conditions.Ready, true) {
				continue
			}
			for _, address := range endpoint.Addresses {
				into[address] = true
			}
		}
	}
	return s.audiences
}
