package referee

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func writeTargets() Targets {
	return Targets{{Name: "api", Host: "10.1.240.1", Kinds: []Kind{KindWrite}}}
}

// Every 20th write is acknowledged and forgotten, every 50th applied twice.
func TestLostAndDoubledWritesAreCountedExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		e := newEstate()
		var writes, lost, doubled atomic.Int64
		e.apply = func(string) int64 {
			switch i := writes.Add(1); {
			case i%20 == 0:
				lost.Add(1)
				return 0
			case i%50 == 7:
				doubled.Add(1)
				return 2
			}
			return 1
		}
		n.serve("10.1.240.1:80", e)
		report := mustRun(t, Config{Targets: writeTargets(), Dial: n.dial, Rate: 100, Duration: 10 * time.Second})
		got := report.Writes
		if got.Sent != 1001 || got.Acknowledged != 1001 || got.Lost != lost.Load() || got.Doubled != doubled.Load() || got.NotReadBack != 0 {
			t.Errorf("%+v; want 1001 sent, %d lost, %d doubled", got, lost.Load(), doubled.Load())
		}
		if report.Failed != 0 || report.Requests != writes.Load() {
			t.Errorf("%d requests, %d failed; reading back must not count", report.Requests, report.Failed)
		}
		for _, fault := range got.Faults {
			if !strings.HasPrefix(fault.ID, report.RunID) || fault.Name != "api" || fault.At.IsZero() {
				t.Fatalf("a fault does not say which write it was: %+v", fault)
			}
		}
	})
}

// Whether a write without an answer was applied is nobody's promise; only twice is
// wrong.
func TestUnacknowledgedWriteMayBeAppliedOrNot(t *testing.T) {
	for _, test := range []struct {
		name    string
		applied int64
		doubled bool
	}{{"not applied", 0, false}, {"applied", 1, false}, {"applied twice", 2, true}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				defer n.close()
				e := newEstate()
				e.apply = func(string) int64 { return test.applied }
				e.fault = func(w http.ResponseWriter, r *http.Request) bool {
					e.write(discard{}, r)
					drop(w)
					return true
				}
				n.serve("10.1.240.1:80", e)
				report := mustRun(t, Config{Targets: writeTargets(), Dial: n.dial, Rate: 10, Duration: 2 * time.Second})
				want := int64(0)
				if test.doubled {
					want = report.Writes.Sent
				}
				if got := report.Writes; got.Sent != 21 || got.Acknowledged != 0 || got.Lost != 0 || got.Doubled != want || report.Failed != 21 {
					t.Errorf("%+v, %d failed; want 21 sent and failed, 0 lost, %d doubled", got, report.Failed, want)
				}
			})
		})
	}
}

type discard struct{ http.ResponseWriter }

func (discard) WriteHeader(int) {}

// Reading back may be tried again, and says so; what stays unreadable is not ok.
func TestReadingBackIsTriedAgain(t *testing.T) {
	for _, test := range []struct {
		name            string
		unreadable      int64
		wantNotReadBack bool
	}{{"unreadable at first", 3, false}, {"unreadable for ever", 1 << 40, true}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				defer n.close()
				e := newEstate()
				var reads atomic.Int64
				n.serve("10.1.240.1:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet && reads.Add(1) <= test.unreadable {
						drop(w)
						return
					}
					e.ServeHTTP(w, r)
				}))
				report := mustRun(t, Config{Targets: writeTargets(), Dial: n.dial, Rate: 10, Duration: 2 * time.Second})
				got := report.Writes
				if test.wantNotReadBack != (got.NotReadBack == 21) || got.Lost != 0 || got.ReadBackRetries < 3 || report.Failed != 0 {
					t.Errorf("%+v, %d failed; want not read back: %v, and retries stated", got, report.Failed, test.wantNotReadBack)
				}
			})
		})
	}
}

func TestReadBackUnderstandsItsContractOnly(t *testing.T) {
	for _, test := range []struct {
		name              string
		status            int
		body              string
		lost, notReadBack int64
	}{
		{"never heard of it", http.StatusNotFound, "", 21, 0},
		{"another write", http.StatusOK, `{"id":"other","count":1}`, 0, 21},
		{"no count", http.StatusOK, `{"id":"ID"}`, 0, 21},
		{"not JSON", http.StatusOK, `fine`, 0, 21},
		{"another status", http.StatusNoContent, ``, 0, 21},
		{"kept once", http.StatusOK, `{"id":"ID","count":1}`, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				defer n.close()
				n.serve("10.1.240.1:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					id, isReadBack := strings.CutPrefix(r.URL.Path, "/v1/events/")
					if !isReadBack {
						w.WriteHeader(http.StatusCreated)
						return
					}
					w.WriteHeader(test.status)
					if test.body != "" {
						_, _ = w.Write([]byte(strings.ReplaceAll(test.body, "ID", id)))
					}
				}))
				got := mustRun(t, Config{Targets: writeTargets(), Dial: n.dial, Rate: 10, Duration: 2 * time.Second}).Writes
				if got.Acknowledged != 21 || got.Lost != test.lost || got.NotReadBack != test.notReadBack {
					t.Errorf("%+v; want %d lost and %d not read back", got, test.lost, test.notReadBack)
				}
			})
		})
	}
}
