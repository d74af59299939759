package view

import (
	"encoding/json"
	"strings"
	"testing"

	"crossfade.dev/internal/landing/source"
)

var report = Report{
	Title: "zone", Answer: "1 *opens*", Grade: Bad,
	Scanned: []Item{{Grade: Bad, Text: "said at the top", Code: "a/top"}},
	Sections: []Section{
		{Title: "Opens", Items: []Item{
			{Grade: Bad, Text: "arn:aws:iam::*:role/<x> | @ann", More: []string{"in 2 accounts"}, Code: "a/opens",
				Place: source.Place{File: "my zone/a.yaml", Line: 3, Column: 5, Path: "$.spec"}},
			{Grade: Doubtful, Text: "for people only"},
		}, Left: 2},
		{Title: "Table", Columns: []string{"name", "value"}, Rows: []Row{{Grade: Doubtful, Cells: []string{"a|b", "1"}}, {Cells: []string{"c", "2"}}}},
	},
	Next: []string{"crossfade landing validate"},
}

// What came from a file cannot become markup, a link or a mention.
func TestReportMarkdownEscapes(t *testing.T) {
	text := ReportMarkdown(report)
	for _, want := range []string{
		"❌ **1 \\*opens\\***\n",
		"- ❌ arn:aws:iam::\\*:role/&lt;x&gt; \\| @\u200bann\n  - in 2 accounts\n",
		"| ❔ | a\\|b | 1 |\n| ✅ | c | 2 |\n",
		"… and 2 more (--all)\n",
		"```sh\ncrossfade landing validate\n```\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
}

// Only what has a code is a result, and each code is a rule.
func TestReportSARIF(t *testing.T) {
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Version string
					Rules   []struct{ ID string }
				}
			}
			Results []struct {
				RuleID, Level string
				Message       struct{ Text string }
				Locations     []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(ReportSARIF(report, "v1.2.3")), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if log.Version != "2.1.0" || run.Tool.Driver.Version != "1.2.3" || len(run.Tool.Driver.Rules) != 2 || len(run.Results) != 2 {
		t.Fatalf("got %+v", log)
	}
	if top := run.Results[0]; top.RuleID != "a/top" || len(top.Locations) != 0 {
		t.Errorf("what has no place: %+v", top)
	}
	r := run.Results[1]
	at := r.Locations[0].PhysicalLocation
	if r.RuleID != "a/opens" || r.Level != "error" || !strings.HasSuffix(r.Message.Text, "@ann\nin 2 accounts") ||
		at.ArtifactLocation.URI != "my%20zone/a.yaml" || at.Region.StartLine != 3 || at.Region.StartColumn != 5 {
		t.Errorf("got %+v", r)
	}
}

// Lines fit the screen, and what belongs together is indented alike.
func TestReportTextFits(t *testing.T) {
	narrow := ReportText(report, Look{Width: 30})
	for line := range strings.Lines(narrow) {
		if strings.HasPrefix(line, "next") { // to be copied
			continue
		}
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 30 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if strings.Contains(ReportText(report, Look{}), "\x1b") {
		t.Error("colour without a terminal")
	}
	if !strings.Contains(ReportText(report, Look{Color: true}), "\x1b") {
		t.Error("no colour in a terminal")
	}
}

func TestCut(t *testing.T) {
	s := report.Sections[0].Cut(1)
	if len(s.Items) != 1 || s.Left != 3 {
		t.Errorf("cut to %d items, %d left", len(s.Items), s.Left)
	}
	if s := report.Sections[1].Cut(-1); len(s.Rows) != 2 || s.Left != 0 {
		t.Errorf("uncut has %d rows, %d left", len(s.Rows), s.Left)
	}
}
