package referee

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// estate is a small estate that misbehaves on request. It keeps count of what it
// did, so that tests can compare it with what the referee saw.
type estate struct {
	podIP string
	// fault, if set, is asked before each request other than a read-back; true means
	// that it has dealt with the request.
	fault func(w http.ResponseWriter, r *http.Request) bool
	// apply says how often a write is applied; nil means once.
	apply func(id string) int64

	mu       sync.Mutex
	requests int64
	underWay map[string]int // slow requests by host
	writes   map[string]int64
	stream   func(path string) (string, bool)
}

func newEstate() *estate {
	return &estate{podIP: "10.1.1.1", underWay: map[string]int{}, writes: map[string]int64{}}
}

func (e *estate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Pod-Ip", e.podIP)
	if id, isReadBack := strings.CutPrefix(r.URL.Path, "/v1/events/"); isReadBack {
		e.mu.Lock()
		defer e.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"id": id, "count": e.writes[id]})
		return
	}
	e.mu.Lock()
	e.requests++
	e.mu.Unlock()
	if e.fault != nil && e.fault(w, r) {
		return
	}
	switch {
	case r.Method == http.MethodPost:
		e.write(w, r)
	case r.URL.Query().Get("delay") != "":
		e.delay(r)
	case e.stream != nil:
		body, found := e.stream(r.URL.Path)
		if !found {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, body)
	default:
		_, _ = io.WriteString(w, "hello")
	}
}

func (e *estate) write(w http.ResponseWriter, r *http.Request) {
	var written event
	if err := json.NewDecoder(r.Body).Decode(&written); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	times := int64(1)
	if e.apply != nil {
		times = e.apply(written.ID)
	}
	e.mu.Lock()
	e.writes[written.ID] += times
	e.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

func (e *estate) delay(r *http.Request) {
	delay, err := time.ParseDuration(r.URL.Query().Get("delay"))
	if err != nil {
		panic(err)
	}
	e.mu.Lock()
	e.underWay[r.Host]++
	e.mu.Unlock()
	sleepUntil(r.Context(), time.Now().Add(delay))
	e.mu.Lock()
	e.underWay[r.Host]--
	e.mu.Unlock()
}

// drop ends the connection without a word, as a killed pod does.
func drop(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// network is an in-memory internet: HTTP servers by address, and one resolver at
// 10.53.1.1:53. It lives in a synctest bubble, where time is the test's own.
type network struct {
	servers   map[string]*pipeListener
	resolve   func(question dns.Question, udp bool) *dns.Msg // nil: no answer ever
	resolveMu sync.Mutex                                     // one question at a time
	listeners []io.Closer
}

func newNetwork() *network { return &network{servers: map[string]*pipeListener{}} }

func (n *network) serve(address string, handler http.Handler) {
	listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	n.servers[address] = listener
	n.listeners = append(n.listeners, server)
}

func (n *network) close() {
	for _, listener := range n.listeners {
		_ = listener.Close()
	}
}

func (n *network) dial(ctx context.Context, protocol, address string) (net.Conn, error) {
	if address == "10.53.1.1:53" {
		return n.dialResolver(protocol == "udp"), nil
	}
	server, found := n.servers[address]
	if !found {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	near, far := net.Pipe()
	select {
	case server.conns <- far:
		return near, nil
	case <-server.closed:
		return nil, fmt.Errorf("dial %s: connection refused", address)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// dialResolver answers one query. The pipe is no packet connection, so queries are
// framed as over TCP on both.
func (n *network) dialResolver(udp bool) net.Conn {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		conn := dns.Conn{Conn: far}
		query, err := conn.ReadMsg()
		if err != nil {
			return
		}
		n.resolveMu.Lock()
		response := n.resolve(query.Question[0], udp)
		n.resolveMu.Unlock()
		if response == nil {
			_, _ = io.Copy(io.Discard, far) // until the asker gives up
			return
		}
		_ = conn.WriteMsg(response.SetRcode(query, response.Rcode))
	}()
	return near
}

// answerA is an answer with one A record for each address.
func answerA(name string, ttl uint32, ips ...string) *dns.Msg {
	message := new(dns.Msg)
	for _, ip := range ips {
		message.Answer = append(message.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}, A: net.ParseIP(ip),
		})
	}
	return message
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.IPAddr{} }

// mustRun runs a load to its end and returns the report.
func mustRun(t testing.TB, config Config) Report {
	t.Helper()
	report, err := Run(context.Background(), config)
	if err != nil {
		t.Fatalf("Run: %v\n%s", err, report.Text())
	}
	return report
}

// httpTarget asks an httptest server.
func httpTarget(t testing.TB, server *httptest.Server, kinds ...Kind) Target {
	t.Helper()
	address := server.Listener.Addr().(*net.TCPAddr)
	return Target{Name: "web", Host: address.IP.String(), Port: uint16(address.Port), Kinds: kinds}
}

func serve(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func newTLSServer(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about clients that do not trust it
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func clientTLS(server *httptest.Server) *tls.Config {
	return server.Client().Transport.(*http.Transport).TLSClientConfig
}

func newH2CServer(t testing.TB, handler http.Handler) (*http.Server, string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return server, listener.Addr().String()
}

func mustPort(t testing.TB, address string) uint16 {
	t.Helper()
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Port()
}

// pretty is for messages of failing tests.
func pretty(report Report) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", " ")
	_ = encoder.Encode(report)
	return out.String()
}

// eventually polls until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !holds() {
		sleepUntil(ctx, time.Now().Add(10*time.Millisecond))
		if ctx.Err() != nil {
			t.Fatalf("waited 20 s in vain for %s", what)
		}
	}
}
