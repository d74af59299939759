package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	v1 "crossfade.dev/api/v1alpha1"
)

// Text is a summary as people read it in a terminal. With wide, apps are shown
// with their workloads.
func Text(s Summary, look Look, wide bool, now time.Time) string {
	sheet := &sheet{Look: look}
	sheet.head(s)
	sheet.stages(s.Stages)
	sheet.line()
	sheet.handOvers(s, now)
	sheet.wait(s, now)
	sheet.next(s)
	sheet.gates(s.Gates)
	sheet.apps(s.Apps, wide)
	sheet.timeline(s.Timeline)
	return sheet.String()
}

func (s *sheet) head(sum Summary) {
	way := "forward"
	if sum.Direction == v1.Back {
		way = "back to " + string(sum.BackTo)
		if sum.BackTo == v1.Nothing {
			way = "back, all the way"
		}
	}
	s.line(s.paint(bold, sum.Name), "  ", sum.Source, " → ", sum.Target, "  ", way, "  ",
		s.mark(standingMarks[sum.Standing], standingWords[sum.Standing]))
}

// standingWords are the standings in running text.
var standingWords = map[Standing]string{
	Unseen: "not looked at yet", Working: "at work", Waiting: "waiting", Asking: "waiting for approval", OnHold: "on hold",
	Failed: "failed", Arrived: "arrived", RolledBack: "rolled back", Retired: "retired",
}

// stages draws the six in a line, or, where that does not fit, in as many as it
// takes.
func (s *sheet) stages(stages []Stage) {
	const gap = "  "
	line := ""
	for _, stage := range stages {
		next := s.mark(stageMarks[stage.State], string(stage.Name))
		if line != "" && s.Width > 0 && ansi.StringWidth(line+gap+next) > s.Width {
			s.line(line)
			line = ""
		}
		if line != "" {
			line += gap
		}
		line += next
	}
	s.line(line)
}

func (s *sheet) handOvers(sum Summary, now time.Time) {
	const scale = 20
	s.line("capacity   ", fmt.Sprintf("%3d %%  ", sum.Capacity), s.bar(sum.Capacity, scale), " in ", sum.Target)
	s.line("entry      ", fmt.Sprintf("%3d %%  ", sum.Entry), s.bar(sum.Entry, scale), " to ", sum.Target)
	s.line("writer     ", sideWord(sum.Writer))
	s.line("endpoint   ", sideWord(sum.Endpoint))
	s.line("mirror     ", mirrorWords(sum.Mirror))
	for _, line := range freezeWords(sum, now) {
		s.line("freeze     ", line)
	}
	s.line("way back   ", rollbackWords(sum.Rollback))
	if sum.Hold != nil {
		s.line("hold       ", s.paint(warn, strings.TrimSuffix("by "+sum.Hold.By+": "+sum.Hold.Reason, ": ")))
	}
	if sum.RetireBy != "" {
		s.line("retire     ", "asked for by ", sum.RetireBy)
	}
}

func mirrorWords(m v1.MirrorStatus) string {
	level := "level"
	if m.Differing > 0 {
		level = fmt.Sprintf("%d differ", m.Differing)
	}
	switch {
	case m.Objects == 0:
		return "nothing copied yet"
	case m.LagMillis < 0:
		return fmt.Sprintf("%d objects, how far behind is not known yet", m.Objects)
	case m.LagMillis == 0:
		return fmt.Sprintf("%d objects, %s", m.Objects, level)
	default:
		return fmt.Sprintf("%d objects, %s, %s behind", m.Objects, level, Duration(time.Duration(m.LagMillis)*time.Millisecond))
	}
}

func freezeWords(s Summary, now time.Time) []string {
	var lines []string
	for _, f := range s.Freezes {
		line := fmt.Sprintf("%s (%s) is being closed to teams", f.Cluster, sideWord(f.Side))
		if f.Since != nil {
			line = fmt.Sprintf("%s (%s) has refused teams' changes for %s", f.Cluster, sideWord(f.Side), Duration(now.Sub(*f.Since)))
		}
		if len(f.Exempt) > 0 {
			line += ", except " + strings.Join(f.Exempt, ", ")
		}
		lines = append(lines, line)
	}
	switch {
	case s.Frozen.Now:
		lines = append(lines, "teams can change nothing on either side right now")
	case s.Frozen.Seconds > 0:
		lines = append(lines, fmt.Sprintf("teams could change nothing on either side for %s", Duration(time.Duration(s.Frozen.Seconds)*time.Second)))
	}
	if len(lines) == 0 {
		return []string{"none"}
	}
	return lines
}

func rollbackWords(c v1.RollbackCost) string {
	loses := cmp.Or(c.Loses, "nothing")
	if strings.Contains(loses, " ") {
		return loses
	}
	if c.Seconds == 0 {
		return "at once, loses " + loses
	}
	return fmt.Sprintf("about %s, loses %s", Duration(time.Duration(c.Seconds)*time.Second), loses)
}

