package view

import (
	"cmp"
	"fmt"
	"slices"

	"crossfade.dev/internal/landing/source"
)

// FindingsReport tells what is wrong with the files of a landing zone, file by
// file, those with errors first. counts says what the folder holds.
func FindingsReport(title, counts string, found source.Findings, most int) Report {
	errors := len(found.Errors())
	r := Report{Title: title, Grade: gradeOf(errors, len(found)-errors)}
	switch {
	case len(found) == 0:
		r.Answer = counts + ": nothing is wrong"
	case counts == "":
		r.Answer = Tally(found)
	default:
		r.Answer = counts + ": " + Tally(found)
	}
	files := map[string]*Section{}
	var sections []*Section
	for _, f := range found {
		section := files[f.File]
		if section == nil {
			section = &Section{Title: cmp.Or(f.File, "the folder as a whole")}
			files[f.File] = section
			sections = append(sections, section)
		}
		section.Items = append(section.Items, findingItem(f))
	}
	for _, section := range sections {
		slices.SortStableFunc(section.Items, func(a, b Item) int { return cmp.Compare(b.Grade, a.Grade) })
	}
	slices.SortStableFunc(sections, func(a, b *Section) int { return cmp.Compare(b.Items[0].Grade, a.Items[0].Grade) })
	for _, section := range sections {
		r.Sections = append(r.Sections, section.Cut(most))
	}
	return r
}

// Tally says how many errors and warnings there are.
func Tally(found source.Findings) string {
	errors := len(found.Errors())
	switch warnings := len(found) - errors; {
	case errors > 0 && warnings > 0:
		return Count(errors, "error") + ", " + Count(warnings, "warning")
	case warnings > 0:
		return Count(warnings, "warning")
	default:
		return Count(errors, "error")
	}
}

// gradeOf is bad with errors, doubtful with warnings.
func gradeOf(errors, warnings int) Grade {
	switch {
	case errors > 0:
		return Bad
	case warnings > 0:
		return Doubtful
	}
	return Fine
}

// Count says a number of things whose plural ends in s.
func Count[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%s %ss", grouped(int64(n)), what)
}

// grouped writes a number with commas between its thousands.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func findingItem(f source.Finding) Item {
	item := Item{Grade: Bad, Code: f.Code, Place: f.Place, Text: f.Want}
	if f.Severity == source.Warning {
		item.Grade = Doubtful
	}
	if f.Value != "" {
		item.Text = f.Value + ": " + item.Text
	}
	if f.Path != "" {
		item.Text = f.Path + ": " + item.Text
	}
	item.Text += " [" + f.Code + "]"
	if f.Line > 0 {
		item.At = fmt.Sprintf("%d:%d", f.Line, f.Column)
	}
	return item
}
