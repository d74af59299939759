package quota

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	landing "crossfade.dev/api/landing/v1alpha1"
)

func on(t time.Time) landing.Day { return landing.Day(t.Format(time.DateOnly)) }

// The closed form agrees with asking for every hour.
func TestReachesAgreesWithLookingAtEveryHour(t *testing.T) {
	from := time.Date(2026, time.May, 4, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		d := demand{level: rapid.Float64Range(0, 100).Draw(t, "level"), perDay: rapid.Float64Range(-2, 2).Draw(t, "perDay"), from: from}
		for range rapid.IntRange(0, 3).Draw(t, "events") {
			start := rapid.IntRange(-5, 60).Draw(t, "start")
			end := start + rapid.IntRange(0, 10).Draw(t, "length")
			d.events = append(d.events, landing.PlannedEvent{Name: "e", From: on(from.AddDate(0, 0, start)), To: on(from.AddDate(0, 0, end)), Multiplier: rapid.Float64Range(1, 4).Draw(t, "multiplier")})
		}
		value := rapid.Float64Range(1, 200).Draw(t, "value")
		got, ok := d.reaches(value)
		// An event may end, and the use fall again, before the next full hour.
		between := ok && d.at(got) > value*(1-1e-9)
		for hour := range 100 * 24 {
			now := from.Add(time.Duration(hour) * time.Hour)
			if d.at(now) < value {
				continue
			}
			if !ok || got.After(now) || now.Sub(got) > time.Hour && !between {
				t.Fatalf("%v, %v: the use is %g of %g at %v", got, ok, d.at(now), value, now)
			}
			return
		}
		if ok && !between && got.Before(from.AddDate(0, 0, 100).Add(-time.Hour)) {
			t.Fatalf("%v: never seen", got)
		}
	})
}

func TestGranted(t *testing.T) {
	friday := time.Date(2026, time.May, 8, 15, 0, 0, 0, time.UTC)
	number := func(n int) *int { return &n }
	tests := []struct {
		name string
		lead landing.LeadTime
		want string
	}{
		{"at once", landing.LeadTime{BusinessDays: number(0)}, "2026-05-08T15:00:00Z"},
		{"one business day over a weekend", landing.LeadTime{BusinessDays: number(1)}, "2026-05-12T00:00:00Z"},
		{"five business days", landing.LeadTime{BusinessDays: number(5)}, "2026-05-16T00:00:00Z"},
		{"five, and a holiday", landing.LeadTime{BusinessDays: number(5), Holidays: []landing.Day{"2026-05-14"}}, "2026-05-19T00:00:00Z"},
		{"five calendar days", landing.LeadTime{CalendarDays: number(5)}, "2026-05-13T15:00:00Z"},
	}
	for _, test := range tests {
		if got := granted(test.lead, friday).Format(time.RFC3339); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	by := time.Date(2026, time.May, 19, 0, 0, 0, 0, time.UTC)
	if got, ok := askBy(tests[2].lead, friday, by); !ok || date(got) != "2026-05-11" {
		t.Errorf("five business days before the 19th: %v, %v, want Monday the 11th", got, ok)
	}
	if _, ok := askBy(tests[2].lead, friday, friday); ok {
		t.Error("a raise that takes five days can be asked for by the day on which it is wanted")
	}
}

// What is counted for the interval agrees with trying all orders.
func TestCutOffAgreesWithAllOrders(t *testing.T) {
	for n := 4; n <= 7; n++ {
		counts, all := make([]int, n*(n-1)/2+1), 0
		var permute func(rest, done []int, inversions int)
		permute = func(rest, done []int, inversions int) {
			if len(rest) == 0 {
				counts[inversions]++
				all++
			}
			for i, v := range rest {
				more := 0
				for _, d := range done {
					if d > v {
						more++
					}
				}
				permute(slices.Delete(slices.Clone(rest), i, i+1), append(slices.Clone(done), v), inversions+more)
			}
		}
		permute([]int{0, 1, 2, 3, 4, 5, 6}[:n], nil, 0)
		below := cutOff(n)
		share := func(most int) float64 {
			sum := 0
			for _, c := range counts[:most+1] {
				sum += c
			}
			return float64(sum) / float64(all)
		}
		if share(below) > 0.05 || share(below+1) <= 0.05 {
			t.Errorf("n = %d: %d slopes are cut off at each end, with a probability of %.3f; one more: %.3f", n, below, share(below), share(below+1))
		}
	}
	if got, want := cutOff(exact+1), cutOff(exact); math.Abs(float64(got-want)) > 60 {
		t.Errorf("the approximation jumps from %d to %d", want, got)
	}
}

// The interval holds the true slope about as often as it says, and a fifth of wild
// samples moves the middle little.
func TestTrendHoldsWhatItSays(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	const runs, slope = 2000, 0.7
	for _, n := range []int{5, 12, 90} {
		held, over := 0, 0
		for range runs {
			var samples []landing.UseSample
			for i := range n {
				samples = append(samples, landing.UseSample{On: on(start.AddDate(0, 0, 3*i)), Used: 50 + slope*float64(3*i) + random.NormFloat64()*5})
			}
			trend, ok := FitTrend(samples)
			if !ok {
				t.Fatal("no trend")
			}
			if trend.Low <= slope && slope <= trend.High {
				held++
			}
			if slope > trend.High {
				over++
			}
		}
		t.Logf("n = %d: %.1f %% of the intervals hold the slope, %.1f %% lie under it", n, 100*float64(held)/runs, 100*float64(over)/runs)
		if held < runs*88/100 || over > runs*65/1000 {
			t.Errorf("n = %d: %d of %d intervals hold the slope, %d lie under it", n, held, runs, over)
		}
	}
	var samples []landing.UseSample
	for i := range 25 {
		used := 50 + slope*float64(i)
		if i%5 == 4 {
			used *= 10
		}
		samples = append(samples, landing.UseSample{On: on(start.AddDate(0, 0, i)), Used: used})
	}
	if trend, _ := FitTrend(samples); math.Abs(trend.PerDay-slope) > 0.05 {
		t.Errorf("a fifth of wild samples moves the slope from %g to %g", slope, trend.PerDay)
	}
}
