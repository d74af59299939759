package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
	"crossfade.dev/internal/plan/room"
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

// A Capacity is how the pods of one side fit on its nodes at one share.
type Capacity struct {
	Side string `json:"side"`
	// Share is the percentage of the moving replicas that stands in the target.
	Share int32 `json:"share"`
	// Without names a zone that is thought away; "" if none is.
	Without  string       `json:"without,omitempty"`
	Placed   int32        `json:"placed"`
	Unplaced int32        `json:"unplaced"`
	Short    []room.Short `json:"short,omitempty"`
	Pools    []room.Pool  `json:"pools,omitempty"`
}

// A Unit counts the objects of a kind.
type Unit struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// A Times is what is to be known of the names before a start.
type Times struct {
	Zone string `json:"zone"`
	// Lower are the record sets whose TTL is to be lowered, as people read them.
	Lower []string `json:"lower,omitempty"`
	// WaitSeconds is how long after that the old answers are gone, RollbackSeconds how
	// long a way back takes to reach clients from then on.
	WaitSeconds     int64 `json:"waitSeconds"`
	RollbackSeconds int64 `json:"rollbackSeconds"`
	// Safe is when a start is safe if the TTLs are lowered now.
	Safe time.Time `json:"safe"`
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
			parts = append(parts, fmt.Sprintf("%d %s", counts[sev], map[finding.Severity]string{finding.Blocks: "blocking", finding.Warns: "warnings", finding.Notes: "notes"}[sev]))
		}
	}
	return strings.Join(parts, ", ")
}

// traitCounts writes how many workloads show each trait.
func (s *sheet) traitCounts(apps []plan.App) {
	counts, workloads := map[v1.Trait]int{}, 0
	for _, a := range apps {
		for _, w := range a.Workloads {
			workloads++
			for _, t := range w.Traits {
				counts[t.Trait]++
			}
			if len(w.Traits) == 0 {
				counts["untold"]++
			}
		}
	}
	if workloads == 0 {
		return
	}
	var parts []string
	for t, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, t))
	}
	slices.SortFunc(parts, func(a, b string) int {
		var x, y int
		var p, q string
		_, _ = fmt.Sscan(a, &x, &p)
		_, _ = fmt.Sscan(b, &y, &q)
		return cmp.Or(cmp.Compare(y, x), strings.Compare(p, q))
	})
	s.line()
	s.paragraph("workloads", fmt.Sprintf("%d: %s", workloads, strings.Join(parts, ", ")))
}

// room writes how the pods fit, a line for each side and share.
func (s *sheet) room(all []Capacity) {
	if len(all) == 0 {
		return
	}
	s.line()
	s.line("capacity")
	var rows [][]string
	for _, c := range all {
		what := fmt.Sprintf("%s at %d/%d", c.Side, c.Share, 100-c.Share)
		if c.Without != "" {
			what += " without " + c.Without
		}
		m, said := gatePassed, fmt.Sprintf("%d pods placed", c.Placed)
		if c.Unplaced > 0 {
			m, said = gateHeld, fmt.Sprintf("%s, %d find no place, first of %s", said, c.Unplaced, c.Short[0].Name)
		}
		rows = append(rows, []string{s.mark(m, what), said, poolWords(c.Pools)})
	}
	s.table("  ", rows)
}

// poolWords name the fullest pools, at most three.
func poolWords(pools []room.Pool) string {
	full := slices.Clone(pools)
	slices.SortStableFunc(full, func(a, b room.Pool) int {
		return cmp.Compare(max(b.CPUPercent, b.MemoryPercent), max(a.CPUPercent, a.MemoryPercent))
	})
	var out []string
	for _, p := range full[:min(3, len(full))] {
		name := strings.TrimSuffix(p.Name+" "+p.Zone, " ")
		if p.CPUPercent < 0 {
			out = append(out, name+": size unknown")
			continue
		}
		out = append(out, fmt.Sprintf("%s: cpu %d %%, memory %d %%", name, p.CPUPercent, p.MemoryPercent))
	}
	return strings.Join(out, "; ")
}

func (s *sheet) times(t *Times) {
	if t == nil {
		return
	}
	s.line()
	s.paragraph("names", fmt.Sprintf("%d record sets on the path of %s have a TTL to lower; lowered now, a start is safe at %s", len(t.Lower), t.Zone, t.Safe.UTC().Format(time.DateTime)+"Z"))
	s.paragraph("", fmt.Sprintf("from then on a way back reaches clients in %s", Duration(time.Duration(t.RollbackSeconds)*time.Second)))
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
