package ingress

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/feed"
)

const (
	// cutAfter is how long connections may go on after their Service is gone.
	cutAfter = 10 * time.Second
	// listenAgain is the pause before a port that could not be listened on is tried
	// again.
	listenAgain = time.Second
)

// balancers gives each Service of type LoadBalancer without a class an address of
// its own, and forwards its TCP ports. It is safe for concurrent use.
type balancers struct {
	directory *directory
	addresses *addresses
	statuses  *statuses
	metrics   *metrics
	queue     *queue
	now       func() time.Time
	log       *slog.Logger
	seed      uint64
	wait      delay.Range

	mu   sync.Mutex
	held map[string]*balancer
}

// A balancer is one Service's address and what listens there.
type balancer struct {
	ip        netip.Addr
	service   *corev1.Service
	published bool // its delay is over
	waiting   bool
	ports     map[int32]*forwarder
}

// set takes in a Service's change.
func (b *balancers) set(c feed.Change[*corev1.Service]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.Gone || !balanced(c.Object) {
		b.release(c)
		return
	}
	held := b.held[c.Name]
	if held == nil {
		ip, err := b.addresses.take(c.Name, statusAddress(c.Object), parsed(c.Object.Spec.LoadBalancerIP))
		if err != nil {
			b.log.Error("service gets no address", "service", c.Name, "error", err)
			return
		}
		held = &balancer{ip: ip, ports: map[int32]*forwarder{}}
		b.held[c.Name] = held
	}
	held.service = c.Object
	lost := statusAddress(c.Object) != held.ip
	held.published = held.published || !lost
	if held.published {
		b.listen(c.Name, held)
	}
	switch {
	case !lost || held.waiting:
	case held.published:
		b.publishAfter(0, c.Name, held)
	default:
		b.publishAfter(b.wait.For(b.seed, "address of Service "+c.Name), c.Name, held)
	}
}

// balanced reports whether a Service is ours: those with a class are another
// controller's (KEP-1959).
func balanced(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil
}

func statusAddress(service *corev1.Service) netip.Addr {
	for _, point := range service.Status.LoadBalancer.Ingress {
		return parsed(point.IP)
	}
	return netip.Addr{}
}

// parsed returns an invalid address for text that is none.
func parsed(text string) netip.Addr {
	ip, _ := netip.ParseAddr(text)
	return ip
}

// publishAfter listens, and then says so in the status, when the delay is over.
func (b *balancers) publishAfter(wait time.Duration, name string, held *balancer) {
	held.waiting = true
	b.queue.after(wait, "Service "+name, func(ctx context.Context) {
		b.mu.Lock()
		held.waiting = false
		if b.held[name] != held {
			b.mu.Unlock()
			return
		}
		held.published = true
		b.listen(name, held)
		service := held.service
		b.mu.Unlock()
		b.statuses.setAddress(ctx, service, held.ip)
	})
}

// listen opens what the Service's ports want and closes the rest. The caller holds
// mu.
func (b *balancers) listen(name string, held *balancer) {
	wanted := map[int32]bool{}
	for _, port := range held.service.Spec.Ports {
		if port.Protocol != "" && port.Protocol != corev1.ProtocolTCP {
			continue
		}
		wanted[port.Port] = true
		if held.ports[port.Port] != nil {
			continue
		}
		text := strconv.Itoa(int(port.Port))
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address.HostPort(held.ip, int(port.Port)))
		if err != nil {
			b.log.Error("port of a load balancer is not served", "service", name, "error", err)
			b.listenLater(name, held)
			continue
		}
		to := b.directory.backend(backendKey{service: name, port: text})
		held.ports[port.Port] = forward(b.metrics.counted(listener, name+":"+text), to, b.now, b.log)
	}
	for port, running := range held.ports {
		if !wanted[port] {
			delete(held.ports, port)
			stopLater(running)
		}
	}
}

func (b *balancers) listenLater(name string, held *balancer) {
	b.queue.after(listenAgain, "ports of Service "+name, func(context.Context) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.held[name] == held {
			b.listen(name, held)
		}
	})
}

// release gives back what a Service had that is gone or no longer of the type. The
// caller holds mu.
func (b *balancers) release(c feed.Change[*corev1.Service]) {
	held := b.held[c.Name]
	if held == nil {
		return
	}
	delete(b.held, c.Name)
	for _, running := range held.ports {
		stopLater(running)
	}
	if err := b.addresses.free(c.Name); err != nil {
		b.log.Error("address was not freed", "service", c.Name, "error", err)
	}
	if !c.Gone && statusAddress(c.Object) == held.ip {
		b.queue.after(0, "Service "+c.Name, func(ctx context.Context) {
			b.statuses.setAddress(ctx, c.Object, netip.Addr{})
		})
	}
}

func stopLater(running *forwarder) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), cutAfter)
		defer cancel()
		running.stop(ctx)
	}()
}

// freeUnheld gives back the addresses of Services that went while the ingress was
// not running. It is called when every Service has been seen once.
func (b *balancers) freeUnheld() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range b.addresses.services() {
		if b.held[name] != nil {
			continue
		}
		if err := b.addresses.free(name); err != nil {
			b.log.Error("address was not freed", "service", name, "error", err)
		}
	}
}

// stop ends every forwarder, and returns when their connections are over or ctx is.
func (b *balancers) stop(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all sync.WaitGroup
	for _, held := range b.held {
		for _, running := range held.ports {
			all.Go(func() { running.stop(ctx) })
		}
	}
	all.Wait()
}
