package quota_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/quota"
	"crossfade.dev/internal/landing/source"
)

func dayAfter(days int) landing.Day {
	return landing.Day(now.AddDate(0, 0, days).Format(time.DateOnly))
}

// watch draws a quota of which everything is known, or not all.
func watch(t *rapid.T) *quota.Watch {
	w := &landing.QuotaWatch{}
	value := rapid.Float64Range(50, 400).Draw(t, "value")
	w.Spec.Value = &value
	level, growth := rapid.Float64Range(0, 100).Draw(t, "level"), rapid.Float64Range(-1, 2).Draw(t, "growth")
	for i := range rapid.IntRange(0, 12).Draw(t, "samples") {
		noise := rapid.Float64Range(-5, 5).Draw(t, "noise")
		w.Spec.Samples = append(w.Spec.Samples, landing.UseSample{On: dayAfter(-7*i - 1), Used: max(0, level-7*growth*float64(i)+noise)})
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "events") {
		from := rapid.IntRange(-20, 200).Draw(t, "from")
		w.Spec.Events = append(w.Spec.Events, landing.PlannedEvent{Name: string(rune('a' + i)), From: dayAfter(from), To: dayAfter(from + rapid.IntRange(0, 9).Draw(t, "days")),
			Multiplier: rapid.Float64Range(1, 5).Draw(t, "multiplier")})
	}
	lead, margin := rapid.IntRange(0, 60).Draw(t, "lead"), rapid.IntRange(0, 60).Draw(t, "margin")
	w.Spec.MarginDays = &margin
	switch rapid.IntRange(0, 2).Draw(t, "increase") {
	case 0:
		w.Spec.Increase = &landing.LeadTime{CalendarDays: &lead}
	case 1:
		w.Spec.Increase = &landing.LeadTime{BusinessDays: &lead}
	}
	return &quota.Watch{QuotaWatch: w}
}

func answer(w *quota.Watch) quota.Answer { return quota.Check([]*quota.Watch{w}, now).Answers[0] }

// changed returns a copy of a watch with something changed.
func changed(w *quota.Watch, change func(*landing.QuotaWatchSpec)) *quota.Watch {
	other := &quota.Watch{QuotaWatch: w.DeepCopy()}
	change(&other.Spec)
	return other
}

func TestWhatIsWorseNeverTurnsAnAlarmOff(t *testing.T) {
	more := rapid.IntRange(1, 90)
	changes := map[string]func(*rapid.T, *landing.QuotaWatchSpec){
		"a longer lead time": func(t *rapid.T, s *landing.QuotaWatchSpec) {
			switch {
			case s.Increase == nil:
				days := 0
				s.Increase = &landing.LeadTime{CalendarDays: &days}
			case s.Increase.CalendarDays != nil:
				*s.Increase.CalendarDays += more.Draw(t, "more")
			default:
				*s.Increase.BusinessDays += more.Draw(t, "more")
			}
		},
		"business days instead of calendar days": func(t *rapid.T, s *landing.QuotaWatchSpec) {
			if s.Increase != nil && s.Increase.CalendarDays != nil {
				s.Increase.BusinessDays, s.Increase.CalendarDays = s.Increase.CalendarDays, nil
			}
		},
		"a wider margin": func(t *rapid.T, s *landing.QuotaWatchSpec) { *s.MarginDays += more.Draw(t, "more") },
		"a smaller quota": func(t *rapid.T, s *landing.QuotaWatchSpec) {
			*s.Value *= rapid.Float64Range(0.1, 1).Draw(t, "share")
		},
		"a larger event": func(t *rapid.T, s *landing.QuotaWatchSpec) {
			if len(s.Events) > 0 {
				s.Events[0].Multiplier *= rapid.Float64Range(1, 3).Draw(t, "larger")
			}
		},
		"another event ahead": func(t *rapid.T, s *landing.QuotaWatchSpec) {
			from := rapid.IntRange(1, 100).Draw(t, "other")
			s.Events = append(s.Events, landing.PlannedEvent{Name: "other", From: dayAfter(from), To: dayAfter(from), Multiplier: 2})
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := watch(t)
				other := changed(w, func(s *landing.QuotaWatchSpec) { change(t, s) })
				before, after := answer(w), answer(other)
				if before.Alarm && !after.Alarm {
					t.Fatalf("the alarm went off: %+v, then %+v", before, after)
				}
				if before.Exhausted != nil && (after.Exhausted == nil || after.Exhausted.After(*before.Exhausted)) {
					t.Fatalf("used up at %v, then at %v", before.Exhausted, after.Exhausted)
				}
			})
		})
	}
}

// A quota that is not proved to last never passes the gate.
func TestUnknownNeverPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := watch(t)
		a, blocking := answer(w), finding.Blocking(quota.Check([]*quota.Watch{w}, now).Findings)
		if known := !a.Alarm && len(a.Unknown) == 0; known != (len(blocking) == 0) {
			t.Fatalf("%+v: the gate says %v", a, blocking)
		}
		if len(a.Unknown) == 0 && (a.Trend == nil || a.Used == nil) {
			t.Fatalf("%+v: taken as known without a trend", a)
		}
		if a.AskBy != nil && a.Alarm {
			t.Fatalf("%+v: an alarm, and there is time until %v", a, a.AskBy)
		}
	})
}

