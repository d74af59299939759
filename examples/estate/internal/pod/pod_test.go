package pod

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// start serves handler as a pod until the test ends or stop is called; done gets
// what Serve returned.
func start(t *testing.T, p Pod, handler http.Handler) (url string, stop context.CancelFunc, done <-chan error) {
	t.Helper()
	p.BindAddress = "127.0.0.1"
	listener, err := p.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, listener, handler) }()
	t.Cleanup(stop)
	return "http://" + listener.Addr().String(), stop, served
}

func ask(t *testing.T, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestEveryAnswerNamesItsPod(t *testing.T) {
	url, _, _ := start(t, Pod{Name: "titles-1", Namespace: "catalog", IP: "10.1.2.3", Grace: time.Second}, Plain("titles"))
	for _, path := range []string{"/", "/healthz", "/readyz", "/anything/else", "/?delay=never"} {
		response, _ := ask(t, http.DefaultClient, url+path)
		if got := response.Header.Get("X-Pod-Name"); got != "catalog/titles-1" {
			t.Errorf("GET %s: X-Pod-Name is %q", path, got)
		}
		if got := response.Header.Get("X-Pod-Ip"); got != "10.1.2.3" {
			t.Errorf("GET %s: X-Pod-Ip is %q", path, got)
		}
	}
}

func TestDelay(t *testing.T) {
	url, _, _ := start(t, Pod{Grace: time.Second}, Plain("titles"))
	tests := []struct {
		delay   string
		status  int
		atLeast time.Duration
	}{
		{"30ms", http.StatusOK, 30 * time.Millisecond},
		{"0s", http.StatusOK, 0},
		{"31s", http.StatusBadRequest, 0},
		{"-1s", http.StatusBadRequest, 0},
		{"soon", http.StatusBadRequest, 0},
	}
	for _, test := range tests {
		began := time.Now()
		response, body := ask(t, http.DefaultClient, url+"/?delay="+test.delay)
		if response.StatusCode != test.status {
			t.Errorf("delay=%s: status %d, want %d", test.delay, response.StatusCode, test.status)
		}
		if took := time.Since(began); took < test.atLeast {
			t.Errorf("delay=%s took %s", test.delay, took)
		}
		if test.status == http.StatusBadRequest && !strings.Contains(body, test.delay) {
			t.Errorf("delay=%s is refused with %q, which does not name it", test.delay, body)
		}
	}
}

func TestStoppingPodLosesNoRequest(t *testing.T) {
	t.Parallel()
	url, stop, served := start(t, Pod{Grace: 1600 * time.Millisecond}, Plain("titles"))

	// The load goes on for a while after the order to stop, as it does until those
	// that lead it have heard of the pod's end.
	ordered := make(chan struct{})
	led := make(chan struct{})
	var answers, closing, failures atomic.Int64
	var load sync.WaitGroup
	for range 8 {
		client := &http.Client{Transport: &http.Transport{}}
		load.Go(func() {
			for {
				select {
				case <-led:
					return
				default:
				}
				response, err := client.Get(url)
				if err != nil {
					failures.Add(1)
					t.Log(err)
					continue
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				answers.Add(1)
				if response.Close {
					closing.Add(1)
				}
			}
		})
	}
	slow := make(chan *http.Response, 1)
	load.Go(func() {
		response, err := http.Get(url + "/?delay=1s")
		if err != nil {
			t.Error(err)
		}
		slow <- response
	})

	time.AfterFunc(200*time.Millisecond, func() { stop(); close(ordered) })
	<-ordered
	<-time.After(300 * time.Millisecond)
	close(led)
	load.Wait()
	if failures.Load() != 0 {
		t.Errorf("%d of %d requests failed", failures.Load(), answers.Load())
	}
	if closing.Load() == 0 {
		t.Error("no answer asked its client to leave")
	}
	if response := <-slow; response != nil && (response.StatusCode != http.StatusOK || !response.Close) {
		t.Errorf("the request in flight got status %d, close %t", response.StatusCode, response.Close)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestStoppedPodRefusesConnections(t *testing.T) {
	url, stop, served := start(t, Pod{Grace: time.Second}, Plain("titles"))
	ask(t, http.DefaultClient, url)
	stop()
	if err := <-served; err != nil {
		t.Fatalf("Serve: %v", err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		conn.Close()
		t.Error("the pod still accepts after it has ended")
	}
}

func TestDrainLeavesTimeToFinish(t *testing.T) {
	tests := []struct{ grace, want time.Duration }{
		{30 * time.Second, 10 * time.Second},
		{11 * time.Second, 10 * time.Second},
		{5 * time.Second, 4 * time.Second},
		{time.Second, 0},
		{0, 0},
	}
	for _, test := range tests {
		if got := (Pod{Grace: test.grace}).drain(); got != test.want {
			t.Errorf("a grace of %s gives a drain of %s, want %s", test.grace, got, test.want)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	env := map[string]string{
		"POD_NAME": "web-1", "POD_NAMESPACE": "edge", "POD_IP": "10.1.1.1", "BIND_ADDRESS": "127.1.1.1", "GRACE_SECONDS": "12",
	}
	got, err := FromEnvironment(func(name string) string { return env[name] })
	want := Pod{Name: "web-1", Namespace: "edge", IP: "10.1.1.1", BindAddress: "127.1.1.1", Grace: 12 * time.Second}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"12s", "-1", "1.5"} {
		env["GRACE_SECONDS"] = bad
		if _, err := FromEnvironment(func(name string) string { return env[name] }); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("GRACE_SECONDS=%s: %v", bad, err)
		}
	}
}
