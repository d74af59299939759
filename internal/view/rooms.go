package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/room"
	"crossfade.dev/internal/plan/ttl"
)

// rooms writes how the pods fit: a line for each side and share where they do not, and
// one for all others of a side.
func (s *sheet) rooms(p Plan) {
	if len(p.Capacity) == 0 {
		return
	}
	s.line()
	s.line("capacity")
	var rows [][]string
	for _, side := range sidesOf(p.Capacity) {
		var fits []string
		var tightest *plan.Room
		for i, r := range p.Capacity {
			if r.Side != side {
				continue
			}
			if r.Unplaced == 0 {
				fits = append(fits, occasion(r))
				if tightest == nil || fullest(r.Pools) > fullest(tightest.Pools) {
					tightest = &p.Capacity[i]
				}
				continue
			}
			said := fmt.Sprintf("%d of %d pods find no place, first of %s", r.Unplaced, r.Unplaced+r.Placed, r.Short[0].Name)
			rows = append(rows, []string{s.mark(gateHeld, side+" "+occasion(r)), said + lacksText(r.Fit)})
		}
		if tightest != nil {
			rows = append(rows, []string{s.mark(gatePassed, side), fmt.Sprintf("fits %s; fullest: %s", strings.Join(fits, ", "), poolWords(tightest.Pools))})
		}
	}
	s.table("  ", rows)
	for _, c := range p.Costs {
		s.line(s.paint(dim, fmt.Sprintf("  maxTotal %d %%: at the peak %s, %s CPU and %s more than wanted; at most %s", c.MaxTotalPercent, Count(int(c.Pods), "pod"), quantity(c.CPU), quantity(c.Memory), Count(int(c.Rounds), "round"))))
	}
	for _, g := range p.Growth {
		s.paragraph("", g)
	}
}

func sidesOf(all []plan.Room) []string {
	var out []string
	for _, r := range all {
		if !slices.Contains(out, r.Side) {
			out = append(out, r.Side)
		}
	}
	return out
}

// occasion says when a room is needed: "at 50/50 without zone b".
func occasion(r plan.Room) string {
	out := fmt.Sprintf("at %d/%d", r.Share, 100-r.Share)
	if r.Without != "" {
		out += " without zone " + r.Without
	}
	if r.Grown {
		out += " with autoscalers at their most"
	}
	return out
}

// lacksText says what would take the rest, or why nothing would.
func lacksText(f room.Fit) string {
	var parts []string
	for _, l := range f.Lacking {
		where := l.Pool
		if l.Zone != "" {
			where += " in zone " + l.Zone
		}
		parts = append(parts, fmt.Sprintf("pool %s lacks %s", where, Count(l.Nodes, "node")))
	}
	for _, w := range f.Short {
		if w.Never != "" {
			parts = append(parts, fmt.Sprintf("%s fits nowhere: %s", w.Name, w.Never))
			break
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// fullest is how full the fullest pool is, in percent; -1 if nothing is known.
func fullest(pools []room.Pool) int {
	most := -1
	for _, p := range pools {
		most = max(most, fullness(p))
	}
	return most
}

// fullness is the percentage of what is scarcer in a pool.
func fullness(p room.Pool) int { return max(p.CPUPercent, p.MemoryPercent) }

// poolWords name the fullest pools, at most three.
func poolWords(pools []room.Pool) string {
	full := slices.Clone(pools)
	slices.SortStableFunc(full, func(a, b room.Pool) int { return cmp.Compare(fullness(b), fullness(a)) })
	var out []string
	for _, p := range full[:min(3, len(full))] {
		name := strings.TrimSuffix(p.Name+" "+p.Zone, " ")
		if p.CPUPercent < 0 {
			out = append(out, name+" of unknown size")
			continue
		}
		out = append(out, fmt.Sprintf("%s with %d %% of CPU and %d %% of memory requested", name, p.CPUPercent, p.MemoryPercent))
	}
	return strings.Join(out, "; ")
}

// names writes how long resolvers hold what leads to the estate. With most apps at 0 or
// above, only the advice that is about this zone is shown: the rest is always true.
func (s *sheet) names(r *ttl.Report, most int) {
	if r == nil {
		return
	}
	s.line()
	s.line("names      ", r.Zone)
	var rows [][]string
	for _, e := range r.Path {
		to := ""
		if e.To > 0 {
			to = fmt.Sprintf("to be lowered to %d s", e.To)
		}
		name := e.Name
		if e.Sets > 1 {
			name += fmt.Sprintf(" and %d more", e.Sets-1)
		}
		rows = append(rows, []string{e.What, name, fmt.Sprintf("%d s", e.Seconds), to})
	}
	s.table("  ", rows)
	rows = nil
	for _, b := range r.Back {
		rows = append(rows, []string{"way back: " + b.What, seconds(b.Before) + " now", seconds(b.After) + " with low TTLs"})
	}
	s.table("  ", rows)
	for _, a := range r.Advice {
		if a.Always && most >= 0 {
			continue
		}
		s.paragraph("", a.Text+" ("+a.Source+")")
	}
}

func seconds(n int64) string { return Duration(time.Duration(n) * time.Second) }

// ways writes what was measured between the networks, a line for each way.
func (s *sheet) ways(all []plan.Way) {
	if len(all) == 0 {
		return
	}
	s.line()
	s.line("networks")
	marks := map[v1.Verdict]mark{v1.Passed: gatePassed, v1.Failed: gateFailed}
	for _, w := range all {
		m, known := marks[w.Verdict]
		if !known {
			m = gateHeld
		}
		s.line("  ", s.mark(m, w.String()))
	}
}
