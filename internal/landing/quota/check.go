package quota

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
)

const (
	// usualMargin is the margin, in days, of a quota that names none.
	usualMargin = 14
	// freshDays is how old the newest sample may be before nobody knows any more.
	freshDays = 31
)

// check answers for one quota. What is proved with fewer facts than wanted is said
// nevertheless: an alarm needs no lead time if the quota is used up today.
func (w *Watch) check(at time.Time) (Answer, []finding.Finding) {
	at = at.UTC()
	a := Answer{Watch: w, Name: w.Name}
	if w.Broken {
		a.Unknown = []string{"the document, which has errors"}
		return a, []finding.Finding{w.unproved(a.Unknown, nil)}
	}
	steepest, middle, path := w.measure(&a, at)
	if w.Spec.Value != nil && a.Used != nil {
		w.extrapolate(&a, steepest, middle, at)
	}
	found := w.conclude(a, at, path)
	for i := range w.Spec.Triggers {
		found = append(found, w.checkTrigger(i)...)
	}
	return a, found
}

// measure fills what the samples say, and returns the demand by the steepest
// plausible slope and by the middle one, and the path of the first fact missing.
func (w *Watch) measure(a *Answer, at time.Time) (steepest, middle demand, path []any) {
	lack := func(fact string, steps ...any) {
		a.Unknown = append(a.Unknown, fact)
		if path == nil {
			path = steps
		}
	}
	if w.Spec.Value == nil {
		lack("the value of the quota (spec.value)", "spec", "value")
	}
	usual, last, seen := w.usual(at)
	if n := len(w.Spec.Samples) - seen; n > 0 {
		lack(fmt.Sprintf("the use on %d days of spec.samples that have not come yet", n), "spec", "samples")
	}
	if last == nil {
		lack("how much is used (spec.samples)", "spec", "samples")
		return demand{}, demand{}, path
	}
	a.Used, a.SampledOn = &last.Used, last.On
	if at.Sub(last.On.Start()) > freshDays*day {
		lack(fmt.Sprintf("how much is used now: the newest sample is of %s, more than %d days ago", last.On, freshDays), "spec", "samples")
	}
	trend, ok := FitTrend(usual)
	if !ok {
		lack(fmt.Sprintf("how use grows: %d samples outside of events, where at least %d over %d days are needed (spec.samples)", len(usual), fewest, fewestDays), "spec", "samples")
		flat := demand{from: at, events: w.Spec.Events}
		if len(usual) > 0 {
			flat.level = slices.MaxFunc(usual, func(a, b landing.UseSample) int { return cmp.Compare(a.On, b.On) }).Used
		}
		return flat, flat, path
	}
	a.Trend = &trend
	project := func(perDay float64) demand {
		d := demand{level: trend.Level, perDay: perDay, from: trend.On.Start(), events: w.Spec.Events}
		d.learn(*last)
		d.level, d.from = d.level+perDay*days(at.Sub(d.from)), at
		return d
	}
	return project(trend.High), project(trend.PerDay), path
}

// usual returns the samples up to a time and outside of events, which is what grows,
// the newest sample of all, nil if there is none, and how many there are of all.
func (w *Watch) usual(at time.Time) (usual []landing.UseSample, last *landing.UseSample, seen int) {
	for i, s := range w.Spec.Samples {
		if s.On.Start().After(at) {
			continue
		}
		seen++
		if last == nil || s.On > last.On {
			last = &w.Spec.Samples[i]
		}
		if !slices.ContainsFunc(w.Spec.Events, func(e landing.PlannedEvent) bool { return e.From <= s.On && s.On <= e.To }) {
			usual = append(usual, s)
		}
	}
	return usual, last, seen
}

// extrapolate fills when the quota is used up, and whether that is too early.
func (w *Watch) extrapolate(a *Answer, steepest, middle demand, at time.Time) {
	if t, ok := middle.reaches(*w.Spec.Value); ok && a.Trend != nil {
		a.Expected = &t
	}
	t, ok := steepest.reaches(*w.Spec.Value)
	if *a.Used >= *w.Spec.Value {
		t, ok = at, true
	}
	if !ok {
		return
	}
	a.Exhausted, a.Event = &t, steepest.during(t)
	ready := at
	if w.Spec.Increase != nil {
		ready = granted(*w.Spec.Increase, at)
		a.Granted = &ready
		if by, ok := askBy(*w.Spec.Increase, at, t.AddDate(0, 0, -w.margin())); ok {
			a.AskBy = &by
		}
	}
	a.Alarm = t.AddDate(0, 0, -w.margin()).Before(ready)
	if !a.Alarm && w.Spec.Increase == nil && !w.Spec.Fixed {
		a.Unknown = append(a.Unknown, "how long a raise takes (spec.increase)")
	}
}

