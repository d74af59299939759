package wan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/landing/wan"
)

// outcomes are what holds between pairs of hosts, reasons aside.
func outcomes(flows []wan.Flow) map[string]string {
	out := map[string]string{}
	for _, f := range flows {
		for _, from := range f.From.Hosts {
			for _, to := range f.To.Hosts {
				if from.Attachment != to.Attachment {
					out[pairName(from, to)] = brief(f.Outcome)
				}
			}
		}
	}
	return out
}

func pairName(from, to wan.Host) string {
	return fmt.Sprint(from.Attachment.Name, from.Prefix, ">", to.Attachment.Name, to.Prefix)
}

func brief(o wan.Outcome) string { return fmt.Sprint(o.Verdict, o.Through, o.Back) }

// forget takes random facts away from a network, but not addresses.
func (w *policyJSON) forget(r *rand.Rand) {
	for i := range w.attachments {
		a := &w.attachments[i]
		switch r.IntN(8) {
		case 0:
			a.Tags = nil
		case 1, 2:
			if a.Tags["group"] == "" { // what inspects is taken to return packets
				a.Transit = ""
			}
		case 3:
			a.Account = ""
		}
	}
	if r.IntN(3) == 0 {
		w.lists = nil
	}
	if r.IntN(2) == 0 {
		w.Segments[r.IntN(len(w.Segments))].Accept = true
	}
}

// Flows are computed by classes; each pair alone comes to the same.
func TestClassesSayWhatPairsSay(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := random(r)
		if seed%2 == 0 {
			w.forget(r)
		}
		n := load(t, w.document())
		got := outcomes(n.Flows())
		pairs := 0
		n.EachPair(func(from, to wan.Host, o wan.Outcome) {
			pairs++
			if name := pairName(from, to); got[name] != brief(o) {
				t.Errorf("seed %d: %s: by classes %q, alone %q (%s)", seed, name, got[name], brief(o), o.Why)
			}
		})
		if pairs != len(got) {
			t.Errorf("seed %d: %d pairs by classes, %d alone", seed, len(got), pairs)
		}
	}
}

// A fact that is missing makes an answer unknown, or makes no difference.
func TestMissingFactsNeverTurnAnAnswer(t *testing.T) {
	unknown := 0
	for seed := range uint64(400) {
		w := random(rand.New(rand.NewPCG(seed, 3)))
		known := outcomes(load(t, w.document()).Flows())
		w.forget(rand.New(rand.NewPCG(seed, 4)))
		for name, o := range outcomes(load(t, w.document()).Flows()) {
			if strings.HasPrefix(o, string(wan.Unknown)) {
				unknown++
			} else if o != known[name] && !strings.HasPrefix(known[name], string(wan.Unknown)) {
				t.Errorf("seed %d: %s: %q with every fact, %q without some", seed, name, known[name], o)
			}
		}
	}
	if unknown == 0 {
		t.Error("nothing became unknown: no fact was missed")
	}
}

// plain leaves a network with segments, shares and inspection only, in which the way
// of no packet depends on routes to other addresses.
func (w *policyJSON) plain() {
	w.Routing, w.LabelRules = nil, nil
	w.Actions = slices.DeleteFunc(w.Actions, func(a actionJSON) bool { return a.Action != "share" && a.Action != "send-via" })
	for i := range w.Actions {
		w.Actions[i].Policies = nil
	}
	for i := range w.attachments {
		w.attachments[i].Type, w.attachments[i].Path, w.attachments[i].MED = "vpc", nil, nil
		w.attachments[i].Prefixes = w.attachments[i].Prefixes[:min(1, len(w.attachments[i].Prefixes))]
	}
}

// One share more lets at least as much through as before.
func TestReachGrowsWithShares(t *testing.T) {
	grown := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		w := random(r)
		w.plain()
		before := outcomes(load(t, w.document()).Flows())
		w.Actions = append(w.Actions, actionJSON{Action: "share", Mode: "attachment-route", Segment: pick(r, w.Segments).Name, With: "*"})
		after := outcomes(load(t, w.document()).Flows())
		rank := func(o string) int {
			return slices.IndexFunc([]wan.Verdict{wan.No, wan.OneWay, wan.Yes}, func(v wan.Verdict) bool { return strings.HasPrefix(o, string(v)) })
		}
		for name := range before {
			if rank(after[name]) < rank(before[name]) {
				t.Errorf("seed %d: %s: %q, and %q with one share more", seed, name, before[name], after[name])
			}
			if rank(after[name]) > rank(before[name]) {
				grown++
			}
		}
	}
	if grown == 0 {
		t.Error("no share let anything through")
	}
}

