package view

import (
	"encoding/json"
	"testing"

	"crossfade.dev/internal/plan/finding"
)

// What GitHub asks of a log: docs.github.com, SARIF support for code scanning.
func TestCodeScanningFindsTheLineOfAnObjectFromFiles(t *testing.T) {
	p := Plan{Findings: []Finding{{
		ID: "CF-NODE-003", Severity: finding.Blocks, Title: "No node", Why: "It waits.", Fix: "Label one.", Waived: "ann until tomorrow: nodes come",
		Objects: []Object{
			{Name: "Deployment shop/a", Observed: "wants disk=ssd", File: "apps/shop a.yaml", Line: 12},
			{Name: "Deployment shop/b", Observed: "wants disk=ssd", File: "/tmp/b.yaml", Line: 1},
			{Name: "Deployment shop/c", Observed: "wants disk=ssd"},
		},
	}}}
	var log sarifLog
	if err := json.Unmarshal([]byte(PlanSARIF(p, "v1.2.3")), &log); err != nil {
		t.Fatal(err)
	}
	rule := log.Runs[0].Tool.Driver.Rules[0]
	if rule.ID == "" || rule.Short.Text == "" || rule.Full.Text == "" || rule.Help.Text == "" || rule.Default.Level != "error" {
		t.Errorf("rule %+v lacks what code scanning shows", rule)
	}
	want := []string{"apps/shop%20a.yaml", "file:///tmp/b.yaml", ""}
	for i, r := range log.Runs[0].Results {
		at := r.Locations[0]
		if at.Logical[0].Name != p.Findings[0].Objects[i].Name || len(r.Suppressions) != 1 || r.Message.Text == "" {
			t.Errorf("result %d: %+v", i, r)
		}
		if want[i] == "" {
			if at.Physical != nil {
				t.Errorf("result %d has a file that nobody read", i)
			}
			continue
		}
		if at.Physical.Artifact.URI != want[i] || at.Physical.Region.Line != p.Findings[0].Objects[i].Line {
			t.Errorf("result %d is at %s line %d, want %s", i, at.Physical.Artifact.URI, at.Physical.Region.Line, want[i])
		}
	}
}
