package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"crossfade.dev/internal/landing/policy/detect"
)

// ChecksReport tells which resources do not comply with which rule.
func ChecksReport(title string, reports []detect.Report, most int) Report {
	r := Report{Title: title + ": resources as they are"}
	table := Section{Title: "Rules", Columns: []string{"pack", "rule", "status", "comply", "do not", "not known"}}
	var wrong, unknown Section
	counts := map[detect.Status]int{}
	for _, report := range reports {
		counts[report.Status]++
		for _, rule := range report.Rules {
			table.Rows = append(table.Rows, Row{Grade: statusGrade(rule.Status), Cells: []string{report.Pack, rule.Rule, string(rule.Status),
				fmt.Sprint(rule.Counts[detect.Compliant]), fmt.Sprint(rule.Counts[detect.NonCompliant]), fmt.Sprint(rule.Counts[detect.InsufficientData])}})
		}
		for _, result := range report.Results {
			text := fmt.Sprintf("%s: %s [%s/%s]", result.Resource, result.Why, report.Pack, result.Rule)
			item := Item{Grade: statusGrade(result.Status), Text: text, Code: "detective/" + strings.ToLower(strings.ReplaceAll(string(result.Status), "_", "-"))}
			switch result.Status {
			case detect.NonCompliant:
				wrong.Items = append(wrong.Items, item)
			case detect.InsufficientData:
				unknown.Items = append(unknown.Items, item)
			}
		}
		r.Grade = max(r.Grade, statusGrade(report.Status))
	}
	slices.SortStableFunc(table.Rows, func(a, b Row) int { return cmp.Compare(b.Grade, a.Grade) })
	wrong.Title, unknown.Title = "Do not comply", "Not known"
	for _, s := range []Section{wrong, unknown} {
		if len(s.Items) > 0 {
			r.Sections = append(r.Sections, s.Cut(most))
		}
	}
	r.Sections = append(r.Sections, table)
	r.Answer = fmt.Sprintf("%s: %d comply, %d do not, %d not known", Count(len(reports), "pack"), counts[detect.Compliant], counts[detect.NonCompliant], counts[detect.InsufficientData])
	return r
}

func statusGrade(s detect.Status) Grade {
	return map[detect.Status]Grade{detect.NonCompliant: Bad, detect.InsufficientData: Doubtful}[s]
}
