package referee

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// wireServer is the other side of a wire under test. Its answers are steered by the
// request's path where it speaks HTTP; redis has one request only.
type wireServer struct {
	name string
	// open connects; close ends the connections that are open, as a server does that
	// goes away in good order.
	open  func(t *testing.T) wire
	close func()
}

// Every wire carries several requests, notices that the other side is gone before
// anything is written, gives up in time, and is spent when it should be.
func TestWires(t *testing.T) {
	t.Parallel()
	for _, start := range []func(*testing.T) wireServer{startHTTP1, startHTTP2, startRedis} {
		server := start(t)
		t.Run(server.name, func(t *testing.T) {
			ping := request{id: "1", method: http.MethodGet, path: "/", expect: success, keep: true}
			soon := func() time.Time { return time.Now().Add(10 * time.Second) }

			t.Run("carries several requests", func(t *testing.T) {
				w := server.open(t)
				for i := range 3 {
					if _, f := w.exchange(ping, soon()); f != nil || w.spent() {
						t.Fatalf("request %d: %v, spent: %v", i, f, w.spent())
					}
					if !w.idle(t.Context(), time.Now().Add(5*time.Millisecond)) {
						t.Fatalf("not open after request %d", i)
					}
				}
			})
			t.Run("idle waits until the time given", func(t *testing.T) {
				w := server.open(t)
				until := time.Now().Add(30 * time.Millisecond)
				if !w.idle(t.Context(), until) || time.Now().Before(until) {
					t.Errorf("idle ended at %s, want %s", time.Now(), until)
				}
			})
			t.Run("idle ends when the load stops, and the wire stays usable", func(t *testing.T) {
				w := server.open(t)
				stopping, stop := context.WithCancel(t.Context())
				time.AfterFunc(5*time.Millisecond, stop)
				began := time.Now()
				if !w.idle(stopping, began.Add(time.Minute)) || time.Since(began) > 30*time.Second {
					t.Errorf("idle went on for %s", time.Since(began))
				}
				if _, f := w.exchange(ping, soon()); f != nil {
					t.Error(f.err)
				}
			})
			t.Run("is spent after its last request", func(t *testing.T) {
				w := server.open(t)
				last := ping
				last.last = true
				if _, f := w.exchange(last, soon()); f != nil || !w.spent() {
					t.Errorf("%v, spent: %v", f, w.spent())
				}
			})
			t.Run("gives up when its time is over", func(t *testing.T) {
				_, f := server.open(t).exchange(request{id: "1", method: http.MethodGet, path: "/hang", expect: success}, time.Now().Add(-time.Second))
				if f == nil || f.class != ClassTimeout {
					t.Errorf("got %v, want a timeout", f)
				}
			})
			t.Run("idle sees that the other side has closed", func(t *testing.T) {
				w := server.open(t)
				if _, f := w.exchange(ping, soon()); f != nil {
					t.Fatal(f.err)
				}
				server.close()
				if w.idle(t.Context(), time.Now().Add(time.Second)) {
					t.Error("idle says that the wire is open")
				}
			})
		})
	}
}

func startHTTP1(t *testing.T) wireServer {
	server := serve(t, http.HandlerFunc(answerHTTP))
	return wireServer{"http1", func(t *testing.T) wire {
		return opened(t, newHTTP1(dialed(t, server.Listener.Addr()), "web.demo.test"))
	}, func() { server.Config.SetKeepAlivesEnabled(false) }}
}

func startHTTP2(t *testing.T) wireServer {
	server, address := newH2CServer(t, http.HandlerFunc(answerHTTP))
	listening, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return wireServer{"http2", func(t *testing.T) wire {
		w, f := newHTTP2(t.Context(), dialed(t, listening), "web.demo.test")
		if f != nil {
			t.Fatal(f.err)
		}
		return opened(t, w)
	}, func() { _ = server.Shutdown(context.Background()) }}
}

func startRedis(t *testing.T) wireServer {
	server := miniredis.RunT(t)
	address, err := net.ResolveTCPAddr("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return wireServer{"redis", func(t *testing.T) wire { return opened(t, newRedis(dialed(t, address))) }, server.Close}
}

func dialed(t *testing.T, address net.Addr) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func opened(t *testing.T, w wire) wire {
	t.Cleanup(w.close)
	return w
}

// answerHTTP says what it was asked, so that both versions of HTTP can be compared.
func answerHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Pod-Ip", "10.1.2.3")
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/early":
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	case "/large":
		_, _ = io.WriteString(w, strings.Repeat("x", maxBody+100))
	case "/torn":
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "torn")
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
	default:
		fmt.Fprintf(w, "%s %s %s %s %s %q", r.Method, r.Host, r.URL, r.Header.Get("X-Request-Id"), r.Header.Get("Content-Type"), body)
	}
}

