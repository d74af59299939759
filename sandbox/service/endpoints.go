package service

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Usable returns the addresses of the port called name in all slices of a Service: the
// ready ones, or if there is none those that still serve while they terminate, as
// kube-proxy does (KEP-1669). The order is fixed, and each address comes once.
func Usable(all map[string]*discoveryv1.EndpointSlice, name string) []netip.AddrPort {
	var ready, leaving []netip.AddrPort
	for _, slice := range all {
		port := portOf(slice, name)
		if port == 0 {
			continue
		}
		for _, e := range slice.Endpoints {
			isReady, isLeaving := stateOf(e.Conditions)
			for _, text := range e.Addresses {
				ip, err := netip.ParseAddr(text)
				switch {
				case err != nil:
				case isReady:
					ready = append(ready, netip.AddrPortFrom(ip, port))
				case isLeaving:
					leaving = append(leaving, netip.AddrPortFrom(ip, port))
				}
			}
		}
	}
	if len(ready) == 0 {
		ready = leaving
	}
	slices.SortFunc(ready, netip.AddrPort.Compare)
	return slices.Compact(ready)
}

// stateOf reads an endpoint's conditions, in which nil is the ordinary case.
func stateOf(c discoveryv1.EndpointConditions) (ready, leaving bool) {
	ready = c.Ready == nil || *c.Ready
	serving := c.Serving == nil || *c.Serving
	return ready, serving && c.Terminating != nil && *c.Terminating
}

func portOf(slice *discoveryv1.EndpointSlice, name string) uint16 {
	for _, p := range slice.Ports {
		named := p.Name != nil && *p.Name == name || p.Name == nil && name == ""
		if named && p.Port != nil && (p.Protocol == nil || *p.Protocol == corev1.ProtocolTCP) {
			return uint16(*p.Port)
		}
	}
	return 0
}
