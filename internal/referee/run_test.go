package referee

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// Over real connections: what a server drops after it has received a request is
// counted exactly, on new and on kept connections, and nothing is asked twice.
func TestDroppedConnectionsAreCountedExactly(t *testing.T) {
	t.Parallel()
	e := newEstate()
	var received, dropped atomic.Int64
	e.fault = func(w http.ResponseWriter, _ *http.Request) bool {
		if received.Add(1)%101 != 0 { // not in step with the lanes
			return false
		}
		dropped.Add(1)
		drop(w)
		return true
	}
	report := mustRun(t, Config{
		Targets: Targets{httpTarget(t, serve(t, e), KindGet)}, Rate: 1000, Duration: 3 * time.Second,
		MaxSlip: time.Minute, // a busy machine must not make one invalid
	})
	if report.Requests < 3000 || received.Load() != report.Requests {
		t.Errorf("%d requests were sent and %d received, want 3000 or more of both", report.Requests, received.Load())
	}
	if report.Failed != dropped.Load() || report.FailedByClass[ClassRead] != report.Failed {
		t.Errorf("%d failed %v, want the %d that were dropped", report.Failed, report.FailedByClass, dropped.Load())
	}
	if report.Connections.Reused.Failed == 0 || report.Connections.New.Failed == 0 {
		t.Errorf("new and reused connections do not both show failures: %+v", report.Connections)
	}
	for _, f := range report.Failures {
		if f.Name != "web" || f.Client != "direct" || f.Address == "" || f.Text == "" || !strings.HasPrefix(f.RequestID, report.RunID) {
			t.Fatalf("a failure does not say where and how it happened: %+v", f)
		}
	}
}

// Whatever the estate does and whenever the load ends, every scheduled request is
// ok, failed or invalid, in total and in every breakdown.
func TestEveryScheduledRequestIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		targets := Targets{}
		for i := range rapid.IntRange(1, 3).Draw(rt, "names") {
			targets = append(targets, Target{
				Name: fmt.Sprint("app-", i), Host: fmt.Sprintf("app-%d.live.demo.test", i),
				Kinds: rapid.SliceOfNDistinct(rapid.SampledFrom(httpKinds), 1, 4, rapid.ID).Draw(rt, "kinds"),
			})
		}
		config := Config{
			Targets: targets, Rate: rapid.Float64Range(1, 60).Draw(rt, "rate"), Seed: seed,
			Resolvers: []string{"10.53.1.1"}, Timeout: 3 * time.Second, SlowTimeout: 4 * time.Second,
			Duration: time.Duration(rapid.Int64Range(1, int64(10*time.Second)).Draw(rt, "duration")),
		}
		var report Report
		var err error
		synctest.Test(t, func(*testing.T) {
			n := unreliableNetwork(seed)
			defer n.close()
			config.Dial = n.dial
			report, err = Run(context.Background(), config)
		})
		if err != nil {
			rt.Fatalf("%v\n%s", err, pretty(report))
		}
		if !report.Accounted || report.UnderWay != 0 || report.Running {
			rt.Fatalf("not accounted for:\n%s", pretty(report))
		}
	})
}

// unreliableNetwork fails in every way, by chance: names that do not resolve or
// resolve to where nobody is, dropped, hanging and wrong answers.
func unreliableNetwork(seed uint64) *network {
	var draws atomic.Uint64
	chance := func() int { return rand.New(rand.NewPCG(seed, draws.Add(1))).IntN(100) }
	n := newNetwork()
	n.resolve = func(question dns.Question, _ bool) *dns.Msg {
		switch c := chance(); {
		case c < 3:
			return nil
		case c < 6:
			return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
		case c < 9:
			return answerA(question.Name, 1, "10.9.9.9")
		default:
			return answerA(question.Name, uint32(c%4), "10.1.240.1")
		}
	}
	e := newEstate()
	e.stream = func(string) (string, bool) { return "#EXTM3U\nsegment-7.ts\n", true }
	e.fault = func(w http.ResponseWriter, r *http.Request) bool {
		switch c := chance(); {
		case c < 3:
			drop(w)
		case c < 6:
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not see
			<-r.Context().Done()               // that the referee gives up
		case c < 9:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case c < 12:
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "not a hundred bytes")
		case c < 20:
			w.Header().Set("Connection", "close")
			return false
		default:
			return false
		}
		return true
	}
	n.serve("10.1.240.1:80", e)
	return n
}

func TestLoadIsOpenLoopAtTheRateGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		var mu sync.Mutex
		var received []time.Time
		n.serve("10.1.240.1:80", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			received = append(received, time.Now())
		}))
		var targets Targets
		for i := range 10 {
			targets = append(targets, Target{Name: fmt.Sprint(i), Host: "10.1.240.1", Kinds: []Kind{KindGet}})
		}
		report := mustRun(t, Config{Targets: targets, Rate: 100, Duration: 10*time.Second - 1, Dial: n.dial})
		if report.Requests != 1000 || report.OK != 1000 || len(received) != 1000 {
			t.Fatalf("%d requests, %d ok, %d received; want 1000 of each", report.Requests, report.OK, len(received))
		}
		for i, at := range received {
			if want := time.Duration(i) * 10 * time.Millisecond; at.Sub(report.Started) != want {
				t.Fatalf("request %d came %s after the start, want %s", i, at.Sub(report.Started), want)
			}
		}
		for _, name := range report.ByName {
			if name.Requests != 100 {
				t.Errorf("name %s was asked %d times, want 100", name.Name, name.Requests)
			}
		}
	})
}

// A service that stands still for 2 s makes one kept connection wait, and every
// request that was due meanwhile shows how long its user waited.
func TestLatencyCountsFromTheScheduledTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		var received atomic.Int64
		n.serve("10.1.240.1:80", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Connection") != "close" && received.Add(1) == 3 {
				sleepUntil(r.Context(), time.Now().Add(2*time.Second))
			}
		}))
		report := mustRun(t, Config{
			Targets: Targets{{Name: "web", Host: "10.1.240.1"}}, Dial: n.dial,
			Rate: 2, Duration: 20 * time.Second, // 1 a second on the kept connection
		})
		// Those due 0 and 1 s after it began waited 2 and 1 s, of 19 on that connection.
		reused := report.Latency.Reused
		if report.Failed != 0 || reused.P50Millis > 1 || reused.MaxMillis < 1980 || reused.MaxMillis > 2020 || report.Latency.New.MaxMillis > 1 {
			t.Errorf("latency %+v, %d failed; want a maximum of 2 s on the kept connection only", report.Latency, report.Failed)
		}
		if report.Slip.MaxMillis > 1 || report.Invalid != 0 {
			t.Errorf("slip %+v, %d invalid; the service was slow, not the referee", report.Slip, report.Invalid)
		}
	})
}

func TestUnansweredRequestsTimeOutFromTheScheduledTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		n.serve("10.1.240.1:80", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		report := mustRun(t, Config{Targets: Targets{{Name: "web", Host: "10.1.240.1"}}, Dial: n.dial, Rate: 10, Duration: 20 * time.Second})
		if report.Failed != report.Requests || report.FailedByClass[ClassTimeout] != report.Failed {
			t.Errorf("%d of %d failed by %v, want all by timeout", report.Failed, report.Requests, report.FailedByClass)
		}
		for _, f := range report.Failures {
			if f.AfterMillis != 5000 {
				t.Fatalf("a request failed %.0f ms after its time, want 5000: %+v", f.AfterMillis, f)
			}
		}
	})
}

// Each name has several slow requests under way at every moment, so that a pod
// cannot end between two.
func TestSlowRequestsOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		e := newEstate()
		n.serve("10.1.240.1:80", e)
		n.resolve = func(question dns.Question, _ bool) *dns.Msg { return answerA(question.Name, 5, "10.1.240.1") }
		go func() {
			sleepUntil(t.Context(), time.Now().Add(5*time.Second))
			for range 300 {
				sleepUntil(t.Context(), time.Now().Add(37*time.Millisecond))
				e.mu.Lock()
				if e.underWay["a.demo.test"] < 3 || e.underWay["b.demo.test"] < 3 || e.underWay["a.demo.test"] > slowOverlap {
					t.Errorf("under way: %v, want 3 to %d of each name", e.underWay, slowOverlap)
				}
				e.mu.Unlock()
			}
		}()
		report := mustRun(t, Config{
			Targets: Targets{{Name: "a", Host: "a.demo.test", Kinds: []Kind{KindSlow}}, {Name: "b", Host: "b.demo.test", Kinds: []Kind{KindSlow}}},
			Dial:    n.dial, Resolvers: []string{"10.53.1.1"}, Duration: 20 * time.Second,
		})
		if report.Failed != 0 || report.Requests < 75 || report.Latency.Overall.Count != 0 {
			t.Errorf("%d requests, %d failed, %d in the latency of all; want 80, 0 and 0", report.Requests, report.Failed, report.Latency.Overall.Count)
		}
	})
}

