package view

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"crossfade.dev/internal/landing/source"
)

// A Report is what a command says of a landing zone, in one form that is drawn for
// terminals (ReportText), for pull requests (ReportMarkdown) and for code scanning
// (ReportSARIF).
type Report struct {
	// Title says what was asked, and of what.
	Title string
	// Answer is one sentence, and Grade how good it is.
	Answer string
	Grade  Grade
	// Sections come worst first.
	Sections []Section
	// Scanned are sentences for code scanning only: what Answer or a table says, at
	// the place that it is about.
	Scanned []Item
	// Next are the commands that lead on.
	Next []string
}

// A Grade says how a person should take something.
type Grade int

// The grades, the best first.
const (
	Fine Grade = iota
	Doubtful
	Bad
)

var gradeMarks = map[Grade]mark{Fine: {"✓", dim}, Doubtful: {"?", warn}, Bad: {"✗", alarm}}

// A Section is a group of sentences, or a table, under one heading.
type Section struct {
	Title string
	Items []Item
	// Columns and Rows are a table; Rows may have grades.
	Columns []string
	Rows    []Row
	// Left is how many items or rows are not shown.
	Left int
}

// An Item is one sentence of a section.
type Item struct {
	Grade Grade
	// At is where in what the section is about; it is left out for code scanning,
	// which shows Place.
	At   string
	Text string
	// More are the lines that belong to it.
	More []string
	// Code names the rule that the sentence follows from, and Place is where what it
	// speaks of is written down. Items without a code are not for code scanning.
	Code  string
	Place source.Place
}

// A Row is one row of a table.
type Row struct {
	Grade Grade
	Cells []string
}

// Cut keeps the first items or rows of a section, all of them if most is negative.
func (s Section) Cut(most int) Section {
	if most >= 0 && len(s.Items) > most {
		s.Left += len(s.Items) - most
		s.Items = s.Items[:most]
	}
	if most >= 0 && len(s.Rows) > most {
		s.Left += len(s.Rows) - most
		s.Rows = s.Rows[:most]
	}
	return s
}

// ReportText is a report as people read it in a terminal.
func ReportText(r Report, look Look) string {
	s := &sheet{Look: look}
	s.line(s.paint(bold, r.Title))
	s.wrapped("", s.paint(gradeMarks[r.Grade].tone, gradeMarks[r.Grade].glyph)+" ", r.Answer)
	for _, section := range r.Sections {
		s.line()
		s.section(section)
	}
	label := "\nnext  "
	for _, command := range r.Next { // as long as it is: it is there to be copied
		s.WriteString(label + command + "\n")
		label = "      "
	}
	return s.String()
}

func (s *sheet) section(section Section) {
	if section.Title != "" {
		s.line(s.paint(bold, section.Title))
	}
	for _, item := range section.Items {
		m := gradeMarks[item.Grade]
		at := ""
		if item.At != "" {
			at = item.At + "  "
		}
		s.wrapped("  ", s.paint(m.tone, m.glyph)+" "+at, item.Text)
		for _, line := range item.More {
			s.wrapped("      ", "", line)
		}
	}
	if len(section.Rows) > 0 {
		graded := graded(section.Rows)
		var rows [][]string
		if len(section.Columns) > 0 {
			rows = append(rows, head(section.Columns, graded))
		}
		for _, row := range section.Rows {
			cells := row.Cells
			if graded {
				m := gradeMarks[row.Grade]
				cells = append([]string{s.paint(m.tone, m.glyph)}, cells...)
			}
			rows = append(rows, cells)
		}
		s.table("  ", rows)
	}
	if section.Left > 0 {
		s.line("  ", s.paint(dim, left(section.Left)))
	}
}

// graded reports whether grades of rows say something: not all are fine.
func graded(rows []Row) bool {
	for _, row := range rows {
		if row.Grade != Fine {
			return true
		}
	}
	return false
}

// head is a table's first row, with room for a grade.
func head(columns []string, graded bool) []string {
	if graded {
		return append([]string{""}, columns...)
	}
	return columns
}

func left(n int) string { return fmt.Sprintf("… and %d more (--all)", n) }

// wrapped writes text behind a mark, over as many lines as the screen asks for.
func (s *sheet) wrapped(indent, mark, text string) {
	before := indent + mark
	width := ansi.StringWidth(before)
	lines := []string{text}
	if s.Width > width+20 {
		lines = atSpaces(text, s.Width-width)
	}
	for _, line := range lines {
		s.line(before, line)
		before = strings.Repeat(" ", width)
	}
}

// atSpaces cuts text into lines of at most width columns where it has spaces: names,
// days and flags, which are full of hyphens, stay whole.
func atSpaces(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case line == "":
			line = word
		case ansi.StringWidth(line)+1+ansi.StringWidth(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
