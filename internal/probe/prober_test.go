package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"crossfade.dev/internal/judge"
)

func inBubble(t *testing.T, test func(*testing.T)) { synctest.Test(t, test) }

const key = "migration"

func TestSidesThatAnswerAlike(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, source, target *entry) {
		since := time.Now()
		p.Ask(key, []Name{named("a.test"), named("b.test")}, 10)
		time.Sleep(60 * time.Second)
		e := p.Evidence(key, since)

		for _, name := range []string{"a.test", "b.test"} {
			found := e.Names[name]
			if got := found.Kept[judge.Success][judge.Success]; got < 580 || got > 600 {
				t.Errorf("%s: %d pairs on kept connections in 60 s, at 10 a second", name, got)
			}
			if got := found.Fresh[judge.Success][judge.Success]; got < 10 || got > 12 {
				t.Errorf("%s: %d pairs on new connections in 60 s, one every 5 s", name, got)
			}
			pairs := found.Pairs()
			if pairs.Total() != pairs.Alike() || found.Invalid != 0 || found.Timed == 0 {
				t.Errorf("%s: %+v", name, found)
			}
			if found.Before.Pairs != 100 || found.Before.Failed != [2]int64{} {
				t.Errorf("%s: before is %+v", name, found.Before)
			}
		}
		c := p.Counts()
		if c.Slots != c.Answered || c.Slots < 2400 {
			t.Errorf("%+v", c)
		}
		for _, side := range []*entry{source, target} {
			if got := side.requests.Load(); got < c.Slots/2-2 || got > c.Slots/2+2 {
				t.Errorf("%d slots, but a side was asked %d times", c.Slots, got)
			}
			if got := side.dialled.Load(); got > 2+2*13 {
				t.Errorf("a side was connected to %d times, for 2 kept connections and one every 5 s", got)
			}
		}
		gates := judge.Gates(judge.Judge(e, judge.Objectives{Margin: 0.01, Alpha: 0.05, MostFailures: 0.05}), judge.Objectives{Margin: 0.01})
		for _, g := range gates {
			if g.Verdict != "Passed" {
				t.Errorf("%+v", g)
			}
		}
	})
}

func TestTargetThatFailsIsFoundWorse(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, _, target *entry) {
		p.Ask(key, []Name{named("a.test"), named("b.test")}, 10)
		time.Sleep(20 * time.Second)
		since := time.Now()
		target.answer(failing(0.25))
		time.Sleep(20 * time.Second)
		e := p.Evidence(key, since)

		a := e.Names["a.test"]
		pairs := a.Pairs()
		if d := pairs.Discord(); d.Source != 0 || d.Target < 30 || d.Target > 70 {
			t.Errorf("a fourth of the target's answers were errors: %+v", a)
		}
		r := judge.Judge(e, judge.Objectives{Margin: 0.01, Alpha: 0.05, MostFailures: 0.05})
		if r.Names[0].Errors.Verdict != judge.Worse || r.Names[0].Errors.What != "5xx" {
			t.Errorf("%+v", r.Names[0])
		}
	})
}

func TestFailuresOfBothHalvesAreAlike(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, source, target *entry) {
		source.answer(status(http.StatusServiceUnavailable))
		target.refuse(syscall.ECONNREFUSED)
		since := time.Now()
		p.Ask(key, []Name{named("a.test")}, 10)
		time.Sleep(20 * time.Second)
		a := p.Evidence(key, since).Names["a.test"]
		pairs := a.Pairs()
		if pairs.Total() < 180 || pairs.Alike() != pairs.Total() {
			t.Errorf("%+v", a)
		}
		if a.Kept[judge.ServerError][judge.Unconnected] == 0 {
			t.Errorf("classes: %+v", a.Kept)
		}
		if c := p.Counts(); c.Failed != c.Slots {
			t.Errorf("%+v", c)
		}
	})
}

func TestRefusalsAndRedirectsAreAnswers(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, source, target *entry) {
		source.answer(status(http.StatusFound))
		target.answer(status(http.StatusNotFound))
		p.Ask(key, []Name{named("a.test")}, 10)
		time.Sleep(5 * time.Second)
		a := p.Evidence(key, time.Time{}).Names["a.test"]
		if a.Unlike < 40 || a.Last != [2]judge.Class{judge.Redirect, judge.ClientError} {
			t.Errorf("%+v", a)
		}
		if c := p.Counts(); c.Answered != c.Slots {
			t.Errorf("%+v", c)
		}
	})
}

