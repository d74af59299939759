package judge

import (
	"fmt"
	"math"
	"strings"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// Gates tell what a report means for a step. What is not known yet is Held.
func Gates(r Report, o Objectives) []v1.Gate {
	if len(r.Names) == 0 {
		const none = "no public name"
		return []v1.Gate{passed(plan.GateReachable, none), passed(plan.GateComparison, none), passed(plan.GateObjective, none)}
	}
	return []v1.Gate{reachableGate(r), comparisonGate(r, o), objectiveGate(r, o)}
}

func reachableGate(r Report) v1.Gate {
	const limit = "every name answers alike through both entries"
	if len(r.Apart) == 0 {
		return passed(plan.GateReachable, fmt.Sprintf("%d names answer alike through both entries", len(r.Names)))
	}
	for _, s := range r.Apart {
		if s.Pairs == 0 {
			continue
		}
		reason := v1.TargetNotReady
		if s.Target == Unconnected {
			reason = v1.EntryMissing
		}
		return held(plan.GateReachable, reason, fmt.Sprintf("%d of %d names do not; %s: %s on the target, %s on the source",
			len(r.Apart), len(r.Names), s.Name, s.Target, s.Source), limit)
	}
	return held(plan.GateReachable, v1.TooFewProbes,
		fmt.Sprintf("%d of %d names have not been asked yet; first %s", len(r.Apart), len(r.Names), r.Apart[0].Name), limit)
}

func comparisonGate(r Report, o Objectives) v1.Gate {
	worst := r.Names[0]
	tests := []struct {
		reason v1.Reason
		pooled Comparison
		of     func(Finding) Comparison
		units  string
	}{
		{v1.ErrorsWorse, r.Pooled.Errors, func(f Finding) Comparison { return f.Errors }, "pairs"},
		{v1.LatencyWorse, r.Pooled.Latency, func(f Finding) Comparison { return f.Latency }, "seconds"},
	}
	for _, t := range tests {
		for _, f := range r.Names {
			if c := t.of(f); c.Verdict == Worse {
				return failed(plan.GateComparison, t.reason, r.suspicion(f.Name, c, t.units), c.text())
			}
		}
		if t.pooled.Verdict == Worse {
			text := r.suspicion("the estate", t.pooled, t.units)
			if c := t.of(worst); c.Target > 0 {
				text += fmt.Sprintf("; most on %s: %s in %d %s on the target alone", worst.Name, c.What, c.Target, t.units)
			}
			return failed(plan.GateComparison, t.reason, text, t.pooled.text())
		}
	}
	for _, f := range r.Names {
		if f.Errors.Missing > 0 {
			return held(plan.GateComparison, v1.TooFewProbes, fmt.Sprintf("%d pairs of %s", f.Pairs, f.Name), fmt.Sprintf("%d pairs", f.Pairs+f.Errors.Missing))
		}
	}
	observed := fmt.Sprintf("%d pairs", r.Pooled.Pairs)
	if lacking := max(r.Pooled.Errors.Missing, r.Pooled.Latency.Missing); lacking > 0 {
		return held(plan.GateComparison, v1.TooFewProbes, observed, fmt.Sprintf("%d pairs", r.Pooled.Pairs+lacking))
	}
	return passed(plan.GateComparison, fmt.Sprintf("%s of %d names: %d worse on the target, %d on the source; not worse by %s or more",
		observed, len(r.Names), r.Pooled.Errors.Target, r.Pooled.Errors.Source, percent(o.Margin)))
}

// suspicion says by how much who is worse, and who else may be.
func (r Report) suspicion(who string, c Comparison, units string) string {
	text := fmt.Sprintf("%s: %s worse on the target in %d %s, on the source in %d (e = %s)", who, c.What, c.Target, units, c.Source, power(c.LogE))
	var others []string
	for _, name := range r.Suspects {
		if name != who {
			others = append(others, name)
		}
	}
	if len(others) > 3 {
		others = append(others[:3], fmt.Sprintf("%d more", len(others)-3))
	}
	if len(others) > 0 {
		text += "; also " + strings.Join(others, ", ")
	}
	return text
}

func (c Comparison) text() string { return "e below " + power(c.Limit) }

func objectiveGate(r Report, o Objectives) v1.Gate {
	lacking, unknown := int64(0), 0
	for _, s := range r.Sides {
		who := s.Worst
		if who == "" {
			who = "the estate"
		}
		observed := fmt.Sprintf("%s: %d of %d failed, %s before", s.Side.Word(), s.Failed, s.Pairs, percent(s.Before))
		switch {
		case s.Errors == Worse:
			return failed(plan.GateObjective, v1.ErrorsWorse, observed+"; worst "+who, "no more than before")
		case s.Absolute == Worse:
			return failed(plan.GateObjective, v1.ErrorsWorse, observed, "at most "+percent(o.MostFailures))
		case s.Latency == Worse:
			return failed(plan.GateObjective, v1.LatencyWorse, fmt.Sprintf("%s: slower than the P99 before in %d of %d seconds",
				s.Side.Word(), s.Slow, s.Seconds), fmt.Sprintf("%s of the seconds", percent(slowShare)))
		}
		lacking, unknown = max(lacking, s.Missing), max(unknown, s.Unknown)
	}
	source, target := r.Sides[0], r.Sides[1]
	switch {
	case unknown > 0:
		return held(plan.GateObjective, v1.TooFewProbes,
			fmt.Sprintf("what was before is not known yet of %d of %d names", unknown, len(r.Names)), "of every name")
	case lacking > 0:
		return held(plan.GateObjective, v1.TooFewProbes, fmt.Sprintf("%d pairs", target.Pairs), fmt.Sprintf("%d pairs", target.Pairs+lacking))
	}
	return passed(plan.GateObjective, fmt.Sprintf("%d of %d failed on the source, %d on the target", source.Failed, source.Pairs, target.Failed))
}

func percent(ratio float64) string { return fmt.Sprintf("%.3g %%", 100*ratio) }

// power writes the number whose natural logarithm is given.
func power(log float64) string {
	if log > 700 {
		return fmt.Sprintf("1e+%.0f", log/math.Ln10)
	}
	return fmt.Sprintf("%.3g", math.Exp(log))
}

func passed(name, observed string) v1.Gate {
	return v1.Gate{Name: name, Verdict: v1.Passed, Reason: v1.Finished, Observed: observed}
}

func held(name string, reason v1.Reason, observed, limit string) v1.Gate {
	return v1.Gate{Name: name, Verdict: v1.Held, Reason: reason, Observed: observed, Limit: limit}
}

func failed(name string, reason v1.Reason, observed, limit string) v1.Gate {
	return v1.Gate{Name: name, Verdict: v1.Failed, Reason: reason, Observed: observed, Limit: limit}
}
