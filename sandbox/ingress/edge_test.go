package ingress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crossfade.dev/sandbox/delay"
)

func TestEndpointsChangeUnderLoadWithoutAFailure(t *testing.T) {
	c := startCluster(t)
	pods := []*pod{c.pod(nil), c.pod(nil), c.pod(nil), c.pod(nil)}
	c.web(pods[0], pods[1])
	l := startLoad(8, c.browser(), "http://web.test/")
	for round := range 20 {
		a, b := pods[round%4], pods[(round+1)%4]
		c.slice("web-1", "web", "http", "endpointslice-controller.k8s.io", readyPods(a)...)
		c.slice("web-2", "web", "http", "crossfade.dev", readyPods(b)...)
		c.uses("web", a, b)
	}
	sent, failed, first := l.end()
	if failed != 0 || sent < 100 {
		t.Fatalf("%d of %d requests failed; the first: %s", failed, sent, first)
	}
	for _, p := range pods {
		if p.arrived.Load() == 0 {
			t.Errorf("pod %s served nothing", p.ip)
		}
	}
}

func TestNothingThatReachedAPodIsSentAgain(t *testing.T) {
	tests := []struct {
		name   string
		method string
		header string
		body   string
	}{
		{"idempotent", "GET", "", ""},
		{"with an idempotency key", "POST", "Idempotency-Key", ""},
		{"with a body", "PUT", "", "data"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := startCluster(t)
			// The pods answer the first request of a connection, and break the
			// connection when the second has arrived: that is when net/http would
			// send it again.
			fragile := func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Break") == "" {
					return
				}
				conn, _, _ := w.(http.Hijacker).Hijack()
				_ = conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
			a, b := c.pod(fragile), c.pod(fragile)
			c.web(a, b)
			client := c.browser()
			for range 4 {
				if status, _, err := get(client, "http://web.test/"); err != nil || status != 200 {
					t.Fatalf("%d, %v", status, err)
				}
			}
			before := a.arrived.Load() + b.arrived.Load()
			request, err := http.NewRequestWithContext(t.Context(), test.method, "http://web.test/", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Break", "yes")
			if test.header != "" {
				request.Header.Set(test.header, "one")
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			if response.StatusCode != http.StatusBadGateway || !strings.Contains(string(text), "Service shop/web, port 80 (pod 10.") {
				t.Errorf("answer %d %q, want 502 that names Service and pod", response.StatusCode, text)
			}
			if arrived := a.arrived.Load() + b.arrived.Load() - before; arrived != 1 {
				t.Errorf("the request arrived %d times", arrived)
			}
		})
	}
}

func TestAPodThatTakesNoConnectionIsPassedOver(t *testing.T) {
	c := startCluster(t)
	there, away := c.pod(nil), c.bare()
	c.web(there, away)
	for range 10 {
		request, _ := http.NewRequestWithContext(t.Context(), "POST", "http://web.test/", strings.NewReader("data"))
		response, err := c.browser().Do(request)
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%v, %v", response, err)
		}
		response.Body.Close()
	}
}

func TestTerminatingPodsServeWhenNoOtherIsLeft(t *testing.T) {
	c := startCluster(t)
	leaving, other := c.pod(nil), c.pod(nil)
	c.web(leaving, other)
	terminating := state{pod: leaving, serving: true, terminating: true}
	c.slice("web-1", "web", "http", "x", append(readyPods(other), terminating)...)
	c.uses("web", other)
	c.slice("web-1", "web", "http", "x", terminating)
	c.uses("web", leaving)
	if status, body, err := get(c.browser(), "http://web.test/"); err != nil || status != 200 || body != leaving.ip.String() {
		t.Errorf("%d %q %v", status, body, err)
	}
	c.slice("web-1", "web", "http", "x", state{pod: leaving})
	c.uses("web")
	if status, body, _ := get(c.browser(), "http://web.test/"); status != 503 || !strings.Contains(body, "no pod is ready of Service shop/web") {
		t.Errorf("%d %q, want 503", status, body)
	}
}