func TestManySlowNamesAreBounded(t *testing.T) {
	targets := Targets{}
	for i := range 1600 {
		targets = append(targets, Target{Name: fmt.Sprint(i), Host: "10.1.240.1", Kinds: []Kind{KindSlow}})
	}
	config, err := Config{Targets: targets}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoad(config)
	if err != nil {
		t.Fatal(err)
	}
	if perSecond := l.scheduled(l.start.Add(80*time.Second-1)) / 80; len(l.lanes) != 1600 || perSecond != maxSlow/2 {
		t.Errorf("%d lanes ask %d slow requests a second, want 1600 and %d", len(l.lanes), perSecond, maxSlow/2)
	}
}

func TestLoadEndsWithItsContextAndReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		n.serve("10.1.240.1:80", newEstate())
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		file := filepath.Join(t.TempDir(), "report.json")
		var text strings.Builder
		report, err := Run(ctx, Config{
			Targets: Targets{{Name: "web", Host: "10.1.240.1", Kinds: []Kind{KindGet, KindSlow}}}, Dial: n.dial, ReportFile: file, Out: &text,
		})
		if err != nil || report.Failed != 0 || report.DurationSeconds != 6.75 || !report.Accounted {
			t.Errorf("%v, %s", err, pretty(report))
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var written Report
		if err := json.Unmarshal(data, &written); err != nil {
			t.Fatal(err)
		}
		if written.Requests != report.Requests || !reflect.DeepEqual(written.Kinds, report.Kinds) {
			t.Errorf("the file holds %+v, want %+v", written, report)
		}
		if want := fmt.Sprintf("%d sent = %d ok + 0 failed + 0 invalid", report.Requests, report.OK); !strings.Contains(text.String(), want) {
			t.Errorf("the text is\n%swant %q in it", text.String(), want)
		}
	})
}

func TestUnusableConfigurationIsRefused(t *testing.T) {
	good := Targets{{Name: "web", Host: "10.1.240.1"}}
	for _, test := range []struct {
		name   string
		config Config
		want   string
	}{
		{"no targets", Config{}, "targets: none given"},
		{"a target without host", Config{Targets: Targets{{Name: "web"}}}, `host ""`},
		{"negative rate", Config{Targets: good, Rate: -1}, "rate -1"},
		{"negative duration", Config{Targets: good, Duration: -1}, "duration -1ns"},
		{"window too wide", Config{Targets: good, Window: 257}, "window 257"},
		{"slow timeout shorter than a slow request", Config{Targets: Targets{{Name: "web", Host: "10.1.240.1", Kinds: []Kind{KindSlow}}}, SlowTimeout: time.Second}, "timeouts 5s and 1s"},
		{"a name without resolver", Config{Targets: Targets{{Name: "web", Host: "web.demo.test"}}}, `host "web.demo.test" of target "web" is a name`},
		{"resolver without address", Config{Targets: good, Resolvers: []string{"bind"}}, `resolver "bind"`},
		{"two resolvers of one name", Config{Targets: good, Resolvers: []string{"a=10.53.1.1", "a=10.53.1.2"}}, "named twice"},
		{"resolver that claims to be the stale client", Config{Targets: good, Resolvers: []string{"stale=10.53.1.1"}}, `name "stale"`},
		{"control endpoint elsewhere", Config{Targets: good, Listen: "192.0.2.1:1"}, "control endpoint"},
	} {
		t.Run(test.name, func(t *testing.T) {
			report, err := Run(t.Context(), test.config)
			if err == nil || !strings.Contains(err.Error(), test.want) || report.RunID != "" {
				t.Errorf("Run = %v; want %q in it and no report", err, test.want)
			}
		})
	}
}

func TestReportThatCannotBeWrittenIsAnErrorWithTheReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		n.serve("10.1.240.1:80", newEstate())
		report, err := Run(t.Context(), Config{
			Targets: Targets{{Name: "web", Host: "10.1.240.1"}}, Dial: n.dial, Duration: time.Second, ReportFile: filepath.Join(t.TempDir(), "no", "report.json"),
		})
		if !errors.Is(err, os.ErrNotExist) || report.Requests == 0 {
			t.Errorf("Run = %d requests, %v; want a report and that the folder does not exist", report.Requests, err)
		}
	})
}
