package ingress

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A forwarder passes the connections of one port of a LoadBalancer Service to its
// pods, byte by byte. A connection stays with its pod until one of the two ends
// it, also when the pod is terminating meanwhile.
type forwarder struct {
	listener net.Listener
	backend  *backend
	now      func() time.Time
	log      *slog.Logger
	mu       sync.Mutex // guards open
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

// forward begins to accept connections; it returns at once.
func forward(listener net.Listener, b *backend, now func() time.Time, log *slog.Logger) *forwarder {
	f := &forwarder{listener: listener, backend: b, now: now, log: log, open: map[net.Conn]bool{}}
	f.running.Go(f.accept)
	return f
}

func (f *forwarder) accept() {
	for {
		client, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, say
			f.log.Error("connection was not accepted", "error", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		f.running.Go(func() { f.serve(client.(*countedConn)) })
	}
}

// serve connects a client with a pod. Nothing was sent yet when a pod cannot be
// connected to, so another one may be tried.
func (f *forwarder) serve(client *countedConn) {
	f.track(client, true)
	defer f.track(client, false)
	defer func() { _ = client.Close() }()
	pod, e, err := f.connect(client.RemoteAddr())
	if err != nil {
		f.log.Warn("connection found no pod", "service", f.backend.key.service, "port", f.backend.key.port, "error", err)
		_ = client.SetLinger(0) // a reset, as kube-proxy's reject: not a clean end
		return
	}
	defer func() { _ = pod.Close() }()
	defer e.active.Add(-1)
	join(client.TCPConn, pod)
}

func (f *forwarder) connect(from net.Addr) (*net.TCPConn, *endpoint, error) {
	var client netip.Addr
	if parsed, err := netip.ParseAddrPort(from.String()); err == nil {
		client = parsed.Addr().Unmap()
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	var tried []*endpoint
	var last error
	for {
		e, err := f.backend.choose(client, tried, f.now())
		if err != nil {
			return nil, nil, errors.Join(err, last)
		}
		e.active.Add(1)
		conn, err := dialer.DialContext(context.Background(), "tcp", e.address)
		if err == nil {
			return conn.(*net.TCPConn), e, nil
		}
		e.active.Add(-1)
		e.shun(f.now())
		tried, last = append(tried, e), err
	}
}

// join copies both ways until both are at an end. When one side has said all, the
// other is told so, and may go on speaking (TCP half-close).
func join(a, b *net.TCPConn) {
	var both sync.WaitGroup
	pass := func(to, from *net.TCPConn) {
		if _, err := io.Copy(to, from); err != nil {
			// One of them was reset: so is the other.
			reset(to)
			reset(from)
			return
		}
		_ = to.CloseWrite()
	}
	both.Go(func() { pass(a, b) })
	both.Go(func() { pass(b, a) })
	both.Wait()
}

// reset ends a connection so that the other side knows that it was cut.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

func (f *forwarder) track(conn net.Conn, open bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if open {
		f.open[conn] = true
	} else {
		delete(f.open, conn)
	}
}

// stop accepts no more connections, waits for the open ones until ctx ends, and
// then cuts them.
func (f *forwarder) stop(ctx context.Context) {
	_ = f.listener.Close()
	done := make(chan struct{})
	go func() {
		f.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	f.mu.Lock()
	for conn := range f.open {
		conn.Close()
	}
	f.mu.Unlock()
	<-done
}
