package ingress

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	netv1 "k8s.io/api/networking/v1"
)

func fetch(t *testing.T, client *http.Client, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(request)
}

func TestForwardedHeaders(t *testing.T) {
	c := startCluster(t)
	c.web(c.pod(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip", "X-Custom", "Connection"} {
			fmt.Fprintf(w, "%s=%s\n", name, r.Header.Get(name))
		}
		fmt.Fprintf(w, "host=%s uri=%s id=%t", r.Host, r.RequestURI, r.Header.Get("X-Request-Id") != "")
	}))
	for scheme, port := range map[string]string{"http": "80", "https": "443"} {
		request, _ := http.NewRequestWithContext(t.Context(), "GET", scheme+"://web.test/a%2Fb;c?q=1;2&r=%zz", nil)
		request.Header.Set("X-Forwarded-For", "6.6.6.6")
		request.Header.Set("X-Forwarded-Proto", "gopher")
		request.Header.Set("X-Custom", "kept")
		response, err := c.browser().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		want := "X-Forwarded-For=127.0.0.1\nX-Forwarded-Host=web.test\nX-Forwarded-Proto=" + scheme + "\nX-Forwarded-Port=" + port +
			"\nX-Real-Ip=127.0.0.1\nX-Custom=kept\nConnection=\nhost=web.test uri=/a%2Fb;c?q=1;2&r=%zz id=true"
		if string(body) != want {
			t.Errorf("%s: the pod saw\n%s\nwant\n%s", scheme, body, want)
		}
	}
}

func TestConnectionsToPodsAreKeptAndEnd(t *testing.T) {
	tests := []struct {
		name    string
		header  string
		value   string
		pause   time.Duration
		between int // connections opened for two requests
	}{
		{"kept alive", "", "", 0, 1},
		{"pod says close", "Connection", "close", 0, 2},
		{"pod announces a short life", "Keep-Alive", "timeout=1", 20 * time.Millisecond, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := startCluster(t)
			p := c.bare()
			var opened atomic.Int64
			server := &http.Server{
				ConnState: func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						opened.Add(1)
					}
				},
				Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if test.header != "" {
						w.Header().Set(test.header, test.value)
					}
				}),
			}
			serve(t, server, p.listen(t))
			c.web(p)
			client := c.browser()
			for range 2 {
				if status, body, err := get(client, "http://web.test/"); err != nil || status != 200 {
					t.Fatalf("%d %q %v", status, body, err)
				}
				<-time.After(test.pause)
			}
			if got := opened.Load(); got != int64(test.between) {
				t.Errorf("%d connections, want %d", got, test.between)
			}
		})
	}
}

func TestIdleConnectionsOfAPodThatLeftAreClosed(t *testing.T) {
	for _, speaks := range []string{"http", "grpc"} {
		t.Run(speaks, func(t *testing.T) {
			c := startCluster(t)
			p, other := c.pod(nil), c.pod(nil)
			c.service("web", speaks)
			c.slice("web-1", "web", speaks, "x", readyPods(p)...)
			c.ingress("web", "web.test", "web")
			c.uses("web", p)
			if status, _, err := get(c.browser(), "http://web.test/"); err != nil || status != 200 {
				t.Fatal(status, err)
			}
			if p.open.Load() != 1 {
				t.Fatalf("%d open connections after a request", p.open.Load())
			}
			c.slice("web-1", "web", speaks, "x", readyPods(other)...)
			eventually(t, "the connection is closed", func() bool { return p.open.Load() == 0 })
		})
	}
}

func TestRequestUnderWayOutlivesItsPodsDeparture(t *testing.T) {
	c := startCluster(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	p, other := c.pod(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		fmt.Fprint(w, "done")
	}), c.pod(nil)
	c.web(p)
	answer := make(chan string)
	go func() {
		status, body, err := get(c.browser(), "http://web.test/")
		answer <- fmt.Sprint(status, body, err)
	}()
	<-arrived
	c.slice("web-1", "web", "http", "x", readyPods(other)...)
	c.uses("web", other)
	close(release)
	if got := <-answer; got != "200done<nil>" {
		t.Errorf("%s", got)
	}
}

func TestStreamsOfOneConnectionDoNotHurtEachOther(t *testing.T) {
	c := startCluster(t)
	arrived, release := make(chan string, 3), make(chan struct{})
	p := c.pod(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.URL.Path
		switch r.URL.Path {
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/slow":
			<-release
		case "/left":
			<-r.Context().Done()
		}
		fmt.Fprint(w, "done")
	})
	p.server.ErrorLog = log.New(io.Discard, "", 0)
	c.service("web", "grpc")
	c.slice("web-1", "web", "grpc", "x", readyPods(p)...)
	c.ingress("web", "web.test", "web")
	c.uses("web", p)
	client := c.browser()
	slow := make(chan string, 1)
	go func() {
		status, body, err := get(client, "http://web.test/slow")
		slow <- fmt.Sprint(status, body, err)
	}()
	<-arrived
	if status, body, err := get(client, "http://web.test/broken"); err != nil || status != http.StatusBadGateway {
		t.Errorf("stream that the pod broke: %d %q %v", status, body, err)
	}
	<-arrived
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://web.test/left", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-arrived
		leave()
	}()
	if response, err := client.Do(request); err == nil {
		_ = response.Body.Close()
		t.Error("a client that left got an answer")
	}
	close(release)
	if got := <-slow; got != "200done<nil>" {
		t.Errorf("stream beside them: %s", got)
	}
	if n := p.arrived.Load(); n != 3 {
		t.Errorf("%d arrivals of 3 requests", n)
	}
	if n := p.open.Load(); n != 1 {
		t.Errorf("%d connections to the pod, want 1", n)
	}
}

