package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crossfade.dev/examples/estate/internal/api"
	"crossfade.dev/examples/estate/internal/pod"
	"crossfade.dev/examples/estate/internal/store"
)

// A service leads each connection to one of its endpoints, as a cluster's Service
// does: who is connected stays connected.
type service struct {
	url string

	mu        sync.Mutex
	endpoints []string
	next      int
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func startService(t *testing.T) *service {
	t.Helper()
	listener := listen(t)
	s := &service{url: "http://" + listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.lead(t.Context(), conn)
		}
	}()
	return s
}

func (s *service) set(endpoints ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints = endpoints
}

func (s *service) lead(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	s.next++
	endpoint := s.endpoints[s.next%len(s.endpoints)]
	s.mu.Unlock()
	upstream, err := new(net.Dialer).DialContext(ctx, "tcp", endpoint)
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() {
		_, _ = io.Copy(upstream, conn)
		upstream.Close()
	}()
	_, _ = io.Copy(conn, upstream)
}

func startStore(t *testing.T) string {
	t.Helper()
	server, err := store.Start("127.0.0.1:0", "", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server.Addr().String()
}

func startAPI(t *testing.T, name, storeAddress string) (endpoint string, stop context.CancelFunc) {
	t.Helper()
	client, err := store.Open(storeAddress, api.Connections, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	p := pod.Pod{Name: name, Namespace: "core", BindAddress: "127.0.0.1", Grace: 4500 * time.Millisecond}
	listener, err := p.Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go func() { _ = p.Serve(ctx, listener, api.Handler(client)) }()
	return listener.Addr().String(), stop
}

func startWeb(t *testing.T, apiURL string) string {
	t.Helper()
	server := httptest.NewServer(Handler(apiURL))
	t.Cleanup(server.Close)
	return server.URL
}

func do(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestEventsAreCountedOnceWhilePodsComeAndGo(t *testing.T) {
	t.Parallel()
	storeAddress := startStore(t)
	a, stopA := startAPI(t, "a", storeAddress)
	b, _ := startAPI(t, "b", storeAddress)
	core := startService(t)
	core.set(a, b)
	url := startWeb(t, core.url)

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var written atomic.Int64
	var writers sync.WaitGroup
	for writer := range 6 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("e-%d-%d", writer, n)
				if status, body := do(t, "POST", url+"/v1/events", `{"id":"`+id+`"}`); status != http.StatusCreated {
					t.Errorf("event %s: status %d: %s", id, status, body)
				}
				want := fmt.Sprintf(`{"id":"%s","count":1}`, id)
				if status, body := do(t, "GET", url+"/v1/events/"+id, ""); status != http.StatusOK || strings.TrimSpace(body) != want {
					t.Errorf("event %s is read back with status %d as %s", id, status, body)
				}
				written.Add(1)
				<-time.After(2 * time.Millisecond)
			}
		})
	}
	<-time.After(300 * time.Millisecond)
	c, _ := startAPI(t, "c", storeAddress)
	stopA()
	<-time.After(150 * time.Millisecond) // until the service hears of it
	core.set(b, c)
	writers.Wait()
	t.Logf("%d events", written.Load())
	if written.Load() < 200 {
		t.Errorf("only %d events: the load was too small to mean anything", written.Load())
	}
}