func TestOneHangingRequestIsOneFailure(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, _, target *entry) {
		p.Ask(key, []Name{named("a.test")}, 10)
		time.Sleep(20 * time.Second)
		since := time.Now()
		var hung atomic.Bool
		target.answer(func(_ http.ResponseWriter, r *http.Request) {
			if !r.Close && hung.CompareAndSwap(false, true) {
				<-r.Context().Done() // until the prober gives up
			}
		})
		time.Sleep(10 * time.Second)
		a := p.Evidence(key, since).Names["a.test"]
		if got := a.Kept[judge.Success][judge.TimedOut]; got != 1 {
			t.Errorf("%d timeouts: %+v", got, a)
		}
		if a.Invalid < 15 || a.Invalid > 25 {
			t.Errorf("%d slots could not be asked in 2 s, at 10 a second", a.Invalid)
		}
		if got := a.Kept[judge.Success][judge.Success]; got < 60 {
			t.Errorf("%d pairs in the seconds after", got)
		}
		if c := p.Counts(); c.Slots != c.Answered+c.Failed+c.Invalid {
			t.Errorf("%+v", c)
		}
	})
}

func TestPairsUnderWayHoldBackWhatComesAfter(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, _, target *entry) {
		p.Ask(key, []Name{named("a.test"), named("b.test")}, 10)
		time.Sleep(20 * time.Second)
		target.answer(func(_ http.ResponseWriter, r *http.Request) {
			if r.Host == "a.test" {
				<-r.Context().Done()
			}
		})
		since := time.Now()
		time.Sleep(1900 * time.Millisecond)
		// Nothing has failed yet; what is known must not say so.
		if b := p.Evidence(key, since).Names["b.test"]; b.Timed > 0 {
			t.Errorf("answers are counted while others of their second are not known: %+v", b)
		}
		time.Sleep(3 * time.Second)
		e := p.Evidence(key, since)
		if a, b := e.Names["a.test"], e.Names["b.test"]; a.Kept[judge.Success][judge.TimedOut] == 0 || b.Timed == 0 {
			t.Errorf("%+v", e)
		}
	})
}

func TestConnectionClosedWhileIdleIsNoFailure(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, _, target *entry) {
		p.Ask(key, []Name{named("a.test")}, 5)
		time.Sleep(20 * time.Second)
		a := p.Evidence(key, time.Time{}).Names["a.test"]
		if pairs := a.Pairs(); pairs.Alike() != pairs.Total() || pairs.Total() < 80 {
			t.Errorf("%+v", a)
		}
		if got := target.dialled.Load(); got < 90 {
			t.Errorf("the server closed after each request, but was connected to %d times", got)
		}
	})
}

func TestConnectionThatIsToCloseIsNotUsedAgain(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, _, target *entry) {
		target.answer(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
		p.Ask(key, []Name{named("a.test")}, 5)
		time.Sleep(10 * time.Second)
		a := p.Evidence(key, time.Time{}).Names["a.test"]
		if pairs := a.Pairs(); pairs.Alike() != pairs.Total() || pairs.Total() < 30 {
			t.Errorf("%+v", a)
		}
	})
}

func TestNothingIsSentTwice(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, _, target *entry) {
		p.Ask(key, []Name{named("a.test")}, 10)
		time.Sleep(20*time.Second + time.Millisecond)
		since, asked, before := time.Now(), target.requests.Load(), p.Counts()
		target.answer(func(w http.ResponseWriter, _ *http.Request) {
			panic(http.ErrAbortHandler) // closes the connection, request read, nothing answered
		})
		time.Sleep(10 * time.Second)
		after := p.Counts()
		if got, slots := target.requests.Load()-asked, (after.Slots-before.Slots)/2; got > slots+1 {
			t.Errorf("%d requests in %d slots", got, slots)
		}
		a := p.Evidence(key, since).Names["a.test"]
		if got := a.Kept[judge.Success][judge.Unconnected]; got < 80 {
			t.Errorf("%+v", a.Kept)
		}
	})
}

