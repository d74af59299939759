package view

import (
	"fmt"
	"slices"

	"crossfade.dev/internal/landing/finding"
)

// ConcernSections tell what people should know, worst first: what goes wrong, what
// nobody knows, what is likely not meant so, what is waived, and notes. Each section
// shows at most so many, unless that is negative.
func ConcernSections(all []finding.Finding, most int) []Section {
	wrong, unknown := Section{Title: "Goes wrong"}, Section{Title: "Not known"}
	doubtful, waived, notes := Section{Title: "Likely not meant so"}, Section{Title: "Waived"}, Section{Title: "Good to know"}
	for _, f := range all {
		item := concern(f)
		item.Grade = concernGrade(f)
		switch {
		case f.Waiver != nil:
			item.More = append(item.More, fmt.Sprintf("waived by %s until %s: %s", f.Waiver.Owner, f.Waiver.Expires, f.Waiver.Reason))
			waived.Items = append(waived.Items, item)
		case f.Severity == finding.Fail:
			wrong.Items = append(wrong.Items, item)
		case f.Severity == finding.Unknown:
			unknown.Items = append(unknown.Items, item)
		case f.Severity == finding.Warning:
			doubtful.Items = append(doubtful.Items, item)
		default:
			notes.Items = append(notes.Items, item)
		}
	}
	var shown []Section
	for _, section := range []Section{wrong, unknown, doubtful, waived, notes} {
		if len(section.Items) > 0 {
			shown = append(shown, section.Cut(most))
		}
	}
	return shown
}

// concernGrade is how a person should take a finding.
func concernGrade(f finding.Finding) Grade {
	switch {
	case f.Waiver == nil && f.Severity == finding.Fail:
		return Bad
	case f.Waiver != nil, f.Severity == finding.Unknown, f.Severity == finding.Warning:
		return Doubtful
	}
	return Fine
}

// concern is a finding with why it matters and how it is mended.
func concern(f finding.Finding) Item {
	item := Item{Text: nameOf(f) + ": " + f.Observed, Code: f.ID, Place: f.Place}
	if f.Why != "" {
		item.More = append(item.More, f.Why)
	}
	if f.Fix != "" {
		item.More = append(item.More, "fix: "+f.Fix)
	}
	tail := f.ID
	if f.Place.File != "" {
		tail += fmt.Sprintf(", %s:%d", f.Place.File, f.Place.Line)
	}
	item.Text += " [" + tail + "]"
	return item
}

// nameOf is what a finding is about.
func nameOf(f finding.Finding) string {
	if f.Part == "" {
		return f.Object
	}
	return f.Object + " (" + f.Part + ")"
}

// Concerns says how many findings block, and of which kind.
func Concerns(all []finding.Finding) (string, Grade) {
	wrong, unknown, waived, doubtful := 0, 0, 0, 0
	for _, f := range all {
		switch {
		case f.Waiver != nil:
			waived++
		case f.Severity == finding.Fail:
			wrong++
		case f.Severity == finding.Unknown:
			unknown++
		case f.Severity == finding.Warning:
			doubtful++
		}
	}
	text := "nothing stands in the way"
	if wrong+unknown > 0 {
		text = fmt.Sprintf("%d would go wrong, %d not known", wrong, unknown)
	}
	if waived > 0 {
		text += fmt.Sprintf(", %d waived", waived)
	}
	if doubtful > 0 {
		text += ", " + Count(doubtful, "warning")
	}
	return text, gradeOf(wrong, unknown+doubtful)
}

// A Turnover is which findings a change brings, and which it takes away.
type Turnover struct {
	Come []finding.Finding `json:"come,omitempty"`
	Go   []finding.Finding `json:"go,omitempty"`
}

// TurnoverOf compares findings by what they say of what. One that stays and no longer
// blocks, or only blocks now, comes.
func TurnoverOf(before, after []finding.Finding) Turnover {
	same := func(a, b finding.Finding) bool { return a.ID == b.ID && a.Object == b.Object && a.Part == b.Part }
	var t Turnover
	for _, f := range after {
		if !slices.ContainsFunc(before, func(o finding.Finding) bool { return same(f, o) && f.Blocks() == o.Blocks() }) {
			t.Come = append(t.Come, f)
		}
	}
	for _, f := range before {
		if !slices.ContainsFunc(after, func(o finding.Finding) bool { return same(f, o) }) {
			t.Go = append(t.Go, f)
		}
	}
	return t
}

// Sections tell what comes, worst first, and what goes.
func (t Turnover) Sections(what string, most int) []Section {
	var shown []Section
	for _, section := range ConcernSections(t.Come, most) {
		section.Title = what + ", new: " + section.Title
		shown = append(shown, section)
	}
	var gone Section
	for _, f := range t.Go {
		item := concern(f)
		item.More, item.Code = nil, ""
		gone.Items = append(gone.Items, item)
	}
	if len(gone.Items) > 0 {
		gone.Title = what + ", no longer so"
		shown = append(shown, gone.Cut(most))
	}
	return shown
}
