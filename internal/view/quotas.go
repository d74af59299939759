package view

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"crossfade.dev/internal/landing/quota"
)

// QuotasReport tells which limits run out before they can be raised, and which
// triggers are slower than the load.
func QuotasReport(title string, r quota.Report, most int) Report {
	report := Report{Title: title + ": quotas on " + r.At.Format(time.DateOnly)}
	report.Answer, report.Grade = Concerns(r.Findings)
	report.Answer = Count(len(r.Answers), "quota") + ": " + report.Answer
	report.Sections = append(ConcernSections(r.Findings, most), quotaTable(r.Answers).Cut(most*3))
	return report
}

// quotaTable lists quotas, those that run out first at the top.
func quotaTable(answers []quota.Answer) Section {
	s := Section{Title: "Quotas", Columns: []string{"quota", "used", "of", "a day", "runs out", "by", "ask by"}}
	sorted := slices.Clone(answers)
	slices.SortStableFunc(sorted, func(a, b quota.Answer) int {
		return cmp.Or(cmp.Compare(quotaGrade(b), quotaGrade(a)), timeOrder(a.Exhausted, b.Exhausted))
	})
	for _, a := range sorted {
		used, growth := "?", "?"
		if a.Used != nil {
			used = plainNumber(*a.Used)
		}
		if t := a.Trend; t != nil {
			growth = fmt.Sprintf("%s (%s to %s)", plainNumber(t.PerDay), plainNumber(t.Low), plainNumber(t.High))
		}
		of := "?"
		if a.Watch.Spec.Value != nil {
			of = plainNumber(*a.Watch.Spec.Value)
		}
		because := a.Event
		if because == "" && a.Exhausted != nil {
			because = "growth"
		}
		out, ask := day(a.Exhausted), day(a.AskBy)
		if len(a.Unknown) > 0 && a.Exhausted == nil {
			out = "?"
		}
		s.Rows = append(s.Rows, Row{Grade: quotaGrade(a), Cells: []string{a.Name, used, of, growth, out, cmp.Or(because, "-"), ask}})
	}
	return s
}

// quotaGrade is bad for an alarm, doubtful where a fact is missing.
func quotaGrade(a quota.Answer) Grade {
	switch {
	case a.Alarm:
		return Bad
	case len(a.Unknown) > 0:
		return Doubtful
	}
	return Fine
}

// timeOrder puts what comes first before what comes later or never.
func timeOrder(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}

func day(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return at.Format(time.DateOnly)
}

// plainNumber writes a number with three digits after the point at most.
func plainNumber(x float64) string {
	text := strconv.FormatFloat(x, 'f', 3, 64)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}