func TestErrorsSayWhatHappened(t *testing.T) {
	c := startCluster(t)
	c.service("empty", "http")
	c.ingress("empty", "empty.test", "empty")
	c.ingress("missing", "missing.test", "missing")
	away := c.bare()
	c.service("away", "http")
	c.slice("away-1", "away", "http", "x", readyPods(away)...)
	c.ingress("away", "away.test", "away")
	c.uses("away", away)
	tests := []struct {
		host   string
		status int
		body   string
	}{
		{"unknown.test", 404, `404: no Ingress has a rule for host "unknown.test" and path "/"`},
		{"empty.test", 503, "503 Service Unavailable: no pod is ready of Service shop/empty, port 80"},
		{"missing.test", 503, "503 Service Unavailable: no pod is ready of Service shop/missing, port 80"},
		{"away.test", 502, "502 Bad Gateway: no pod took a connection of Service shop/away, port 80 (pod " + away.ip.String() + ":8080: "},
	}
	for _, test := range tests {
		t.Run(test.host, func(t *testing.T) {
			eventually(t, "the rule is in use", func() bool {
				host, _ := c.edge.table.Load().match(test.host, "/")
				return host == test.host || test.status == 404
			})
			status, body, err := get(c.browser(), "http://"+test.host+"/")
			if err != nil || status != test.status || !strings.HasPrefix(body, test.body) {
				t.Errorf("%d %q %v, want %d %q", status, body, err, test.status, test.body)
			}
		})
	}
}