func TestNameThatIsBeingSetUpIsNotCompared(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, _, target *entry) {
		target.refuse(syscall.ECONNREFUSED)
		p.Ask(key, []Name{named("a.test")}, 10)
		time.Sleep(10 * time.Second)
		a := p.Evidence(key, time.Time{}).Names["a.test"]
		if pairs := a.Pairs(); pairs.Total() != 0 || a.Unlike < 90 || a.Last != [2]judge.Class{judge.Success, judge.Unconnected} {
			t.Errorf("before the target answered: %+v", a)
		}
		target.refuse(nil)
		time.Sleep(10 * time.Second)
		a = p.Evidence(key, time.Time{}).Names["a.test"]
		if pairs := a.Pairs(); pairs.Total() < 80 || pairs.Alike() != pairs.Total() {
			t.Errorf("after it: %+v", a)
		}
	})
}

func TestSlowTargetIsFound(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, source, target *entry) {
		slow := func(d time.Duration) http.HandlerFunc {
			return func(http.ResponseWriter, *http.Request) { time.Sleep(d) }
		}
		source.answer(slow(30 * time.Millisecond))
		target.answer(slow(40 * time.Millisecond)) // nobody notices that
		p.Ask(key, []Name{named("a.test")}, 10)
		time.Sleep(30 * time.Second)
		since := time.Now()
		time.Sleep(30 * time.Second)
		objectives := judge.Objectives{Margin: 0.01, Alpha: 0.05, MostFailures: 0.05}
		e := p.Evidence(key, since)
		if r := judge.Judge(e, objectives); r.Pooled.Latency.Verdict != judge.NotWorse {
			t.Errorf("10 ms more: %+v\n%+v", r.Pooled.Latency, e)
		}
		target.answer(slow(70 * time.Millisecond))
		time.Sleep(30 * time.Second)
		e = p.Evidence(key, since)
		r := judge.Judge(e, objectives)
		if r.Pooled.Latency.Verdict != judge.Worse {
			t.Errorf("40 ms more: %+v\n%+v", r.Pooled.Latency, e)
		}
		if r.Sides[0].Latency != judge.NotWorse || r.Sides[1].Latency != judge.Worse {
			t.Errorf("the target was faster before, the source was not: %+v", r.Sides)
		}
	})
}

func TestWhatIsKnownOutlivesAChangeOfNames(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, _, _ *entry) {
		a, b := named("a.test"), named("b.test")
		p.Ask(key, []Name{a, b}, 10)
		time.Sleep(10 * time.Second)
		p.Ask(key, []Name{a}, 10)
		time.Sleep(10 * time.Second)
		c := named("c.test")
		p.Ask(key, []Name{a, c}, 10)
		time.Sleep(10 * time.Second)
		e := p.Evidence(key, time.Time{})
		if len(e.Names) != 2 {
			t.Fatalf("%+v", e.Names)
		}
		count := func(name string) int64 {
			found := e.Names[name]
			pairs := found.Pairs()
			return pairs.Total()
		}
		if count("a.test") < 280 || count("c.test") > 100 || count("c.test") < 80 {
			t.Errorf("a %d, c %d", count("a.test"), count("c.test"))
		}

		// Another address is another entry, until it has answered alike.
		a.Target = "10.2.240.9"
		p.Ask(key, []Name{a, c}, 10)
		time.Sleep(10 * time.Second)
		found := p.Evidence(key, time.Time{}).Names["a.test"]
		pairs := found.Pairs()
		if pairs.Alike() != pairs.Total() || found.Unlike < 80 || found.Before.Pairs == 0 {
			t.Errorf("%+v", found)
		}

		p.Stop(key)
		if e := p.Evidence(key, time.Time{}); len(e.Names) != 0 {
			t.Errorf("after Stop: %+v", e.Names)
		}
	})
}

func TestNobodyIsAskedWhenNobodyWantsToKnow(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, source, _ *entry) {
		p.Ask(key, []Name{named("a.test")}, 1)
		time.Sleep(12 * time.Minute)
		asked := source.requests.Load()
		time.Sleep(time.Minute)
		if now := source.requests.Load(); now != asked {
			t.Errorf("%d requests in a minute", now-asked)
		}
		p.Ask(key, []Name{named("a.test")}, 1)
		since := time.Now()
		time.Sleep(10 * time.Second)
		a := p.Evidence(key, since).Names["a.test"]
		if pairs := a.Pairs(); pairs.Total() < 8 || a.Before.Pairs != 100 {
			t.Errorf("asked again: %+v", a)
		}
	})
}

