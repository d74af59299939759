package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
	"crossfade.dev/internal/plan/ttl"
)

// A Plan is what a migration would find if it began now.
type Plan struct {
	Source string `json:"source"`
	Target string `json:"target"`
	// Moves are the apps as they would be recorded.
	Moves []v1.Move `json:"moves"`
	// Gates are Preflight's.
	Gates []v1.Gate `json:"gates"`
	// Warnings are what a person should know and no gate holds, a sentence each.
	Warnings []string `json:"warnings,omitempty"`
	// Apps is the inventory.
	Apps []plan.App `json:"apps,omitempty"`
	// Findings are grouped, worst first.
	Findings []Finding `json:"findings,omitempty"`
	// Capacity is how either side's pods fit at each share, Costs what both together need
	// above what is wanted at the peak, and Growth how far nodes may be added.
	Capacity []plan.Room `json:"capacity,omitempty"`
	Costs    []plan.Cost `json:"costs,omitempty"`
	Growth   []string    `json:"growth,omitempty"`
	// Ways are those of the bridge as they were measured; none if nobody asked for it.
	Ways []plan.Way `json:"ways,omitempty"`
	// Names is how long resolvers hold what leads to the estate; nil if it was not asked.
	Names *ttl.Report `json:"names,omitempty"`
	// Estimate is nil if nothing would move.
	Estimate *plan.Estimate `json:"estimate,omitempty"`
	// Unknown are kinds that are kept as they are.
	Unknown []Unit `json:"unknown,omitempty"`
	// Next is the command that a person would run next.
	Next string `json:"next,omitempty"`
}

// Passes tells whether every gate has passed or is waived, and nothing blocks.
func (p Plan) Passes() bool {
	for _, g := range p.Gates {
		if g.Verdict != v1.Passed && g.Waived == "" {
			return false
		}
	}
	for _, f := range p.Findings {
		if f.Severity == finding.Blocks && f.Waived == "" {
			return false
		}
	}
	return true
}

// PlanText is a plan as people read it. It lists at most mostApps apps, the worst
// first, or all if that is negative; with wide, their workloads too.
func PlanText(p Plan, look Look, mostApps int, wide bool) string {
	s := &sheet{Look: look}
	s.line(s.paint(bold, p.Source), " → ", s.paint(bold, cmp.Or(p.Target, "(not looked at)")))
	for _, warning := range p.Warnings {
		s.paragraph(s.mark(gateWaived, "note"), warning)
	}
	s.gates(gatesOf(p.Gates))
	for _, g := range gatesOf(p.Gates) {
		if g.Verdict != v1.Passed && g.Waived == "" {
			s.line()
			s.paragraph(g.Name, v1.Explanations[g.Reason].Cause)
			s.paragraph("fix", g.Fix)
		}
	}
	s.found(p.Findings, mostApps)
	s.traitCounts(p.Apps)
	apps := Apps{}
	for _, m := range p.Moves {
		apps.Worst = append(apps.Worst, appOf(m))
	}
	apps.ByState = countStates(apps.Worst)
	sortWorst(apps.Worst)
	if mostApps >= 0 && len(apps.Worst) > mostApps {
		apps.More, apps.Worst = len(apps.Worst)-mostApps, apps.Worst[:mostApps]
	}
	s.apps(apps, wide)
	s.decisions(p.Moves, mostApps)
	s.rooms(p)
	s.ways(p.Ways)
	s.names(p.Names, mostApps)
	s.estimated(p.Estimate)
	s.unknown(p.Unknown)
	if p.Next != "" {
		s.line()
		s.line("next       ", p.Next)
	}
	return s.String()
}

// decisions writes what a person would put into spec.decisions, at most most lines
// of it.
func (s *sheet) decisions(moves []v1.Move, most int) {
	var rows []string
	for _, m := range moves {
		for _, w := range m.Status.Workloads {
			if w.Decide == v1.Undecided {
				rows = append(rows, fmt.Sprintf("  - {workload: %s/%s/%s, decide: Stay}  # %s", w.Kind, m.Spec.Namespace, w.Name, evidence(w)))
			}
		}
	}
	if len(rows) == 0 || most == 0 {
		return
	}
	slices.Sort(rows)
	s.line()
	s.line("to decide, in spec.decisions (Stay keeps a workload in the source, bridged)")
	for i, row := range rows {
		if i == most {
			s.line(s.paint(dim, fmt.Sprintf("  and %d more", len(rows)-most)))
			break
		}
		s.line(row)
	}
}

func evidence(w v1.WorkloadStatus) string {
	var said []string
	if len(w.Traits) == 0 {
		return "no Service leads to it, so what it does cannot be told"
	}
	for _, t := range w.Traits {
		said = append(said, strings.TrimSuffix(string(t.Trait)+": "+t.Evidence, ": "))
	}
	return strings.Join(said, "; ")
}

// A Difference is one object that the two sides hold differently.
type Difference struct {
	// Object is the kind, and the namespace and name: Deployment shop/cart.
	Object string `json:"object"`
	// Text says what is wrong with the whole object; empty if Fields differ.
	Text   string       `json:"text,omitempty"`
	Fields []FieldValue `json:"fields,omitempty"`
}

// A FieldValue is one field with its value on either side, as people read it.
type FieldValue struct {
	Path   string `json:"path"`
	Source string `json:"source,omitempty"`
	Target string `json:"target,omitempty"`
}

// DifferenceText is differences as people read them, a line for each field.
func DifferenceText(all []Difference, look Look) string {
	s := &sheet{Look: look}
	for _, d := range all {
		if d.Text != "" {
			s.line(s.mark(gateHeld, d.Object), ": ", d.Text)
			continue
		}
		s.line(s.mark(gateHeld, d.Object))
		for _, f := range d.Fields {
			s.line("    ", f.Path, ": source ", orAbsent(f.Source), ", target ", orAbsent(f.Target))
		}
	}
	return s.String()
}

func orAbsent(value string) string {
	if value == "" {
		return "(absent)"
	}
	return value
}
