package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"crossfade.dev/internal/landing/ipam"
	"crossfade.dev/internal/landing/policy"
	"crossfade.dev/internal/landing/source"
)

// A LandingPlan is what a change of a landing zone lets happen.
type LandingPlan struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Role is who calls, empty if not known.
	Role       string            `json:"role,omitempty"`
	Guardrails policy.Difference `json:"guardrails"`
	// Segments are what reaches what otherwise than today.
	Segments []NetworkChange `json:"segments,omitempty"`
	// Networks are the claims that get, lose or change a network.
	Networks []ipam.Step `json:"networks,omitempty"`
	// Addresses, Quotas and Reviews are what would go wrong with them, or is not
	// known, and was not so before; and the other way round.
	Addresses Turnover `json:"addresses"`
	Quotas    Turnover `json:"quotas"`
	Reviews   Turnover `json:"reviews"`
	// Findings are what is wrong with the files of the new state.
	Findings source.Findings `json:"findings,omitempty"`
}

// turnovers are the parts that are told by what comes and goes.
func (p *LandingPlan) turnovers() []struct {
	name string
	Turnover
} {
	return []struct {
		name string
		Turnover
	}{{"Addresses", p.Addresses}, {"Quotas", p.Quotas}, {"Reviews and decisions", p.Reviews}}
}

// Differs reports whether anything becomes another.
func (p *LandingPlan) Differs() bool {
	d := p.Guardrails
	differs := len(d.Changes)+len(d.Added)+len(d.Removed)+len(p.Networks)+len(p.Segments) > 0
	for _, t := range p.turnovers() {
		differs = differs || len(t.Come)+len(t.Go) > 0
	}
	return differs
}

// Worse reports whether something opens that is closed today, or something new
// would go wrong or is not known.
func (p *LandingPlan) Worse() bool {
	worse := opens(p.Guardrails) || opensWay(p.Segments)
	for _, t := range p.turnovers() {
		for _, f := range t.Come {
			worse = worse || f.Blocks()
		}
	}
	return worse
}

// LandingPlanReport tells what a change lets happen, part by part. Each part shows
// at most so many of a kind, unless that is negative.
func LandingPlanReport(title string, p *LandingPlan, most int) Report {
	r := Report{Title: title}
	if p.Role != "" {
		r.Title += ", for role " + p.Role
	}
	var answers []Item
	say := func(answer string, grade Grade) { answers = append(answers, Item{Grade: grade, Text: answer}) }
	if errors := p.Findings.Errors(); len(errors) > 0 {
		say("the new state has "+Tally(errors)+", and what that leaves open is unknown", Bad)
		r.Sections = append(r.Sections, FindingsReport("", "", errors, most).Sections...)
	}
	say(differenceAnswer(p.Guardrails))
	r.Sections = append(r.Sections, differenceSections(p.Guardrails, most)...)
	if len(p.Segments) > 0 {
		sections, answer, grade := networkSections(p.Segments, most)
		say(answer, grade)
		r.Sections = append(r.Sections, sections...)
	}
	if len(p.Networks) > 0 {
		say(fmt.Sprintf("changed networks: %d", len(p.Networks)), Fine)
		r.Sections = append(r.Sections, StepSection("Networks", p.Networks).Cut(most))
	}
	for _, t := range p.turnovers() {
		if len(t.Come)+len(t.Go) == 0 {
			continue
		}
		_, grade := Concerns(t.Come)
		say(fmt.Sprintf("%s: %d new, %d no longer so", strings.ToLower(t.name), len(t.Come), len(t.Go)), grade)
		r.Sections = append(r.Sections, t.Sections(t.name, most)...)
	}
	slices.SortStableFunc(answers, func(a, b Item) int { return cmp.Compare(b.Grade, a.Grade) })
	r.Grade, r.Answer = answers[0].Grade, answers[0].Text
	for _, a := range answers[1:] {
		r.Answer += "; " + a.Text
	}
	return r
}
