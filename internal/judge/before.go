package judge

import (
	"maps"
	"math"
	"slices"

	v1 "crossfade.dev/api/v1alpha1"
)

// slowShare is the share of seconds in which a side may be slower than its own
// Before. A standstill of a machine is not what this is to find.
const slowShare = 0.25

// A Standing is one side, seen alone: against its own Before, and in absolute
// terms. It finds what both sides share, such as a database that is overrun.
type Standing struct {
	Side v1.Side
	// Unknown is how many names have no Before yet.
	Unknown int
	// Pairs and Failed are those of the names that answered Before.
	Pairs, Failed int64
	// Before is the failure ratio that these names had.
	Before float64
	// Errors and Latency are the verdicts against Before; Worst is the name that is
	// most certainly worse, empty if it is the estate. Missing is how many pairs
	// without failure are.
	Errors, Latency Verdict
	Worst           string
	Missing         int64
	// Absolute is Worse when more than Objectives.MostFailures of the requests fail.
	Absolute Verdict
	Seconds  int64
	Slow     int64
}

func standings(e Estate, o Objectives) [2]Standing {
	var out [2]Standing
	for i, side := range []v1.Side{v1.Source, v1.Target} {
		out[i] = standing(e, o, side, i)
	}
	return out
}

func standing(e Estate, o Objectives, side v1.Side, index int) Standing {
	s := Standing{Side: side, Seconds: e.Seconds, Slow: e.SlowSeconds[index],
		Errors: Inconclusive, Latency: Inconclusive, Absolute: Inconclusive}
	// A half of Alpha is for the bounds of Before, the other for what came since. On
	// each side there are the names, the estate, the absolute bound and the latency.
	tests := 2 * float64(len(e.Names)+3)
	limit := math.Log(2 * tests / o.Alpha)
	strongest := limit
	doubts := map[[2]int64]*doubt{} // of most names Before is the same
	test := func(name string, failed, pairs int64, b Before) {
		if failed == 0 {
			return
		}
		key := [2]int64{b.Failed[index], b.Pairs}
		if doubts[key] == nil {
			bound := atMost(b.Failed[index], b.Pairs, o.Alpha/2/tests)
			doubts[key] = newDoubt(min(max(bound, 1e-6), 0.999))
		}
		if logE := doubts[key].evidence(failed, pairs-failed); logE >= strongest {
			strongest, s.Worst, s.Errors = logE, name, Worse
		}
	}
	var all Before
	for _, name := range slices.Sorted(maps.Keys(e.Names)) {
		found := e.Names[name]
		b := found.Before
		if b.Pairs == 0 {
			s.Unknown++
			continue
		}
		if 2*b.Failed[index] > b.Pairs {
			continue // it failed before anything was done
		}
		pairs := found.Pairs()
		total, failed := pairs.Total(), pairs.failed(side)
		test(name, failed, total, b)
		s.Pairs, s.Failed = s.Pairs+total, s.Failed+failed
		all.Pairs, all.Failed[index] = all.Pairs+b.Pairs, all.Failed[index]+b.Failed[index]
	}
	if all.Pairs == 0 {
		return s
	}
	test("", s.Failed, s.Pairs, all)
	s.Before = float64(all.Failed[index]) / float64(all.Pairs)
	s.absolute(o, limit)
	s.latency(limit)
	return s
}

func (s *Standing) absolute(o Objectives, limit float64) {
	failed := Discord{Target: s.Failed}
	toBefore := newClearing(min(s.Before+o.Margin, 0.999)).missing(failed, s.Pairs, math.Log(1/o.Alpha))
	toBound := newClearing(o.MostFailures).missing(failed, s.Pairs, math.Log(1/o.Alpha))
	s.Missing = max(toBefore, toBound)
	if toBefore == 0 && s.Errors != Worse {
		s.Errors = NotWorse
	}
	switch {
	case newDoubt(o.MostFailures).evidence(s.Failed, s.Pairs-s.Failed) >= limit:
		s.Absolute = Worse
	case toBound == 0:
		s.Absolute = NotWorse
	}
}

func (s *Standing) latency(limit float64) {
	switch {
	case newDoubt(slowShare).evidence(s.Slow, s.Seconds-s.Slow) >= limit:
		s.Latency = Worse
	case s.Seconds > 0:
		s.Latency = NotWorse
	}
}
