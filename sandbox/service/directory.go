// Package service is what a cluster's Services mean to the pods of a node: which
// endpoint a connection goes to (what kube-proxy does) and what a name resolves to
// (what cluster DNS does). Processes reach both through a SOCKS5 proxy, since they
// have no network of their own.
//
// A Service's endpoints are those of all its EndpointSlices, whoever manages them.
package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/feed"
)

// Domain is the domain of the names of a cluster.
const Domain = "cluster.local"

// A Directory knows the Services of a cluster and their endpoints. What it last
// knew stays in use while the API server is away. It is safe for concurrent use.
type Directory struct {
	delays delay.Range
	seed   uint64
	// changed, if not nil, is told of each Service that appears or changes.
	changed func(*corev1.Service)

	mu       sync.RWMutex
	services map[string]*corev1.Service                       // by namespace/name
	slices   map[string]map[string]*discoveryv1.EndpointSlice // by Service, then by slice
	news     map[string]uint64                                // number of the last change of each slice
	used     map[string]uint64                                // number of the change of each slice that is in use
}

// NewDirectory makes a directory in which a change of endpoints takes effect after
// a delay of the given range, as it does on the nodes of a real cluster.
func NewDirectory(delays delay.Range, seed uint64, changed func(*corev1.Service)) *Directory {
	return &Directory{
		delays: delays, seed: seed, changed: changed,
		services: map[string]*corev1.Service{},
		slices:   map[string]map[string]*discoveryv1.EndpointSlice{},
		news:     map[string]uint64{},
		used:     map[string]uint64{},
	}
}

// Run follows the cluster until ctx ends. It returns once the first lists were
// read, and goes on in the background.
func (d *Directory) Run(ctx context.Context, client kubernetes.Interface) error {
	services := feed.New(d.setService)
	endpoints := feed.New(d.setSliceLater)
	go services.Run(ctx, feed.Source(client.CoreV1().Services(""), ""))
	go endpoints.Run(ctx, feed.Source(client.DiscoveryV1().EndpointSlices(""), ""))
	return feed.Await(ctx, services.Synced(), endpoints.Synced())
}

func (d *Directory) setService(c feed.Change[*corev1.Service]) {
	d.mu.Lock()
	if c.Gone {
		delete(d.services, c.Name)
	} else {
		d.services[c.Name] = c.Object
	}
	d.mu.Unlock()
	if !c.Gone && d.changed != nil {
		d.changed(c.Object)
	}
}

// setSliceLater puts a change of endpoints to use after its delay. A change whose
// delay ends after that of a later one is never used.
func (d *Directory) setSliceLater(c feed.Change[*discoveryv1.EndpointSlice]) {
	d.mu.Lock()
	d.news[c.Name]++
	number := d.news[c.Name]
	d.mu.Unlock()
	var wait time.Duration
	if !c.First {
		wait = d.delays.For(d.seed, fmt.Sprintf("change %d of endpoints %s", number, c.Name))
	}
	if wait == 0 {
		d.setSlice(c, number)
		return
	}
	time.AfterFunc(wait, func() { d.setSlice(c, number) })
}

func (d *Directory) setSlice(c feed.Change[*discoveryv1.EndpointSlice], number uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if number < d.used[c.Name] {
		return
	}
	d.used[c.Name] = number
	of := c.Object.Namespace + "/" + c.Object.Labels[discoveryv1.LabelServiceName]
	if c.Gone {
		delete(d.slices[of], c.Name)
		if len(d.slices[of]) == 0 {
			delete(d.slices, of)
		}
		return
	}
	if d.slices[of] == nil {
		d.slices[of] = map[string]*discoveryv1.EndpointSlice{}
	}
	d.slices[of][c.Name] = c.Object
}

// TargetPorts returns the TCP ports, by number, at which Services expect pod.
func (d *Directory) TargetPorts(pod *corev1.Pod) []int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var ports []int
	for _, s := range d.services {
		if s.Namespace != pod.Namespace || len(s.Spec.Selector) == 0 ||
			!labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod.Labels)) {
			continue
		}
		for _, port := range s.Spec.Ports {
			target := port.TargetPort.IntValue() // zero for a name
			if port.Protocol == corev1.ProtocolTCP && target > 0 {
				ports = append(ports, target)
			}
		}
	}
	return ports
}

