package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A protocol is what a pod's port speaks.
type protocol string

// The protocols of pods' ports.
const (
	http1    protocol = "http"
	h2c      protocol = "h2c" // HTTP/2 without TLS, which is what gRPC servers speak
	https    protocol = "https"
	grpcsTLS protocol = "grpcs"
)

const (
	// idleLife is shorter than the idle timeout of common servers (Node.js closes
	// after 5 s), so that a pod's close does not cross a request on its way.
	idleLife = 4 * time.Second
	// idleMargin is kept from the timeout that a pod itself announces in Keep-Alive.
	idleMargin = time.Second
	// maxIdle is how many idle connections to one port of one pod are kept.
	maxIdle = 128
	// dialTimeout bounds the wait for a pod to accept a connection.
	dialTimeout = time.Second
	// answerTimeout bounds the wait for the first byte of an answer (nginx: 60 s).
	answerTimeout = 60 * time.Second
)

// A pool holds the connections to one port of one pod. It is safe for concurrent
// use.
//
// It is built on http.ClientConn, not on http.Transport's own pool, because that
// sends an idempotent request again when a reused connection breaks: what reached
// a pod must not reach it, or another, a second time.
type pool struct {
	address   string // on this machine
	scheme    string
	transport *http.Transport
	opened    func() // told of each new connection

	mu      sync.Mutex
	idle    []*upstream // HTTP/1.1, oldest first
	shared  []*upstream // HTTP/2
	retired bool
}

// An upstream is one connection to a pod. The pool's mu guards what is below socket.
type upstream struct {
	*http.ClientConn
	multi  bool // HTTP/2: many requests at once
	socket *countingConn
	users  int  // requests that were given this connection and have not ended
	listed bool // in idle or shared
	since  time.Time
	life   time.Duration
}

// errDial wraps what went wrong before anything was sent to a pod.
var errDial = errors.New("could not connect")

func newPool(address string, speaks protocol, opened func()) *pool {
	p := &pool{address: address, scheme: "http", opened: opened}
	protocols := new(http.Protocols)
	switch speaks {
	case h2c:
		protocols.SetUnencryptedHTTP2(true)
	case grpcsTLS:
		protocols.SetHTTP2(true)
		p.scheme = "https"
	case https:
		protocols.SetHTTP1(true)
		p.scheme = "https"
	default:
		protocols.SetHTTP1(true)
	}
	p.transport = &http.Transport{
		Protocols:             protocols,
		DisableCompression:    true,
		ResponseHeaderTimeout: answerTimeout,
		DialContext:           dial,
		// Pods' certificates are for names that the ingress does not know.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	return p
}

// dialled carries the socket out of http.Transport, which hides it.
type dialled struct{}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	socket, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	counting := &countingConn{Conn: socket}
	if out, asked := ctx.Value(dialled{}).(*atomic.Pointer[countingConn]); asked {
		out.Store(counting)
	}
	return counting, nil
}

// countingConn counts what was written, to know whether a pod can have seen
// anything of a request.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(data []byte) (int, error) {
	n, err := c.Conn.Write(data)
	c.written.Add(int64(n))
	return n, err
}

// CloseWrite tells the pod's side of an upgraded connection that the client has
// said all.
func (c *countingConn) CloseWrite() error {
	if half, can := c.Conn.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return nil
}

// send makes one attempt at a request. If there is a response, release is to be
// called when that has been read or given up. If there is none, sent is whether the
// pod may have seen anything of the request; if not, another pod may be tried.
func (p *pool) send(request *http.Request) (response *http.Response, release func(), sent bool, err error) {
	conn, err := p.take(request.Context())
	if err != nil {
		return nil, nil, false, errors.Join(errDial, err)
	}
	before := conn.socket.written.Load()
	body := watchBody(request)
	response, err = conn.RoundTrip(request)
	if err != nil {
		// Others may have written to a shared connection, so there it counts as sent.
		wrote := conn.multi || conn.socket.written.Load() != before
		if !conn.multi {
			_ = conn.Close()
		}
		p.release(conn)
		return nil, nil, wrote || body.touched(), err
	}
	if timeout, announced := announcedTimeout(response); announced {
		p.mu.Lock()
		conn.life = max(0, min(idleLife, timeout-idleMargin))
		p.mu.Unlock()
	}
	return response, func() { p.release(conn) }, true, nil
}

