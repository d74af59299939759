package quota

import (
	"cmp"
	"math"
	"slices"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
)

const (
	// fewest samples, and fewest days between the first and the last, that say how
	// use grows: with fewer than five, no interval at this confidence is narrower than
	// all slopes that were seen.
	fewest     = 5
	fewestDays = 7
	// confidence of the interval, two-sided: its upper end is exceeded with a
	// probability of 5 %.
	confidence = 0.90
	// newest is how many samples, the newest, a trend is made of.
	newest = 366
	// exact is up to how many samples the distribution behind the interval is counted
	// rather than approximated.
	exact = 60
	// z is the quantile of the normal distribution for the confidence.
	z = 1.6448536269514722
)

// A Trend is how the use of a quota grows, by dated samples.
//
// PerDay is the median of the slopes between all pairs of samples (Theil 1950, Sen
// 1968), which up to 29 % of wild samples do not move. Low and High are the ends of
// the interval that Sen gives for it, from the ordered slopes and the distribution
// of Kendall's statistic (Sen, Estimates of the regression coefficient based on
// Kendall's tau, JASA 63, 1968, section 5; Hollander, Wolfe and Chicken, Nonparametric
// Statistical Methods, 9.3): counted exactly for up to 60 samples, by the normal
// approximation above. The interval takes the samples' deviations from the line as
// independent.
type Trend struct {
	PerDay float64 `json:"perDay"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Confidence is that of the interval from Low to High.
	Confidence float64 `json:"confidence"`
	// Samples is how many samples counted, over how many Days.
	Samples int `json:"samples"`
	Days    int `json:"days"`
	// Level is the use on the day of the newest sample: the line's or the sample's,
	// whichever is higher.
	Level float64     `json:"level"`
	On    landing.Day `json:"on"`
}

// FitTrend returns the trend of samples, one for a day at most, in any order; false
// if there are fewer than five or they span fewer than seven days.
func FitTrend(samples []landing.UseSample) (Trend, bool) {
	samples = slices.Clone(samples)
	slices.SortFunc(samples, func(a, b landing.UseSample) int { return cmp.Compare(a.On, b.On) })
	samples = samples[max(0, len(samples)-newest):]
	n := len(samples)
	if n < fewest {
		return Trend{}, false
	}
	x, y := make([]float64, n), make([]float64, n)
	for i, s := range samples {
		x[i], y[i] = days(s.On.Start().Sub(samples[0].On.Start())), s.Used
	}
	if x[n-1] < fewestDays {
		return Trend{}, false
	}
	slopes := make([]float64, 0, n*(n-1)/2)
	for i := range n {
		for j := range i {
			slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
		}
	}
	slices.Sort(slopes)
	below := cutOff(n)
	t := Trend{
		PerDay: median(slopes), Low: slopes[below], High: slopes[len(slopes)-1-below], Confidence: confidence,
		Samples: n, Days: int(x[n-1]), On: samples[n-1].On,
	}
	residuals := make([]float64, n)
	for i := range n {
		residuals[i] = y[i] - t.PerDay*x[i]
	}
	slices.Sort(residuals)
	t.Level = max(median(residuals)+t.PerDay*x[n-1], y[n-1])
	return t, true
}

// cutOff returns how many of the ordered slopes between n samples lie outside the
// interval at each end.
func cutOff(n int) int {
	pairs := n * (n - 1) / 2
	if n > exact {
		spread := z * math.Sqrt(float64(n*(n-1)*(2*n+5))/18)
		return max(int((float64(pairs)-spread)/2)-1, 0)
	}
	// share[k] is the share of the orders of n things that have k inversions.
	share := make([]float64, pairs+1)
	share[0] = 1
	for m, most := 2, 0; m <= n; m++ {
		most += m - 1
		next := make([]float64, pairs+1)
		for k := 0; k <= most; k++ {
			for moved := 0; moved < m && moved <= k; moved++ {
				next[k] += share[k-moved] / float64(m)
			}
		}
		share = next
	}
	below, sum := 0, 0.0
	for k, p := range share {
		if sum += p; sum > (1-confidence)/2 {
			break
		}
		below = k
	}
	return below
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func days(d time.Duration) float64 { return d.Hours() / 24 }
