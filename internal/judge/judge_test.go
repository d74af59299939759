package judge

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
)

var objectives = NewObjectives(v1.Objectives{MarginPermille: 10, ProbesPerSecond: 5})

// settled is a name whose burn-in has ended with nothing wrong, n pairs ago.
func settled(n int64) Evidence {
	e := Evidence{Timed: n, Before: Before{Pairs: 100}}
	for side := range e.Before.Latency {
		for l := range e.Before.Latency[side] {
			e.Before.Latency[side][l] = time.Millisecond
		}
	}
	e.Kept[Success][Success] = n
	return e
}

func estate(names int, pairs int64) Estate {
	e := Estate{Names: map[string]Evidence{}, Seconds: pairs / 5}
	for i := range names {
		e.Names[fmt.Sprintf("%03d.test", i)] = settled(pairs)
	}
	return e
}

func TestHealthyEstateIsNeverWorseThoughLookedAtEachSecond(t *testing.T) {
	const runs, looks, names = 60, 60, 8
	random := rand.New(rand.NewPCG(4, 4))
	stops := 0
	for range runs {
		e := estate(names, 0)
		for range looks {
			for name, found := range e.Names {
				for range 5 {
					found.Kept[unsteady(random)][unsteady(random)]++
				}
				e.Names[name] = found
			}
			if r := Judge(e, objectives); r.Pooled.Errors.Verdict == Worse || r.Names[0].Errors.Verdict == Worse {
				stops++
				break
			}
		}
	}
	t.Logf("%d false stops in %d runs of %d looks", stops, runs, looks)
	if stops > sloppy(runs) {
		t.Errorf("%d false stops in %d runs", stops, runs)
	}
}

// unsteady fails in 5 % of the requests, and in 1 % with another class.
func unsteady(random *rand.Rand) Class {
	switch u := random.Float64(); {
	case u < 0.04:
		return ServerError
	case u < 0.05:
		return TimedOut
	case u < 0.06:
		return ClientError
	}
	return Success
}

// A standstill of one side's machine slows many answers at once. However many they
// are, and on whichever side, that is one trial.
func TestStandstillsOnEitherSideAreNoFalseAlarm(t *testing.T) {
	const runs, period = 300, 300
	random := rand.New(rand.NewPCG(5, 5))
	alarms := 0
	for range runs {
		var slow [Levels]Discord
		for range period {
			if random.Float64() > 0.2 {
				continue
			}
			struck := Discord{Target: 20 + random.Int64N(30)}
			if random.IntN(2) == 0 {
				struck = Discord{Source: struck.Target}
			}
			for l := range slow {
				slow[l].Add(Second(struck, 225))
			}
		}
		if latencyWorse(slow, math.Log(1/alpha)).Verdict == Worse {
			alarms++
		}
	}
	t.Logf("%d false alarms in %d runs", alarms, runs)
	if alarms > sloppy(runs) {
		t.Errorf("%d false alarms in %d runs", alarms, runs)
	}
}

func TestSecondWithinTheMarginIsNoTrial(t *testing.T) {
	tests := []struct {
		slow  Discord
		timed int64
		want  Discord
	}{
		{Discord{}, 0, Discord{}},
		{Discord{Target: 3}, 200, Discord{}},
		{Discord{Target: 30}, 200, Discord{Target: 1}},
		{Discord{Target: 30, Source: 28}, 200, Discord{}},
		{Discord{Target: 28, Source: 60}, 200, Discord{Source: 1}},
		{Discord{Target: 1}, 5, Discord{Target: 1}},
	}
	for _, test := range tests {
		if got := Second(test.slow, test.timed); got != test.want {
			t.Errorf("%+v of %d: %+v, want %+v", test.slow, test.timed, got, test.want)
		}
	}
}

func TestPairs(t *testing.T) {
	tests := []struct {
		name           string
		source, target Class
		discord        Discord
		in             map[Class]Discord
	}{
		{"both answer", Success, Success, Discord{}, nil},
		{"both redirect", Redirect, Redirect, Discord{}, nil},
		{"both refuse", ClientError, ClientError, Discord{}, nil},
		{"both fail, each in its way", ServerError, TimedOut, Discord{}, nil},
		{"target does not accept", Success, Unconnected, Discord{Target: 1}, map[Class]Discord{Success: {Target: 1}, Unconnected: {Target: 1}}},
		{"target does not know the name", Success, ClientError, Discord{Target: 1}, map[Class]Discord{Success: {Target: 1}, ClientError: {Target: 1}}},
		{"a refusal becomes a failure", ClientError, ServerError, Discord{Target: 1}, map[Class]Discord{ServerError: {Target: 1}}},
		{"source times out", TimedOut, Success, Discord{Source: 1}, map[Class]Discord{Success: {Source: 1}, TimedOut: {Source: 1}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var p Pairs
			p[test.source][test.target] = 1
			if got := p.Discord(); got != test.discord {
				t.Errorf("discord %+v, want %+v", got, test.discord)
			}
			for c := range Class(classes) {
				if got := p.class(c); got != test.in[c] {
					t.Errorf("%s: %+v, want %+v", c, got, test.in[c])
				}
			}
			if alike := Alike(test.source, test.target); alike != (p.Alike() == 1) {
				t.Errorf("alike: %v of the halves, %d of the pairs", alike, p.Alike())
			}
		})
	}
}

