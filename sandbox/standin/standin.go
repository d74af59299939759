// Package standin answers in place of an image that is not there.
//
// A stand-in is a real listener on the pod's address, so that probes, Services,
// ingress and drains work as with the real thing. It speaks what the client speaks:
// HTTP/1.1, HTTP/2 with or without TLS, WebSocket (echo), gRPC health checks, and
// for anything else it holds the connection and sends back what it gets.
//
// It has to be cheap, since an estate has thousands: a listener costs one parked
// goroutine, and the rest exists only while there is a connection.
package standin

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"crossfade.dev/sandbox/address"
)

// idle is how long a client may leave a connection unused. It is longer than
// clients and ingresses wait, so that they are the ones to close.
const idle = 10 * time.Minute

// A Server stands in for one container.
type Server struct {
	// Pod is namespace/name, and IP the pod's address, as every answer says them.
	pod string
	ip  netip.Addr
	log func(line string)

	http     *http.Server
	handoff  *handoff
	draining atomic.Bool

	mu        sync.Mutex
	listeners map[int]net.Listener
	held      map[net.Conn]func()
	serving   bool
	closed    bool
}

// New makes a stand-in for a container of pod, which is namespace/name and has the
// address ip. What happens is told to log, a line at a time.
func New(pod string, ip netip.Addr, log func(line string)) *Server {
	s := &Server{pod: pod, ip: ip, log: log, listeners: map[int]net.Listener{}, held: map[net.Conn]func(){}}
	s.handoff = &handoff{conns: make(chan net.Conn), done: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:           s,
		Protocols:         protocols,
		ReadHeaderTimeout: time.Minute,
		IdleTimeout:       idle,
		ErrorLog:          quiet,
	}
	return s
}

// quiet drops what net/http says of clients that break off.
var quiet = log.New(io.Discard, "", 0)

// Listen opens port on the pod's address. A port that is open stays open.
func (s *Server) Listen(port int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.listeners[port] != nil {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address.HostPort(s.ip, port))
	if err != nil {
		return err
	}
	s.listeners[port] = l
	go s.accept(l)
	return nil
}

// Drain makes every answer from now on ask its client to leave.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown stops accepting, lets the requests in flight finish until ctx ends, and
// then closes every connection.
func (s *Server) Shutdown(ctx context.Context) {
	s.Drain()
	s.stopAccepting()
	if s.isServing() {
		_ = s.http.Shutdown(ctx) // out of time is one of the ways to end
	}
	s.Close()
}

// Close ends every connection at once.
func (s *Server) Close() {
	s.stopAccepting()
	_ = s.http.Close()
	s.mu.Lock()
	held := s.held
	s.held = map[net.Conn]func(){}
	s.mu.Unlock()
	for conn, bye := range held {
		bye()
		_ = conn.Close()
	}
}

func (s *Server) isServing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serving
}

func (s *Server) stopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, l := range s.listeners {
		_ = l.Close()
	}
	close(s.handoff.done)
}

func (s *Server) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of file descriptors: others will be closed
			time.Sleep(50 * time.Millisecond)
		default:
			go s.receive(conn)
		}
	}
}

// receive finds out what the client speaks.
func (s *Server) receive(conn net.Conn) {
	if !s.hold(conn, func() {}) {
		return
	}
	first, err := peek(conn)
	if err != nil {
		s.release(conn)
		_ = conn.Close()
		return
	}
	rest := &peeked{Conn: conn, first: first}
	switch {
	case first[0] == tlsHandshake:
		s.release(conn)
		s.serveHTTP(tls.Server(rest, tlsConfig()))
	case isHTTP(first):
		s.release(conn)
		s.serveHTTP(rest)
	default:
		_, _ = io.Copy(conn, rest)
		s.release(conn)
		_ = conn.Close()
	}
}

// serveHTTP hands conn to the HTTP server, which starts with the first one.
func (s *Server) serveHTTP(conn net.Conn) {
	s.mu.Lock()
	if !s.serving && !s.closed {
		s.serving = true
		go func() { _ = s.http.Serve(s.handoff) }()
	}
	s.mu.Unlock()
	select {
	case s.handoff.conns <- conn:
	case <-s.handoff.done:
		_ = conn.Close()
	}
}

// hold keeps a connection that the HTTP server does not know of, to be closed with
// the stand-in after bye was called. It is false once the stand-in has stopped.
func (s *Server) hold(conn net.Conn, bye func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return false
	}
	s.held[conn] = bye
	return true
}

func (s *Server) release(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, conn)
}

// tlsHandshake is the first byte of a TLS connection.
const tlsHandshake = 0x16

var methods = [][]byte{
	[]byte("GET "), []byte("HEAD"), []byte("POST"), []byte("PUT "), []byte("DELE"), []byte("PATC"),
	[]byte("OPTI"), []byte("TRAC"), []byte("PRI "), // the last begins HTTP/2
}

// peek reads until it is clear what the client speaks: four bytes at most.
func peek(conn net.Conn) ([]byte, error) {
	first := make([]byte, 0, 4)
	for {
		n, err := conn.Read(first[len(first):cap(first)])
		first = first[:len(first)+n]
		if len(first) == cap(first) || (len(first) > 0 && !mayBeHTTP(first)) {
			return first, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func mayBeHTTP(first []byte) bool {
	for _, m := range methods {
		if bytes.HasPrefix(m, first) {
			return true
		}
	}
	return false
}

func isHTTP(first []byte) bool { return len(first) == 4 && mayBeHTTP(first) }

// A peeked connection gives back what was read from it already.
type peeked struct {
	net.Conn
	first []byte
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// A handoff is a net.Listener whose connections were accepted elsewhere.
type handoff struct {
	conns chan net.Conn
	done  chan struct{}
}

func (h *handoff) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handoff) Close() error   { return nil }
func (h *handoff) Addr() net.Addr { return &net.TCPAddr{} }
