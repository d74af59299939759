package view

import (
	"strings"
)

// marks of grades in Markdown, where there is no colour.
var markdownMarks = map[Grade]string{Fine: "✅", Doubtful: "❔", Bad: "❌"}

// ReportMarkdown is a report as a comment of a pull request.
func ReportMarkdown(r Report) string {
	var out strings.Builder
	out.WriteString("## " + escaped(r.Title) + "\n\n" + markdownMarks[r.Grade] + " **" + escaped(r.Answer) + "**\n")
	for _, section := range r.Sections {
		out.WriteString("\n")
		if section.Title != "" {
			out.WriteString("### " + escaped(section.Title) + "\n\n")
		}
		section.markdown(&out)
	}
	if len(r.Next) > 0 {
		out.WriteString("\n```sh\n" + strings.Join(r.Next, "\n") + "\n```\n")
	}
	return out.String()
}

func (s Section) markdown(out *strings.Builder) {
	for _, item := range s.Items {
		out.WriteString("- " + markdownMarks[item.Grade] + " " + escaped(strings.TrimSpace(item.At+" "+item.Text)) + "\n")
		for _, line := range item.More {
			out.WriteString("  - " + escaped(line) + "\n")
		}
	}
	if len(s.Rows) > 0 {
		columns := s.Columns
		if len(columns) == 0 {
			columns = make([]string, len(s.Rows[0].Cells))
		}
		graded := graded(s.Rows)
		writeRow(out, head(columns, graded))
		out.WriteString(strings.Repeat("| --- ", len(head(columns, graded))) + "|\n")
		for _, row := range s.Rows {
			cells := row.Cells
			if graded {
				cells = append([]string{markdownMarks[row.Grade]}, cells...)
			}
			writeRow(out, cells)
		}
	}
	if s.Left > 0 {
		out.WriteString("\n" + left(s.Left) + "\n")
	}
}

func writeRow(out *strings.Builder, cells []string) {
	for _, cell := range cells {
		out.WriteString("| " + escaped(cell) + " ")
	}
	out.WriteString("|\n")
}

// markdownEscape keeps what Markdown would take for its own.
var markdownEscape = strings.NewReplacer(
	"\\", "\\\\", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "]", "\\]", "<", "&lt;", ">", "&gt;", "|", "\\|",
	"#", "\\#", "~", "\\~", "@", "@\u200b", "\n", " ",
)

// escaped is text that Markdown shows as it is: names of a landing zone are full of
// stars and underscores, and what came from a file must not become a link or HTML.
func escaped(text string) string { return markdownEscape.Replace(text) }
