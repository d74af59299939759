package wan_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"crossfade.dev/internal/landing/wan"
)

// The packets are real: each segment at each edge is a network namespace with the
// routes that naive_test.go compiles, each attachment another one with its addresses,
// and every attachment sends to every other one. Packets record their way in the IP
// option Record Route (RFC 791), so that it is known which firewalls they passed.
//
// CROSSFADE_PACKETS is how many random policies are tried, CROSSFADE_PACKETS_SEED the
// first seed. `make test-peers` sets them; it takes root.

// outside stands for an address that nobody advertises. Whatever packets leave the
// core network through has it.
const outside = "203.0.113.1"

func TestPacketsAgree(t *testing.T) {
	count, _ := strconv.Atoi(os.Getenv("CROSSFADE_PACKETS"))
	if count == 0 {
		t.Skip("CROSSFADE_PACKETS does not say how many policies to try: run make test-peers")
	}
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run make test-peers as root")
	}
	first, _ := strconv.ParseUint(os.Getenv("CROSSFADE_PACKETS_SEED"), 10, 64)
	start := time.Now()
	var total tally
	workers := min(count, 2)
	var wait sync.WaitGroup
	seeds := make(chan uint64)
	var labs []*lab
	for range workers {
		labs = append(labs, newLab(t))
	}
	for _, l := range labs {
		wait.Go(func() {
			for seed := range seeds {
				total.add(try(t, l, seed))
			}
		})
	}
	for i := range count {
		seeds <- first + uint64(i)
	}
	close(seeds)
	wait.Wait()
	decided := total.agree + total.differ
	t.Logf("%d policies in %.1f s: %d pairs of hosts decided (%d reached, %d inspected, %d one way), %d differ from packets, %d unknown",
		count, time.Since(start).Seconds(), decided, total.reached, total.inspected, total.oneWay, total.differ, total.unknown)
	fmt.Printf("landing_packets_policies %d count\nlanding_packets_pairs %d count\nlanding_packets_agree %.4f %%\nlanding_packets_unknown %d count\n",
		count, decided, 100*float64(total.agree)/float64(max(decided, 1)), total.unknown)
	if total.unknown*10 > decided {
		t.Errorf("%d pairs are unknown, of %d decided: everything is known of these networks", total.unknown, decided)
	}
}

// A tally counts pairs of hosts.
type tally struct {
	mu                                                 sync.Mutex
	agree, differ, unknown, reached, inspected, oneWay int
}

func (t *tally) add(o *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.agree, t.differ, t.unknown = t.agree+o.agree, t.differ+o.differ, t.unknown+o.unknown
	t.reached, t.inspected, t.oneWay = t.reached+o.reached, t.inspected+o.inspected, t.oneWay+o.oneWay
}

// try compares the model with packets for one random network.
func try(t *testing.T, l *lab, seed uint64) *tally {
	w := random(rand.New(rand.NewPCG(seed, 1)))
	n := load(t, w.document())
	flows := n.Flows()
	for _, a := range w.attachments {
		if s, _ := w.lands(a); s != "" && a.Transit != "Ends" && len(a.Prefixes) > 0 {
			out, err := n.Reach("attachment:"+a.Name, outside)
			if err != nil {
				t.Error(err)
			}
			flows = append(flows, out...)
		}
	}
	says := map[pair]wan.Verdict{}
	for _, f := range flows {
		pairs(f, func(p pair, _ bool) { says[p] = f.Verdict })
	}
	seen := l.run(t, w, says)
	var out tally
	for _, f := range flows {
		pairs(f, func(p pair, first bool) { out.check(t, seed, w, f, p, seen, first) })
	}
	return &out
}

// pairs calls f with every pair of hosts that a flow is about.
func pairs(flow wan.Flow, f func(p pair, first bool)) {
	first := true
	for _, from := range flow.From.Hosts {
		for _, to := range flow.To.Hosts {
			if from.Attachment != to.Attachment && from.Prefix.IsValid() {
				f(key(from, to), first)
				first = false
			}
		}
	}
}

type pair struct{ from, to string }

func key(from, to wan.Host) pair {
	p := pair{hostOf(from.Attachment.Name, from.Prefix.String()), outside}
	if to.Attachment != nil {
		p.to = hostOf(to.Attachment.Name, to.Prefix.String())
	}
	return p
}

// hostOf names the host that stands for one prefix of an attachment.
func hostOf(attachment, prefix string) string { return attachment + " " + prefix }

func (o *tally) check(t *testing.T, seed uint64, w *policyJSON, f wan.Flow, p pair, seen map[pair]*sighting, exact bool) {
	s := seen[p]
	got, groups := wan.No, []string(nil)
	if s != nil {
		groups = w.groups(s.way)
		got = wan.OneWay
		if s.answered {
			got = wan.Yes
		}
	}
	if f.Verdict == wan.Unknown {
		o.unknown++
		return
	}
	same := got == f.Verdict && slices.Equal(groups, f.Through)
	if got == wan.Yes {
		same = same && slices.Equal(w.groups(s.wayBack), f.Back)
		o.reached++
		if len(groups) > 0 {
			o.inspected++
		}
	}
	if got == wan.OneWay {
		o.oneWay++
	}
	var way []string
	if same && exact && s != nil && p.to != outside {
		way = modelWay(f.Path)
		same = sameWay(way, w.way(s.way))
	}
	if same {
		o.agree++
		return
	}
	o.differ++
	if o.differ <= 3 {
		t.Errorf("seed %d: %s to %s: the model says %s through %v back %v (%s), by %v; packets say %s through %v: %+v\n%s", seed, p.from, p.to, f.Verdict, f.Through, f.Back, f.Why, f.Path, got, groups, s, w.document())
	}
}

// groups returns the groups whose attachments packets passed, each once in a row.
func (w *policyJSON) groups(way []string) []string {
	var out []string
	for _, node := range way {
		for _, a := range w.attachments {
			if _, g := w.lands(a); a.Name == node && g != "" && (len(out) == 0 || out[len(out)-1] != g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// way returns what packets passed in the words of the model: tables of groups are
// left out.
func (w *policyJSON) way(nodes []string) []string {
	var out []string
	for _, node := range nodes {
		name, at, table := strings.Cut(node, "@")
		if table {
			if w.segment(name) != nil {
				out = append(out, name+"@"+at)
			}
			continue
		}
		for _, a := range w.attachments {
			if a.Name != node {
				continue
			}
			if _, g := w.lands(a); g != "" {
				out = append(out, g+"@"+a.Regions[0])
			} else {
				out = append(out, node+"@"+a.Regions[0])
			}
		}
	}
	return out
}

func modelWay(hops []wan.Hop) []string {
	var out []string
	for _, h := range hops {
		out = append(out, h.Name+"@"+h.Region)
	}
	return out
}

// sameWay compares as far as packets recorded, and as far as the model knows the
// regions.
func sameWay(model, packets []string) bool {
	for i, p := range packets {
		if i >= len(model) || model[i] != p && (!strings.HasSuffix(model[i], "@") || !strings.HasPrefix(p, model[i])) {
			return false
		}
	}
	return true
}
