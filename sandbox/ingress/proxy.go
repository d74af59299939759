package ingress

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A proxy answers the requests of clients by those of pods. Each request reaches
// at most one pod, and that once.
type proxy struct {
	table    *atomic.Pointer[table]
	metrics  *metrics
	now      func() time.Time
	log      *slog.Logger
	draining atomic.Bool
	running  sync.WaitGroup
	reverse  httputil.ReverseProxy
}

func newProxy(table *atomic.Pointer[table], m *metrics, now func() time.Time, log *slog.Logger) *proxy {
	p := &proxy{table: table, metrics: m, now: now, log: log}
	p.reverse = httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     p,
		FlushInterval: -1, // each piece at once: streams and server-sent events
		ErrorHandler:  p.fail,
		BufferPool:    &buffers,
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return p
}

// A visit is what is known of a request while it is served.
type visit struct {
	host    string // of the rule that matched; the metrics' label
	backend *backend
	client  netip.Addr
	pod     netip.AddrPort // where it was sent
}

type visitKey struct{}

// ServeHTTP serves one request of a client.
func (p *proxy) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	p.running.Add(1)
	defer p.running.Done()
	began := p.now()
	v := &visit{}
	v.host, v.backend = p.table.Load().match(request.Host, request.URL.Path)
	if from, err := netip.ParseAddrPort(request.RemoteAddr); err == nil {
		v.client = from.Addr().Unmap()
	}
	seen := &statusWriter{ResponseWriter: w, drain: p.draining.Load()}
	p.metrics.active.WithLabelValues(v.host).Inc()
	defer func() {
		p.metrics.active.WithLabelValues(v.host).Dec()
		broken := recover()
		p.metrics.answered(v, seen.class(broken != nil), p.now().Sub(began))
		if broken != nil {
			panic(broken)
		}
	}()
	if v.backend == nil {
		seen.Header().Set("Content-Type", "text/plain; charset=utf-8")
		seen.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(seen, "404: no Ingress has a rule for host %q and path %q\n", request.Host, request.URL.Path)
		return
	}
	p.reverse.ServeHTTP(seen, request.WithContext(context.WithValue(request.Context(), visitKey{}, v)))
}

// wait returns when no request is under way, or ctx ends.
func (p *proxy) wait(ctx context.Context) {
	idle := make(chan struct{})
	go func() {
		p.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// rewrite prepares the request that goes to the pod. The ingress is the edge, so
// what clients say in X-Forwarded-* is not believed.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.Host = r.In.Host
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = r.In.Host
	if r.Out.URL.Host == "" {
		r.Out.URL.Host = "ingress"
	}
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.SetXForwarded()
	port := "80"
	if r.In.TLS != nil {
		port = "443"
	}
	r.Out.Header.Set("X-Forwarded-Port", port)
	if client, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
		r.Out.Header.Set("X-Real-Ip", client)
	}
	if r.In.Header.Get("X-Request-Id") == "" {
		var id [16]byte
		rand.Read(id[:])
		r.Out.Header.Set("X-Request-Id", hex.EncodeToString(id[:]))
	}
	r.Out.Header.Del("Expect") // this server has answered it
}

// RoundTrip sends a request to one endpoint after another until one takes it. As
// soon as a byte was written, or read from the client's body, it is not sent again.
func (p *proxy) RoundTrip(request *http.Request) (*http.Response, error) {
	v := request.Context().Value(visitKey{}).(*visit)
	var tried []*endpoint
	var last error
	for {
		e, err := v.backend.choose(v.client, tried, p.now())
		if err != nil {
			if last != nil {
				err = last
			}
			return nil, err
		}
		v.pod = e.pod
		e.active.Add(1)
		response, release, sent, err := e.pool.send(request)
		if err == nil {
			response.Body = ending(response.Body, func() {
				release()
				e.active.Add(-1)
			})
			return response, nil
		}
		e.active.Add(-1)
		if sent || request.Context().Err() != nil {
			return nil, err
		}
		p.metrics.refused.WithLabelValues(v.host).Inc()
		e.shun(p.now())
		tried, last = append(tried, e), err
	}
}