// echoSocket is what a pod does that takes WebSockets and repeats each line.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	conn, buffer, _ := w.(http.Hijacker).Hijack()
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	for {
		line, err := buffer.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "echo %s", line)
	}
}

// dialSocket opens a WebSocket to web.test. say sends a line on it and returns the
// answer.
func (c *cluster) dialSocket() (conn net.Conn, say func(word string) string) {
	c.t.Helper()
	conn, err := connectTo(c.at(1, 80))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, "GET /chat HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		c.t.Fatalf("%v", response)
	}
	return conn, func(word string) string {
		c.t.Helper()
		fmt.Fprintln(conn, word)
		line, err := reader.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		return line
	}
}

func TestWebSocketIsPassedThrough(t *testing.T) {
	c := startCluster(t)
	c.web(c.pod(echoSocket))
	_, say := c.dialSocket()
	for _, word := range []string{"one", "two"} {
		if line := say(word); line != "echo "+word+"\n" {
			t.Fatalf("%q", line)
		}
	}
}

func TestDrainLeavesOpenConnectionsToTheirEnd(t *testing.T) {
	c := startCluster(t)
	c.web(c.pod(echoSocket))
	socket, sayToSocket := c.dialSocket()
	p := c.echo()
	c.service("chat", "tcp", loadBalancer)
	c.slice("chat-1", "chat", "tcp", "x", readyPods(p)...)
	ip := c.addressOf("chat")
	c.uses("chat", p)
	forwarded := c.dialBalancer(ip)
	say(t, forwarded, "hello")

	c.stop()
	for _, at := range []string{c.at(1, 80), c.at(int(ip.As4()[3]), 80)} {
		eventually(t, "no connection is accepted at "+at, func() bool {
			conn, err := connectTo(at)
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
	}
	if line := sayToSocket("still there?"); line != "echo still there?\n" {
		t.Errorf("WebSocket while the ingress drains: %q", line)
	}
	if got := say(t, forwarded, "still there?"); got != p.ip.String()+": still there?" {
		t.Errorf("connection to the load balancer while it drains: %q", got)
	}
	select {
	case err := <-c.ended:
		t.Fatalf("the ingress ended (%v) before its connections", err)
	default:
	}
	_ = socket.Close()
	_ = forwarded.Close()
	c.end()
}

func TestHTTP2OnBothSides(t *testing.T) {
	c := startCluster(t)
	p := c.pod(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		fmt.Fprintf(w, "%s te=%s", r.Proto, r.Header.Get("Te"))
		w.Header().Set("Grpc-Status", "0")
	})
	c.service("web", "grpc")
	c.slice("web-1", "web", "grpc", "x", readyPods(p)...)
	c.ingress("web", "web.test", "web")
	c.uses("web", p)
	for name, change := range map[string]func(*http.Transport){
		"http": func(transport *http.Transport) {
			transport.Protocols = new(http.Protocols)
			transport.Protocols.SetUnencryptedHTTP2(true)
		},
		"https": func(transport *http.Transport) { transport.ForceAttemptHTTP2 = true },
	} {
		t.Run(name, func(t *testing.T) {
			request, _ := http.NewRequestWithContext(t.Context(), "POST", name+"://web.test/", strings.NewReader("call"))
			request.Header.Set("Te", "trailers")
			response, err := c.browser(change).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			if response.Proto != "HTTP/2.0" || string(body) != "HTTP/2.0 te=trailers" || response.Trailer.Get("Grpc-Status") != "0" {
				t.Errorf("client saw %s, pod said %q, trailers %v", response.Proto, body, response.Trailer)
			}
		})
	}
}

func TestStreamsAreFlushed(t *testing.T) {
	c := startCluster(t)
	step := make(chan struct{})
	c.web(c.pod(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "event %d\n", i)
			w.(http.Flusher).Flush()
			<-step
		}
	}))
	response, err := fetch(t, c.browser(), "http://web.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	reader := bufio.NewReader(response.Body)
	for i := range 3 {
		if line, err := reader.ReadString('\n'); err != nil || line != fmt.Sprintf("event %d\n", i) {
			t.Fatalf("%q, %v", line, err)
		}
		step <- struct{}{}
	}
}