func TestHTTPWiresAskAndReadAlike(t *testing.T) {
	for _, start := range []func(*testing.T) wireServer{startHTTP1, startHTTP2} {
		server := start(t)
		t.Run(server.name, func(t *testing.T) {
			for _, test := range []struct {
				request request
				status  int
				body    string
				length  int
				fault   Class
			}{
				{request: request{id: "r-1", method: http.MethodGet, path: "/a?b=c"}, status: 200, body: `GET web.demo.test /a?b=c r-1  ""`},
				{request: request{id: "r-2", method: http.MethodPost, path: "/v1/events", body: []byte(`{"id":"x"}`)}, status: 200, body: `POST web.demo.test /v1/events r-2 application/json "{\"id\":\"x\"}"`},
				{request: request{id: "r-3", method: http.MethodGet, path: "/early"}, status: 200},
				{request: request{id: "r-4", method: http.MethodGet, path: "/empty"}, status: 204},
				{request: request{id: "r-5", method: http.MethodGet, path: "/large"}, status: 200, length: maxBody},
				{request: request{id: "r-6", method: http.MethodGet, path: "/torn"}, status: 200, fault: ClassRead},
			} {
				w := server.open(t)
				test.request.keep = true
				got, f := w.exchange(test.request, time.Now().Add(10*time.Second))
				if got.status != test.status || got.podIP != "10.1.2.3" {
					t.Errorf("%s: status %d by %q", test.request.path, got.status, got.podIP)
				}
				switch {
				case test.fault != "":
					if f == nil || f.class != test.fault {
						t.Errorf("%s: %v, want %s", test.request.path, f, test.fault)
					}
				case f != nil:
					t.Errorf("%s: %v", test.request.path, f.err)
				case test.length > 0 && len(got.body) != test.length, test.length == 0 && string(got.body) != test.body:
					t.Errorf("%s: %d bytes %.100q, want %q", test.request.path, len(got.body), got.body, test.body)
				}
			}
		})
	}
}

func TestRedisErrorsAreFaults(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		_, _ = io.ReadFull(far, make([]byte, len("*1\r\n$4\r\nPING\r\n")))
		_, _ = io.WriteString(far, "-LOADING Redis is loading the dataset in memory\r\n")
	}()
	_, f := newRedis(near).exchange(request{}, time.Now().Add(10*time.Second))
	if f == nil || f.class != ClassStatus || !strings.Contains(f.err.Error(), "-LOADING Redis is loading") {
		t.Errorf("got %v, want the server's words", f)
	}
}

func TestTimedOutFaultsSayWhere(t *testing.T) {
	f := faultOf(ClassConnect, context.DeadlineExceeded)
	if f.class != ClassTimeout || f.err.Error() != "connect: context deadline exceeded" || !errors.Is(f.err, context.DeadlineExceeded) {
		t.Errorf("%s: %v", f.class, f.err)
	}
	if f := faultOf(ClassDNS, context.DeadlineExceeded); f.class != ClassDNS || !f.timedOut() {
		t.Errorf("%s: %v, want dns, timed out", f.class, f.err)
	}
}

// All schemes through a whole load, over real connections.
func TestLoadSpeaksEveryScheme(t *testing.T) {
	t.Parallel()
	plain := serve(t, newEstate())
	secure := newTLSServer(t, newEstate())
	_, address := newH2CServer(t, newEstate())
	store := miniredis.RunT(t)
	redisPort := mustPort(t, store.Addr())

	config := Config{Rate: 100, Duration: 2 * time.Second, MaxSlip: time.Minute, TLS: clientTLS(secure)}
	web := httpTarget(t, plain, KindGet, KindWrite)
	web.Name = "http"
	config.Targets = Targets{
		web,
		{Name: "https", Host: "127.0.0.1", Port: mustPort(t, secure.Listener.Addr().String()), Scheme: HTTPS, Kinds: []Kind{KindGet, KindWrite}},
		{Name: "h2c", Host: "127.0.0.1", Port: mustPort(t, address), Scheme: H2C, Kinds: []Kind{KindGet, KindWrite}},
		{Name: "store", Host: "127.0.0.1", Port: redisPort, Scheme: TCP, Kinds: []Kind{KindTCP, KindRedis}},
	}
	report := mustRun(t, config)
	if report.OK != report.Requests || report.Writes.Sent == 0 || report.Writes.Lost+report.Writes.NotReadBack != 0 {
		t.Errorf("%d of %d ok, %+v, %+v", report.OK, report.Requests, report.Writes, report.Failures)
	}
	for _, name := range report.ByName {
		if name.OK == 0 {
			t.Errorf("%s was not asked", name.Name)
		}
	}
	if report.Connections.Reused.OK == 0 || report.Connections.New.OK == 0 {
		t.Errorf("%+v, want both new and reused connections", report.Connections)
	}
}

func TestUntrustedCertificateIsAFailureUnlessInsecure(t *testing.T) {
	t.Parallel()
	secure := newTLSServer(t, newEstate())
	port := mustPort(t, secure.Listener.Addr().String())
	report := mustRun(t, Config{Rate: 20, Duration: time.Second, MaxSlip: time.Minute, Targets: Targets{
		{Name: "strict", Host: "127.0.0.1", Port: port, Scheme: HTTPS},
		{Name: "insecure", Host: "127.0.0.1", Port: port, Scheme: HTTPS, Insecure: true},
	}})
	strict, insecure := report.ByName[0], report.ByName[1]
	if strict.OK != 0 || strict.Failed == 0 || report.FailedByClass[ClassTLS] != strict.Failed || insecure.Failed != 0 || insecure.OK == 0 {
		t.Errorf("strict %+v, insecure %+v, %v", strict.Counts, insecure.Counts, report.FailedByClass)
	}
}