// forgetful accepts connections, answers the first request of the first one, and
// closes that connection when its second request has come. Later connections are
// answered. It counts the requests.
func forgetful(t *testing.T) (url string, requests *atomic.Int64) {
	t.Helper()
	listener := listen(t)
	requests = &atomic.Int64{}
	serve := func(conn net.Conn, answers int) {
		defer conn.Close()
		reader := bufio.NewReader(conn)
		for ; ; answers-- {
			request, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, request.Body)
			requests.Add(1)
			if answers == 0 {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
	go func() {
		for answers := 1; ; answers = 1000 {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, answers)
		}
	}()
	return "http://" + listener.Addr().String(), requests
}

func TestWriteIsNotRepeatedWhenItsAnswerIsLost(t *testing.T) {
	url, requests := forgetful(t)
	c := newClient(url)
	if _, err := c.call(t.Context(), "GET", "/", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.call(t.Context(), "POST", "/v1/events", []byte(`{"id":"e"}`)); err == nil {
		t.Error("the lost answer is no error")
	}
	if got := requests.Load(); got != 2 {
		t.Errorf("the API saw %d requests, want 2", got)
	}
}

func TestReadIsRepeatedWhenItsConnectionWasClosed(t *testing.T) {
	url, requests := forgetful(t)
	c := newClient(url)
	for range 2 {
		if answer, err := c.call(t.Context(), "GET", "/", nil); err != nil || answer.status != http.StatusOK {
			t.Fatalf("got %+v, %v", answer, err)
		}
	}
	if got := requests.Load(); got != 3 {
		t.Errorf("the API saw %d requests, want 3", got)
	}
}

func TestConnectingIsTriedAgain(t *testing.T) {
	for _, op := range []string{"dial", "socks connect"} {
		url, requests := forgetful(t)
		c := newClient(url)
		transport := c.http.Transport.(*http.Transport)
		dial, failures := transport.DialContext, 2
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if failures--; failures >= 0 {
				return nil, &net.OpError{Op: op, Net: network, Err: errors.New("refused")}
			}
			return dial(ctx, network, address)
		}
		if _, err := c.call(t.Context(), "POST", "/v1/events", []byte(`{"id":"e"}`)); err != nil {
			t.Errorf("%s: %v", op, err)
		}
		if got := requests.Load(); got != 1 {
			t.Errorf("%s: the API saw %d requests, want 1", op, got)
		}
	}
}

func TestPageListsTheTitlesOfTheAPI(t *testing.T) {
	endpoint, _ := startAPI(t, "a", startStore(t))
	url := startWeb(t, "http://"+endpoint)
	status, body := do(t, "GET", url+"/", "")
	if status != http.StatusOK || !strings.Contains(body, "<li>Night Ferry (92 min)</li>") {
		t.Errorf("status %d:\n%s", status, body)
	}
}

func TestAnswersOfTheAPIArePassedOn(t *testing.T) {
	endpoint, _ := startAPI(t, "a", startStore(t))
	url := startWeb(t, "http://"+endpoint)
	tests := []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"POST", "/v1/events", `{"id":"e-1"}`, 201, `{"id":"e-1","count":1}`},
		{"POST", "/v1/events", `{"id":"e-1"}`, 201, `{"id":"e-1","count":2}`},
		{"GET", "/v1/events/e-1", "", 200, `{"id":"e-1","count":2}`},
		{"GET", "/v1/events/e-2", "", 200, `{"id":"e-2","count":0}`},
		{"GET", "/v1/events/e%2F2", "", 400, "the id must match"},
		{"POST", "/v1/events", `{"id":"a:b"}`, 400, "the id must match"},
		{"POST", "/v1/events", `id`, 400, "the body must be an object"},
		{"POST", "/v1/events", strings.Repeat("x", 5000), 400, "read the body"},
		{"GET", "/elsewhere", "", 404, ""},
	}
	for _, test := range tests {
		status, answer := do(t, test.method, url+test.path, test.body)
		if status != test.status || !strings.HasPrefix(answer, test.answer) {
			t.Errorf("%s %s %.20s: status %d, %s; want %d, %s", test.method, test.path, test.body, status, answer, test.status, test.answer)
		}
	}
}

func TestWebIsReadyOnceItHasReachedTheAPI(t *testing.T) {
	endpoint, _ := startAPI(t, "a", startStore(t))
	core := startService(t)
	core.set("127.0.0.1:1") // nobody listens
	url := startWeb(t, core.url)
	if status, _ := do(t, "GET", url+"/readyz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("without the API: status %d, want 503", status)
	}
	if status, _ := do(t, "GET", url+"/", ""); status != http.StatusBadGateway {
		t.Errorf("the page without the API: status %d, want 502", status)
	}
	core.set(endpoint)
	if status, body := do(t, "GET", url+"/readyz", ""); status != http.StatusOK {
		t.Errorf("with the API: status %d: %s", status, body)
	}
	core.set("127.0.0.1:1")
	if status, _ := do(t, "GET", url+"/readyz", ""); status != http.StatusOK {
		t.Errorf("the API has gone again: status %d, want 200", status)
	}
}

func TestAPIIsReadyWithItsStore(t *testing.T) {
	server, err := store.Start("127.0.0.1:0", "", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, _ := startAPI(t, "a", server.Addr().String())
	if status, body := do(t, "GET", "http://"+endpoint+"/readyz", ""); status != http.StatusOK {
		t.Errorf("with the store: status %d: %s", status, body)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/readyz": 503, "/healthz": 200, "/v1/events/e": 503, "/v1/catalog": 200} {
		if status, _ := do(t, "GET", "http://"+endpoint+path, ""); status != want {
			t.Errorf("GET %s without the store: status %d, want %d", path, status, want)
		}
	}
}
