package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/feed"
)

const (
	// gather is how long changes are collected before a new table is made.
	gather = 50 * time.Millisecond
	// sweep is how often idle connections to pods are looked at.
	sweep = 250 * time.Millisecond
	// listenLimit bounds the wait for an address that is in use.
	listenLimit = 10 * time.Second
	// clientIdle is longer than the idle timeout of common clients (Go: 90 s), so
	// that they close first, and no request crosses a close.
	clientIdle = 3 * time.Minute
)

// Options is what Run needs to know.
type Options struct {
	Cluster       int // 1 to 99; decides the addresses
	Client        kubernetes.Interface
	Seed          uint64
	AddressDelay  delay.Range // until an Ingress or a Service has its address
	EndpointDelay delay.Range // until a change of an EndpointSlice takes effect
	Metrics       string      // address for /metrics and /healthz; none if empty
	Dir           string      // keeps addresses and the certificate authority
	Class         string      // IngressClass made if the cluster has none; none if empty
	// Drain is for how long new requests are still taken after the end has begun,
	// each answered with "Connection: close"; DrainLimit is when those under way are
	// cut.
	Drain, DrainLimit time.Duration
	Log               *slog.Logger
	// Ready is called once, when clients are served.
	Ready func()
}

// An edge is where a cluster's clients enter: its Ingresses and load balancers.
type edge struct {
	Options
	metrics      *metrics
	directory    *directory
	certificates *certificates
	balancers    *balancers
	statuses     *statuses
	queue        *queue
	proxy        *proxy
	table        atomic.Pointer[table]
	changed      chan struct{}  // a new table is needed
	drawn        map[string]int // delays drawn for each EndpointSlice

	mu        sync.Mutex // guards ingresses
	ingresses map[string]*netv1.Ingress
}

// Run serves the Ingresses and LoadBalancer Services of a cluster until ctx ends,
// and then drains. It listens when it has seen the whole cluster once; from then
// on, it does not depend on the API server being there.
func Run(ctx context.Context, options Options) error {
	e, err := newEdge(ctx, options)
	if err != nil {
		return err
	}
	if e.Metrics != "" {
		stop, err := e.serveMetrics()
		if err != nil {
			return err
		}
		defer stop()
	}
	if err := e.follow(ctx); err != nil {
		return nil // ended before the API server was reached
	}
	return e.serve(ctx)
}

func newEdge(ctx context.Context, options Options) (*edge, error) {
	if err := os.MkdirAll(options.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	book, err := openAddresses(options.Cluster, options.Dir)
	if err != nil {
		return nil, err
	}
	e := &edge{
		Options: options, metrics: newMetrics(), queue: newQueue(ctx), changed: make(chan struct{}, 1),
		drawn: map[string]int{}, ingresses: map[string]*netv1.Ingress{},
	}
	e.table.Store(&table{})
	if e.certificates, err = newCertificates(&e.table, options.Dir); err != nil {
		return nil, err
	}
	e.directory = newDirectory(time.Now, func(pod *endpoint) {
		e.metrics.pods.WithLabelValues(network(pod.pod.Addr().AsSlice())).Inc()
	})
	e.statuses = &statuses{
		client: options.Client, queue: e.queue, log: options.Log, seed: options.Seed, wait: options.AddressDelay,
		served: ingressAddress(options.Cluster), waiting: map[types.UID]*addressee{},
	}
	e.balancers = &balancers{
		directory: e.directory, addresses: book, statuses: e.statuses, metrics: e.metrics, queue: e.queue,
		now: time.Now, log: options.Log, seed: options.Seed, wait: options.AddressDelay, held: map[string]*balancer{},
	}
	e.proxy = newProxy(&e.table, e.metrics, time.Now, options.Log)
	return e, nil
}

// follow begins to follow the cluster, and returns when everything was seen once.
// Endpoints come first, so that whatever refers to them finds them.
func (e *edge) follow(ctx context.Context) error {
	c := e.Client
	slices := feed.New(e.slice)
	go slices.Run(ctx, follower(c, feed.Source(c.DiscoveryV1().EndpointSlices(""), "")))
	secrets := feed.New(e.secret)
	go secrets.Run(ctx, follower(c, feed.Source(c.CoreV1().Secrets(""), "type="+string(corev1.SecretTypeTLS))))
	if err := feed.Await(ctx, slices.Synced(), secrets.Synced()); err != nil {
		return err
	}
	services := feed.New(e.service)
	go services.Run(ctx, follower(c, feed.Source(c.CoreV1().Services(""), "")))
	ingresses := feed.New(e.ingress)
	go ingresses.Run(ctx, follower(c, feed.Source(c.NetworkingV1().Ingresses(""), "")))
	if err := feed.Await(ctx, services.Synced(), ingresses.Synced()); err != nil {
		return err
	}
	e.balancers.freeUnheld()
	e.rebuild()
	go e.keepUp(ctx)
	if e.Class != "" {
		go e.ensureClass(ctx)
	}
	return nil
}

// follower lets the reflector know when a client is a fake one, which cannot send
// lists as watches.
func follower(client kubernetes.Interface, source cache.ListerWatcher) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(source.(*cache.ListWatch), client)
}