// A Target is what a name means: a Service, or one pod of a headless one.
type Target struct {
	Service *corev1.Service
	Host    string // hostname of a pod; empty for the Service itself
}

// Find returns what a pod of namespace means by name, by the search path that pods
// have: its own namespace first. Names outside the cluster are not found.
func (d *Directory) Find(name, namespace string) (Target, bool) {
	name = strings.ToLower(name)
	candidates := []string{name}
	if trimmed, absolute := strings.CutSuffix(name, "."); absolute {
		candidates[0] = trimmed
	} else {
		candidates = []string{name + "." + namespace + ".svc." + Domain, name + ".svc." + Domain, name + "." + Domain, name}
	}
	for _, c := range candidates {
		if target, ok := d.exact(c); ok {
			return target, true
		}
	}
	return Target{}, false
}

// exact finds [host.]service.namespace.svc.cluster.local.
func (d *Directory) exact(name string) (Target, bool) {
	rest, ok := strings.CutSuffix(name, ".svc."+Domain)
	if !ok {
		return Target{}, false
	}
	words := strings.Split(rest, ".")
	host := ""
	if len(words) == 3 {
		host, words = words[0], words[1:]
	}
	if len(words) != 2 {
		return Target{}, false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := d.services[words[1]+"/"+words[0]]
	if s == nil || (host != "" && len(d.hostsOf(s, host)) == 0) {
		return Target{}, false
	}
	return Target{s, host}, true
}

// byClusterIP finds the Service that has a cluster IP.
func (d *Directory) byClusterIP(ip netip.Addr) (Target, bool) {
	text := ip.String()
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, s := range d.services {
		if s.Spec.ClusterIP == text {
			return Target{Service: s}, true
		}
	}
	return Target{}, false
}

// Errors of Pick.
var (
	ErrNoPort     = errors.New("the service has no such port")
	ErrNoEndpoint = errors.New("no endpoint is ready")
)

// Pick chooses an endpoint for a connection to port of target, at random among
// those that are ready. The error wraps ErrNoPort or ErrNoEndpoint.
func (d *Directory) Pick(target Target, port int) (netip.AddrPort, error) {
	s := target.Service
	usable, err := d.usable(target, port)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("service %s/%s port %d: %w", s.Namespace, s.Name, port, err)
	}
	return usable[rand.IntN(len(usable))], nil
}

func (d *Directory) usable(target Target, port int) ([]netip.AddrPort, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := target.Service
	var found []netip.AddrPort
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		// A headless name leads to the pods themselves, at the port that was asked for.
		for _, e := range d.hostsOf(s, target.Host) {
			found = append(found, netip.AddrPortFrom(e.ip, uint16(port)))
		}
	} else {
		i := slices.IndexFunc(s.Spec.Ports, func(p corev1.ServicePort) bool {
			return int(p.Port) == port && p.Protocol != corev1.ProtocolUDP
		})
		if i < 0 {
			return nil, ErrNoPort
		}
		found = Usable(d.slices[s.Namespace+"/"+s.Name], s.Spec.Ports[i].Name)
	}
	if len(found) == 0 {
		return nil, ErrNoEndpoint
	}
	return found, nil
}

// A host is one pod of a headless Service as DNS knows it.
type host struct {
	ip   netip.Addr
	name string // as in its DNS name
}

// hostsOf returns the pods that a headless Service's name leads to, or only those
// called name: the ready ones, or all if the Service publishes those too. It must
// be called with d.mu held.
func (d *Directory) hostsOf(s *corev1.Service, name string) []host {
	var found []host
	for _, slice := range d.slices[s.Namespace+"/"+s.Name] {
		for _, e := range slice.Endpoints {
			if ready, _ := stateOf(e.Conditions); !ready && !s.Spec.PublishNotReadyAddresses {
				continue
			}
			for _, text := range e.Addresses {
				ip, err := netip.ParseAddr(text)
				if err != nil {
					continue
				}
				h := host{ip: ip, name: strings.ReplaceAll(text, ".", "-")}
				if e.Hostname != nil {
					h.name = *e.Hostname
				}
				if name == "" || h.name == name {
					found = append(found, h)
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b host) int { return a.ip.Compare(b.ip) })
	return slices.Compact(found)
}
