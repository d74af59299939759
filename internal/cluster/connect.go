package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// DefaultReadTimeout is the longest that a read may take, a list of everything included.
const DefaultReadTimeout = 30 * time.Second

// Options say which cluster to connect to, and as whom.
type Options struct {
	// Config has the address and the credentials. It is not changed; what it says
	// of rates and timeouts is not used: the server's own priority
	// and fairness governs the rate.
	Config *rest.Config
	// PinUID is the UID that the cluster's kube-system namespace must have; empty
	// means that the UID seen first is the pin from then on.
	PinUID types.UID
	// Identity names this engine in the cluster's lease: see FenceOptions.
	Identity string
	// LeaseDuration, WriteTimeout and ReadTimeout have defaults when zero.
	LeaseDuration time.Duration
	WriteTimeout  time.Duration
	ReadTimeout   time.Duration
	// Clock is the lease's; the real one if nil.
	Clock clock.PassiveClock
	// Dial makes network connections; nil means in the usual way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Cluster is a connection to a real cluster. Its API reads from the server
// itself and writes behind the Fence, which somebody has to Hold. It reconnects by
// itself whenever it is asked for something; while the cluster can't be reached,
// every call fails within its timeout.
type Cluster struct {
	API
	// Fence is the cluster's; nothing can be written before it is held.
	Fence *Fence

	live      *live
	discovery *discovery.DiscoveryClient
}

var (
	_ API   = (*Cluster)(nil)
	_ Facts = (*Cluster)(nil)
)

// Connect reaches a cluster and makes sure that it is the pinned one: the error
// wraps ErrReplaced if it is not.
func Connect(ctx context.Context, o Options) (*Cluster, error) {
	o.ReadTimeout = cmp.Or(o.ReadTimeout, DefaultReadTimeout)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, DefaultWriteTimeout)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 10 * time.Second}).DialContext
	}
	config := rest.CopyConfig(o.Config)
	config.QPS, config.Burst, config.Timeout, config.RateLimiter = -1, 0, 0, nil
	config.UserAgent = FieldManager
	p := &pin{uid: o.PinUID}
	wire, err := newWire(config, p, o.Dial)
	if err != nil {
		return nil, err
	}
	l := &live{config: config, options: o, wire: wire}
	if err := l.open(); err != nil {
		return nil, err
	}
	d, err := discovery.NewDiscoveryClientForConfigAndClient(config, l.over(wire, config, o.ReadTimeout))
	if err != nil {
		return nil, fmt.Errorf("discovery of %s: %w", config.Host, err)
	}
	c := &Cluster{live: l, discovery: d}
	c.Fence = NewFence(l, FenceOptions{Identity: o.Identity, Duration: o.LeaseDuration, WriteTimeout: o.WriteTimeout, Clock: o.Clock})
	c.API = Fenced(l, c.Fence)
	ctx, cancel := context.WithTimeout(ctx, o.ReadTimeout)
	defer cancel()
	if _, err := c.Version(ctx); err != nil {
		wire.close()
		return nil, err
	}
	return c, nil
}

// Close ends the connections. Requests under way fail.
func (c *Cluster) Close() { c.live.wire.close() }

// Unfenced is the server's API without the fence, for what a person does in an
// emergency whoever holds the cluster. The engine never uses it.
func (c *Cluster) Unfenced() API { return c.live }

// live is the API of a server, without fence and cache.
type live struct {
	config  *rest.Config
	options Options
	wire    *wire
	mapper  meta.RESTMapper
	// Three clients on one wire, by how long a request may take. The server is told
	// too, and gives up a request at that time.
	reads, writes, watches client.WithWatch
}

// open makes the clients. It asks the server nothing.
func (l *live) open() (err error) {
	read := l.over(l.wire, l.config, l.options.ReadTimeout)
	if l.mapper == nil {
		if l.mapper, err = apiutil.NewDynamicRESTMapper(l.config, read); err != nil {
			return fmt.Errorf("kinds of %s: %w", l.config.Host, err)
		}
	}
	for _, c := range []struct {
		client  *client.WithWatch
		timeout time.Duration
	}{{&l.reads, l.options.ReadTimeout}, {&l.writes, l.options.WriteTimeout}, {&l.watches, 0}} {
		*c.client, err = client.NewWithWatch(l.config, client.Options{HTTPClient: l.over(l.wire, l.config, c.timeout), Scheme: Scheme(), Mapper: l.mapper})
		if err != nil {
			return fmt.Errorf("client for %s: %w", l.config.Host, err)
		}
	}
	return nil
}

// over is an HTTP client with the credentials of a configuration over a wire.
func (l *live) over(w *wire, config *rest.Config, timeout time.Duration) *http.Client {
	rt, err := rest.HTTPWrappersForConfig(config, w)
	if err != nil {
		rt = broken{err}
	}
	return &http.Client{Transport: rt, Timeout: timeout}
}

// broken is a way that can't be gone.
type broken struct{ err error }

func (b broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }

func (l *live) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return l.reads.Get(ctx, key, obj, opts...)
}

func (l *live) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return l.reads.List(ctx, list, opts...)
}

func (l *live) Watch(ctx context.Context, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
	return l.watches.Watch(ctx, list, opts...)
}

func (l *live) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	return l.writes.Create(ctx, obj, opts...)
}

func (l *live) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	return l.writes.Update(ctx, obj, opts...)
}

func (l *live) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return l.writes.Patch(ctx, obj, patch, opts...)
}

func (l *live) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	return l.writes.Delete(ctx, obj, opts...)
}

func (l *live) Status() client.SubResourceWriter { return l.writes.Status() }

// As impersonates. Every request has a connection of its own, so that none of
// several API servers is asked twice for having been asked once.
func (l *live) As(user string, groups ...string) API {
	config := rest.CopyConfig(l.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	other := &live{config: config, options: l.options, mapper: l.mapper, wire: &wire{
		transport: l.wire.transport, server: l.wire.server, ask: l.wire.ask, pin: l.wire.pin, fresh: true,
	}}
	if err := other.open(); err != nil {
		panic(err) // what was well-formed for us is well-formed for anybody
	}
	return other
}