func (w *Watch) margin() int {
	if w.Spec.MarginDays == nil {
		return usualMargin
	}
	return *w.Spec.MarginDays
}

// conclude makes findings of an answer.
func (w *Watch) conclude(a Answer, at time.Time, path []any) []finding.Finding {
	switch {
	case a.Alarm && a.Event != "":
		return []finding.Finding{w.alarm(EventExceeds, a, at)}
	case a.Alarm:
		return []finding.Finding{w.alarm(RunsOut, a, at)}
	case len(a.Unknown) > 0:
		if path == nil {
			path = []any{"spec", "increase"}
		}
		return []finding.Finding{w.unproved(a.Unknown, path)}
	case a.Exhausted != nil && a.Exhausted.Before(at.AddDate(1, 0, 0)):
		fix := "use less by then: the quota is fixed"
		if a.AskBy != nil {
			fix = "ask for a raise by " + date(*a.AskBy)
		}
		return []finding.Finding{w.finding(AskBy, finding.Note, []any{"spec", "value"}, w.observed(a), w.exhaustion(a, at), fix)}
	}
	return nil
}

func (w *Watch) unproved(unknown []string, path []any) finding.Finding {
	return w.finding(Unproved, finding.Unknown, path, w.what()+": not known: "+strings.Join(unknown, "; "),
		"without it nobody can say whether the quota lasts", "write it into the document")
}

func (w *Watch) alarm(id string, a Answer, at time.Time) finding.Finding {
	left := math.Floor(days(a.Exhausted.Sub(at)))
	why := w.exhaustion(a, at)
	switch {
	case a.Granted != nil:
		takes := math.Ceil(days(a.Granted.Sub(at)))
		why += fmt.Sprintf("; a raise takes %s (until %s) and %d days of margin are wanted: %s - %s - %d = %s days", w.Spec.Increase.String(),
			date(*a.Granted), w.margin(), number(left), number(takes), w.margin(), number(left-takes-float64(w.margin())))
	default:
		why += fmt.Sprintf("; %d days of margin are wanted", w.margin())
	}
	fix := "ask for a raise now, and use less until it is there"
	switch {
	case w.Spec.Fixed:
		fix = "spread the load over more accounts or regions: the quota is fixed"
	case a.Event != "" && a.Used != nil:
		fix = fmt.Sprintf("ask now for what %s needs, or use less of it", a.Event)
	}
	return w.finding(id, finding.Fail, []any{"spec", "value"}, w.observed(a), why, fix)
}

// observed is what the samples say.
func (w *Watch) observed(a Answer) string {
	text := fmt.Sprintf("%s: %s of %s used on %s", w.what(), number(*a.Used), number(*w.Spec.Value), a.SampledOn)
	if t := a.Trend; t != nil {
		text += fmt.Sprintf(", %s a day more (%.0f %% interval %s to %s, %d samples over %d days)",
			number(t.PerDay), t.Confidence*100, number(t.Low), number(t.High), t.Samples, t.Days)
	}
	return text
}

// exhaustion says when the quota is used up, and by what.
func (w *Watch) exhaustion(a Answer, at time.Time) string {
	text := ""
	switch {
	case a.Event != "":
		i := slices.IndexFunc(w.Spec.Events, func(e landing.PlannedEvent) bool { return e.Name == a.Event })
		text = fmt.Sprintf("%s multiplies the use by %s, which uses the quota up", a.Event, number(w.Spec.Events[i].Multiplier))
	case a.Trend != nil && a.Exhausted.After(at):
		text = fmt.Sprintf("at %s a day it is used up", number(a.Trend.High))
	default:
		text = "it is used up"
	}
	return text + fmt.Sprintf(" on %s, in %s days", date(*a.Exhausted), number(math.Floor(days(a.Exhausted.Sub(at)))))
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// number writes a number with four digits, or all of those before the point.
func number(f float64) string {
	if f == 0 || math.IsInf(f, 0) {
		return strconv.FormatFloat(f+0, 'g', -1, 64)
	}
	digits := max(3-int(math.Floor(math.Log10(math.Abs(f)))), 0)
	text := strconv.FormatFloat(f, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