func TestWhatIsWrongIsSaidWithItsPlace(t *testing.T) {
	watches, found := load(t, head+`  value: 0
  increase: {businessDays: 3, calendarDays: 3}
  marginDays: -1
  samples:
  - {on: 2026-13-01, used: 1}
  - {on: 2026-01-02, used: -1}
  - {on: 2026-01-02, used: 1}
  events:
  - {name: finals, from: 2026-06-02, to: 2026-06-01, multiplier: 0.5}
  triggers:
  - {name: a, metric: cpu, thresholdPercent: 100, reaction: [{name: x, takes: soon}], loadGrowth: {points: 0, within: 0s}}
  waivers:
  - {finding: LZ-REVIEW-001, reason: " ", owner: Ada, expires: 2026-06-01, trigger: b}
---
`+growing+`---
kind: [
`)
	found.Sort()
	want := []string{
		`q.yaml:8:10: $.spec.value: 0: expected a number above 0, at most 1e15 [quota/value]`,
		`q.yaml:9:13: $.spec.increase: an object: expected exactly one of businessDays and calendarDays [quota/increase]`,
		`q.yaml:10:15: $.spec.marginDays: -1: expected 0 to 3650 days [quota/margin]`,
		`q.yaml:12:10: $.spec.samples[0].on: "2026-13-01": expected Day: a day like 2026-05-31 [source/type]`,
		`q.yaml:13:28: $.spec.samples[1].used: -1: expected a number from 0 to 1e15 [quota/sample]`,
		`q.yaml:14:10: $.spec.samples[2].on: "2026-01-02": expected one sample for each day [quota/duplicate]`,
		`q.yaml:16:42: $.spec.events[0].to: "2026-06-01": expected a day not before 2026-06-02 [quota/event]`,
		`q.yaml:16:66: $.spec.events[0].multiplier: 0.5: expected a number from 1 to 1e6 [quota/multiplier]`,
		`q.yaml:18:46: $.spec.triggers[0].thresholdPercent: 100: expected a percentage above 0 and under 100 [quota/threshold]`,
		`q.yaml:18:79: $.spec.triggers[0].reaction[0].takes: "soon": expected Duration: time: invalid duration "soon" [source/type]`,
		`q.yaml:18:108: $.spec.triggers[0].loadGrowth.points: 0: expected percentage points above 0 [quota/growth]`,
		`q.yaml:18:119: $.spec.triggers[0].loadGrowth.within: "0s": expected a duration above 0, like 90s [quota/growth]`,
		`q.yaml:20:15: $.spec.waivers[0].finding: "LZ-REVIEW-001": expected the id of a finding that begins with LZ-QUOTA- [waiver/finding]`,
		`q.yaml:20:38: $.spec.waivers[0].reason: " ": expected a reason that people can read [waiver/reason]`,
		`q.yaml:20:85: $.spec.waivers[0].trigger: "b": expected the name of a trigger of this quota [quota/waiver]`,
		`q.yaml:24:18: $.metadata.name: "vpcs": expected names of QuotaWatches to be different: q.yaml has this one too [quota/duplicate]`,
		`q.yaml:37:1: expected YAML: did not find expected node content [source/yaml]`,
	}
	for i := range max(len(found), len(want)) {
		switch {
		case i >= len(found):
			t.Errorf("not found: %s", want[i])
		case i >= len(want):
			t.Errorf("found too much: %s", found[i])
		case found[i].String() != want[i]:
			t.Errorf("got  %s\nwant %s", found[i], want[i])
		}
	}
	for _, f := range quota.Check(watches, now).Findings {
		if f.Severity != finding.Unknown {
			t.Errorf("concluded from a document with errors: %v", f)
		}
	}
}

// Whatever a file says, there is an answer for each quota, and errors are unknown.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(growing + "  increase: {businessDays: 15}\n"))
	f.Add([]byte(head + "  value: 1e15\n  increase: {calendarDays: 3650}\n  triggers: [{name: a, metric: b, thresholdPercent: 1, addsPercent: 1, reaction: [{name: x, takes: 1s}], loadGrowth: {points: 1e300, within: 1ns}}]\n"))
	f.Add([]byte(growing + "  events: [{name: a, from: 0001-01-01, to: 9999-12-31, multiplier: 1e6}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, unread := source.Read([]source.File{{Name: "q.yaml", Data: data}})
		watches, found := quota.Load(documents, unread)
		r := quota.Check(watches, now)
		if len(r.Answers) != len(watches) {
			t.Fatalf("%d answers for %d quotas", len(r.Answers), len(watches))
		}
		for _, a := range r.Answers {
			if a.Watch.Broken && len(a.Unknown) == 0 {
				t.Fatal("errors are taken for known")
			}
		}
		if len(append(unread, found...).Errors()) > 0 && len(watches) > 0 && len(finding.Blocking(r.Findings)) == 0 {
			t.Fatalf("wrong, and nothing blocks: %v %v", unread, found)
		}
	})
}