func TestIngressGetsItsAddressAfterTheDelay(t *testing.T) {
	const wait = 300 * time.Millisecond
	c := startCluster(t, func(o *Options) { o.AddressDelay = delay.Range{Min: wait, Max: wait} })
	began := time.Now()
	c.web(c.pod(nil))
	want := ingressAddress(c.number).String()
	eventually(t, "the Ingress has its address", func() bool {
		ingress, err := c.client.NetworkingV1().Ingresses("shop").Get(t.Context(), "web", metav1.GetOptions{})
		return err == nil && len(ingress.Status.LoadBalancer.Ingress) == 1 && ingress.Status.LoadBalancer.Ingress[0].IP == want
	})
	if took := time.Since(began); took < wait {
		t.Errorf("the address came after %v, before its delay of %v", took, wait)
	}
}

func TestDelaysOfARealClusterAreTheDefault(t *testing.T) {
	flags := Command().Flags()
	for name, want := range map[string]string{"address-delay": "5s-30s", "endpoint-delay": "200ms-3s"} {
		if got := flags.Lookup(name).DefValue; got != want {
			t.Errorf("--%s is %s by default, want %s", name, got, want)
		}
	}
}

func TestDrainFinishesWhatIsUnderWay(t *testing.T) {
	c := startCluster(t, func(o *Options) { o.Drain = 200 * time.Millisecond })
	release, arrived := make(chan struct{}), make(chan struct{}, 1)
	c.web(c.pod(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
		fmt.Fprint(w, "done")
	}))
	client := c.browser()
	slow := make(chan string, 1)
	go func() {
		_, body, err := get(client, "http://web.test/slow")
		slow <- fmt.Sprint(body, err)
	}()
	<-arrived
	c.stop()
	eventually(t, "the ingress drains", func() bool { return c.edge.proxy.draining.Load() })
	response, err := fetch(t, client, "http://web.test/")
	if err != nil || !response.Close {
		t.Fatalf("while it drains: %v, %v; want an answer with Connection: close", response, err)
	}
	response.Body.Close()
	eventually(t, "no connection is accepted", func() bool {
		conn, err := connectTo(c.at(1, 80))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(release)
	if got := <-slow; got != "done<nil>" {
		t.Errorf("slow request: %s", got)
	}
}

func TestSecretAndOwnCertificates(t *testing.T) {
	c := startCluster(t)
	p := c.pod(nil)
	pair, err := issue(c.edge.certificates.own, certificateFor("secure.test"))
	if err != nil {
		t.Fatal(err)
	}
	chain, key := pemOf(t, pair)
	secret := &corev1.Secret{ObjectMeta: c.meta("pair"), Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": chain, "tls.key": key}}
	if _, err := c.client.CoreV1().Secrets("shop").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.web(p)
	c.ingress("secure", "secure.test", "web", func(i *netv1.Ingress) {
		i.Spec.TLS = []netv1.IngressTLS{{Hosts: []string{"secure.test"}, SecretName: "pair"}}
	})
	serial := func(host string) string {
		response, err := fetch(t, c.browser(func(transport *http.Transport) {
			transport.TLSClientConfig.InsecureSkipVerify = false
			transport.TLSClientConfig.RootCAs = poolOf(t, c.edge.certificates.own)
		}), "https://"+host+"/")
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		return response.TLS.PeerCertificates[0].SerialNumber.String()
	}
	want := parse(t, pair).SerialNumber.String()
	eventually(t, "the Secret's certificate is served", func() bool { return serial("secure.test") == want })
	if got := serial("web.test"); got == want || strings.Contains(got, " ") {
		t.Errorf("host without a Secret: %s, want a certificate of its own", got)
	}
}

func TestClassIsMadeWhereThereIsNone(t *testing.T) {
	c := startCluster(t, func(o *Options) { o.Class = "sandbox" })
	eventually(t, "there is a default class", func() bool {
		class, err := c.client.NetworkingV1().IngressClasses().Get(t.Context(), "sandbox", metav1.GetOptions{})
		return err == nil && class.Annotations[netv1.AnnotationIsDefaultIngressClass] == "true"
	})
}
