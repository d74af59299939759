package referee

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Any number that is off by one is found.
func TestVerifyFindsWhatDoesNotAddUp(t *testing.T) {
	whole := func() Report {
		counts := Counts{Requests: 10, OK: 7, Failed: 2, Invalid: 1}
		return Report{
			Requests: 10, OK: 7, Failed: 2, Invalid: 1, Scheduled: 8, SegmentFetches: 2,
			Connections: Connections{New: Counts{4, 3, 1, 0}, Reused: Counts{6, 4, 1, 1}},
			Kinds:       []KindCounts{{Counts: counts}}, Clients: []ClientCounts{{Counts: counts}},
			ByName: []NameCounts{{Counts: counts}}, Periods: []Period{{Counts: counts}},
			FailedByClass: map[Class]int64{ClassRead: 2}, InvalidBecause: map[Invalid]int64{InvalidLate: 1},
			Failures: make([]Failure, 1), FailuresOmitted: 1,
		}
	}
	sound := whole()
	if err := sound.verify(); err != nil {
		t.Fatalf("a sound report: %v", err)
	}
	for _, test := range []struct {
		want  string
		spoil func(*Report)
	}{
		{"ok + failed + invalid: 10, want 11", func(r *Report) { r.Requests++; r.Scheduled++ }},
		{"scheduled + segment fetches: 11, want 10", func(r *Report) { r.Scheduled++ }},
		{"scheduled + segment fetches: 9, want 10", func(r *Report) { r.SegmentFetches-- }},
		{"connections: ok: 8, want 7", func(r *Report) { r.Connections.New.OK++ }},
		{"kinds: failed: 3, want 2", func(r *Report) { r.Kinds[0].Failed++ }},
		{"clients: invalid: 0, want 1", func(r *Report) { r.Clients[0].Invalid-- }},
		{"names: requests: 9, want 10", func(r *Report) { r.ByName[0].Requests-- }},
		{"periods: requests: 11, want 10", func(r *Report) { r.Periods[0].Requests++ }},
		{"failures by class: 3, want 2", func(r *Report) { r.FailedByClass[ClassDNS]++ }},
		{"invalid by reason: 0, want 1", func(r *Report) { r.InvalidBecause[InvalidLate]-- }},
		{"failures listed and omitted: 3, want 2", func(r *Report) { r.FailuresOmitted++ }},
	} {
		r := whole()
		test.spoil(&r)
		if err := r.verify(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("verify = %v; want %q in it", err, test.want)
		}
	}
}

func TestTextIsShortAndNamesTheFirstFailures(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 30, 0, 0, time.UTC)
	r := Report{
		Names: 40, Rate: 240, Seed: 7, DurationSeconds: 192.4, Requests: 46080, OK: 46073, Failed: 6, Invalid: 1,
		Writes:   Writes{Sent: 4800, Lost: 1, Doubled: 2, NotReadBack: 3},
		Segments: Segments{Seen: 1900, Lost: 4, Doubled: 5, Stalls: 6},
		Periods:  []Period{{Name: "during", Counts: Counts{Requests: 46080, Failed: 6}, Latency: Latency{Overall: Quantiles{P50Millis: 1.25, P99Millis: 4}, New: Quantiles{P99Millis: 5}, Reused: Quantiles{P99Millis: 3}}}},
		Slip:     Quantiles{P99Millis: 0.6},
		ByName: []NameCounts{
			{Name: "a", ServedBy: []Served{{Network: "10.2.0.0/16", Answers: 30}, {Network: "10.1.0.0/16", Answers: 10}}},
			{Name: "b", ServedBy: []Served{{Network: "10.2.0.0/16", Answers: 3}}},
		},
	}
	for i := range 6 {
		r.Failures = append(r.Failures, Failure{At: at, Name: fmt.Sprint("app-", i), Kind: KindGet, Client: "bind", Address: "10.1.240.1:80", Text: "read: EOF"})
	}
	r.Failures[1].Address = ""
	want := `load        40 names, 240 requests/s, 3m12s, seed 7
requests    46080 sent = 46073 ok + 6 failed + 1 invalid
writes      4800 sent, 1 lost, 2 doubled, 3 not read back
segments    1900 seen, 4 lost, 5 doubled, 6 stalls
during      p50 1.2 ms, p99 4.0 ms (new 5.0, reused 3.0), 46080 requests, 6 failed
slip        p99 0.6 ms
served by   10.1.0.0/16 10, 10.2.0.0/16 33
failed      12:30:00 app-0 get by bind at 10.1.240.1:80: read: EOF
failed      12:30:00 app-1 get by bind at ?: read: EOF
failed      12:30:00 app-2 get by bind at 10.1.240.1:80: read: EOF
failed      12:30:00 app-3 get by bind at 10.1.240.1:80: read: EOF
failed      12:30:00 app-4 get by bind at 10.1.240.1:80: read: EOF
failed      and 1 more
`
	if got := r.Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLastAnswersAreTheLastOnes(t *testing.T) {
	var n nameTally
	now := time.Now()
	for i := range 1000 {
		network := "10.1.0.0/16"
		if i >= 970 {
			network = "10.2.0.0/16"
		}
		n.serve(network, now)
	}
	n.serve("", now)
	for last, want := range map[int][2]int64{1: {0, 1}, 30: {0, 30}, 31: {1, 30}, 256: {226, 30}} {
		got := n.servedBy(last)
		if got[0].Last != want[0] || got[1].Last != want[1] || got[0].Answers != 970 || got[1].Answers != 30 {
			t.Errorf("of the last %d: %+v, want %v", last, got, want)
		}
	}
	if n.unnamed != 1 {
		t.Errorf("%d unnamed, want 1", n.unnamed)
	}
	var few nameTally
	few.serve("10.1.0.0/16", now)
	if got := few.servedBy(50); got[0].Last != 1 {
		t.Errorf("of one answer: %+v", got)
	}
}

func TestNetworkOfAPod(t *testing.T) {
	for ip, want := range map[string]string{
		"10.2.239.7": "10.2.0.0/16", "2001:db8:1:2::3": "2001:db8:1::/48", "": "", "ten": "", "10.2.0.1:80": "",
	} {
		if got := networkOf(ip); got != want {
			t.Errorf("networkOf(%q) = %q, want %q", ip, got, want)
		}
	}
}
