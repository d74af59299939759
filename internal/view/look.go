package view

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	v1 "crossfade.dev/api/v1alpha1"
)

// A Look is how text is drawn. The zero Look is for a pipe: no colour, and lines
// as long as they are.
type Look struct {
	Color bool
	// Width is how many columns there are; 0 means that lines have no end.
	Width int
}

// A mark is a status as it is drawn: a glyph that no other status of its kind has,
// so that colour only repeats what the shape says. What is normal is dim.
type mark struct {
	glyph string
	tone  tone
}

// A tone is how loud something is.
type tone int

const (
	plain tone = iota
	dim
	bold
	warn
	alarm
	back
)

var stageMarks = map[StageState]mark{
	StageAhead: {"·", dim}, StageWorking: {"▶", bold}, StageWaiting: {"‖", warn}, StageFailed: {"✗", alarm},
	StageDone: {"✓", dim}, StageUndoing: {"◀", back}, StageUndone: {"○", dim},
}

var standingMarks = map[Standing]mark{
	Unseen: {"·", dim}, Working: {"▶", bold}, Waiting: {"‖", warn}, Asking: {"?", warn}, OnHold: {"▮", warn},
	Failed: {"✗", alarm}, Arrived: {"✓", dim}, RolledBack: {"○", back}, Retired: {"■", dim},
}

var appMarks = map[v1.MoveState]mark{
	v1.MoveWaiting: {"·", dim}, v1.MoveMirrored: {"=", dim}, v1.MoveWarm: {"+", dim}, v1.MoveShifting: {"▶", bold},
	v1.MoveMoved: {"✓", dim}, v1.MoveStaying: {"▪", dim}, v1.MoveUndecided: {"?", warn}, v1.MoveQuarantined: {"✗", alarm},
	"": {"-", dim},
}

var (
	gatePassed = mark{"✓", dim}
	gateHeld   = mark{"‖", warn}
	gateFailed = mark{"✗", alarm}
	gateWaived = mark{"~", warn}
)

func gateMark(g v1.Gate) mark {
	switch {
	case g.Verdict == v1.Passed:
		return gatePassed
	case g.Waived != "":
		return gateWaived
	case g.Verdict == v1.Failed:
		return gateFailed
	default:
		return gateHeld
	}
}

// paint draws text in a tone.
func (l Look) paint(t tone, text string) string {
	if !l.Color || text == "" || t == plain {
		return text
	}
	style := lipgloss.NewStyle()
	switch t {
	case dim:
		style = style.Faint(true)
	case bold:
		style = style.Bold(true)
	default:
		style = style.Foreground(map[tone]color.Color{warn: lipgloss.Yellow, alarm: lipgloss.Red, back: lipgloss.Magenta}[t])
	}
	return style.Render(text)
}

// mark draws a status with what it is the status of.
func (l Look) mark(m mark, text string) string { return l.paint(m.tone, m.glyph+" "+text) }

// Fit cuts a line where the screen ends.
func (l Look) Fit(line string) string {
	line = strings.TrimRight(line, " ")
	if l.Width > 0 {
		line = ansi.Truncate(line, l.Width, "…")
	}
	return line
}

// pad fills text up to width columns.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

// bar draws a percentage on a scale of width columns.
func (l Look) bar(percent int32, width int) string {
	full := int(min(max(percent, 0), 100)) * width / 100
	return strings.Repeat("█", full) + l.paint(dim, strings.Repeat("░", width-full))
}

// A sheet is text that grows by lines which fit the look.
type sheet struct {
	Look
	strings.Builder
}

func (s *sheet) line(parts ...string) {
	s.WriteString(s.Fit(strings.Join(parts, "")))
	s.WriteByte('\n')
}

// paragraph writes text behind a label, over as many lines as it needs.
func (s *sheet) paragraph(label, text string) {
	const indent = 11
	if s.Width > indent+20 {
		text = ansi.Wordwrap(text, s.Width-indent, "")
	}
	for line := range strings.SplitSeq(text, "\n") {
		s.line(pad(label, indent), line)
		label = ""
	}
}

// point writes one item of a list, over as many lines as it needs.
func (s *sheet) point(text string) {
	const indent = 4
	if s.Width > indent+20 {
		text = ansi.Wordwrap(text, s.Width-indent, "")
	}
	label := "  · "
	for line := range strings.SplitSeq(text, "\n") {
		s.line(label, line)
		label = "    "
	}
}

// table writes rows in columns two spaces apart, each as wide as its widest cell.
func (s *sheet) table(indent string, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	for _, row := range rows {
		line := indent
		for i, cell := range row {
			line += pad(cell, widths[i]) + "  "
		}
		s.line(line)
	}
}