// fail answers when no pod did.
func (p *proxy) fail(w http.ResponseWriter, request *http.Request, err error) {
	v := request.Context().Value(visitKey{}).(*visit)
	code, what := explain(err)
	if code == statusClientGone {
		w.(*statusWriter).status = code
		return
	}
	p.log.Warn("request failed", "status", code, "host", v.host, "path", request.URL.Path,
		"service", v.backend.key.service, "pod", v.pod, "error", err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintf(w, "%d %s: %s of Service %s, port %s", code, http.StatusText(code), what, v.backend.key.service, v.backend.key.port)
	if v.pod.IsValid() {
		fmt.Fprintf(w, " (pod %s: %v)", v.pod, err)
	}
	fmt.Fprintln(w)
}

// statusClientGone is what nginx calls the end of a request whose client left.
const statusClientGone = 499

func explain(err error) (status int, what string) {
	var timeout net.Error
	switch {
	case errors.Is(err, errNoEndpoint):
		return http.StatusServiceUnavailable, "no pod is ready"
	case errors.Is(err, context.Canceled):
		return statusClientGone, ""
	case errors.Is(err, errDial):
		return http.StatusBadGateway, "no pod took a connection"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout, "no answer in time from a pod"
	}
	return http.StatusBadGateway, "the connection broke after the request was sent to a pod"
}

// A statusWriter remembers the status for the metrics, and asks HTTP/1.1 clients
// to come back on a new connection while the ingress drains.
type statusWriter struct {
	http.ResponseWriter
	status int
	drain  bool
}

// WriteHeader notes the first final status.
func (s *statusWriter) WriteHeader(status int) {
	if s.status < 200 && s.status != http.StatusSwitchingProtocols {
		s.status = status
	}
	if s.drain && status != http.StatusSwitchingProtocols {
		s.Header().Set("Connection", "close")
	}
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController flush and hijack.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *statusWriter) class(broken bool) string {
	switch {
	case broken:
		return "aborted"
	case s.status == 0:
		return "2xx"
	case s.status == statusClientGone:
		return "gone"
	}
	return fmt.Sprintf("%dxx", s.status/100)
}

// A watchedBody tells whether anything was read from a client's body.
type watchedBody struct {
	io.ReadCloser
	read atomic.Bool
}

// watchBody puts a watchedBody around the request's body, once.
func watchBody(request *http.Request) *watchedBody {
	if request.Body == nil || request.Body == http.NoBody {
		return nil
	}
	if body, is := request.Body.(*watchedBody); is {
		return body
	}
	body := &watchedBody{ReadCloser: request.Body}
	request.Body = body
	return body
}

// Read notes that the body can no longer be sent from its beginning.
func (b *watchedBody) Read(data []byte) (int, error) {
	b.read.Store(true)
	return b.ReadCloser.Read(data)
}

// Close leaves the client's body open: the server closes it, and after a
// connection could not be made another pod may need it.
func (b *watchedBody) Close() error { return nil }

func (b *watchedBody) touched() bool { return b != nil && b.read.Load() }

// ending runs done once, when the response has been read or given up. A body that
// can be written to is that of an upgraded connection, and stays one.
func ending(body io.ReadCloser, done func()) io.ReadCloser {
	once := sync.OnceFunc(done)
	if both, is := body.(io.ReadWriteCloser); is {
		return &endingDuplex{both, once}
	}
	return &endingBody{body, once}
}

type endingBody struct {
	io.ReadCloser
	done func()
}

// Close ends the request.
func (b *endingBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

type endingDuplex struct {
	io.ReadWriteCloser
	done func()
}

// Close ends the connection.
func (b *endingDuplex) Close() error {
	defer b.done()
	return b.ReadWriteCloser.Close()
}

// CloseWrite passes on that the client has said all.
func (b *endingDuplex) CloseWrite() error {
	if half, can := b.ReadWriteCloser.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return nil
}

// buffers are reused for copying bodies.
var buffers = bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte  { return b.pool.Get().(*[32 << 10]byte)[:] }
func (b *bufferPool) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
