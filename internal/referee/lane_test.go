package referee

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Servers may close a connection on which nothing is under way; that costs no
// request and no retry.
func TestConnectionClosedBetweenRequestsIsDialledAnew(t *testing.T) {
	t.Parallel()
	e := newEstate()
	server := serve(t, e)
	var calls atomic.Int64
	e.fault = func(http.ResponseWriter, *http.Request) bool {
		if calls.Add(1)%10 == 0 {
			server.Config.SetKeepAlivesEnabled(false) // closes the idle ones without a word
			server.Config.SetKeepAlivesEnabled(true)
		}
		return false
	}
	report := mustRun(t, Config{Targets: Targets{httpTarget(t, server)}, Rate: 40, Duration: 3 * time.Second, MaxSlip: time.Minute})
	if report.Failed != 0 || report.Connections.ClosedIdle == 0 {
		t.Errorf("%d failed, %d closed while idle; want 0 and some\n%s", report.Failed, report.Connections.ClosedIdle, report.Text())
	}
	if calls.Load() != report.Requests {
		t.Errorf("%d requests were received and %d sent", calls.Load(), report.Requests)
	}
}

// A server that says Connection: close is taken at its word: the next request opens
// a connection, and counts as new.
func TestAnnouncedCloseIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		e := newEstate()
		e.fault = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Connection", "close")
			return false
		}
		n.serve("10.1.240.1:80", e)
		report := mustRun(t, Config{Targets: Targets{{Name: "web", Host: "10.1.240.1"}}, Dial: n.dial, Rate: 10, Duration: 10 * time.Second})
		if report.Failed != 0 || report.Connections.Reused.Requests != 0 || report.Connections.ClosedIdle != 0 {
			t.Errorf("%+v, %d failed; want new connections only and no failure", report.Connections, report.Failed)
		}
	})
}

func TestFailuresAreClassified(t *testing.T) {
	refuse := func(http.ResponseWriter, *http.Request) bool { return false }
	for _, test := range []struct {
		name   string
		target Target
		fault  func(http.ResponseWriter, *http.Request) bool
		want   Class
	}{
		{"status that is not expected", Target{Host: "10.1.240.1"}, func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}, ClassStatus},
		{"status just outside the range", Target{Host: "10.1.240.1", ExpectStatus: StatusRange{200, 203}}, func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusNoContent)
			return true
		}, ClassStatus},
		{"connection dropped", Target{Host: "10.1.240.1"}, func(w http.ResponseWriter, _ *http.Request) bool {
			drop(w)
			return true
		}, ClassRead},
		{"answer that breaks off", Target{Host: "10.1.240.1"}, func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte("short"))
			return true
		}, ClassRead},
		{"nobody listens", Target{Host: "10.9.9.9"}, refuse, ClassConnect},
		{"no TLS", Target{Host: "10.1.240.1", Scheme: HTTPS, Port: 80}, refuse, ClassTLS},
		{"no playlist", Target{Host: "10.1.240.1", Kinds: []Kind{KindPlayer}}, refuse, ClassContent},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				defer n.close()
				e := newEstate()
				e.fault = test.fault
				n.serve("10.1.240.1:80", e)
				test.target.Name = "web"
				report := mustRun(t, Config{Targets: Targets{test.target}, Dial: n.dial, Rate: 10, Duration: 3 * time.Second})
				if report.Requests < 6 || report.FailedByClass[test.want] != report.Requests {
					t.Errorf("%d requests failed by %v, want all by %s", report.Requests, report.FailedByClass, test.want)
				}
			})
		})
	}
}

func TestExpectedStatusIsOK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		n.serve("10.1.240.1:80", http.NotFoundHandler())
		report := mustRun(t, Config{
			Targets: Targets{{Name: "web", Host: "10.1.240.1", ExpectStatus: StatusRange{200, 404}}}, Dial: n.dial, Duration: time.Second,
		})
		if report.OK != report.Requests || report.ByName[0].Unnamed != report.OK {
			t.Errorf("%d of %d ok, %d unnamed; want all", report.OK, report.Requests, report.ByName[0].Unnamed)
		}
	})
}

// The failure list is bounded; what it leaves out is counted.
func TestFirstFailuresAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		report := mustRun(t, Config{Targets: Targets{{Name: "web", Host: "10.1.240.1"}}, Dial: n.dial, Rate: 100, Duration: 10 * time.Second})
		if len(report.Failures) != maxFailures || report.FailuresOmitted != report.Failed-maxFailures || report.Failed != 1001 {
			t.Errorf("%d failures listed, %d omitted, %d failed", len(report.Failures), report.FailuresOmitted, report.Failed)
		}
	})
}

func TestMachinesOwnFaultsAreInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}
		}
		report := mustRun(t, Config{Targets: Targets{{Name: "web", Host: "10.1.240.1"}}, Dial: dial, Duration: time.Second})
		if report.Invalid != report.Requests || report.InvalidBecause[InvalidSpent] != report.Requests || report.Failed != 0 {
			t.Errorf("%d of %d invalid %v, %d failed; want all invalid", report.Invalid, report.Requests, report.InvalidBecause, report.Failed)
		}
	})
}

// A referee that is stopped for two seconds marks what it missed as invalid. It
// shows no failure and no latency that the estate did not have.
func TestOverloadedRefereeIsInvalidNeverSlow(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "report.json")
	e := newEstate()
	server := serve(t, e)
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), roleVariable+"=referee", "ADDRESS="+server.Listener.Addr().String(), "REPORT="+file)
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first 100 requests", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.requests > 100
	})
	if err := process.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * time.Second)
	if err := process.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	if report.Failed != 0 || report.Invalid < 300 || !report.Accounted {
		t.Errorf("%d failed, %d invalid; want 0 and the 400 of two seconds\n%s", report.Failed, report.Invalid, report.Text())
	}
	if report.Latency.Overall.MaxMillis > 1000 {
		t.Errorf("latency up to %.0f ms is the referee's own", report.Latency.Overall.MaxMillis)
	}
}
