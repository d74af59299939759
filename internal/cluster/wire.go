package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// A wire carries requests to one cluster over connections each of which was asked
// who it leads to before anything else: a connection to another cluster than the
// pinned one carries nothing. Connections that no longer answer are found out and
// replaced; no request outlives its context.
type wire struct {
	transport *http.Transport
	server    *url.URL
	// ask wraps a bare connection in the credentials of the engine itself, whoever
	// the requests are made for.
	ask func(http.RoundTripper) (http.RoundTripper, error)
	pin *pin
	// fresh makes every request have a new connection of its own.
	fresh bool

	dialing chan struct{} // holds one token: only one connection is made at a time
	mu      sync.Mutex
	conns   []*http.ClientConn
}

// A pin is the UID that every connection to a cluster must show.
type pin struct {
	mu  sync.Mutex
	uid types.UID
}

// check compares a UID with the pinned one. The first one seen is pinned, if none was given.
func (p *pin) check(seen types.UID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.uid = cmp.Or(p.uid, seen); p.uid != seen {
		return fmt.Errorf("%w: it has the UID %s, %s is expected", ErrReplaced, seen, p.uid)
	}
	return nil
}

func (p *pin) get() types.UID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.uid
}

// How soon a connection that went dead is noticed, and how long making one may take.
const (
	pingAfter   = 3 * time.Second
	pingTimeout = 3 * time.Second
	dialTimeout = 5 * time.Second
)

// newWire makes a wire for a configuration. Dial makes the connections.
func newWire(config *rest.Config, p *pin, dial func(context.Context, string, string) (net.Conn, error)) (*wire, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("server address %q: %w", config.Host, err)
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("TLS for %s: %w", config.Host, err)
	}
	proxy := http.ProxyFromEnvironment
	if config.Proxy != nil {
		proxy = config.Proxy
	}
	return &wire{
		server: server, pin: p, dialing: make(chan struct{}, 1),
		ask: func(rt http.RoundTripper) (http.RoundTripper, error) { return rest.HTTPWrappersForConfig(config, rt) },
		transport: &http.Transport{
			DialContext: dial, TLSClientConfig: tlsConfig, Proxy: proxy,
			TLSHandshakeTimeout: dialTimeout, ForceAttemptHTTP2: true,
			HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: pingTimeout},
		},
	}, nil
}

// RoundTrip sends one request.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	conn, err := w.take(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := conn.RoundTrip(req)
	if !w.fresh {
		return resp, err
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	resp.Body = &closing{resp.Body, conn}
	return resp, nil
}

// CancelRequest does nothing: requests end with their contexts. Without it, every
// timeout would be logged as one that can't be.
func (w *wire) CancelRequest(*http.Request) {}

// closing closes the connection with the body.
type closing struct {
	io.ReadCloser
	conn *http.ClientConn
}

func (c *closing) Close() error { return errors.Join(c.ReadCloser.Close(), c.conn.Close()) }

// take returns a connection with room for one request, which it has reserved.
func (w *wire) take(ctx context.Context) (*http.ClientConn, error) {
	if w.fresh {
		return w.connect(ctx)
	}
	if conn := w.reserve(); conn != nil {
		return conn, nil
	}
	select {
	case w.dialing <- struct{}{}:
		defer func() { <-w.dialing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("connect to %s: %w", w.server.Host, context.Cause(ctx))
	}
	if conn := w.reserve(); conn != nil {
		return conn, nil // somebody else connected meanwhile
	}
	conn, err := w.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := reserveNew(ctx, conn); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect to %s: %w", w.server.Host, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, conn)
	return conn, nil
}

// reserve finds room on the connections that there are; nil if there is none.
func (w *wire) reserve() *http.ClientConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = slices.DeleteFunc(w.conns, func(c *http.ClientConn) bool { return c.Err() != nil })
	for _, conn := range w.conns {
		if conn.Reserve() == nil {
			return conn
		}
	}
	return nil
}

// reserveNew reserves room on a new connection. One that takes a single request at
// a time may need a moment to be done with the first.
func reserveNew(ctx context.Context, conn *http.ClientConn) error {
	freed := make(chan struct{}, 1)
	conn.SetStateHook(func(*http.ClientConn) {
		select {
		case freed <- struct{}{}:
		default:
		}
	})
	defer conn.SetStateHook(nil)
	for conn.Reserve() != nil {
		if err := conn.Err(); err != nil {
			return err
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// connect makes a connection and asks who it leads to.
func (w *wire) connect(ctx context.Context) (*http.ClientConn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	port := w.server.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[w.server.Scheme]
	}
	conn, err := w.transport.NewClientConn(ctx, w.server.Scheme, net.JoinHostPort(w.server.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", w.server.Host, err)
	}
	if err := w.verify(ctx, conn); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("identify the cluster at %s: %w", w.server.Host, err)
	}
	return conn, nil
}

// verify reads the UID of kube-system over this very connection.
func (w *wire) verify(ctx context.Context, conn *http.ClientConn) error {
	rt, err := w.ask(conn)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.JoinPath("api/v1/namespaces/kube-system").String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read namespace kube-system: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("read namespace kube-system: %s", resp.Status)
	}
	var ns metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &ns); err != nil {
		return fmt.Errorf("read namespace kube-system: %w", err)
	}
	if ns.UID == "" {
		return errors.New("read namespace kube-system: it has no UID")
	}
	return w.pin.check(ns.UID)
}

// close ends every connection; requests under way fail.
func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}