func TestAnswerThatIsTooLateIsATimeout(t *testing.T) {
	c := startCluster(t)
	c.web(c.pod(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	for _, e := range *c.edge.directory.backend(backendKey{"shop/web", "80", ""}).usable.Load() {
		e.pool.transport.ResponseHeaderTimeout = 50 * time.Millisecond
	}
	status, body, err := get(c.browser(), "http://web.test/")
	if err != nil || status != http.StatusGatewayTimeout || !strings.HasPrefix(body, "504 Gateway Timeout: no answer in time from a pod of Service shop/web") {
		t.Errorf("%d %q %v", status, body, err)
	}
}

func TestBrokenAnswerIsBrokenForTheClientToo(t *testing.T) {
	c := startCluster(t)
	p := c.pod(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
		w.(http.Flusher).Flush()
		conn, _, _ := w.(http.Hijacker).Hijack()
		conn.Close()
	})
	c.web(p)
	status, body, err := get(c.browser(), "http://web.test/")
	if status != 200 || err == nil {
		t.Errorf("%d %q %v, want an answer that breaks off", status, body, err)
	}
	if p.arrived.Load() != 1 {
		t.Errorf("the request arrived %d times", p.arrived.Load())
	}
	eventually(t, "it is counted as aborted", func() bool {
		return strings.Contains(c.metrics(), `sandbox_ingress_requests_total{class="aborted",host="web.test"} 1`)
	})
}

// metrics is what /metrics says.
func (c *cluster) metrics() string {
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(c.edge.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequestWithContext(context.Background(), "GET", "/metrics", nil))
	return recorder.Body.String()
}

func TestMetrics(t *testing.T) {
	c := startCluster(t)
	p := c.pod(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	c.web(p)
	client := c.browser()
	for _, path := range []string{"/", "/", "/bad"} {
		if _, _, err := get(client, "http://web.test"+path); err != nil {
			t.Fatal(err)
		}
	}
	wants := []string{
		`sandbox_ingress_requests_total{class="2xx",host="web.test"} 2`,
		`sandbox_ingress_requests_total{class="5xx",host="web.test"} 1`,
		`sandbox_ingress_request_duration_seconds_count{host="web.test"} 3`,
		fmt.Sprintf(`sandbox_ingress_pod_requests_total{host="web.test",network="10.%d"} 3`, c.number),
		fmt.Sprintf(`sandbox_ingress_pod_connections_total{network="10.%d"} 1`, c.number),
		`sandbox_ingress_connections_total{entry="http"} 1`,
		`sandbox_ingress_open_connections{entry="http"} 1`,
		`sandbox_ingress_active_requests{host="web.test"} 0`,
	}
	eventually(t, "every request is counted", func() bool { return strings.Contains(c.metrics(), wants[0]) && strings.Contains(c.metrics(), wants[1]) })
	text := c.metrics()
	for _, want := range wants {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	client.CloseIdleConnections()
	eventually(t, "no connection is open", func() bool {
		return strings.Contains(c.metrics(), `sandbox_ingress_open_connections{entry="http"} 0`)
	})
}

func TestEveryClassAndLatencyIsCounted(t *testing.T) {
	c := startCluster(t)
	for class, took := range map[string]time.Duration{
		"2xx": 2 * time.Millisecond, "3xx": 20 * time.Millisecond, "4xx": 80 * time.Millisecond, "5xx": 2 * time.Second, "gone": time.Minute,
	} {
		c.edge.metrics.answered(&visit{host: "web.test"}, class, took)
	}
	text := c.metrics()
	wants := []string{`sandbox_ingress_request_duration_seconds_count{host="web.test"} 5`}
	for _, class := range []string{"2xx", "3xx", "4xx", "5xx", "gone"} {
		wants = append(wants, fmt.Sprintf(`sandbox_ingress_requests_total{class=%q,host="web.test"} 1`, class))
	}
	for le, n := range map[string]int{"0.001": 0, "0.0025": 1, "0.025": 2, "0.1": 3, "1": 3, "2.5": 4, "30": 4, "+Inf": 5} {
		wants = append(wants, fmt.Sprintf(`sandbox_ingress_request_duration_seconds_bucket{host="web.test",le=%q} %d`, le, n))
	}
	for _, want := range wants {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}

func TestClientThatLeftIsCountedAsGone(t *testing.T) {
	c := startCluster(t)
	arrived := make(chan struct{})
	c.web(c.pod(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://web.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-arrived
		leave()
	}()
	if response, err := c.browser().Do(request); err == nil {
		_ = response.Body.Close()
		t.Fatal("a client that left got an answer")
	}
	eventually(t, "it is counted as gone, and nothing is under way", func() bool {
		text := c.metrics()
		return strings.Contains(text, `sandbox_ingress_requests_total{class="gone",host="web.test"} 1`) &&
			strings.Contains(text, `sandbox_ingress_active_requests{host="web.test"} 0`)
	})
}

func TestTrafficSpreadsEvenly(t *testing.T) {
	c := startCluster(t)
	pods := []*pod{c.pod(nil), c.pod(nil), c.pod(nil), c.pod(nil)}
	c.web(pods...)
	client := c.browser()
	for range 400 {
		if _, _, err := get(client, "http://web.test/"); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range pods {
		if n := p.arrived.Load(); n != 100 {
			t.Errorf("pod %s served %d of 400", p.ip, n)
		}
	}
}

func TestPodsWithTLS(t *testing.T) {
	c := startCluster(t)
	p := c.bare()
	own, err := issue(tls.Certificate{}, certificateFor("pod"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}},
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.TLS != nil) }),
	}
	go func() { _ = server.ServeTLS(p.listen(t), "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	c.service("web", "any")
	c.slice("web-1", "web", "any", "x", readyPods(p)...)
	for protocol, want := range map[string]string{"HTTPS": "HTTP/1.1 true", "GRPCS": "HTTP/2.0 true"} {
		host := strings.ToLower(protocol) + ".test"
		c.ingress(strings.ToLower(protocol), host, "web", func(i *netv1.Ingress) {
			i.Annotations = map[string]string{"nginx.ingress.kubernetes.io/backend-protocol": protocol}
		})
		eventually(t, "the pod answers", func() bool {
			_, body, err := get(c.browser(), "http://"+host+"/")
			return err == nil && body == want
		})
	}
}

func TestBothSidesOfAStreamTalkInTurn(t *testing.T) {
	c := startCluster(t)
	p := c.pod(func(w http.ResponseWriter, r *http.Request) {
		reader := bufio.NewReader(r.Body)
		for {
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(w, "got ", line)
			w.(http.Flusher).Flush()
		}
	})
	c.service("web", "grpc")
	c.slice("web-1", "web", "grpc", "x", readyPods(p)...)
	c.ingress("web", "web.test", "web")
	c.uses("web", p)
	upload, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "POST", "https://web.test/", upload)
	if err != nil {
		t.Fatal(err)
	}
	go fmt.Fprintln(writer, "one")
	response, err := c.browser(func(transport *http.Transport) { transport.ForceAttemptHTTP2 = true }).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	reader := bufio.NewReader(response.Body)
	for _, word := range []string{"one", "two"} {
		if word != "one" {
			fmt.Fprintln(writer, word)
		}
		if line, err := reader.ReadString('\n'); err != nil || line != "got "+word+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// BenchmarkRequest measures whole requests on connections that are kept alive:
// client, ingress and pod share the cores.
func BenchmarkRequest(b *testing.B) {
	c := startCluster(b)
	c.web(c.pod(nil), c.pod(nil))
	client := c.browser()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if status, body, err := get(client, "http://web.test/"); err != nil || status != 200 {
				b.Errorf("%d %q %v", status, body, err)
			}
		}
	})
}
