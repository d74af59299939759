package judge

import "math"

// The tests are bets against a hypothesis: whoever may bet only at fair odds does
// not grow 1 to 1/p with a probability of more than p, at any time (Ville's
// inequality), so that a grown stake is evidence. A mixture of bets is one too. All
// stakes are logarithms.

// alternatives is how many bets are mixed.
const alternatives = 20

// more is the evidence that hits are more probable than limit, from 0 to 1, both
// excluded: a mixture of likelihood ratios of Bernoulli alternatives between limit
// and 1, spaced geometrically.
func more(hits, misses int64, limit float64) float64 {
	var logs [alternatives]float64
	for k := range logs {
		theta := alternative(limit, k)
		logs[k] = float64(hits)*math.Log(theta/limit) + float64(misses)*math.Log((1-theta)/(1-limit))
	}
	return mean(logs[:])
}

func alternative(limit float64, k int) float64 {
	return math.Pow(limit, 1-(float64(k)+0.5)/alternatives)
}

// plainBet is the share of the stake that is bet on there being no difference at
// all, at the best odds for that. It leaves so little for the other bets that
// PASS without any error comes at 2,996 pairs for a margin of 0.1 points and a
// probability of 0.05, a pair after the first that any test could pass at. A name
// that fails now and then on both sides needs about three times the pairs that the
// others could do with alone.
const plainBet = 0.9985

// less is the evidence against "of trials, the share of d.Target minus that of
// d.Source is margin or more", for a margin from 0 to 1, both excluded. It is a
// mixture of bets on the mean of a bounded variable (arXiv 2010.09686): of 1, -1
// and 0, whether correlated or not.
func less(d Discord, trials int64, margin float64) float64 {
	same := trials - d.Target - d.Source
	most := 1 / (1 - margin) // more could lose more than the stake
	var logs [alternatives]float64
	for k := range logs {
		bet, share := most, plainBet
		if k > 0 {
			// From half of the most to a hundredth of the margin's own size.
			bet = most / 2 * math.Pow(margin/10, float64(k-1)/(alternatives-2))
			share = (1 - plainBet) / (alternatives - 1)
		}
		logs[k] = math.Log(share*alternatives) + times(d.Target, 1-bet*(1-margin)) +
			times(d.Source, 1+bet*(1+margin)) + times(same, 1+bet*margin)
	}
	return mean(logs[:])
}

// times is n·log(factor), with nothing lost by a factor of 0 that never came.
func times(n int64, factor float64) float64 {
	if n == 0 {
		return 0
	}
	return float64(n) * math.Log(max(factor, 0))
}

// missing is how many trials without a difference have to be added until less
// reaches limit; 0 if it has.
func missing(d Discord, trials int64, margin, limit float64) int64 {
	reached := func(n int64) bool { return less(d, trials+n, margin) >= limit }
	if reached(0) {
		return 0
	}
	above := int64(1)
	for !reached(above) {
		above *= 2
	}
	below := above / 2
	for above-below > 1 {
		if middle := (above + below) / 2; reached(middle) {
			above = middle
		} else {
			below = middle
		}
	}
	return above
}

// atMost is a bound that the probability of hits exceeds with a probability of at
// most alpha.
func atMost(hits, trials int64, alpha float64) float64 {
	if hits >= trials {
		return 1
	}
	low, high := float64(hits)/float64(trials), 1.0
	for range 40 {
		middle := (low + high) / 2
		if less(Discord{Target: hits}, trials, middle) >= math.Log(1/alpha) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// mean is the logarithm of the mean of numbers given by their logarithms.
func mean(logs []float64) float64 {
	most := math.Inf(-1)
	for _, l := range logs {
		most = max(most, l)
	}
	if math.IsInf(most, -1) {
		return most
	}
	var sum float64
	for _, l := range logs {
		sum += math.Exp(l - most)
	}
	return most + math.Log(sum/float64(len(logs)))
}
