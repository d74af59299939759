package judge

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

const alpha = 0.05

// sloppy is how often something may happen in that many runs, if its probability is
// alpha: three standard deviations more than expected.
func sloppy(runs int) int {
	return int(alpha*float64(runs) + 3*math.Sqrt(alpha*(1-alpha)*float64(runs)))
}

func TestPassNeedsPairsWithoutError(t *testing.T) {
	tests := []struct {
		name          string
		margin, alpha float64
		want          int64
	}{
		{"a tenth of a point", 0.001, alpha, 2996},
		{"a point, as in the demo", 0.01, alpha, 299},
		{"a tenth of a point, for each of 1,600 names", 0.001, alpha / 1600, 10370},
	}
	for _, test := range tests {
		limit := math.Log(1 / test.alpha)
		if got := newClearing(test.margin).missing(Discord{}, 0, limit); got != test.want {
			t.Errorf("%s: passes after %d pairs, want %d", test.name, got, test.want)
		}
		if got := newClearing(test.margin).missing(Discord{}, test.want-1, limit); got != 1 {
			t.Errorf("%s: one pair before, %d are missing", test.name, got)
		}
	}
}

func TestNoTestCouldPassMuchEarlier(t *testing.T) {
	// With a probability of (1-margin)^n, a target that is worse by the margin shows no
	// error in n pairs: before that falls below alpha, passing would be wrong too often.
	floor := math.Ceil(math.Log(alpha) / math.Log(1-0.001))
	if got := newClearing(0.001).missing(Discord{}, 0, math.Log(1/alpha)); float64(got) > floor+1 {
		t.Errorf("passes after %d pairs; %v are possible", got, floor)
	}
}

func TestErrorsOnBothSidesDelayPassButDoNotPreventIt(t *testing.T) {
	limit := math.Log(1 / alpha)
	clean := newClearing(0.01).missing(Discord{}, 0, limit)
	noisy := newClearing(0.01).missing(Discord{Target: 10, Source: 10}, 20, limit)
	if noisy <= clean || noisy > 20*clean {
		t.Errorf("missing %d pairs after 10 errors on each side, %d without any", noisy, clean)
	}
	if worse := newClearing(0.01).missing(Discord{Target: 10}, 10, limit); worse <= noisy {
		t.Errorf("missing %d pairs after 10 errors on the target alone, %d if the source had as many", worse, noisy)
	}
}

func TestEvidenceOfNothingIsNothing(t *testing.T) {
	if got := evenOdds.evidence(0, 0); got != 0 {
		t.Errorf("doubt: %v", got)
	}
	if got := newClearing(0.01).evidence(Discord{}, 0); math.Abs(got) > 1e-9 {
		t.Errorf("clearing: %v", got)
	}
}

// A bet at fair odds neither gains nor loses on average, whatever it is mixed of:
// that is what makes looking at any time safe.
func TestBetsAreFair(t *testing.T) {
	for _, limit := range []float64{0.01, 0.25, 0.5} {
		for _, played := range []Discord{{}, {Target: 3, Source: 2}, {Target: 1, Source: 40}} {
			bet := newDoubt(limit)
			now := bet.evidence(played.Target, played.Source)
			next := limit*math.Exp(bet.evidence(played.Target+1, played.Source)-now) +
				(1-limit)*math.Exp(bet.evidence(played.Target, played.Source+1)-now)
			if math.Abs(next-1) > 1e-9 {
				t.Errorf("doubt of %v after %v: 1 becomes %v", limit, played, next)
			}
		}
	}
	for _, margin := range []float64{0.001, 0.03, 0.5} {
		for _, played := range []Discord{{}, {Target: 3, Source: 2}, {Source: 7}} {
			// Worse by exactly the margin: target alone with that much more than source alone.
			for _, source := range []float64{0, 0.1} {
				bet := newClearing(margin)
				now := bet.evidence(played, 100)
				next := (margin+source)*math.Exp(bet.evidence(Discord{played.Target + 1, played.Source}, 101)-now) +
					source*math.Exp(bet.evidence(Discord{played.Target, played.Source + 1}, 101)-now) +
					(1-margin-2*source)*math.Exp(bet.evidence(played, 101)-now)
				if math.Abs(next-1) > 1e-9 {
					t.Errorf("clearing of %v after %v, source alone %v: 1 becomes %v", margin, played, source, next)
				}
			}
		}
	}
}