func TestMomentAskedForIsKeptExactly(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, _, _ *entry) {
		p.Ask(key, []Name{named("a.test")}, 1)
		time.Sleep(77*time.Second + 300*time.Millisecond)
		since := time.Now()
		p.Evidence(key, since)
		for range 4 {
			time.Sleep(50 * time.Minute)
			p.Ask(key, []Name{named("a.test")}, 1)
			for range 9 { // so that it does not rest
				time.Sleep(time.Minute)
				p.Ask(key, []Name{named("a.test")}, 1)
			}
		}
		a := p.Evidence(key, since).Names["a.test"]
		before := p.Evidence(key, time.Time{}).Names["a.test"]
		all := before.Pairs()
		if pairs := a.Pairs(); all.Total()-pairs.Total() < 70 || all.Total()-pairs.Total() > 90 {
			t.Errorf("%d pairs, of which %d since", all.Total(), pairs.Total())
		}
		if spans := len(p.asked[key].book.spans); spans > seconds+minutes+mostMarks+1 {
			t.Errorf("%d spans are kept", spans)
		}
	})
}

func TestProberThatIsLateSaysNothing(t *testing.T) {
	probing(t, func(t *testing.T, p *Prober, side, _ *entry) {
		l := newLane(newTrack(p, named("a.test"), 1, 0), source)
		tests := []struct {
			late time.Duration
			want half
		}{
			{0, half{class: judge.Success}},
			{60 * time.Millisecond, half{class: judge.Success, latency: 60 * time.Millisecond, untimed: true}},
			{1500 * time.Millisecond, half{invalid: true}},
		}
		for i, test := range tests {
			h, w := l.ask(nil, l.fresh, time.Now().Add(-test.late))
			w.close()
			if h != test.want {
				t.Errorf("%s late: %+v, want %+v", test.late, h, test.want)
			}
			if got := side.requests.Load(); got != int64(min(i+1, 2)) {
				t.Errorf("%s late: %d requests sent so far", test.late, got)
			}
		}
		if got := p.Counts().SlipP99; got < time.Second {
			t.Errorf("slip is %s", got)
		}
	})
}

func TestFaultsOfTheProbersMachineAreInvalid(t *testing.T) {
	for _, fault := range []error{syscall.EMFILE, syscall.EADDRNOTAVAIL} {
		probing(t, func(t *testing.T, p *Prober, _, target *entry) {
			target.refuse(&net.OpError{Op: "dial", Err: fault})
			p.Ask(key, []Name{named("a.test")}, 10)
			time.Sleep(5 * time.Second)
			a := p.Evidence(key, time.Time{}).Names["a.test"]
			if pairs := a.Pairs(); pairs.Total() != 0 || a.Unlike != 0 || a.Invalid < 40 {
				t.Errorf("%v: %+v", fault, a)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	tests := []struct {
		name  Name
		shown string
		want  string
	}{
		{Name{Host: "a.test", Path: "/", Port: 80}, "a.test", "GET / HTTP/1.1\r\nHost: a.test\r\n"},
		{Name{Host: "a.test", Path: "/x y\r\n", Port: 8080}, "a.test:8080/x y\r\n", "GET /x%20y%0D%0A HTTP/1.1\r\nHost: a.test:8080\r\n"},
	}
	for _, test := range tests {
		if got := string(test.name.encode(false)); got[:len(test.want)] != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
		if got := test.name.String(); got != test.shown {
			t.Errorf("%q, want %q", got, test.shown)
		}
	}
}

func TestOverSockets(t *testing.T) {
	good := httptest.NewServer(status(http.StatusOK))
	defer good.Close()
	bad := httptest.NewServer(failing(0.3))
	defer bad.Close()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		server := map[string]*httptest.Server{sourceEntry + ":80": good, targetEntry + ":80": bad}[address]
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	p := New(ctx, Options{Dial: dial, Seed: 7})
	var names []Name
	for i := range 20 {
		names = append(names, named(fmt.Sprintf("%d.test", i)))
	}
	since, deadline := time.Now(), time.Now().Add(30*time.Second)
	for {
		p.Ask(key, names, 20)
		e := p.Evidence(key, since)
		r := judge.Judge(e, judge.Objectives{Margin: 0.01, Alpha: 0.05, MostFailures: 0.05})
		if len(r.Names) > 0 && r.Pooled.Errors.Verdict == judge.Worse && r.Pooled.Errors.Source == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v\n%+v", r.Pooled, p.Counts())
		}
		<-time.After(50 * time.Millisecond)
	}
	if c := p.Counts(); c.Slots != c.Answered+c.Failed+c.Invalid {
		t.Errorf("%+v", c)
	}
}
