package view

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
)

func TestThePageOfALargeEstateIsShortAndNeedsNoOtherFile(t *testing.T) {
	p := Plan{Source: "<east>", Target: "west", Next: "crossfade run shop"}
	f := Finding{ID: "CF-APP-002", Severity: finding.Warns, Title: "No readiness probe", Why: "It hurts.", Fix: "Add one.", WaiverEnded: "the waiver of ann ended yesterday"}
	for i := range 1600 {
		name := fmt.Sprintf("web-%04d", i)
		p.Apps = append(p.Apps, plan.App{Namespace: "shop", Name: name, Workloads: []plan.Workload{{
			Kind: "Deployment", Namespace: "shop", Name: name, Decide: v1.DecideMove, Traits: []v1.TraitEvidence{{Trait: v1.Serving, Evidence: "reached"}},
		}}})
		f.Objects = append(f.Objects, Object{Name: "Deployment shop/" + name, Observed: "has none"})
	}
	p.Apps[0].Workloads[0].Decide = v1.Undecided
	p.Findings = []Finding{f}
	data, err := PlanPage(p)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, want := range []string{
		"&lt;east&gt; → west", "1,588 more", "1,599 Deployments only serve", `<th scope="row" class="e">shop/web-0000`,
		"The waiver of ann ended yesterday.", "prefers-color-scheme: dark", "@media print", "crossfade run shop",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if found := regexp.MustCompile(`(src|href)="[^#]|@import|url\(|<script`).FindString(text); found != "" {
		t.Errorf("the page needs something else: %q", found)
	}
	if rows := strings.Count(text, "<tr>"); rows > 10 {
		t.Errorf("%d rows of tables, want those of workloads that a person looks at", rows)
	}
	for _, open := range []string{"<section", "<article", "<table", "<ul", "<details", "<div"} {
		if a, b := strings.Count(text, open), strings.Count(text, "</"+open[1:]+">"); a != b {
			t.Errorf("%d of %s, %d ends", a, open, b)
		}
	}
}

func TestThePageOfAnEmptyPlanHasNoEmptyParts(t *testing.T) {
	data, err := PlanPage(Plan{Source: "east", Target: "west"})
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`<h2|<table|<section|<a `).FindString(string(data)); found != "" {
		t.Errorf("the page of nothing has %q", found)
	}
}