func TestFalseAlarmsAreBoundedAtAnyNumberOfLooks(t *testing.T) {
	const runs, pairs = 500, 400
	random := rand.New(rand.NewPCG(1, 1))
	alarms := 0
	for range runs {
		var d Discord
		for range pairs {
			if random.IntN(2) == 0 {
				d.Target++
			} else {
				d.Source++
			}
			if evenOdds.evidence(d.Target, d.Source) >= math.Log(1/alpha) {
				alarms++
				break
			}
		}
	}
	t.Logf("%d false alarms in %d runs of %d looks", alarms, runs, pairs)
	if alarms > sloppy(runs) {
		t.Errorf("%d false alarms in %d runs", alarms, runs)
	}
}

func TestFalsePassesAreBoundedAtAnyNumberOfLooks(t *testing.T) {
	const runs, pairs, margin = 200, 800, 0.01
	random, bet := rand.New(rand.NewPCG(2, 2)), newClearing(margin)
	for _, source := range []float64{0, 0.02} {
		passes := 0
		for range runs {
			var d Discord
			for n := range int64(pairs) {
				switch u := random.Float64(); {
				case u < margin+source:
					d.Target++
				case u < margin+2*source:
					d.Source++
				}
				if bet.evidence(d, n+1) >= math.Log(1/alpha) {
					passes++
					break
				}
			}
		}
		t.Logf("source fails in %v: %d false passes in %d runs of %d looks", source, passes, runs, pairs)
		if passes > sloppy(runs) {
			t.Errorf("source fails in %v: %d false passes in %d runs", source, passes, runs)
		}
	}
}

// What must be found of one name of 1,600 within the hour, and by when.
func TestPower(t *testing.T) {
	tests := []struct {
		name           string
		perSecond      int
		source, target float64
		found          int // of 100
		median         int // minutes; 60 is not at all
	}{
		{"10 pairs a second, 0.5 % to 1 %", 10, 0.005, 0.01, 95, 30},
		{"10 pairs a second, 0.01 % to 0.11 %", 10, 0.0001, 0.0011, 80, 45},
		{"1 pair a second, none to 0.5 %", 1, 0, 0.005, 25, 60},
	}
	limit := math.Log(1600 / alpha)
	random := rand.New(rand.NewPCG(3, 3))
	for _, test := range tests {
		found, minutes := 0, make([]int, 100)
		for run := range minutes {
			var p Pairs
			for minutes[run] < 60 {
				minutes[run]++
				for range 60 * test.perSecond {
					p[classAt(random, test.source)][classAt(random, test.target)]++
				}
				if c := errorsWorse(p, limit); c.Verdict == Worse {
					found++
					break
				}
			}
		}
		slices.Sort(minutes)
		t.Logf("%s: found %d of 100 within the hour, half of them after %d minutes", test.name, found, minutes[50])
		if found < test.found || minutes[50] > test.median {
			t.Errorf("%s: found %d of 100 within the hour, half of them after %d minutes; want %d, %d",
				test.name, found, minutes[50], test.found, test.median)
		}
	}
}

func classAt(random *rand.Rand, failing float64) Class {
	if random.Float64() < failing {
		return ServerError
	}
	return Success
}

func TestBoundOfBefore(t *testing.T) {
	for _, test := range []struct{ hits, trials int64 }{{0, 20}, {0, 1000}, {3, 100}, {50, 1000}, {100, 100}} {
		bound := atMost(test.hits, test.trials, alpha)
		if ratio := float64(test.hits) / float64(test.trials); bound < ratio || bound > 1 {
			t.Errorf("%d of %d: bound %v", test.hits, test.trials, bound)
		}
	}
	if few, many := atMost(0, 20, alpha), atMost(0, 1000, alpha); many >= few || many > 0.0031 {
		t.Errorf("no failure: at most %v after 20 trials, %v after 1000", few, many)
	}
}