// slice takes in an EndpointSlice's change: at once if it is as old as the
// ingress, else after a delay, as the way through a real cluster takes.
func (e *edge) slice(c feed.Change[*discoveryv1.EndpointSlice]) {
	service := c.Object.Labels[discoveryv1.LabelServiceName]
	if service == "" {
		return
	}
	service = c.Object.Namespace + "/" + service
	object := c.Object
	if c.Gone {
		object = nil
	}
	if c.First {
		e.directory.setSlice(service, c.Name, object)
		return
	}
	e.drawn[c.Name]++
	after := e.EndpointDelay.For(e.Seed, "endpoints "+c.Name+" "+strconv.Itoa(e.drawn[c.Name]))
	e.queue.after(after, "endpoints "+c.Name, func(context.Context) {
		e.directory.setSlice(service, c.Name, object)
	})
}

func (e *edge) service(c feed.Change[*corev1.Service]) {
	if c.Gone {
		e.directory.setService(c.Name, nil)
	} else {
		e.directory.setService(c.Name, c.Object)
	}
	e.balancers.set(c)
}

func (e *edge) secret(c feed.Change[*corev1.Secret]) {
	secret := c.Object
	if c.Gone {
		secret = nil
	}
	if err := e.certificates.setSecret(c.Name, secret); err != nil {
		e.Log.Warn("secret holds no certificate", "secret", c.Name, "error", err)
	}
}

func (e *edge) ingress(c feed.Change[*netv1.Ingress]) {
	e.mu.Lock()
	if c.Gone {
		delete(e.ingresses, c.Name)
	} else {
		e.ingresses[c.Name] = c.Object
	}
	e.mu.Unlock()
	select {
	case e.changed <- struct{}{}:
	default:
	}
	e.statuses.addressed(c)
}

// keepUp makes new tables and closes idle connections.
func (e *edge) keepUp(ctx context.Context) {
	ticker := time.NewTicker(sweep)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.directory.expire()
		case <-e.changed:
			time.Sleep(gather)
			e.rebuild()
		}
	}
}

func (e *edge) rebuild() {
	e.mu.Lock()
	all := slices.Collect(maps.Values(e.ingresses))
	e.mu.Unlock()
	e.table.Store(routes(all, e.directory.backend))
}

// serve answers clients until ctx ends, and then drains: requests are taken for a
// while, then those under way are finished.
func (e *edge) serve(ctx context.Context) error {
	at := ingressAddress(e.Cluster)
	plain, err := listen(ctx, address.HostPort(at, 80))
	if err != nil {
		return fmt.Errorf("listen for Ingresses: %w", err)
	}
	secure, err := listen(ctx, address.HostPort(at, 443))
	if err != nil {
		_ = plain.Close()
		return fmt.Errorf("listen for Ingresses: %w", err)
	}
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := e.server(base)
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(e.metrics.counted(plain, "http")) }()
	go func() { ended <- server.ServeTLS(e.metrics.counted(secure, "https"), "", "") }()
	e.Log.Info("ingress is served", "address", at, "http", plain.Addr(), "https", secure.Addr())
	e.Ready()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	e.proxy.draining.Store(true)
	time.Sleep(e.Drain)
	limit, cancel := context.WithTimeout(base, e.DrainLimit)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { e.balancers.stop(limit) })
	both.Go(func() {
		err = server.Shutdown(limit)
		e.proxy.wait(limit) // upgraded connections, which the server has let go of
	})
	both.Wait()
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // what was still under way is cut
	}
	return errors.Join(err, ignoreClosed(server.Close()))
}

// listen waits for an address that an ingress which drains still has.
func listen(ctx context.Context, at string) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, listenLimit)
	defer cancel()
	for {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(listenAgain / 10):
		}
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (e *edge) server(base context.Context) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           e.proxy,
		Protocols:         protocols,
		TLSConfig:         &tls.Config{GetCertificate: e.certificates.get},
		ReadHeaderTimeout: time.Minute,
		IdleTimeout:       clientIdle,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(e.Log.Handler(), slog.LevelDebug),
	}
}

func (e *edge) serveMetrics() (stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", e.Metrics)
	if err != nil {
		return nil, fmt.Errorf("listen for --metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /routes", e.showRoutes)
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	return func() { _ = server.Close() }, nil
}

// showRoutes lists where each rule leads now, for a person.
func (e *edge) showRoutes(w http.ResponseWriter, _ *http.Request) {
	t := e.table.Load()
	for _, host := range slices.Sorted(maps.Keys(t.hosts)) {
		for _, route := range t.hosts[host] {
			fmt.Fprintf(w, "%s%s\t%s:%s", host, route.path, route.backend.key.service, route.backend.key.port)
			for _, pod := range *route.backend.usable.Load() {
				fmt.Fprintf(w, "\t%s", pod.pod)
			}
			fmt.Fprintln(w)
		}
	}
}
