package pod

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// start serves handler as a pod until the test ends or stop is called; done gets
// what Serve returned.
func start(t *testing.T, p Pod, handler http.Handler) (url string, stop context.CancelFunc, done <-chan error) {
	t.Helper()
	p.BindAddress = "127.0.0.1"
	listener, err := p.Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, listener, handler) }()
	t.Cleanup(stop)
	return "http://" + listener.Addr().String(), stop, served
}

// An outcome is an answer that was read to its end.
type outcome struct {
	status int
	header http.Header
	close  bool // the client was asked to leave
	body   string
}

func fetch(ctx context.Context, client *http.Client, url string) (outcome, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return outcome{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return outcome{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return outcome{response.StatusCode, response.Header, response.Close, string(body)}, err
}

func ask(t *testing.T, url string) outcome {
	t.Helper()
	got, err := fetch(t.Context(), http.DefaultClient, url)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEveryAnswerNamesItsPod(t *testing.T) {
	url, _, _ := start(t, Pod{Name: "titles-1", Namespace: "catalog", IP: "10.1.2.3", Grace: time.Second}, Plain("titles"))
	for _, path := range []string{"/", "/healthz", "/readyz", "/anything/else", "/?delay=never"} {
		answer := ask(t, url+path)
		if got := answer.header.Get("X-Pod-Name"); got != "catalog/titles-1" {
			t.Errorf("GET %s: X-Pod-Name is %q", path, got)
		}
		if got := answer.header.Get("X-Pod-Ip"); got != "10.1.2.3" {
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
		answer := ask(t, url+"/?delay="+test.delay)
		if answer.status != test.status {
			t.Errorf("delay=%s: status %d, want %d", test.delay, answer.status, test.status)
		}
		if took := time.Since(began); took < test.atLeast {
			t.Errorf("delay=%s took %s", test.delay, took)
		}
		if test.status == http.StatusBadRequest && !strings.Contains(answer.body, test.delay) {
			t.Errorf("delay=%s is refused with %q, which does not name it", test.delay, answer.body)
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
				answer, err := fetch(t.Context(), client, url)
				if err != nil {
					failures.Add(1)
					t.Log(err)
					continue
				}
				answers.Add(1)
				if answer.close {
					closing.Add(1)
				}
			}
		})
	}
	load.Go(func() {
		answer, err := fetch(t.Context(), http.DefaultClient, url+"/?delay=1s")
		if err != nil || answer.status != http.StatusOK || !answer.close {
			t.Errorf("the request in flight got status %d, close %t, %v", answer.status, answer.close, err)
		}
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
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestStoppedPodRefusesConnections(t *testing.T) {
	url, stop, served := start(t, Pod{Grace: time.Second}, Plain("titles"))
	ask(t, url)
	stop()
	if err := <-served; err != nil {
		t.Fatalf("Serve: %v", err)
	}
	if _, err := fetch(t.Context(), &http.Client{Transport: &http.Transport{}}, url); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error("the pod still accepts after it has ended:", err)
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
