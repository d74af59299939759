package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/review"
)

// Reviewed is what is known of the reviews and decisions of a landing zone.
type Reviewed struct {
	At      time.Time           `json:"at"`
	Reviews []review.Assessment `json:"reviews"`
	// Since is what changed since the newest milestone of each review.
	Since     []Progress        `json:"since,omitempty"`
	Decisions []DecisionLine    `json:"decisions"`
	Findings  []finding.Finding `json:"findings"`
}

// Progress is what changed in a review since a milestone.
type Progress struct {
	Review    string          `json:"review"`
	Milestone string          `json:"milestone"`
	On        landing.Day     `json:"on"`
	Changes   []review.Change `json:"changes,omitempty"`
}

// A DecisionLine is a decision in a line.
type DecisionLine struct {
	Name    string                 `json:"name"`
	Title   string                 `json:"title"`
	Status  landing.DecisionStatus `json:"status"`
	Door    landing.Door           `json:"door,omitempty"`
	Expires landing.Day            `json:"expires,omitempty"`
}

// ReviewsReport tells which risks are open and which decisions may not be acted on.
func ReviewsReport(title string, r Reviewed, most int) Report {
	report := Report{Title: title + ": reviews and decisions on " + r.At.Format(time.DateOnly)}
	report.Answer, report.Grade = Concerns(r.Findings)
	report.Answer = Count(len(r.Reviews), "review") + ", " + Count(len(r.Decisions), "decision") + ": " + report.Answer
	report.Sections = ConcernSections(r.Findings, most)
	for _, a := range r.Reviews {
		report.Sections = append(report.Sections, pillars(a))
	}
	for _, p := range r.Since {
		if s := progress(p); len(s.Items) > 0 {
			report.Sections = append(report.Sections, s.Cut(most))
		}
	}
	if len(r.Decisions) > 0 {
		report.Sections = append(report.Sections, decisions(r).Cut(most*3))
	}
	return report
}

// pillars lists the pillars of a review, the worst first.
func pillars(a review.Assessment) Section {
	s := Section{Title: "Review " + a.Review, Columns: []string{"pillar", "risk", "questions"}}
	sorted := slices.Clone(a.Pillars)
	slices.SortStableFunc(sorted, func(x, y review.PillarRisk) int { return cmp.Compare(riskGrade(y.Risk), riskGrade(x.Risk)) })
	for _, p := range sorted {
		var counts []string
		for _, risk := range []review.Risk{review.High, review.Unknown, review.Unanswered, review.Medium, review.None, review.NotApplicable} {
			if p.Counts[risk] > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", p.Counts[risk], riskWords(risk)))
			}
		}
		s.Rows = append(s.Rows, Row{Grade: riskGrade(p.Risk), Cells: []string{p.Name, riskWords(p.Risk), strings.Join(counts, ", ")}})
	}
	return s
}

// riskWords is a risk in small letters.
func riskWords(r review.Risk) string {
	return strings.ToLower(strings.ReplaceAll(string(r), "_", " "))
}

func riskGrade(r review.Risk) Grade {
	switch r {
	case review.High:
		return Bad
	case review.None, review.NotApplicable:
		return Fine
	}
	return Doubtful
}

// progress tells what changed since a milestone.
func progress(p Progress) Section {
	s := Section{Title: fmt.Sprintf("Review %s, since %s (%s)", p.Review, p.Milestone, p.On)}
	for _, c := range p.Changes {
		item := Item{Text: fmt.Sprintf("%s: %s → %s (%s)", c.Question, riskWords(c.Before), riskWords(c.After), c.Title)}
		if c.Worse {
			item.Grade = riskGrade(c.After)
		}
		s.Items = append(s.Items, item)
	}
	return s
}

// decisions lists decisions, those that may not be acted on first.
func decisions(r Reviewed) Section {
	s := Section{Title: "Decisions", Columns: []string{"decision", "status", "door", "expires", "title"}}
	for _, d := range r.Decisions {
		grade := Fine
		for _, f := range r.Findings {
			if f.Object == review.KindDecision+"/"+d.Name && f.Blocks() {
				grade = max(grade, concernGrade(f))
			}
		}
		s.Rows = append(s.Rows, Row{Grade: grade, Cells: []string{d.Name, cmp.Or(string(d.Status), "?"), cmp.Or(string(d.Door), "?"), cmp.Or(string(d.Expires), "-"), d.Title}})
	}
	slices.SortStableFunc(s.Rows, func(a, b Row) int { return cmp.Compare(b.Grade, a.Grade) })
	return s
}
