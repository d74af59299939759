package standin

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// at is where the stand-in of a test listens: port 80 of 10.88.2.1.
const at = "127.88.2.1:10080"

type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func start(t *testing.T) (*Server, *lines) {
	t.Helper()
	log := &lines{}
	s := New("shop/web-0", netip.MustParseAddr("10.88.2.1"), log.add)
	for range 2 { // the second is the same
		if err := s.Listen(80); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.Close)
	return s, log
}

func client(protocols ...func(*http.Protocols)) *http.Client {
	p := new(http.Protocols)
	for _, set := range protocols {
		set(p)
	}
	return &http.Client{Transport: &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

func http1(p *http.Protocols) { p.SetHTTP1(true) }
func http2(p *http.Protocols) { p.SetHTTP2(true) }
func h2c(p *http.Protocols)   { p.SetUnencryptedHTTP2(true) }

func TestAnswersInEveryHTTP(t *testing.T) {
	s, log := start(t)
	for _, tt := range []struct {
		name, scheme string
		client       *http.Client
		major        int
	}{
		{"HTTP/1.1", "http", client(http1), 1},
		{"HTTP/2 by prior knowledge", "http", client(h2c), 2},
		{"HTTP/1.1 with TLS", "https", client(http1), 1},
		{"HTTP/2 with TLS", "https", client(http2), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, draining := range []bool{false, true} {
				s.draining.Store(draining)
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tt.scheme+"://"+at+"/orders?delay=20ms", strings.NewReader("body"))
				if err != nil {
					t.Fatal(err)
				}
				response, err := tt.client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = response.Body.Close() }()
				body, err := io.ReadAll(response.Body)
				if err != nil || string(body) != "shop/web-0 stands in at /orders\n" {
					t.Errorf("body %q, %v", body, err)
				}
				if response.ProtoMajor != tt.major || response.StatusCode != 200 ||
					response.Header.Get("X-Pod-Name") != "shop/web-0" || response.Header.Get("X-Pod-Ip") != "10.88.2.1" {
					t.Errorf("answered with %s %s, %v", response.Proto, response.Status, response.Header)
				}
				if tt.major == 1 && response.Close != draining {
					t.Errorf("while draining is %v, the client is asked to leave: %v", draining, response.Close)
				}
			}
		})
	}
	if len(log.all) != 8 || log.all[0] != "POST /orders 200" {
		t.Errorf("logged %q", log.all)
	}
}

func TestHTTP2ClientIsSentAwayWhileDraining(t *testing.T) {
	s, _ := start(t)
	dials := 0
	c := client(h2c)
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	for range 3 {
		response, err := get(t.Context(), c, "http://"+at+"/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		s.Drain()
	}
	if dials < 2 {
		t.Errorf("the client stayed on its connection: %d dials", dials)
	}
}

func TestBadDelayIsRefused(t *testing.T) {
	start(t)
	for _, delay := range []string{"x", "-1s", "31s"} {
		response, err := get(t.Context(), http.DefaultClient, "http://"+at+"/?delay="+delay)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("delay %s: %s", delay, response.Status)
		}
	}
}

func TestGRPCHealth(t *testing.T) {
	start(t)
	conn, err := grpc.NewClient("passthrough:///"+at, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	reply, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	if err != nil || reply.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health is %v, %v", reply, err)
	}
	err = conn.Invoke(context.Background(), "/shop.Cart/Add", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("another method: %v, want Unimplemented", err)
	}
}

func TestWebSocketEchoesUntilTheEnd(t *testing.T) {
	s, _ := start(t)
	ws, err := websocket.Dial("ws://"+at+"/chat", "", "http://elsewhere.example/")
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{"one", "two"} {
		var got string
		if err := websocket.Message.Send(ws, message); err != nil {
			t.Fatal(err)
		}
		if err := websocket.Message.Receive(ws, &got); err != nil || got != message {
			t.Fatalf("sent %q, got %q, %v", message, got, err)
		}
	}
	s.Shutdown(context.Background())
	var rest string
	if err := websocket.Message.Receive(ws, &rest); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %q, %v; want a close", rest, err)
	}
}

func TestOtherProtocolsAreEchoed(t *testing.T) {
	s, _ := start(t)
	for _, line := range []string{"*1\r\n", "P\n", "GE\n", "hello, stand-in\n"} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(conn, line); err != nil {
			t.Fatal(err)
		}
		if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != line {
			t.Errorf("sent %q, got %q, %v", line, got, err)
		}
		_ = conn.Close()
	}
	// A client that waits for the server to speak is held until the end.
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Errorf("a silent client was not held: %v", err)
	}
	s.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a silent client outlives the stand-in: %v", err)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	s, _ := start(t)
	status := make(chan error, 1)
	go func() {
		response, err := get(t.Context(), http.DefaultClient, "http://"+at+"/?delay=500ms")
		if err == nil {
			_ = response.Body.Close()
		}
		status <- err
	}()
	end := time.Now().Add(5 * time.Second)
	for !s.isServing() {
		if time.Now().After(end) {
			t.Fatal("the request did not arrive")
		}
		<-time.After(10 * time.Millisecond)
	}
	<-time.After(100 * time.Millisecond)
	s.Shutdown(context.Background())
	if err := <-status; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", at); err == nil {
		t.Error("still accepts after its end")
	}
	if err := s.Listen(81); err != nil {
		t.Errorf("Listen after the end is not an error, but opens nothing: %v", err)
	}
}

func get(ctx context.Context, c *http.Client, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return c.Do(request)
}
