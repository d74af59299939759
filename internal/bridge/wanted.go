package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// maxEndpoints is how many endpoints a slice of ours holds, the default of the
// endpoint controller: more would make each change of a pod more expensive to
// everyone who watches.
const maxEndpoints = 100

// wanted returns the slices that should stand beside service, given the slices that
// the endpoint controller of the other cluster keeps for the Service of the same
// name, and ours as they are. It is ordered by name.
//
// An endpoint that already stands in a slice of ours stays in it, so that one pod's
// change is one slice's change, and no pod is ever between two slices. Endpoints
// that nobody would use, neither ready nor serving, are left out.
func wanted(service *corev1.Service, theirs, ours []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	groups := groupsOf(service, theirs)
	var out []*discoveryv1.EndpointSlice
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		group := groups[id]
		for n, endpoints := range group.pack(standing(service.Name, id, ours)) {
			if len(endpoints) > 0 {
				out = append(out, group.slice(service, nameOf(service.Name, id, n), endpoints))
			}
		}
	}
	return out
}

// A group is the endpoints of one address family that answer on the same ports; all
// endpoints of a slice do.
type group struct {
	family    discoveryv1.AddressType
	ports     []discoveryv1.EndpointPort
	endpoints map[string]discoveryv1.Endpoint // by address
}

func groupsOf(service *corev1.Service, theirs []*discoveryv1.EndpointSlice) map[string]*group {
	groups := map[string]*group{}
	for _, slice := range theirs {
		if !carries(service, slice.AddressType) {
			continue
		}
		ports := portsOf(slice)
		id := groupID(slice.AddressType, ports)
		if groups[id] == nil {
			groups[id] = &group{family: slice.AddressType, ports: ports, endpoints: map[string]discoveryv1.Endpoint{}}
		}
		for _, endpoint := range slice.Endpoints {
			groups[id].add(endpoint)
		}
	}
	return groups
}

// carries is true if kube-proxy would use addresses of the family for the Service.
func carries(service *corev1.Service, family discoveryv1.AddressType) bool {
	if family != discoveryv1.AddressTypeIPv4 && family != discoveryv1.AddressTypeIPv6 {
		return false
	}
	if len(service.Spec.IPFamilies) == 0 {
		return true
	}
	return slices.Contains(service.Spec.IPFamilies, corev1.IPFamily(family))
}

// add keeps what is true of an endpoint in every cluster: its address, conditions
// and host name. Its node, pod and zone are names that mean something else here;
// without a zone hint kube-proxy routes by no topology at all.
func (g *group) add(endpoint discoveryv1.Endpoint) {
	if len(endpoint.Addresses) == 0 || !ready(endpoint) && !serving(endpoint) {
		return
	}
	kept := discoveryv1.Endpoint{
		Addresses:  endpoint.Addresses[:1], // nobody looks at the others
		Conditions: endpoint.Conditions,
		Hostname:   endpoint.Hostname,
	}
	// While the controller moves an endpoint between slices it may stand in two.
	// The less hopeful of the two is believed: the other side has pods of its own.
	if have, both := g.endpoints[endpoint.Addresses[0]]; both && !ready(have) {
		return
	}
	g.endpoints[endpoint.Addresses[0]] = kept
}

// A condition that is not set means ready, serving, not terminating.
func ready(endpoint discoveryv1.Endpoint) bool {
	return ptr.Deref(endpoint.Conditions.Ready, true)
}

func serving(endpoint discoveryv1.Endpoint) bool {
	return ptr.Deref(endpoint.Conditions.Serving, true)
}

// pack distributes the group's endpoints over numbered slices: each stays where it
// stands, the others fill the first slices with room.
func (g *group) pack(standing [][]string) [][]discoveryv1.Endpoint {
	packed := make([][]discoveryv1.Endpoint, len(standing))
	placed := map[string]bool{}
	for n, addresses := range standing {
		for _, address := range addresses {
			if endpoint, ok := g.endpoints[address]; ok && !placed[address] && len(packed[n]) < maxEndpoints {
				packed[n] = append(packed[n], endpoint)
				placed[address] = true
			}
		}
	}
	n := 0
	for _, address := range slices.Sorted(maps.Keys(g.endpoints)) {
		if placed[address] {
			continue
		}
		for n < len(packed) && len(packed[n]) >= maxEndpoints {
			n++
		}
		if n == len(packed) {
			packed = append(packed, nil)
		}
		packed[n] = append(packed[n], g.endpoints[address])
	}
	for _, endpoints := range packed {
		slices.SortFunc(endpoints, func(a, b discoveryv1.Endpoint) int { return strings.Compare(a.Addresses[0], b.Addresses[0]) })
	}
	return packed
}

// standing returns the addresses in our slices of one group, by the slice's number.
func standing(service, id string, ours []*discoveryv1.EndpointSlice) [][]string {
	var out [][]string
	for _, slice := range ours {
		n, ok := numberOf(service, id, slice.Name)
		if !ok {
			continue
		}
		for len(out) <= n {
			out = append(out, nil)
		}
		for _, endpoint := range slice.Endpoints {
			out[n] = append(out[n], endpoint.Addresses...)
		}
	}
	return out
}

