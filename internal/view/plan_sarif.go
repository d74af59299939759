package view

import (
	"encoding/json"
	"strings"

	"crossfade.dev/internal/plan/finding"
)

var sarifLevels = map[finding.Severity]string{finding.Blocks: "error", finding.Warns: "warning", finding.Notes: "note"}

// PlanSARIF is a plan's findings as code scanning takes them (SARIF 2.1.0): a result
// for each object that has one; what is waived is suppressed.
func PlanSARIF(p Plan, version string) string {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "crossfade", Version: strings.TrimPrefix(version, "v"), URI: "https://crossfade.dev", Rules: []sarifRule{}}
	listed := map[string]bool{}
	for _, f := range p.Findings {
		if !listed[f.ID] {
			listed[f.ID] = true
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: f.ID, Name: f.Title, Full: &sarifText{f.Why}, Help: &sarifText{f.Fix}})
		}
		for _, o := range f.Objects {
			r := sarifResult{Rule: f.ID, Level: sarifLevels[f.Severity], Locations: []sarifLocation{{Logical: []sarifLogical{{Name: o.Name}}}}}
			r.Message.Text = o.Name + ": " + o.Observed + ". " + f.Why
			if f.Waived != "" {
				r.Suppressions = []sarifSuppression{{"external", "waived by " + f.Waived}}
			}
			run.Results = append(run.Results, r)
		}
	}
	data, err := json.MarshalIndent(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	}, "", "  ")
	if err != nil {
		panic("view: " + err.Error()) // only strings and numbers
	}
	return string(data) + "\n"
}