func TestQuantiles(t *testing.T) {
	var latencies []time.Duration
	for i := range 1000 {
		latencies = append(latencies, time.Duration(1000-i)*time.Millisecond)
	}
	want := [Levels]time.Duration{500 * time.Millisecond, 900 * time.Millisecond, 950 * time.Millisecond, 990 * time.Millisecond, 995 * time.Millisecond}
	if got := Quantiles(latencies); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Quantiles(nil); got != [Levels]time.Duration{} {
		t.Errorf("of nothing: %v", got)
	}
}

func TestEvidenceSurvivesJSONAndMergesInAnyGrouping(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 6))
	for range 50 {
		a, b, c := anyEstate(random), anyEstate(random), anyEstate(random)
		var left, right, inner Estate
		left.Merge(stored(t, a))
		left.Merge(stored(t, b))
		left.Merge(stored(t, c))
		inner.Merge(b)
		inner.Merge(c)
		right.Merge(a)
		right.Merge(stored(t, inner))
		if !reflect.DeepEqual(left, right) {
			t.Fatalf("(a+b)+c is\n%+v\nbut a+(b+c) is\n%+v", left, right)
		}
		if !reflect.DeepEqual(Judge(left, objectives), Judge(right, objectives)) {
			t.Fatal("the same evidence was judged in two ways")
		}
	}
}

func stored(t *testing.T, e Estate) Estate {
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var out Estate
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func anyEstate(random *rand.Rand) Estate {
	e := Estate{Names: map[string]Evidence{}, Seconds: random.Int64N(100)}
	for i := range 3 {
		if random.IntN(3) == 0 {
			continue
		}
		found := settled(random.Int64N(200))
		found.Fresh[random.IntN(classes)][random.IntN(classes)] = random.Int64N(30)
		found.Kept[random.IntN(classes)][random.IntN(classes)] = random.Int64N(30)
		found.Slow[random.IntN(Levels)].Target = random.Int64N(30)
		if random.IntN(2) == 0 {
			found.Unlike, found.Last = 1+random.Int64N(5), [2]Class{Success, Class(random.IntN(classes))}
		}
		e.Names[fmt.Sprintf("%d.test", i)] = found
	}
	return e
}

func TestSuspectsAreThoseThatStandOutAmongThemselves(t *testing.T) {
	names := make([]Finding, 100)
	for i := range names {
		names[i].Name = fmt.Sprint(i)
	}
	strong := math.Log(100 / alpha)
	for i := range 4 {
		// Each is a fourth of what one alone would need, but they are four.
		names[i].Errors.LogE = strong - math.Log(4) + math.Log(2.1)
	}
	if got := suspects(names, alpha); len(got) != 4 {
		t.Errorf("suspects are %v", got)
	}
	names[3].Errors.LogE = 0
	if got := suspects(names, alpha); len(got) != 0 {
		t.Errorf("of three, too weak alone, suspects are %v", got)
	}
}

func TestStopLatches(t *testing.T) {
	var l Latch
	e := estate(3, 100)
	bad := e.Names["001.test"]
	bad.Kept[Success][ServerError] = 40
	e.Names["001.test"] = bad
	if r := l.Keep(Judge(e, objectives)); r.Names[0].Errors.Verdict != Worse {
		t.Fatalf("40 errors on the target alone: %+v", r.Names[0])
	}
	// Later pairs, with as many errors on the source, dilute it.
	bad.Kept[ServerError][Success] = 40
	e.Names["001.test"] = bad
	if r := Judge(e, objectives); r.Names[0].Errors.Verdict == Worse {
		t.Fatalf("as many on either side: %+v", r.Names[0])
	}
	kept := false
	for _, f := range l.Keep(Judge(e, objectives)).Names {
		kept = kept || f.Name == "001.test" && f.Errors.Verdict == Worse
	}
	if !kept {
		t.Error("the stop did not latch")
	}
}