func (g *group) slice(service *corev1.Service, name string, endpoints []discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	labels := map[string]string{
		discoveryv1.LabelServiceName: service.Name,
		discoveryv1.LabelManagedBy:   ManagedBy,
	}
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		labels[corev1.IsHeadlessService] = ""
	}
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace,
			Name:      name,
			Labels:    labels,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID,
			}},
		},
		AddressType: g.family,
		Ports:       g.ports,
		Endpoints:   endpoints,
	}
}

// A change makes one slice of ours what it should be: old is nil to create it, new
// is nil to delete it.
type change struct {
	old, new *discoveryv1.EndpointSlice
}

// changes are ordered so that no endpoint is missing in between: what is added
// comes before what is taken away.
func changes(want, have []*discoveryv1.EndpointSlice) []change {
	byName := map[string]*discoveryv1.EndpointSlice{}
	for _, slice := range have {
		byName[slice.Name] = slice
	}
	var creates, additions, updates, deletes []change
	for _, slice := range want {
		old := byName[slice.Name]
		delete(byName, slice.Name)
		switch {
		case old == nil:
			creates = append(creates, change{new: slice})
		case same(old, slice):
		case adds(old, slice):
			additions = append(additions, change{old: old, new: revised(old, slice)})
		default:
			updates = append(updates, change{old: old, new: revised(old, slice)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		deletes = append(deletes, change{old: byName[name]})
	}
	return slices.Concat(creates, additions, updates, deletes)
}

// takesAway is true if a ready endpoint of ours would no longer be there, or no longer
// be ready.
func takesAway(want, ours []*discoveryv1.EndpointSlice) bool {
	stays := map[string]bool{}
	for _, slice := range want {
		for _, endpoint := range slice.Endpoints {
			stays[endpoint.Addresses[0]] = stays[endpoint.Addresses[0]] || ready(endpoint)
		}
	}
	for _, slice := range ours {
		for _, endpoint := range slice.Endpoints {
			if ready(endpoint) && !stays[endpoint.Addresses[0]] {
				return true
			}
		}
	}
	return false
}

func adds(old, want *discoveryv1.EndpointSlice) bool {
	have := map[string]bool{}
	for _, endpoint := range old.Endpoints {
		have[endpoint.Addresses[0]] = true
	}
	return slices.ContainsFunc(want.Endpoints, func(e discoveryv1.Endpoint) bool { return !have[e.Addresses[0]] })
}

// same is true if old says what want says. Labels that others added to a slice of
// ours do no harm.
func same(old, want *discoveryv1.EndpointSlice) bool {
	for name, value := range want.Labels {
		if have, ok := old.Labels[name]; !ok || have != value {
			return false
		}
	}
	return equality.Semantic.DeepEqual(old.OwnerReferences, want.OwnerReferences) &&
		equality.Semantic.DeepEqual(portsOf(old), want.Ports) &&
		equality.Semantic.DeepEqual(old.Endpoints, want.Endpoints)
}

// revised is old with what want says, to be written under old's UID and
// resourceVersion. The address family is part of the name and never differs.
func revised(old, want *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	out := old.DeepCopy()
	maps.Copy(out.Labels, want.Labels)
	out.OwnerReferences = want.OwnerReferences
	out.Ports = want.Ports
	out.Endpoints = want.Endpoints
	return out
}

// portsOf returns a slice's ports with the API server's defaults, ordered by name.
func portsOf(slice *discoveryv1.EndpointSlice) []discoveryv1.EndpointPort {
	ports := make([]discoveryv1.EndpointPort, len(slice.Ports))
	for i, port := range slice.Ports {
		name, protocol := ptr.Deref(port.Name, ""), ptr.Deref(port.Protocol, corev1.ProtocolTCP)
		ports[i] = discoveryv1.EndpointPort{Name: &name, Protocol: &protocol, Port: port.Port, AppProtocol: port.AppProtocol}
	}
	slices.SortFunc(ports, func(a, b discoveryv1.EndpointPort) int { return strings.Compare(*a.Name, *b.Name) })
	return ports
}

func groupID(family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) string {
	var text strings.Builder
	text.WriteString(string(family))
	for _, port := range ports {
		fmt.Fprintf(&text, "|%s/%s/%d/%s", *port.Name, *port.Protocol, ptr.Deref(port.Port, 0), ptr.Deref(port.AppProtocol, ""))
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:4])
}

const nameInfix = "-crossfade-"

// nameOf is at most 63 + 11 + 8 + 11 characters long; a slice's name may have 253.
func nameOf(service, id string, n int) string {
	return service + nameInfix + id + "-" + strconv.Itoa(n)
}

func numberOf(service, id, name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, service+nameInfix+id+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n >= 0 && n < 1000
}

// isOurs asks for both marks, label and name: somebody may have copied either.
func isOurs(slice *discoveryv1.EndpointSlice) bool {
	service := slice.Labels[discoveryv1.LabelServiceName]
	return slice.Labels[discoveryv1.LabelManagedBy] == ManagedBy &&
		service != "" && strings.HasPrefix(slice.Name, service+nameInfix)
}
