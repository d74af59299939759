package view

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/ipam"
)

// Allocated is what becomes of the claims of a landing zone, and of its pools.
type Allocated struct {
	At       time.Time         `json:"at"`
	Steps    []ipam.Step       `json:"steps"`
	Pools    []ipam.Usage      `json:"-"`
	Forecast []ipam.Forecast   `json:"forecast"`
	Findings []finding.Finding `json:"findings"`
}

// Changes are the steps that give, take or change a network.
func (a Allocated) Changes() []ipam.Step {
	return slices.DeleteFunc(slices.Clone(a.Steps), func(s ipam.Step) bool {
		return s.Outcome == ipam.Kept || s.Outcome == ipam.Refused || s.Outcome == ipam.Unknown
	})
}

// AllocatedReport tells what becomes of every claim, and when pools end.
func AllocatedReport(title string, a Allocated, most int) Report {
	r := Report{Title: title + ": addresses on " + a.At.Format(time.DateOnly)}
	r.Answer, r.Grade = Concerns(a.Findings)
	r.Answer = outcomes(a.Steps) + ": " + r.Answer
	r.Sections = ConcernSections(a.Findings, most)
	if steps := StepSection("Networks that change", a.Changes()); len(steps.Rows) > 0 {
		r.Sections = append(r.Sections, steps.Cut(most*2))
	}
	if most < 0 {
		kept := slices.DeleteFunc(slices.Clone(a.Steps), func(s ipam.Step) bool { return s.Outcome != ipam.Kept })
		r.Sections = append(r.Sections, StepSection("Networks that stay", kept))
	}
	if pools := poolTable(a); len(pools.Rows) > 0 {
		r.Sections = append(r.Sections, pools.Cut(most*3))
	}
	return r
}

// outcomes counts what becomes of claims: "45 kept, 2 allocated".
func outcomes(steps []ipam.Step) string {
	var told []string
	for _, o := range []ipam.Outcome{ipam.Refused, ipam.Unknown, ipam.Released, ipam.Shrunk, ipam.Grown, ipam.Allocated, ipam.Kept} {
		n := 0
		for _, s := range steps {
			if s.Outcome == o {
				n++
			}
		}
		if n > 0 {
			told = append(told, fmt.Sprintf("%d %s", n, strings.ToLower(string(o))))
		}
	}
	return cmp.Or(strings.Join(told, ", "), "no claims")
}

// StepSection lists what becomes of claims.
func StepSection(title string, steps []ipam.Step) Section {
	s := Section{Title: title, Columns: []string{"claim", "account", "pool", "size", "outcome", "from", "to", "can double"}}
	order := []ipam.Outcome{ipam.Released, ipam.Shrunk, ipam.Grown, ipam.Allocated, ipam.Kept}
	steps = slices.Clone(steps)
	slices.SortStableFunc(steps, func(a, b ipam.Step) int {
		return cmp.Compare(slices.Index(order, a.Outcome), slices.Index(order, b.Outcome))
	})
	for _, step := range steps {
		double := "-"
		if step.CanDouble {
			double = "yes"
		} else if step.To.IsValid() {
			double = "no"
		}
		s.Rows = append(s.Rows, Row{Cells: []string{step.Claim, cmp.Or(step.Account, "-"), step.Pool, step.Size,
			strings.ToLower(string(step.Outcome)), prefixText(step.From), prefixText(step.To), double}})
	}
	return s
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return "-"
	}
	return p.String()
}

// poolTable lists pools, those that end first at the top.
func poolTable(a Allocated) Section {
	s := Section{Title: "Pools", Columns: []string{"pool", "family", "networks", "can double", "given", "held", "free", "ends"}}
	forecast := func(u ipam.Usage) ipam.Forecast {
		for _, f := range a.Forecast {
			if f.Pool == u.Pool.Name && f.Family == u.Family {
				return f
			}
		}
		return ipam.Forecast{}
	}
	usages := slices.Clone(a.Pools)
	slices.SortStableFunc(usages, func(x, y ipam.Usage) int {
		never := "~" // sorts behind every day
		return cmp.Compare(cmp.Or(string(forecast(x).Ends), never), cmp.Or(string(forecast(y).Ends), never))
	})
	for _, u := range usages {
		f := forecast(u)
		end := cmp.Or(string(f.Ends), "not within 5 years")
		if f.Unknown != "" {
			end = "?"
		}
		s.Rows = append(s.Rows, Row{Cells: []string{u.Pool.Name, u.Family.String(), fmt.Sprint(u.Networks), fmt.Sprint(u.CanDouble),
			percent(u.Given), percent(u.Held), percent(u.Free), end}})
	}
	return s
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", share*100) }