func (s *sheet) wait(sum Summary, now time.Time) {
	w := sum.Wait
	if w == nil {
		return
	}
	s.line()
	said := strings.Trim(string(w.Reason)+": "+w.Message, ": ")
	s.paragraph("waits for", said)
	if w.Until != nil {
		s.paragraph("until", fmt.Sprintf("%s, in %s", w.Until.UTC().Format("15:04:05Z"), Duration(w.Until.Sub(now))))
	}
	if sum.Standing == Working || w.Cause == "" {
		return
	}
	s.paragraph("why", w.Cause)
	s.paragraph("fix", w.Fix)
}

// next says what a person may want of a migration that wants nothing itself.
func (s *sheet) next(sum Summary) {
	switch sum.Standing {
	case Arrived:
		s.line()
		s.paragraph("next", fmt.Sprintf("watch it for as long as you like; then `crossfade retire %s --by PERSON` lets go of the source, for ever", sum.Name))
	case RolledBack:
		s.line()
		s.paragraph("next", fmt.Sprintf("`crossfade run %s` leads forward again", sum.Name))
	}
}

func (s *sheet) gates(gates []Gate) {
	if len(gates) == 0 {
		return
	}
	s.line()
	s.line("gates")
	var rows [][]string
	for _, g := range gates {
		m := gateMark(g.Gate)
		rows = append(rows, []string{s.mark(m, g.Name), gateWords(g.Gate)})
	}
	s.table("  ", rows)
}

func gateWords(g v1.Gate) string {
	said := cmp.Or(g.Observed, "nothing is known yet")
	if g.Verdict == v1.Passed {
		return said
	}
	said = string(g.Reason) + ": " + said
	if g.Limit != "" {
		said += "; wanted: " + g.Limit
	}
	if g.Waived != "" {
		said += "; waived by " + g.Waived
	}
	return said
}

func (s *sheet) apps(apps Apps, wide bool) {
	s.line()
	if apps.Total == 0 && len(apps.Worst) == 0 {
		s.line("apps       none known yet")
		return
	}
	s.line("apps       ", appCounts(apps))
	var rows [][]string
	for _, a := range apps.Worst {
		if !wide && quiet(a.State) {
			apps.More++
			continue
		}
		rows = append(rows, []string{s.mark(appMarks[a.State], a.Namespace+"/"+a.Name), string(a.State), fmt.Sprintf("%3d %%", a.Share), a.Message})
		if wide {
			rows = append(rows, workloadRows(a.Workloads)...)
		}
	}
	s.table("  ", rows)
	if apps.More > 0 && len(rows) > 0 {
		s.line(s.paint(dim, fmt.Sprintf("  and %d more: -o wide --apps -1", apps.More)))
	}
}

// quiet states are normal: their apps are counted, not listed.
func quiet(s v1.MoveState) bool {
	return s == v1.MoveMoved || s == v1.MoveStaying || s == v1.MoveWaiting || s == v1.MoveMirrored || s == v1.MoveWarm
}

func appCounts(a Apps) string {
	total := a.Total
	if total == 0 {
		total = int32(len(a.Worst) + a.More)
	}
	var parts []string
	for _, state := range badness {
		if n := a.ByState[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToLower(cmp.Or(string(state), "not looked at"))))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, fmt.Sprintf("%d moving, %d on the target, %d staying", a.Moving, a.OnTarget, a.Staying))
		if a.Undecided > 0 {
			parts = append(parts, fmt.Sprintf("%d undecided", a.Undecided))
		}
		if a.Quarantined > 0 {
			parts = append(parts, fmt.Sprintf("%d quarantined", a.Quarantined))
		}
	}
	return fmt.Sprintf("%d: %s", total, strings.Join(parts, ", "))
}

func workloadRows(workloads []v1.WorkloadStatus) [][]string {
	var rows [][]string
	for _, w := range workloads {
		traits := make([]string, 0, len(w.Traits))
		for _, t := range w.Traits {
			traits = append(traits, string(t.Trait))
		}
		slices.Sort(traits)
		rows = append(rows, []string{
			"    " + w.Kind + " " + w.Name, string(w.Decide),
			fmt.Sprintf("%d+%d of %d", w.Source, w.Target, w.Wanted), strings.Join(traits, ", "),
		})
	}
	return rows
}

func (s *sheet) timeline(spans []Span) {
	if len(spans) == 0 {
		return
	}
	s.line()
	s.line("timeline   ", totalWords(spans))
	var rows [][]string
	for _, span := range spans {
		way, m := "forward", mark{"✓", dim}
		if span.Direction == v1.Back {
			way, m = "back", mark{"○", dim}
		}
		if span.Finished == nil {
			m = mark{"▶", bold}
		}
		rows = append(rows, []string{
			s.mark(m, string(span.Stage)), way, span.Started.UTC().Format(time.DateTime) + "Z",
			Duration(time.Duration(span.Seconds * float64(time.Second))),
		})
	}
	s.table("  ", rows)
}

func totalWords(spans []Span) string {
	end := spans[0].Started
	for _, span := range spans {
		if at := span.Started.Add(time.Duration(span.Seconds * float64(time.Second))); at.After(end) {
			end = at
		}
	}
	return Duration(end.Sub(spans[0].Started)) + " since " + spans[0].Started.UTC().Format(time.DateTime) + "Z"
}
