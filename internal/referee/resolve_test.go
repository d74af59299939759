package referee

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func newTestClient(n *network, stale bool) (*client, *dnsCounts) {
	counts := &dnsCounts{}
	return &client{
		name: "test", server: "10.53.1.1:53", stale: stale, dial: n.dial, counts: counts,
		rand: rand.New(rand.NewPCG(1, 2)), cache: map[string]addresses{},
	}, counts
}

// resolveAt asks at times counted from the start and returns the answers.
func resolveAt(t *testing.T, c *client, times ...time.Duration) []string {
	t.Helper()
	start := time.Now()
	var got []string
	for _, at := range times {
		sleepUntil(t.Context(), start.Add(at))
		ip, err := c.resolve(t.Context(), "live.demo.test")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ip.String())
	}
	return got
}

// rotating gives 10.0.0.1 first, then 10.0.0.2 and so on, each with that TTL.
func rotating(ttl uint32) (*network, *int) {
	n, asked := newNetwork(), new(int)
	n.resolve = func(question dns.Question, _ bool) *dns.Msg {
		*asked++
		return answerA(question.Name, ttl, fmt.Sprint("10.0.0.", *asked))
	}
	return n, asked
}

func TestCachedAnswerLivesExactlyItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, asked := rotating(5)
		c, _ := newTestClient(n, false)
		got := resolveAt(t, c, 0, 2*time.Second, 5*time.Second-1, 5*time.Second, 9*time.Second, 10*time.Second)
		want := "10.0.0.1 10.0.0.1 10.0.0.1 10.0.0.2 10.0.0.2 10.0.0.3"
		if strings.Join(got, " ") != want || *asked != 3 {
			t.Errorf("got %v with %d queries, want %s with 3", got, *asked, want)
		}
	})
}

func TestTTLOfZeroIsForTheAskerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := rotating(0)
		c, _ := newTestClient(n, false)
		if got := resolveAt(t, c, 0, 0, 1); strings.Join(got, " ") != "10.0.0.1 10.0.0.2 10.0.0.3" {
			t.Errorf("got %v, want a new answer each time", got)
		}
	})
}

func TestStaleClientResolvesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, asked := newNetwork(), 0
		n.resolve = func(question dns.Question, _ bool) *dns.Msg {
			asked++
			return answerA(question.Name, 1, "10.0.0.7", "10.0.0.8", "10.0.0.9")
		}
		c, _ := newTestClient(n, true)
		for _, got := range resolveAt(t, c, 0, time.Second, time.Hour, 1000*time.Hour) {
			if got != "10.0.0.7" {
				t.Errorf("got %s, want the first address of the first answer", got)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}
	})
}

// Requests that asked at the same moment settle on the answer that came first.
func TestStaleClientKeepsTheFirstOfTwoAnswers(t *testing.T) {
	c, _ := newTestClient(newNetwork(), true)
	at := func(ip string) addresses { return addresses{list: []netip.Addr{netip.MustParseAddr(ip)}} }
	c.remember("live.demo.test", at("10.0.0.1"))
	if got := c.remember("live.demo.test", at("10.0.0.2")); got.String() != "10.0.0.1" {
		t.Errorf("got %s, want the address remembered first", got)
	}
}

func TestAliasAgesAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, asked := newNetwork(), 0
		n.resolve = func(question dns.Question, _ bool) *dns.Msg {
			asked++
			response := answerA("lb.demo.test.", 300, "10.0.0.1")
			alias := &dns.CNAME{Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 2}, Target: "lb.demo.test."}
			response.Answer = append([]dns.RR{alias}, response.Answer...)
			return response
		}
		c, _ := newTestClient(n, false)
		resolveAt(t, c, 0, 2*time.Second-1, 2*time.Second)
		if asked != 2 {
			t.Errorf("asked %d times, want 2: the alias lives 2 s", asked)
		}
	})
}

func TestAllAddressesOfAnAnswerAreUsed(t *testing.T) {
	n := newNetwork()
	n.resolve = func(question dns.Question, _ bool) *dns.Msg {
		return answerA(question.Name, 60, "10.0.0.1", "10.0.0.2", "10.0.0.3")
	}
	c, _ := newTestClient(n, false)
	seen := map[string]int{}
	for _, ip := range resolveAt(t, c, make([]time.Duration, 300)...) {
		seen[ip]++
	}
	for _, ip := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		if seen[ip] < 70 {
			t.Errorf("%s was chosen %d of 300 times, want about 100", ip, seen[ip])
		}
	}
}

func TestLostQueryIsSentAgainAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, asked := newNetwork(), 0
		n.resolve = func(question dns.Question, _ bool) *dns.Msg {
			if asked++; asked <= 2 {
				return nil
			}
			return answerA(question.Name, 5, "10.0.0.1")
		}
		c, counts := newTestClient(n, false)
		began := time.Now()
		resolveAt(t, c, 0)
		if waited := time.Since(began); waited != 3*time.Second || counts.resent.Load() != 2 || counts.queries.Load() != 3 {
			t.Errorf("answered after %s, %d sent again; want 3s (1 + 2) and 2", waited, counts.resent.Load())
		}
	})
}

func TestResolvingEndsWithTheRequestsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.resolve = func(dns.Question, bool) *dns.Msg { return nil }
		c, _ := newTestClient(n, false)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.resolve(ctx, "live.demo.test")
		if err == nil || time.Since(began) != 5*time.Second || !isTimeout(err) {
			t.Errorf("%v after %s, want a timeout after 5s", err, time.Since(began))
		}
	})
}

func TestTruncatedAnswerIsAskedForOverTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.resolve = func(question dns.Question, udp bool) *dns.Msg {
			if udp {
				return &dns.Msg{MsgHdr: dns.MsgHdr{Truncated: true}}
			}
			return answerA(question.Name, 5, "10.0.0.1")
		}
		c, counts := newTestClient(n, false)
		if got := resolveAt(t, c, 0); got[0] != "10.0.0.1" || counts.truncated.Load() != 1 {
			t.Errorf("got %v, %d truncated", got, counts.truncated.Load())
		}
	})
}

func TestFailedResolutionIsNotCached(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer *dns.Msg
		want   string
	}{
		{"no such name", &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeNameError}}, "ask 10.53.1.1:53 for live.demo.test: answered NXDOMAIN"},
		{"server failure", &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}, "answered SERVFAIL"},
		{"no address", &dns.Msg{}, "answered without an A record"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, asked := newNetwork(), 0
			n.resolve = func(question dns.Question, _ bool) *dns.Msg {
				if asked++; asked == 1 {
					return test.answer
				}
				return answerA(question.Name, 5, "10.0.0.1")
			}
			c, _ := newTestClient(n, false)
			if _, err := c.resolve(t.Context(), "live.demo.test"); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("resolve = %v; want %q in it", err, test.want)
			}
			resolveAt(t, c, 0)
		})
	}
}

// A whole load follows a name from one address to another: clients of resolvers
// within the TTL of what they hold, kept connections and the stale client not.
func TestLoadFollowsTheNameAndStaleClientsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		source, target := newEstate(), newEstate()
		target.podIP = "10.2.1.1"
		n.serve("10.1.240.1:80", source)
		n.serve("10.2.240.1:80", target)
		start := time.Now()
		n.resolve = func(question dns.Question, _ bool) *dns.Msg {
			if time.Since(start) < 10*time.Second {
				return answerA(question.Name, 5, "10.1.240.1")
			}
			return answerA(question.Name, 5, "10.2.240.1")
		}
		config := Config{
			Targets: Targets{{Name: "web", Host: "live.demo.test"}}, Dial: n.dial, Resolvers: []string{"10.53.1.1"},
			Rate: 40, Duration: 30 * time.Second,
		}
		report := mustRun(t, config)
		served := report.ByName[0].ServedBy
		if report.Failed != 0 || len(served) != 2 || served[0].Network != "10.1.0.0/16" || served[1].Network != "10.2.0.0/16" {
			t.Fatalf("%d failed, served by %+v", report.Failed, served)
		}
		// A quarter of the requests asks anew and is led to the target after 10 to 15 s.
		if share := float64(served[1].Answers) / float64(report.OK); share < 0.12 || share > 0.17 {
			t.Errorf("the target gave %.2f of the answers, want 15 to 20 of 30 s of a quarter", share)
		}
		if served[1].Last < 10 || served[0].Last < 30 || served[0].Last+served[1].Last != DefaultWindow {
			t.Errorf("last answers: %+v, want a quarter by the target", served)
		}
	})
}
