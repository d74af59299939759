package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// A proxy stands between the controller and one API server, so that chaos can kill
// the controller inside a write, before it arrives or before its reply does, and
// cut the connection. It passes on who asks, by TLS client certificates of its own.
type proxy struct {
	url     string
	handler http.Handler

	mu  sync.Mutex
	cut bool
	// strike, if set, is called for each write; it says whether the write is to be
	// passed on, and what is to be done before its reply is.
	strike func(*http.Request) (pass bool, then func())
}

func newProxy(ctx context.Context, config *rest.Config, listen string) (*proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect the proxy to %s: %w", config.Host, err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("open the proxy: %w", err)
	}
	reverse := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p := &proxy{url: "http://" + listener.Addr().String(), handler: reverse}
	server := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return p, nil
}

// ServeHTTP passes a request on, unless the connection is cut or chaos strikes.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	cut, strike := p.cut, p.strike
	write := r.Method != http.MethodGet
	p.mu.Unlock()
	if cut {
		panic(http.ErrAbortHandler)
	}
	if !write || strike == nil {
		p.handler.ServeHTTP(w, r)
		return
	}
	pass, then := strike(r)
	if !pass {
		panic(http.ErrAbortHandler)
	}
	if then == nil {
		p.handler.ServeHTTP(w, r)
		return
	}
	p.handler.ServeHTTP(&unheard{header: http.Header{}}, r)
	then()
	panic(http.ErrAbortHandler)
}

func (p *proxy) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
}

func (p *proxy) onWrite(strike func(*http.Request) (bool, func())) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strike = strike
}

// unheard takes a reply that nobody will read.
type unheard struct{ header http.Header }

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) Write(b []byte) (int, error) { return len(b), nil }
func (u *unheard) WriteHeader(int)             {}
