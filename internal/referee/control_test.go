package referee

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// startLoad offers a load to 10.1.240.1 until it is stopped; the channel is closed
// when nothing is under way any more.
func startLoad(t *testing.T, config Config) (*load, chan struct{}) {
	t.Helper()
	config.Targets = Targets{{Name: "web", Host: "10.1.240.1"}}
	config, err := config.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoad(config)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go l.pulse.Run(l.stopping)
	go func() {
		defer close(ended)
		l.offer(t.Context())
	}()
	return l, ended
}

func ask(l *load, method, target string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	l.control().ServeHTTP(recorder, httptest.NewRequestWithContext(context.Background(), method, target, nil))
	return recorder
}

// The driver marks when things begin; a sample counts where it was scheduled.
func TestPeriodsHoldWhatWasScheduledInThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		e := newEstate()
		var slow atomic.Bool
		e.fault = func(_ http.ResponseWriter, r *http.Request) bool {
			if slow.Load() {
				sleepUntil(r.Context(), time.Now().Add(100*time.Millisecond))
			}
			return false
		}
		n.serve("10.1.240.1:80", e)
		l, ended := startLoad(t, Config{Dial: n.dial, Rate: 100})
		at := func(d time.Duration) { sleepUntil(t.Context(), l.start.Add(d)) }

		at(10*time.Second - time.Millisecond)
		if got := ask(l, "POST", "/mark?name=during"); got.Code != http.StatusNoContent {
			t.Fatalf("mark: %d %s", got.Code, got.Body)
		}
		slow.Store(true)
		at(20*time.Second - time.Millisecond)
		ask(l, "POST", "/mark?name=after")
		slow.Store(false)
		at(30*time.Second - time.Millisecond)
		ask(l, "POST", "/mark?name=during")
		at(31*time.Second - time.Millisecond)
		if got := ask(l, "POST", "/stop"); got.Code != http.StatusAccepted {
			t.Fatalf("stop: %d", got.Code)
		}
		<-ended

		report := l.report(DefaultWindow)
		if err := report.verify(); err != nil {
			t.Error(err)
		}
		var got []string
		for _, period := range report.Periods {
			got = append(got, fmt.Sprintf("%s %.0fs %d %.0fms", period.Name, period.Seconds, period.Requests, period.Latency.Overall.P50Millis))
		}
		want := "before 10s 1000 0ms, during 11s 1100 100ms, after 10s 1000 0ms"
		if strings.Join(got, ", ") != want {
			t.Errorf("periods %s, want %s", strings.Join(got, ", "), want)
		}
	})
}

func TestReportSoFarIsConsistent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		e := newEstate()
		e.fault = func(_ http.ResponseWriter, r *http.Request) bool {
			sleepUntil(r.Context(), time.Now().Add(800*time.Millisecond))
			return false
		}
		n.serve("10.1.240.1:80", e)
		l, ended := startLoad(t, Config{Dial: n.dial, Rate: 10})
		sleepUntil(t.Context(), l.start.Add(10*time.Second+50*time.Millisecond))
		recorder := ask(l, "GET", "/report?last=3")
		var report Report
		if err := json.Unmarshal(recorder.Body.Bytes(), &report); err != nil {
			t.Fatalf("%v in %s", err, recorder.Body)
		}
		if !report.Running || report.Accounted || report.UnderWay < 7 || report.Requests != report.OK+report.UnderWay || report.Failed != 0 {
			t.Errorf("%s", pretty(report))
		}
		if served := report.ByName[0].ServedBy; len(served) != 1 || served[0].Last != 3 {
			t.Errorf("served by %+v, want the last 3", served)
		}
		l.stopNow()
		<-ended
	})
}

func TestControlRefusesWhatItDoesNotUnderstand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		l, ended := startLoad(t, Config{Dial: n.dial})
		for target, want := range map[string]int{
			"POST /mark":              http.StatusBadRequest,
			"POST /mark?name=a%20b":   http.StatusBadRequest,
			"GET /mark?name=during":   http.StatusMethodNotAllowed,
			"GET /report?last=0":      http.StatusBadRequest,
			"GET /report?last=257":    http.StatusBadRequest,
			"GET /report?last=many":   http.StatusBadRequest,
			"GET /elsewhere":          http.StatusNotFound,
			"POST /mark?name=step-12": http.StatusNoContent,
		} {
			method, path, _ := strings.Cut(target, " ")
			if got := ask(l, method, path); got.Code != want {
				t.Errorf("%s: %d %s, want %d", target, got.Code, got.Body, want)
			}
		}
		l.stopNow()
		<-ended
	})
}

func TestMarksFileIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		n.serve("10.1.240.1:80", newEstate())
		file := filepath.Join(t.TempDir(), "marks")
		l, ended := startLoad(t, Config{Dial: n.dial, MarksFile: file})
		go l.followMarks(l.stopping)
		at := func(d time.Duration, text string) {
			sleepUntil(t.Context(), l.start.Add(d))
			out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(out, text)
			_ = out.Close()
		}
		at(5*time.Second, "dur")
		at(10*time.Second, "ing\n\nnot a name\n")
		at(20*time.Second, "after\n")
		sleepUntil(t.Context(), l.start.Add(30*time.Second))
		l.stopNow()
		<-ended
		var got []string
		for _, period := range l.report(1).Periods {
			got = append(got, fmt.Sprintf("%s %.0f", period.Name, period.Seconds))
		}
		if strings.Join(got, ", ") != "before 10, during 10, after 10" {
			t.Errorf("periods %v, want before, during and after of 10 s each", got)
		}
	})
}

// Over a real connection, as a driver uses it.
func TestControlEndpointStopsTheLoad(t *testing.T) {
	t.Parallel()
	server := serve(t, newEstate())
	var narration lockedText
	done := make(chan Report)
	go func() {
		report, err := Run(context.Background(), Config{Targets: Targets{httpTarget(t, server)}, Listen: "127.0.0.1:0", Narration: &narration})
		if err != nil {
			t.Error(err)
		}
		done <- report
	}()
	var url string
	eventually(t, "the control endpoint's address", func() bool {
		_, rest, found := strings.Cut(narration.String(), "control endpoint: ")
		url, _, _ = strings.Cut(rest, " ")
		return found
	})
	eventually(t, "an answer", func() bool {
		var report Report
		status, body := call(t, http.MethodGet, url+"/report")
		return status == http.StatusOK && json.Unmarshal(body, &report) == nil && report.OK > 10
	})
	if status, body := call(t, http.MethodPost, url+"/stop"); status != http.StatusAccepted {
		t.Fatalf("stop: %d %s", status, body)
	}
	if report := <-done; report.OK != report.Requests || !report.Accounted {
		t.Errorf("%s", pretty(report))
	}
}

func call(t *testing.T, method, url string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
