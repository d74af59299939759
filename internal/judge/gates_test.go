package judge

import (
	"strings"
	"testing"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

func TestGates(t *testing.T) {
	// change alters one name of an estate of 45.
	change := func(pairs int64, alter func(*Evidence)) Estate {
		e := estate(45, pairs)
		found := e.Names["007.test"]
		alter(&found)
		e.Names["007.test"] = found
		return e
	}
	everywhere := func(pairs int64, alter func(*Evidence)) Estate {
		e := estate(45, pairs)
		for name, found := range e.Names {
			alter(&found)
			e.Names[name] = found
		}
		return e
	}
	type want struct {
		gate     string
		verdict  v1.Verdict
		reason   v1.Reason
		observed string // a part
		limit    string // a part
	}
	slow := estate(45, 100)
	slow.SlowSeconds = [2]int64{0, 15}
	late := estate(45, 100)
	late.Slow[P99] = Discord{Target: 20}

	tests := []struct {
		name   string
		estate Estate
		want   want
	}{
		{"no public name", Estate{}, want{plan.GateComparison, v1.Passed, v1.Finished, "no public name", ""}},
		{"nothing asked yet is not reached", estate(45, 0), want{plan.GateReachable, v1.Held, v1.TooFewProbes, "45 of 45 names have not been asked yet", ""}},
		{"nothing asked yet is not compared", estate(45, 0), want{plan.GateComparison, v1.Held, v1.TooFewProbes, "0 pairs of", "10 pairs"}},
		{"nothing asked yet holds objectives", estate(45, 0), want{plan.GateObjective, v1.Held, v1.TooFewProbes, "0 pairs", "299 pairs"}},
		{"nothing known of before", everywhere(20, func(e *Evidence) { e.Before = Before{} }),
			want{plan.GateObjective, v1.Held, v1.TooFewProbes, "45 of 45 names", ""}},
		{"few pairs without error", estate(3, 60), want{plan.GateComparison, v1.Held, v1.TooFewProbes, "180 pairs", "299 pairs"}},
		{"enough pairs without error", estate(45, 10), want{plan.GateComparison, v1.Passed, v1.Finished, "450 pairs of 45 names: 0 worse on the target", ""}},
		{"enough pairs within objectives", estate(45, 10), want{plan.GateObjective, v1.Passed, v1.Finished, "0 of 450 failed on the source, 0 on the target", ""}},
		{"one name behind the others", change(50, func(e *Evidence) { e.Kept = Pairs{{3}} }),
			want{plan.GateComparison, v1.Held, v1.TooFewProbes, "3 pairs of 007.test", "10 pairs"}},

		{"a name that fails on the target", change(50, func(e *Evidence) { e.Kept = Pairs{{30, 0, 0, 20}} }),
			want{plan.GateComparison, v1.Failed, v1.ErrorsWorse, "007.test: 5xx worse on the target in 20 pairs, on the source in 0", "e below 1.84e+03"}},
		{"few errors of every name on the target", everywhere(100, func(e *Evidence) { e.Kept[Success][TimedOut] = 1 }),
			want{plan.GateComparison, v1.Failed, v1.ErrorsWorse, "the estate: timeout worse on the target in 45 pairs", ""}},
		{"as few errors on either side", everywhere(200, func(e *Evidence) { e.Kept[Success][TimedOut], e.Kept[TimedOut][Success] = 1, 1 }),
			want{plan.GateComparison, v1.Passed, v1.Finished, "45 worse on the target, 45 on the source", ""}},
		{"slower on the target", late, want{plan.GateComparison, v1.Failed, v1.LatencyWorse, "the estate: P99 worse on the target in 20 seconds", ""}},

		{"a name that only the target refuses", change(50, func(e *Evidence) { e.Kept = Pairs{{0, 0, 0, 0, 0, 10}} }),
			want{plan.GateReachable, v1.Held, v1.EntryMissing, "1 of 45 names do not; 007.test: connect on the target, 2xx on the source", ""}},
		{"a name that was never alike", change(50, func(e *Evidence) { e.Kept, e.Unlike, e.Last = Pairs{}, 10, [2]Class{Success, ServerError} }),
			want{plan.GateReachable, v1.Held, v1.TargetNotReady, "007.test: 5xx on the target, 2xx on the source", ""}},
		{"redirected alike", everywhere(50, func(e *Evidence) { e.Kept = Pairs{Redirect: {Redirect: 50}} }),
			want{plan.GateComparison, v1.Passed, v1.Finished, "2250 pairs", ""}},

		{"a name broken on both sides before", change(50, func(e *Evidence) { broken(e, 50) }),
			want{plan.GateReachable, v1.Passed, v1.Finished, "45 names", ""}},
		{"a name broken on both sides before is no failure of now", change(50, func(e *Evidence) { broken(e, 50) }),
			want{plan.GateObjective, v1.Passed, v1.Finished, "0 of 2200", ""}},
		{"an estate broken on both sides before", everywhere(50, func(e *Evidence) { broken(e, 50); e.Timed = 0 }),
			want{plan.GateComparison, v1.Passed, v1.Finished, "2250 pairs", ""}},
		{"a name that breaks on both sides", change(50, func(e *Evidence) { e.Kept = Pairs{ServerError: {ServerError: 50}} }),
			want{plan.GateObjective, v1.Failed, v1.ErrorsWorse, "source: 50 of 2250 failed, 0 % before; worst 007.test", "no more than before"}},
		{"a name that breaks on both sides does not tell them apart", change(50, func(e *Evidence) { e.Kept = Pairs{ServerError: {ServerError: 50}} }),
			want{plan.GateComparison, v1.Passed, v1.Finished, "0 worse on the target", ""}},
		{"as bad as before, which is too bad", everywhere(100, func(e *Evidence) { e.Kept[ServerError][ServerError], e.Before.Failed = 20, [2]int64{18, 18} }),
			want{plan.GateObjective, v1.Failed, v1.ErrorsWorse, "source: 900 of 5400 failed, 18 % before", "at most 5 %"}},
		{"slower than before", slow, want{plan.GateObjective, v1.Failed, v1.LatencyWorse, "target: slower than the P99 before in 15 of 20 seconds", "25 % of the seconds"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, g := range Gates(Judge(test.estate, objectives), objectives) {
				if g.Name != test.want.gate {
					continue
				}
				if g.Verdict != test.want.verdict || g.Reason != test.want.reason ||
					!strings.Contains(g.Observed, test.want.observed) || !strings.Contains(g.Limit, test.want.limit) {
					t.Errorf("got %+v\nwant %+v", g, test.want)
				}
				return
			}
			t.Errorf("no gate %s", test.want.gate)
		})
	}
}

// broken makes a name fail on both sides, now and before.
func broken(e *Evidence, pairs int64) {
	e.Kept = Pairs{ServerError: {ServerError: pairs}}
	e.Before = Before{Pairs: 100, Failed: [2]int64{100, 100}}
}

func BenchmarkJudge1600(b *testing.B) {
	e := estate(1600, 6000)
	for name, found := range e.Names {
		found.Kept[Success][ServerError], found.Kept[ServerError][Success] = 3, 4
		e.Names[name] = found
	}
	for b.Loop() {
		Gates(Judge(e, objectives), objectives)
	}
}
