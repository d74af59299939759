package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"crossfade.dev/internal/landing/policy"
)

// ExplanationReport tells whether the guardrails let a call pass, and what each
// statement about it says.
func ExplanationReport(e policy.Explanation) Report {
	title := e.Request.Action + " in " + e.Request.Account
	if e.Request.Region != "" {
		title += ", " + e.Request.Region
	}
	r := Report{Title: "Would " + title + " pass?", Answer: e.Sentence(e.Request)}
	r.Grade = map[policy.Answer]Grade{policy.Allowed: Fine, policy.Denied: Bad, policy.Unknown: Doubtful}[e.Answer]
	code := map[policy.Answer]string{policy.Denied: "guardrail/denied", policy.Unknown: "guardrail/unknown"}[e.Answer]
	if e.Answer != policy.Allowed {
		decides := Item{Grade: r.Grade, Text: r.Answer, Code: code}
		if e.Statement != nil {
			decides.Place = e.Statement.Place
		}
		r.Scanned = append(r.Scanned, decides)
	}
	asked := Section{Title: "Every statement about the action", Columns: []string{"statement", "says", "because of", "attached to", "written at"}}
	var last *Row
	steps := slices.Clone(e.Steps)
	slices.SortStableFunc(steps, func(a, b policy.Step) int { return cmp.Compare(weight(a), weight(b)) })
	for _, step := range steps {
		name := fmt.Sprintf("%s %s", step.Statement.Effect, step.Statement)
		if step.Statement.Place.File == "" {
			name = fmt.Sprintf("%s %s", step.Statement.Effect, step.Statement.Policy)
		}
		if step.Statement.Place.File == "" && last != nil && last.Cells[0] == name { // the vendor's own, level after level
			first, _, _ := strings.Cut(last.Cells[3], " … ")
			last.Cells[3] = first + " … " + step.Level
			continue
		}
		asked.Rows = append(asked.Rows, Row{Cells: []string{name, step.Applies.String(), step.Element, step.Level, placeOf(step.Statement)}})
		last = &asked.Rows[len(asked.Rows)-1]
	}
	if len(asked.Rows) > 0 {
		r.Sections = append(r.Sections, asked)
	}
	return r
}

// weight orders statements: what denies, what may, what allows, and what is not about
// the call.
func weight(s policy.Step) int {
	switch {
	case s.Applies == policy.DoesNotApply:
		return 3
	case s.Statement.Effect == policy.Allow:
		return 2
	case s.Applies == policy.MayApply:
		return 1
	}
	return 0
}

// placeOf is where a statement is written; the vendor's own are written nowhere.
func placeOf(s *policy.Statement) string {
	if s.Place.File == "" {
		return "-"
	}
	return fmt.Sprintf("%s:%d", s.Place.File, s.Place.Line)
}
