package probe

import (
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Addresses of the two entries in these tests.
const (
	sourceEntry = "10.1.240.1"
	targetEntry = "10.2.240.1"
)

// entries are the source's and the target's, in memory.
type entries struct {
	t     *testing.T
	sides map[string]*entry
}

// idle is after what time an entry closes a connection: it lasts at ten requests a
// second, and not at five.
const idle = 150 * time.Millisecond

// An entry is an HTTP server to which pipes lead.
type entry struct {
	server   *http.Server
	conns    chan net.Conn
	handle   atomic.Pointer[http.HandlerFunc]
	dialled  atomic.Int64
	requests atomic.Int64
	refusal  atomic.Pointer[error]
}

func newEntries(t *testing.T) *entries {
	e := &entries{t: t, sides: map[string]*entry{sourceEntry: newEntry(), targetEntry: newEntry()}}
	t.Cleanup(func() {
		for _, side := range e.sides {
			_ = side.server.Close()
		}
	})
	return e
}

func newEntry() *entry {
	e := &entry{conns: make(chan net.Conn)}
	e.answer(func(http.ResponseWriter, *http.Request) {})
	e.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e.requests.Add(1)
			(*e.handle.Load())(w, r)
		}),
		IdleTimeout: idle,
		ErrorLog:    log.New(io.Discard, "", 0),
	}
	go func() { _ = e.server.Serve(&pipes{conns: e.conns, closed: make(chan struct{})}) }()
	return e
}

// answer replaces what the entry answers.
func (e *entry) answer(h http.HandlerFunc) { e.handle.Store(&h) }

// refuse makes every new connection fail, or none.
func (e *entry) refuse(err error) {
	if err == nil {
		e.refusal.Store(nil)
		return
	}
	e.refusal.Store(&err)
}

func (e *entries) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	side := e.sides[host]
	if side == nil {
		return nil, syscall.ECONNREFUSED
	}
	if err := side.refusal.Load(); err != nil {
		return nil, *err
	}
	side.dialled.Add(1)
	client, server := net.Pipe()
	select {
	case side.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipes is a net.Listener.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, errors.New("closed")
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// failing answers 503 to a share of the requests.
func failing(share float64) http.HandlerFunc {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(8, 8))
	return func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if random.Float64() < share {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
}

func named(host string) Name {
	return Name{Host: host, Path: "/", Port: 80, Source: sourceEntry, Target: targetEntry}
}

// probing runs a test in fake time, against two entries that answer alike.
func probing(t *testing.T, test func(t *testing.T, p *Prober, source, target *entry)) {
	inBubble(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		e := newEntries(t)
		defer func() {
			stop()
			time.Sleep(3 * time.Second) // fake: the lanes run out
		}()
		test(t, New(ctx, Options{Dial: e.dial, Seed: 1}), e.sides[sourceEntry], e.sides[targetEntry])
	})
}
