package ingress

import (
	"errors"
	"hash/fnv"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/service"
)

// shunned is for how long an endpoint that could not be connected to is passed
// over, while there are others.
const shunned = 2 * time.Second

// A directory knows the endpoints of every Service port that is asked for. It is
// safe for concurrent use.
type directory struct {
	now    func() time.Time
	opened func(*endpoint) // told of each new connection to a pod

	mu       sync.Mutex
	services map[string]*corev1.Service
	slices   map[string]map[string]*discoveryv1.EndpointSlice // by Service, then by slice
	backends map[backendKey]*backend
}

// A backendKey names one port of a Service. Port is what an Ingress or a
// ServicePort calls it: a name, or a number as text.
type backendKey struct {
	service string // namespace/name
	port    string
	speaks  protocol // empty: as the Service says
}

// A backend chooses an endpoint of a Service port for each request or connection.
type backend struct {
	key      backendKey
	usable   atomic.Pointer[[]*endpoint]
	affinity atomic.Bool // one client stays with one endpoint
	turn     atomic.Uint64
}

// An endpoint is one port of one pod.
type endpoint struct {
	pod       netip.AddrPort // as the API has it
	address   string         // on this machine
	speaks    protocol
	pool      *pool
	active    atomic.Int64 // requests and connections under way
	shunUntil atomic.Int64 // Unix nanoseconds
}

func newDirectory(now func() time.Time, opened func(*endpoint)) *directory {
	return &directory{
		now: now, opened: opened,
		services: map[string]*corev1.Service{},
		slices:   map[string]map[string]*discoveryv1.EndpointSlice{},
		backends: map[backendKey]*backend{},
	}
}

// backend returns the backend for key, which follows the Service from then on.
func (d *directory) backend(key backendKey) *backend {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.backends[key]
	if b == nil {
		b = &backend{key: key}
		b.usable.Store(new([]*endpoint))
		d.backends[key] = b
		d.refresh(b)
	}
	return b
}

// expire closes the connections to pods that were idle for too long.
func (d *directory) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.backends {
		for _, e := range *b.usable.Load() {
			e.pool.expire(d.now())
		}
	}
}

// setService takes a Service in; nil if it went.
func (d *directory) setService(name string, service *corev1.Service) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if service == nil {
		delete(d.services, name)
	} else {
		d.services[name] = service
	}
	d.refreshService(name)
}

// setSlice takes an EndpointSlice in, whoever manages it; nil if it went.
func (d *directory) setSlice(service, name string, slice *discoveryv1.EndpointSlice) {
	d.mu.Lock()
	defer d.mu.Unlock()
	held := d.slices[service]
	if held == nil {
		held = map[string]*discoveryv1.EndpointSlice{}
		d.slices[service] = held
	}
	if slice == nil {
		delete(held, name)
	} else {
		held[name] = slice
	}
	if len(held) == 0 {
		delete(d.slices, service)
	}
	d.refreshService(service)
}

func (d *directory) refreshService(service string) {
	for key, b := range d.backends {
		if key.service == service {
			d.refresh(b)
		}
	}
}

// refresh gives a backend the endpoints that it may use now. Those that stay keep
// their connections and counts.
func (d *directory) refresh(b *backend) {
	s := d.services[b.key.service]
	if s == nil {
		b.replace(nil)
		return
	}
	b.affinity.Store(s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP)
	port := servicePort(s, b.key.port)
	if port == nil {
		b.replace(nil)
		return
	}
	speaks := b.key.speaks
	if speaks == "" {
		speaks = protocolOf(port.Name, port.AppProtocol)
	}
	old := map[netip.AddrPort]*endpoint{}
	for _, e := range *b.usable.Load() {
		old[e.pod] = e
	}
	var next []*endpoint
	for _, pod := range service.Usable(d.slices[b.key.service], port.Name) {
		e := old[pod]
		if e == nil || e.speaks != speaks {
			e = &endpoint{pod: pod, speaks: speaks, address: address.HostPort(pod.Addr(), int(pod.Port()))}
			e.pool = newPool(e.address, speaks, func() { d.opened(e) })
		}
		next = append(next, e)
	}
	b.replace(next)
}

// replace changes the usable endpoints. Idle connections to those that left are
// closed: no request may start on them.
func (b *backend) replace(next []*endpoint) {
	old := *b.usable.Load()
	b.usable.Store(&next)
	for _, e := range old {
		if !slices.Contains(next, e) {
			e.pool.retire()
		}
	}
}

// servicePort finds the port that an Ingress names or numbers.
func servicePort(service *corev1.Service, wanted string) *corev1.ServicePort {
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		if port.Name == wanted || strconv.Itoa(int(port.Port)) == wanted {
			return port
		}
	}
	return nil
}

// protocolOf reads what a port speaks from its appProtocol (KEP-3726), or else
// from its name, as service meshes do.
func protocolOf(name string, appProtocol *string) protocol {
	if appProtocol != nil {
		switch strings.ToLower(*appProtocol) {
		case "kubernetes.io/h2c", "grpc", "h2c", "http2":
			return h2c
		case "https":
			return https
		case "http", "kubernetes.io/ws":
			return http1
		}
	}
	prefix, _, _ := strings.Cut(name, "-")
	switch prefix {
	case "grpc", "h2c", "http2":
		return h2c
	case "https":
		return https
	}
	return http1
}

// errNoEndpoint says that a Service has no pod to serve a request.
var errNoEndpoint = errors.New("no endpoint is ready")

// choose returns an endpoint that is not among tried: the one with the fewest
// requests under way, in turn among equals. client decides alone where the Service
// asks for affinity.
func (b *backend) choose(client netip.Addr, tried []*endpoint, now time.Time) (*endpoint, error) {
	usable := *b.usable.Load()
	if len(usable) == 0 {
		return nil, errNoEndpoint
	}
	if b.affinity.Load() {
		if e := affine(usable, client, tried); e != nil {
			return e, nil
		}
	}
	start := int(b.turn.Add(1) % uint64(len(usable)))
	var best *endpoint
	bestShunned := false
	for i := range usable {
		e := usable[(start+i)%len(usable)]
		if slices.Contains(tried, e) {
			continue
		}
		shun := e.shunUntil.Load() > now.UnixNano()
		better := best == nil || (bestShunned && !shun) || (bestShunned == shun && e.active.Load() < best.active.Load())
		if better {
			best, bestShunned = e, shun
		}
	}
	if best == nil {
		return nil, errNoEndpoint
	}
	return best, nil
}

// affine keeps a client with one endpoint for as long as that stands, and moves
// few clients when others come and go (rendezvous hashing).
func affine(usable []*endpoint, client netip.Addr, tried []*endpoint) *endpoint {
	var best *endpoint
	var highest uint64
	for _, e := range usable {
		if slices.Contains(tried, e) {
			continue
		}
		hash := fnv.New64a()
		hash.Write(client.AsSlice())
		hash.Write([]byte(e.address))
		if sum := hash.Sum64(); best == nil || sum > highest {
			best, highest = e, sum
		}
	}
	return best
}

// shun passes the endpoint over for a while.
func (e *endpoint) shun(now time.Time) { e.shunUntil.Store(now.Add(shunned).UnixNano()) }
