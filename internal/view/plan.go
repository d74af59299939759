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

// PlanText is a plan as people read it: whether anything stands in the way, then what
// does, the worst first, then what there is and what it takes, and at the end what was
// not seen and what to do next. It lists at most mostApps apps, findings' objects and
// decisions, or all if that is negative; with wide, workloads too.
func PlanText(p Plan, look Look, mostApps int, wide bool) string {
	s := &sheet{Look: look}
	s.line(s.paint(bold, p.Source), " → ", s.paint(bold, cmp.Or(p.Target, "(not looked at)")))
	s.verdict(p)
	s.gates(gatesOf(p.Gates))
	for _, g := range gatesOf(p.Gates) {
		if g.Verdict != v1.Passed && g.Waived == "" {
			s.line()
			cause, fix := v1.Explanations[g.Reason].Cause, g.Fix
			if g.Reason == v1.DecisionNeeded && len(p.Moves) == 0 {
				cause, fix = "There is no workload in what was read.", "Look elsewhere: another folder, context or spec.namespaces."
			}
			s.paragraph(g.Name, cause)
			s.paragraph("fix", fix)
		}
	}
	s.found(p.Findings, mostApps)
	s.decisions(p.Moves, mostApps)
	if len(p.Moves) > 0 {
		s.planned(p.Moves, mostApps, wide)
	}
	s.traitCounts(p.Apps)
	s.rooms(p)
	s.ways(p.Ways)
	s.names(p.Names, mostApps)
	if len(p.Moves) > 0 {
		s.estimated(p.Estimate)
	}
	s.unseen(p)
	if p.Next != "" {
		s.line()
		s.line("next       ", p.Next)
	}
	return s.String()
}

// verdict says in one line what stands in the way.
func (s *sheet) verdict(p Plan) {
	m, said := gatePassed, "nothing stands in the way"
	if why := p.standsInTheWay(); why != "" {
		m, said = gateHeld, why
		if p.blocked() {
			m = gateFailed
		}
	}
	if counts := findingCounts(p.Findings); counts != "" {
		said += "; found: " + counts
	}
	s.line(s.mark(m, said))
}

// standsInTheWay counts what a start would be held by; "" if there is nothing.
func (p Plan) standsInTheWay() string {
	var parts []string
	say := func(n int, one, more string) {
		switch {
		case n == 1:
			parts = append(parts, "1 "+one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, more))
		}
	}
	kinds, gates := 0, 0
	for _, f := range p.Findings {
		if f.Severity == finding.Blocks && f.Waived == "" {
			kinds++
		}
	}
	for _, g := range p.Gates {
		if g.Verdict != v1.Passed && g.Waived == "" && g.Name != plan.GateDecisions {
			gates++
		}
	}
	say(kinds, "kind of finding blocks", "kinds of findings block")
	say(gates, "gate has not passed", "gates have not passed")
	say(len(toDecide(p.Moves)), "workload needs a decision", "workloads need a decision")
	if len(parts) == 0 && !p.Passes() {
		return "a gate has not passed"
	}
	return strings.Join(parts, ", ")
}

// blocked tells whether more than decisions or unknowns stands in the way.
func (p Plan) blocked() bool {
	return slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Severity == finding.Blocks && f.Waived == "" }) ||
		slices.ContainsFunc(p.Gates, func(g v1.Gate) bool { return g.Verdict == v1.Failed && g.Waived == "" })
}

// planned writes the apps. Those that need a decision are listed with it already.
func (s *sheet) planned(moves []v1.Move, most int, wide bool) {
	apps := Apps{}
	for _, m := range moves {
		apps.Worst = append(apps.Worst, appOf(m))
	}
	apps.ByState = countStates(apps.Worst)
	sortWorst(apps.Worst)
	apps.Total = int32(len(apps.Worst))
	if !wide && most > 0 {
		apps.Worst = slices.DeleteFunc(apps.Worst, func(a App) bool { return a.State == v1.MoveUndecided })
	}
	if most >= 0 && len(apps.Worst) > most {
		apps.More, apps.Worst = len(apps.Worst)-most, apps.Worst[:most]
	}
	s.apps(apps, wide)
}

// toDecide lists what a person would put into spec.decisions, a line for each workload.
func toDecide(moves []v1.Move) []string {
	var rows []string
	for _, m := range moves {
		for _, w := range m.Status.Workloads {
			if w.Decide == v1.Undecided {
				rows = append(rows, fmt.Sprintf("- {workload: %s/%s/%s, decide: Stay}  # %s", w.Kind, m.Spec.Namespace, w.Name, evidence(w)))
			}
		}
	}
	slices.Sort(rows)
	return rows
}

// decisions writes what a person would put into spec.decisions, at most most lines
// of it.
func (s *sheet) decisions(moves []v1.Move, most int) {
	rows := toDecide(moves)
	if len(rows) == 0 || most == 0 {
		return
	}
	s.line()
	s.line("to decide, in spec.decisions (Stay keeps a workload in the source, bridged; Move takes it along)")
	for i, row := range rows {
		if i == most {
			s.line(s.paint(dim, fmt.Sprintf("  and %d more: --apps -1 shows all", len(rows)-most)))
			break
		}
		s.line("  ", row)
	}
}

// evidence tells why a workload needs a decision: what it is besides serving.
func evidence(w v1.WorkloadStatus) string {
	var said []string
	if len(w.Traits) == 0 {
		return "no Service leads to it, so what it does cannot be told"
	}
	for _, t := range w.Traits {
		if t.Trait == v1.Serving && len(w.Traits) > 1 {
			continue
		}
		said = append(said, strings.TrimSuffix(string(t.Trait)+": "+t.Evidence, ": "))
	}
	return strings.Join(said, "; ")
}

// unseen writes what a plan does not know, and what a person should know besides.
func (s *sheet) unseen(p Plan) {
	if len(p.Warnings) == 0 && len(p.Unknown) == 0 {
		return
	}
	s.line()
	s.line("to know    ", s.paint(dim, "(what was not seen is unknown, not clean)"))
	for _, warning := range p.Warnings {
		s.point(warning)
	}
	if len(p.Unknown) == 0 {
		return
	}
	var parts []string
	for _, u := range p.Unknown {
		parts = append(parts, fmt.Sprintf("%s (%s)", u.Kind, grouped(int64(u.Count))))
	}
	s.point("kinds that nothing here knows by type, kept as they are: " + strings.Join(parts, ", "))
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
