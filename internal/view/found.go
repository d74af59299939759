package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
)

// A Finding is one kind of trouble, with every object that has it.
type Finding struct {
	ID       string           `json:"id"`
	Severity finding.Severity `json:"severity"`
	Title    string           `json:"title"`
	Why      string           `json:"why"`
	Fix      string           `json:"fix"`
	// Waived names the owner of the waiver that lets it pass.
	Waived  string   `json:"waived,omitempty"`
	Objects []Object `json:"objects"`
}

// An Object is what has a finding, and what was seen of it.
type Object struct {
	Name     string `json:"name"`
	Observed string `json:"observed"`
}

// Findings groups what was found by id and severity, worst first. Waivers that are in
// force at now are noted.
func Findings(all []finding.Found, waivers []v1.Waiver, now time.Time) []Finding {
	var out []Finding
	for _, f := range all {
		i := slices.IndexFunc(out, func(g Finding) bool { return g.ID == f.ID && g.Severity == f.Severity })
		if i < 0 {
			e, _ := finding.EntryOf(f.ID)
			g := Finding{ID: f.ID, Severity: f.Severity, Title: e.Title, Why: e.Why, Fix: e.Fix}
			for _, w := range waivers {
				if w.Gate == f.ID && now.Before(w.Expires.Time) {
					g.Waived = w.Owner
				}
			}
			out, i = append(out, g), len(out)
		}
		out[i].Objects = append(out[i].Objects, Object{f.Object, f.Observed})
	}
	return out
}

// A Unit counts the objects of a kind.
type Unit struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// found writes the findings, worst first: each with the first objects that have it.
func (s *sheet) found(all []Finding, most int) {
	if len(all) == 0 {
		return
	}
	s.line()
	s.line("findings   ", findingCounts(all))
	for _, f := range all {
		m := map[finding.Severity]mark{finding.Blocks: gateFailed, finding.Warns: gateHeld, finding.Notes: {"·", dim}}[f.Severity]
		if f.Waived != "" {
			m = gateWaived
		}
		head := fmt.Sprintf("%s %s  %s", f.ID, f.Severity, f.Title)
		if f.Waived != "" {
			head += ", waived by " + f.Waived
		}
		s.line("  ", s.mark(m, head), fmt.Sprintf(" (%d)", len(f.Objects)))
		if f.Severity == finding.Notes && most >= 0 {
			continue
		}
		shown := f.Objects
		if most >= 0 {
			shown = shown[:min(len(shown), max(1, min(most, 3)))]
		}
		for _, o := range shown {
			s.line("      ", o.Name, ": ", o.Observed)
		}
		if more := len(f.Objects) - len(shown); more > 0 {
			s.line(s.paint(dim, fmt.Sprintf("      and %d more", more)))
		}
		if f.Severity == finding.Blocks {
			s.line("      fix: ", f.Fix)
		}
	}
}

func findingCounts(all []Finding) string {
	counts := map[finding.Severity]int{}
	for _, f := range all {
		counts[f.Severity] += len(f.Objects)
	}
	var parts []string
	for _, sev := range []finding.Severity{finding.Blocks, finding.Warns, finding.Notes} {
		if counts[sev] > 0 {
			parts = append(parts, tally(counts[sev], sev))
		}
	}
	return strings.Join(parts, ", ")
}

func tally(n int, sev finding.Severity) string {
	switch sev {
	case finding.Blocks:
		return fmt.Sprintf("%d blocking", n)
	case finding.Warns:
		return count(n, "warning")
	default:
		return count(n, "note")
	}
}

// traitCounts writes how many workloads show each trait.
func (s *sheet) traitCounts(apps []plan.App) {
	const untold v1.Trait = "untold"
	counts, workloads := map[v1.Trait]int{}, 0
	for _, a := range apps {
		for _, w := range a.Workloads {
			workloads++
			for _, t := range w.Traits {
				counts[t.Trait]++
			}
			if len(w.Traits) == 0 {
				counts[untold]++
			}
		}
	}
	if workloads == 0 {
		return
	}
	traits := slices.SortedFunc(maps.Keys(counts), func(a, b v1.Trait) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, t := range traits {
		parts = append(parts, fmt.Sprintf("%d %s", counts[t], t))
	}
	s.line()
	s.paragraph("workloads", fmt.Sprintf("%d: %s", workloads, strings.Join(parts, ", ")))
}

// estimated writes what a move would take.
func (s *sheet) estimated(e *plan.Estimate) {
	if e == nil || e.Objects == 0 {
		return
	}
	s.line()
	s.paragraph("estimate", fmt.Sprintf("%d objects, %d writes, at most %d pods above the wanted number at once (%s CPU, %s memory)",
		e.Objects, e.Writes, e.ExtraPods, e.ExtraCPU, e.ExtraMemory))
	s.paragraph("", fmt.Sprintf("about %s of moving, and %s in which teams' changes are refused",
		Duration(time.Duration(e.Seconds)*time.Second), Duration(time.Duration(e.FreezeSeconds)*time.Second)))
}

func (s *sheet) unknown(all []Unit) {
	if len(all) == 0 {
		return
	}
	var parts []string
	for _, u := range all {
		parts = append(parts, fmt.Sprintf("%s (%d)", u.Kind, u.Count))
	}
	s.line()
	s.paragraph("unknown", "kinds that nothing here knows by type, kept as they are: "+strings.Join(parts, ", "))
}
