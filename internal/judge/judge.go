// Package judge turns pairs of probes into verdicts.
//
// A pair is the same request to both sides in the same slot. Only pairs whose
// halves differ say which side is worse: were there no difference, as many would
// be worse on the target as on the source. Every test here is an e-process: it
// may be looked at after each pair and stopped at any time, and still raises a
// false alarm with a probability of at most Objectives.Alpha.
//
// Evidence is counts alone. It merges by addition, so that seconds add up to any
// period and shards to an estate.
package judge

import (
	"cmp"
	"maps"
	"math"
	"slices"

	v1 "crossfade.dev/api/v1alpha1"
)

// Objectives bound what a user may notice.
type Objectives struct {
	// Margin is by how much the failure ratio of the target may exceed the source's,
	// and that of either side its own Before; from 0 to 1, both excluded.
	Margin float64
	// Alpha is the probability of one false alarm, or of one false pass, over all
	// names together and over any number of looks.
	Alpha float64
	// MostFailures bounds the failure ratio of either side, over the names that
	// answered Before, whatever the other side does.
	MostFailures float64
}

// NewObjectives returns the objectives that a migration's spec stands for.
func NewObjectives(spec v1.Objectives) Objectives {
	return Objectives{Margin: min(float64(max(spec.MarginPermille, 1))/1000, 0.999), Alpha: 0.05, MostFailures: 0.05}
}

// A Verdict is what a test found.
type Verdict string

// The verdicts. NotWorse is that "worse by the margin or more" is ruled out, which
// takes pairs; without them a test is Inconclusive.
const (
	Worse        Verdict = "Worse"
	NotWorse     Verdict = "NotWorse"
	Inconclusive Verdict = "Inconclusive"
)

// A Report is what the evidence of an estate says.
type Report struct {
	// Pooled is the estate as a whole.
	Pooled Finding
	// Names are the estate's names, the most suspicious first. One is NotWorse in
	// errors when its target is not worse by half of the requests or more: the
	// margin itself is for the estate, whose pairs come much faster.
	Names []Finding
	// Suspects are the names that look worse now, of which at most a share of Alpha
	// is expected to be innocent: the e-BH procedure (arXiv 2009.02824).
	Suspects []string
	// Sides are source and target, each against its own Before and in absolute
	// terms.
	Sides [2]Standing
	// Apart are the names of which no pair was answered alike on both sides.
	Apart []Stranger
}

// A Finding compares the target with the source, for a name or for the estate.
type Finding struct {
	Name            string
	Pairs           int64
	Errors, Latency Comparison
}

// A Comparison is one test of target against source.
type Comparison struct {
	Verdict Verdict
	// LogE is the natural logarithm of the evidence that the target is worse, and
	// Limit what it would have to reach.
	LogE, Limit float64
	// What tells what differs most: a class of answers, or a quantile.
	What string
	Discord
	// Missing is how many more pairs without any difference would give NotWorse.
	Missing int64
}

// A Stranger is a name whose halves have not been alike yet.
type Stranger struct {
	Name string
	// Pairs is how many were asked; none says that nothing is known.
	Pairs          int64
	Source, Target Class
}

// Judge weighs the evidence of an estate.
func Judge(e Estate, o Objectives) Report {
	r := Report{Sides: standings(e, o)}
	// Errors and latency of every name and of the estate are tested together.
	worse := math.Log(2 * float64(len(e.Names)+1) / o.Alpha)
	notWorse := math.Log(float64(len(e.Names)) / o.Alpha)
	single := newClearing(nameMargin)
	var pooled Evidence
	for _, name := range slices.Sorted(maps.Keys(e.Names)) {
		found := e.Names[name]
		pooled.Merge(found)
		if s := found.stranger(name); s != nil {
			r.Apart = append(r.Apart, *s)
		}
		pairs := found.Pairs()
		f := Finding{Name: name, Pairs: pairs.Total(), Errors: errorsWorse(pairs, worse), Latency: latencyWorse(found.Slow, worse)}
		f.Errors.ruleOut(single, pairs.Discord(), f.Pairs, notWorse)
		r.Names = append(r.Names, f)
	}
	slices.SortStableFunc(r.Names, func(a, b Finding) int { return cmp.Compare(b.logE(), a.logE()) })
	r.Suspects = suspects(r.Names, o.Alpha)

	pairs := pooled.Pairs()
	r.Pooled = Finding{Pairs: pairs.Total(), Errors: errorsWorse(pairs, worse), Latency: latencyWorse(e.Slow, worse)}
	r.Pooled.Errors.ruleOut(newClearing(o.Margin), pairs.Discord(), r.Pooled.Pairs, math.Log(1/o.Alpha))
	if r.Pooled.Pairs > 0 && pairs.answered() == 0 {
		r.Pooled.Latency.Verdict = NotWorse // no side answers anything that could be timed
	} else {
		r.Pooled.Latency.ruleOut(newClearing(latencyMargin), pooled.SlowPairs, pooled.Timed, math.Log(1/o.Alpha))
	}
	return r
}

// ruleOut makes a comparison NotWorse if the evidence against "worse by the margin
// or more" reaches the limit.
func (c *Comparison) ruleOut(margin *clearing, d Discord, trials int64, limit float64) {
	c.Missing = margin.missing(d, trials, limit)
	if c.Missing == 0 && c.Verdict != Worse {
		c.Verdict = NotWorse
	}
}

// nameMargin is the margin of a single name. Without it, the pairs of a large estate
// could clear all names before any one of them had been asked more than once.
const nameMargin = 0.5

// latencyMargin is by how much more of the target's answers may be slower than the
// source's 99th percentile allows. It is wider than the margin of errors, because
// one standstill of a machine makes many pairs slow at once.
const latencyMargin = 0.03

func (f Finding) logE() float64 { return max(f.Errors.LogE, f.Latency.LogE) }

// errorsWorse tests each class of answers and averages the evidence, so that six
// looks at the same pairs cost no more than one.
func errorsWorse(p Pairs, limit float64) Comparison {
	var logs [classes]float64
	found := Comparison{Discord: p.Discord()}
	var most int64
	for c := range Class(classes) {
		d := p.class(c)
		logs[c] = evenOdds.evidence(d.Target, d.Source)
		if c != Success && d.Target > most {
			found.What, most = c.String(), d.Target
		}
	}
	return found.concluded(mean(logs[:]), limit)
}

// latencyWorse tests each quantile and averages the evidence.
func latencyWorse(slow [Levels]Discord, limit float64) Comparison {
	var logs [Levels]float64
	var found Comparison
	strongest := math.Inf(-1)
	for l, d := range slow {
		logs[l] = evenOdds.evidence(d.Target, d.Source)
		if logs[l] > strongest {
			strongest, found.What, found.Discord = logs[l], levelNames[l], d
		}
	}
	return found.concluded(mean(logs[:]), limit)
}

func (c Comparison) concluded(logE, limit float64) Comparison {
	c.LogE, c.Limit, c.Verdict = logE, limit, Inconclusive
	if logE >= limit {
		c.Verdict = Worse
	}
	return c
}

// suspects applies e-BH to names ordered by their evidence.
func suspects(names []Finding, alpha float64) []string {
	last := 0
	for k := 1; k <= len(names); k++ {
		// The evidence of a name is the mean of its two tests.
		logE := mean([]float64{names[k-1].Errors.LogE, names[k-1].Latency.LogE})
		if logE >= math.Log(float64(len(names))/(alpha*float64(k))) {
			last = k
		}
	}
	out := make([]string, 0, last)
	for _, f := range names[:last] {
		out = append(out, f.Name)
	}
	return out
}