// take returns a connection with room for one request: the one that was idle for
// the shortest time, or a new one.
func (p *pool) take(ctx context.Context) (*upstream, error) {
	for {
		conn := p.pick()
		if conn == nil {
			return p.open(ctx)
		}
		if conn.Err() == nil && conn.Reserve() == nil {
			return conn, nil
		}
		p.release(conn)
	}
}

// pick finds a candidate, which is then in use. HTTP/2 connections stay listed.
func (p *pool) pick() *upstream {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.idle); n > 0; n = len(p.idle) {
		conn := p.idle[n-1]
		p.unlist(conn)
		if now.Sub(conn.since) < conn.life {
			conn.users++
			return conn
		}
		go func() { _ = conn.Close() }()
	}
	for _, conn := range p.shared {
		if conn.Err() == nil && conn.Available() > 0 {
			conn.users++
			return conn
		}
	}
	return nil
}

func (p *pool) open(ctx context.Context) (*upstream, error) {
	var socket atomic.Pointer[countingConn]
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, dialled{}, &socket), 2*dialTimeout)
	defer cancel()
	client, err := p.transport.NewClientConn(ctx, p.scheme, p.address)
	if err != nil {
		return nil, err
	}
	conn := &upstream{ClientConn: client, socket: socket.Load(), life: idleLife, users: 1}
	conn.multi = client.Available() > 1
	if err := client.Reserve(); err != nil {
		_ = client.Close()
		return nil, err
	}
	p.opened()
	client.SetStateHook(func(*http.ClientConn) { p.settle(conn) })
	p.settle(conn)
	return conn, nil
}

// release says that a request no longer uses conn.
func (p *pool) release(conn *upstream) {
	p.mu.Lock()
	conn.users--
	conn.since = time.Now()
	p.mu.Unlock()
	p.settle(conn)
}

// settle lists a connection that may be used, and takes one that may not off its
// list. It runs whenever the connection's state changes: after a request both its
// user and net/http have to be done with it, in either order.
func (p *pool) settle(conn *upstream) {
	p.mu.Lock()
	free := conn.users == 0
	surplus := false
	switch {
	case conn.Err() != nil:
		p.unlist(conn)
	case p.retired:
		p.unlist(conn)
		surplus = free
	case conn.listed || conn.Available() == 0:
	case conn.multi:
		conn.listed = true
		p.shared = append(p.shared, conn)
	case free && len(p.idle) >= maxIdle:
		surplus = true
	case free:
		conn.listed = true
		p.idle = append(p.idle, conn)
	}
	p.mu.Unlock()
	if surplus {
		go func() { _ = conn.Close() }() // Close runs the hook, and so settle, again
	}
}

// unlist takes conn off its list; the caller holds mu.
func (p *pool) unlist(conn *upstream) {
	if !conn.listed {
		return
	}
	conn.listed = false
	list := &p.idle
	if conn.multi {
		list = &p.shared
	}
	if i := slices.Index(*list, conn); i >= 0 {
		*list = slices.Delete(*list, i, i+1)
	}
}

// expire closes what was idle for longer than its life.
func (p *pool) expire(now time.Time) {
	p.closeIdle(func(conn *upstream) bool { return now.Sub(conn.since) >= conn.life })
}

// retire closes idle connections now and the others when they become idle. Who
// holds a retired pool may still use it.
func (p *pool) retire() {
	p.mu.Lock()
	p.retired = true
	p.mu.Unlock()
	p.closeIdle(func(*upstream) bool { return true })
}

// closeIdle closes those connections without a user that which names.
func (p *pool) closeIdle(which func(*upstream) bool) {
	var closing []*upstream
	p.mu.Lock()
	for _, conn := range slices.Concat(p.idle, p.shared) {
		if conn.users == 0 && which(conn) {
			p.unlist(conn)
			closing = append(closing, conn)
		}
	}
	p.mu.Unlock()
	for _, conn := range closing {
		_ = conn.Close()
	}
}

// announcedTimeout reads "Keep-Alive: timeout=5", in which a server says after how
// many idle seconds it closes.
func announcedTimeout(response *http.Response) (time.Duration, bool) {
	for part := range strings.SplitSeq(response.Header.Get("Keep-Alive"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if !strings.EqualFold(name, "timeout") {
			continue
		}
		seconds, err := strconv.Atoi(strings.Trim(value, `"`))
		return time.Duration(seconds) * time.Second, err == nil
	}
	return 0, false
}
