package view

import (
	"encoding/json"
	"net/url"
	"path"
	"strings"

	"crossfade.dev/internal/plan/finding"
)

var sarifLevels = map[finding.Severity]string{finding.Blocks: "error", finding.Warns: "warning", finding.Notes: "note"}

// PlanSARIF is a plan's findings as code scanning takes them (SARIF 2.1.0): a result
// for each object that has one; what is waived is suppressed.
//
// Code scanning shows results with a physical location only, so what was read from
// files has the line at which the object begins. What a cluster told has the object's
// name alone (docs.github.com, SARIF support for code scanning).
func PlanSARIF(p Plan, version string) string {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "crossfade", Version: strings.TrimPrefix(version, "v"), URI: "https://crossfade.dev", Rules: []sarifRule{}}
	listed := map[string]bool{}
	for _, f := range p.Findings {
		if !listed[f.ID] {
			listed[f.ID] = true
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
				ID: f.ID, Name: f.Title, Short: &sarifText{f.Title}, Full: &sarifText{f.Why}, Help: &sarifText{f.Fix},
				Default: &sarifDefault{sarifLevels[f.Severity]},
			})
		}
		for _, o := range f.Objects {
			r := sarifResult{Rule: f.ID, Level: sarifLevels[f.Severity], Locations: []sarifLocation{locate(o)}}
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

func locate(o Object) sarifLocation {
	l := sarifLocation{Logical: []sarifLogical{{Name: o.Name}}}
	if o.File != "" {
		l.Physical = &sarifPhysical{Region: &sarifRegion{Line: o.Line, Column: 1}}
		l.Physical.Artifact.URI = fileURI(o.File)
	}
	return l
}

// fileURI is a file as a SARIF log names it: relative to the repository's root, or with
// the scheme file if its whole name is known.
func fileURI(name string) string {
	u := url.URL{Path: name}
	if path.IsAbs(name) {
		u.Scheme = "file"
	}
	return u.String()
}