// Between two VPCs of one segment, what holds one way holds the other way.
func TestIsolationIsSymmetric(t *testing.T) {
	for seed := range uint64(300) {
		w := random(rand.New(rand.NewPCG(seed, 6)))
		w.plain()
		n := load(t, w.document())
		out := outcomes(n.Flows())
		n.EachPair(func(from, to wan.Host, _ wan.Outcome) {
			if from.Attachment.Landing.Segment != to.Attachment.Landing.Segment {
				return
			}
			one, other := out[pairName(from, to)], out[pairName(to, from)]
			if one != other {
				t.Errorf("seed %d: %s %q, and back %q", seed, pairName(from, to), one, other)
			}
		})
	}
}

// A network differs in nothing from itself, and the difference of two says what turned
// for each pair.
func TestDifference(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := random(r)
		before, again := load(t, w.document()), load(t, w.document())
		if d := wan.Compare(before, again); len(d.Changes) > 0 || len(d.Moves) > 0 || d.Turned > 0 {
			t.Fatalf("seed %d: a network differs from itself: %v", seed, d.Sentences())
		}
		w.Actions = w.Actions[:len(w.Actions)/2]
		w.attachments = w.attachments[:len(w.attachments)-1]
		w.Actions = slices.DeleteFunc(w.Actions, func(a actionJSON) bool { return a.Action == "create-route" })
		after := load(t, w.document())
		d := wan.Compare(before, after)
		turned := map[string]string{}
		for _, c := range d.Changes {
			for _, from := range c.From.Hosts {
				for _, to := range c.To.Hosts {
					if from.Attachment != to.Attachment {
						turned[pairName(from, to)] = brief(c.Before) + brief(c.After)
					}
				}
			}
		}
		if len(turned) != d.Turned {
			t.Errorf("seed %d: %d pairs turned, and %d are listed", seed, d.Turned, len(turned))
		}
		x, y := outcomes(before.Flows()), outcomes(after.Flows())
		for name := range x {
			want := ""
			was, is := x[name], y[name]
			if is == "" {
				is = brief(wan.Outcome{Verdict: wan.No})
			}
			if was != is {
				want = was + is
			}
			if turned[name] != want {
				t.Errorf("seed %d: %s: the difference says %q, want %q", seed, name, turned[name], want)
			}
		}
	}
}

// Whatever a document says, reading it ends, everything found stands in the file, and
// every question has an answer.
func FuzzLoad(f *testing.F) {
	for seed := range uint64(4) {
		f.Add([]byte(random(rand.New(rand.NewPCG(seed, 8))).document()))
	}
	f.Add([]byte(network("eu-west-1", open("dev")+","+byTag0, vpc("a", "dev", "eu-west-1", "10.0.0.0/16"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, _ := source.Read([]source.File{{Name: "core.yaml", Data: data}})
		networks, found := wan.Load(documents, nil)
		lines := strings.Count(string(data), "\n") + 2
		for _, finding := range found {
			if finding.Line < 1 || finding.Line > lines || finding.Path == "" || finding.Want == "" {
				t.Fatalf("%+v stands outside a file of %d lines, or says nothing", finding, lines)
			}
		}
		for _, n := range networks {
			if len(n.Attachments) > 30 {
				continue
			}
			for _, flow := range n.Flows() {
				if n.Policy.Broken && flow.Verdict != wan.Unknown {
					t.Fatalf("%v, although the policy has errors", flow)
				}
				if flow.Verdict != wan.Yes && flow.Why == "" {
					t.Fatalf("%v, and nobody knows why", flow)
				}
			}
			if d := wan.Compare(n, n); len(d.Sentences()) > 0 {
				t.Fatalf("a network differs from itself: %v", d.Sentences())
			}
			if _, err := n.Reach("*", "198.51.100.7"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A policy is parsed whatever it is, and everything found stands in it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version": "2025.11", "segments": [{"name": "a"}, 3, null], "core-network-configuration": {"asn-ranges": ["1-2"], "edge-locations": [{"location": 3}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		root, _ := source.ParseJSON("p.json", data)
		if root == nil {
			return
		}
		p, found := wan.Parse("p.json", root, "$")
		if p.Broken != (len(found.Errors()) > 0) {
			t.Fatalf("broken is %v, with %v", p.Broken, found)
		}
		for _, finding := range found {
			if !strings.HasPrefix(finding.Path, "$") || finding.Line < 1 || !strings.HasPrefix(finding.Code, "wan/") {
				t.Fatalf("%+v", finding)
			}
		}
	})
}
