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
	// Waived tells by whom it is waived, until when and why; WaiverEnded whose waiver of
	// it is no longer in force.
	Waived      string   `json:"waived,omitempty"`
	WaiverEnded string   `json:"waiverEnded,omitempty"`
	Objects     []Object `json:"objects"`
}

// An Object is what has a finding, and what was seen of it.
type Object struct {
	Name     string `json:"name"`
	Observed string `json:"observed"`
	// File and Line are where it stands in what was read; empty if that is a cluster.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// unreached is the finding that says what the gate networks says: one waiver is enough
// for both.
const unreached = "CF-NET-003"

// Findings groups what was found by id and severity, worst first. Waivers that are in
// force at now are noted.
func Findings(all []finding.Found, waivers []v1.Waiver, now time.Time) []Finding {
	var out []Finding
	for _, f := range all {
		i := slices.IndexFunc(out, func(g Finding) bool { return g.ID == f.ID && g.Severity == f.Severity })
		if i < 0 {
			e, _ := finding.EntryOf(f.ID)
			g := Finding{ID: f.ID, Severity: f.Severity, Title: e.Title, Why: e.Why, Fix: e.Fix}
			g.Waived, g.WaiverEnded = plan.WaiverOf(f.ID, waivers, now)
			if f.ID == unreached && g.Waived == "" {
				g.Waived, _ = plan.WaiverOf(plan.GateNetworks, waivers, now)
			}
			out, i = append(out, g), len(out)
		}
		out[i].Objects = append(out[i].Objects, Object{Name: f.Object, Observed: f.Observed})
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
		s.line("  ", s.mark(m, fmt.Sprintf("%s %s  %s", f.ID, f.Severity, f.Title)), " (", grouped(int64(len(f.Objects))), ")")
		s.waiverOf(f)
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
			s.line(s.paint(dim, "      and "+grouped(int64(more))+" more"))
		}
		if f.Severity == finding.Blocks {
			s.line("      fix: ", f.Fix)
		}
	}
	if most >= 0 {
		s.line(s.paint(dim, "  why one hurts, and its fix: crossfade explain "+all[0].ID+"; every object: --apps -1"))
	}
}

func (s *sheet) waiverOf(f Finding) {
	switch {
	case f.Waived != "":
		s.line("      waived by ", f.Waived)
	case f.WaiverEnded != "":
		s.line("      ", s.paint(warn, f.WaiverEnded))
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
		return grouped(int64(n)) + " blocking"
	case finding.Warns:
		return Count(n, "warning")
	default:
		return Count(n, "note")
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
	s.paragraph("workloads", fmt.Sprintf("%s: %s", grouped(int64(workloads)), strings.Join(parts, ", ")))
}

// estimated writes what a move would take.
func (s *sheet) estimated(e *plan.Estimate) {
	if e == nil || e.Objects == 0 {
		return
	}
	s.line()
	s.paragraph("estimate", fmt.Sprintf("%s, %s, at most %s above the wanted number at once (%s CPU, %s memory)",
		Count(e.Objects, "object"), Count(e.Writes, "write"), Count(int(e.ExtraPods), "pod"), quantity(e.ExtraCPU), quantity(e.ExtraMemory)))
	s.paragraph("", fmt.Sprintf("about %s of moving, and %s in which teams' changes are refused",
		Duration(time.Duration(e.Seconds)*time.Second), Duration(time.Duration(e.FreezeSeconds)*time.Second)))
}
