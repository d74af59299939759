package judge

import "math"

// The tests are bets against a hypothesis: whoever may bet only at fair odds does
// not grow 1 to 1/p with a probability of more than p, at any time (Ville's
// inequality), so that a grown stake is evidence. A mixture of bets is one too. All
// stakes are logarithms.

// alternatives is how many bets are mixed.
const alternatives = 20

// A doubt is a bet that hits are more probable than a limit: a mixture of
// likelihood ratios of Bernoulli alternatives between the limit and 1, spaced
// geometrically.
type doubt struct{ hit, miss [alternatives]float64 }

// newDoubt doubts a limit from 0 to 1, both excluded.
func newDoubt(limit float64) *doubt {
	d := &doubt{}
	for k := range alternatives {
		theta := math.Pow(limit, 1-(float64(k)+0.5)/alternatives)
		d.hit[k], d.miss[k] = math.Log(theta/limit), math.Log((1-theta)/(1-limit))
	}
	return d
}

// evidence is what the bet has grown to.
func (d *doubt) evidence(hits, misses int64) float64 {
	if hits == 0 && misses == 0 {
		return 0
	}
	var logs [alternatives]float64
	for k := range logs {
		logs[k] = float64(hits)*d.hit[k] + float64(misses)*d.miss[k]
	}
	return mean(logs[:])
}

// evenOdds is the bet that the target is the worse side more often than not.
var evenOdds = newDoubt(0.5)

// plainBet is the share of the stake that is bet on there being no difference at
// all, at the best odds for that. It leaves so little for the other bets that
// PASS without any error comes at 2,996 pairs for a margin of 0.1 points and a
// probability of 0.05, a pair after the first that any test could pass at. A name
// that fails now and then on both sides needs about three times the pairs that the
// others could do with alone.
const plainBet = 0.9985

// A clearing is a bet against "of all trials, the share in which the target alone
// is worse, minus that in which the source alone is, is margin or more". It is a
// mixture of bets on the mean of a bounded variable (arXiv 2010.09686), which is 1,
// -1 or 0; nothing is assumed of how the two depend on one another.
type clearing struct{ share, target, source, same [alternatives]float64 }

// newClearing bets against a margin from 0 to 1, both excluded.
func newClearing(margin float64) *clearing {
	c := &clearing{}
	most := 1 / (1 - margin) // more could lose more than the stake
	for k := range alternatives {
		bet, share := most, plainBet
		if k > 0 {
			// From half of the most to a tenth of the margin.
			bet = most / 2 * math.Pow(margin/10, float64(k-1)/(alternatives-2))
			share = (1 - plainBet) / (alternatives - 1)
		}
		c.share[k] = math.Log(share * alternatives)
		c.target[k] = math.Log(max(0, 1-bet*(1-margin)))
		c.source[k], c.same[k] = math.Log(1+bet*(1+margin)), math.Log(1+bet*margin)
	}
	// Rounding must not leave anything of a bet that was lost.
	c.target[0] = math.Inf(-1)
	return c
}

// evidence is what the bet has grown to after that many trials, discord among them.
func (c *clearing) evidence(discord Discord, trials int64) float64 {
	var logs [alternatives]float64
	for k := range logs {
		logs[k] = c.share[k] + float64(discord.Source)*c.source[k] + float64(trials-discord.Target-discord.Source)*c.same[k]
		if discord.Target > 0 {
			logs[k] += float64(discord.Target) * c.target[k]
		}
	}
	return mean(logs[:])
}

// missing is how many trials without a difference have to be added until the
// evidence reaches limit; 0 if it has.
func (c *clearing) missing(discord Discord, trials int64, limit float64) int64 {
	reached := func(n int64) bool { return c.evidence(discord, trials+n) >= limit }
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
	for range 30 {
		middle := (low + high) / 2
		if newClearing(middle).evidence(Discord{Target: hits}, trials) >= math.Log(1/alpha) {
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
