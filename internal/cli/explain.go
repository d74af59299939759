package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan/finding"
)

// A topic is what an explanation is about.
type topic string

const (
	aReason  topic = "Reason"
	aGate    topic = "Gate"
	aFinding topic = "Finding"
)

// An explained reason, gate or finding, as programs read it.
type explained struct {
	Name string `json:"name"`
	Kind topic  `json:"kind"`
	// Title and Severity are a finding's; its cause is why it hurts in a move.
	Title    string           `json:"title,omitempty"`
	Severity finding.Severity `json:"severity,omitempty"`

	Cause string `json:"cause,omitempty"`
	Fix   string `json:"fix,omitempty"`
	// Look are commands, Back is a sentence.
	Look []string `json:"look,omitempty"`
	Back string   `json:"back,omitempty"`
	// Passes and Stages are a gate's.
	Passes  string     `json:"passes,omitempty"`
	Stages  []v1.Stage `json:"stages,omitempty"`
	Gates   []string   `json:"gates,omitempty"`
	Reasons []string   `json:"reasons,omitempty"`
	Waiver  string     `json:"waiver,omitempty"`
}

func (s *session) explain() *cobra.Command {
	var f format
	cmd := &cobra.Command{
		Use:   "explain [REASON|GATE|FINDING]",
		Short: "Say what a reason, a gate or a finding means, and what to do",
		Long: `Says what a reason, a gate or a finding of crossfade plan means: its cause, its fix,
how to look closer, and how to go back from there. Without an argument it lists all of
them. It needs no hub.`,
		Example: "  crossfade explain TargetNotReady\n  crossfade explain mirror\n  crossfade explain CF-NODE-003",
		Args:    atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return explainable(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	outputFlag(cmd, &f, asJSON, asYAML, asName)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return s.explainAll(f)
		}
		e, ok := explanationOf(args[0])
		if !ok {
			return no(fmt.Errorf("REASON %q: it is no reason, no gate and no finding%s", args[0], didYouMean(args[0], explainable())))
		}
		switch f {
		case asName:
			return s.out(e.Name + "\n")
		case asText:
			return s.out(e.text())
		default:
			return s.printData(e, f)
		}
	}
	return cmd
}

// explainAll lists every gate, reason and finding.
func (s *session) explainAll(f format) error {
	var all []explained
	for _, name := range explainable() {
		e, _ := explanationOf(name)
		all = append(all, e)
	}
	if f == asJSON || f == asYAML {
		return s.printData(all, f)
	}
	text := ""
	for _, e := range all {
		if f == asName {
			text += e.Name + "\n"
			continue
		}
		said := e.Cause
		switch e.Kind {
		case aGate:
			said = "Gate: passes when " + e.Passes
		case aFinding:
			said = fmt.Sprintf("Finding, %s: %s", e.Severity, e.Title)
		}
		text += s.look().Fit(fmt.Sprintf("%-20s %s", e.Name, said)) + "\n"
	}
	return s.out(text)
}

// explainable lists the names of all gates, reasons and findings.
func explainable() []string {
	h := theHandbook()
	var all []string
	for _, g := range h.Gates {
		all = append(all, g.Name)
	}
	for _, r := range h.reasons() {
		all = append(all, string(r.Name))
	}
	for _, e := range finding.Catalogue() {
		all = append(all, e.ID)
	}
	return all
}

func explanationOf(name string) (explained, bool) {
	h := theHandbook()
	if g, ok := h.gate(name); ok {
		return explained{Name: g.Name, Kind: aGate, Passes: g.Passes, Stages: g.Stages, Reasons: words(g.Reasons), Waiver: waiver(g.Name)}, true
	}
	if r, ok := h.reason(name); ok {
		e := v1.Explanations[r.Name]
		return explained{
			Name: string(r.Name), Kind: aReason, Cause: e.Cause, Fix: e.Fix, Look: r.Look, Back: r.Back, Gates: h.gatesWith(r.Name),
		}, true
	}
	if e, ok := finding.EntryOf(name); ok {
		return explained{
			Name: e.ID, Kind: aFinding, Title: e.Title, Severity: e.Severity, Cause: e.Why, Fix: e.Fix, Waiver: waiverOf(e),
		}, true
	}
	return explained{}, false
}

func (e explained) text() string {
	if e.Kind == aFinding {
		return e.finding()
	}
	if e.Kind == aGate {
		return fmt.Sprintf("%s, a gate of %s\n\npasses  when %s\nelse    it stands at %s\nwaive   %s\n",
			e.Name, strings.Join(words(e.Stages), " and "), e.Passes, strings.Join(e.Reasons, ", "), e.Waiver)
	}
	head := e.Name
	if len(e.Gates) > 0 {
		head += ", at gate " + strings.Join(e.Gates, ", ")
	}
	return fmt.Sprintf("%s\n\ncause  %s\nfix    %s\nlook   %s\nback   %s\n", head, e.Cause, e.Fix, strings.Join(e.Look, "\n       "), e.Back)
}

// didYouMean offers the nearest reasons and gates, or where all are listed.
func didYouMean(text string, known []string) string {
	return cmp.Or(meant(text, known), "; crossfade explain lists them")
}

// meant offers the nearest words, as many as are about equally near.
func meant(text string, known []string) string {
	type near struct {
		word     string
		distance int
	}
	var all []near
	for _, word := range known {
		all = append(all, near{word, distance(strings.ToLower(text), strings.ToLower(word))})
	}
	slices.SortStableFunc(all, func(a, b near) int { return cmp.Compare(a.distance, b.distance) })
	var offered []string
	for _, n := range all[:min(3, len(all))] {
		if n.distance <= max(1, len(text)/2) && n.distance <= all[0].distance+2 {
			offered = append(offered, n.word)
		}
	}
	if len(offered) == 0 {
		return ""
	}
	return "; did you mean " + either(offered) + "?"
}

// distance is how many letters have to be put in, taken away or exchanged to make b
// of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
