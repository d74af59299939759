package view

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan/finding"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is when the states in testdata are looked at.
var noon = time.Date(2027, 3, 1, 12, 4, 0, 0, time.UTC)

// Each state in testdata is drawn as it looks in a pipe, and the line of progress
// with it.
func TestText(t *testing.T) {
	for _, name := range states(t) {
		t.Run(name, func(t *testing.T) {
			m, moves, freezes := read(t, name)
			s := Summarize(m, moves, freezes, 10, noon)
			golden(t, name+".txt", Line(m)+"\n\n"+Text(s, Look{}, false, noon))
		})
	}
}

func TestWideTextShowsWorkloads(t *testing.T) {
	m, moves, freezes := read(t, "quarantined")
	golden(t, "quarantined-wide.txt", Text(Summarize(m, moves, freezes, -1, noon), Look{}, true, noon))
}

func TestColourRepeatsWhatShapesSay(t *testing.T) {
	for _, name := range states(t) {
		m, moves, freezes := read(t, name)
		s := Summarize(m, moves, freezes, 10, noon)
		coloured := Text(s, Look{Color: true}, false, noon)
		if plain := Text(s, Look{}, false, noon); ansi.Strip(coloured) != plain {
			t.Errorf("%s: the text differs without its colours:\n%s", name, ansi.Strip(coloured))
		}
	}
	m, moves, freezes := read(t, "quarantined")
	golden(t, "quarantined-colour.txt", Text(Summarize(m, moves, freezes, 10, noon), Look{Color: true}, false, noon))
}

func TestNoLineIsWiderThanTheScreen(t *testing.T) {
	for _, name := range states(t) {
		for _, width := range []int{20, 40, 80, 120} {
			m, moves, freezes := read(t, name)
			text := Text(Summarize(m, moves, freezes, 10, noon), Look{Color: true, Width: width}, true, noon)
			for line := range strings.SplitSeq(text, "\n") {
				if n := ansi.StringWidth(line); n > width {
					t.Errorf("%s: a line of %d columns on a screen of %d: %q", name, n, width, line)
				}
			}
			for _, stage := range v1.Stages {
				if !strings.Contains(ansi.Strip(text), string(stage)) {
					t.Errorf("%s: stage %s is not shown on a screen of %d columns", name, stage, width)
				}
			}
		}
	}
	m, moves, freezes := read(t, "prepare-held")
	golden(t, "prepare-held-narrow.txt", Text(Summarize(m, moves, freezes, 10, noon), Look{Width: 40}, false, noon))
}

func TestList(t *testing.T) {
	var all []Summary
	for _, name := range states(t) {
		m, moves, freezes := read(t, name)
		m.Name = name
		all = append(all, Summarize(m, moves, freezes, 10, noon))
	}
	golden(t, "list.txt", List(all, Look{}, false))
	golden(t, "list-wide.txt", List(all, Look{}, true))
}

func TestStandings(t *testing.T) {
	for name, want := range map[string]Standing{
		"fresh": Unseen, "preflight-waits": Working, "prepare-held": Waiting, "shifting": Working, "cutover": Working,
		"approval": Asking, "frozen": Working, "failed": Failed, "on-hold": OnHold, "rolling-back": Working,
		"rolled-back": RolledBack, "released": Arrived, "retired": Retired, "quarantined": Waiting,
	} {
		m, _, _ := read(t, name)
		if got := StandingOf(m); got != want {
			t.Errorf("%s stands at %s, want %s", name, got, want)
		}
	}
}

// What a status says of an older spec is not believed: somebody who has just
// approved or turned the direction must not be told what was true before.
func TestAnOldStatusIsNotBelieved(t *testing.T) {
	for _, name := range []string{"approval", "failed", "rolled-back", "released", "on-hold"} {
		m, _, _ := read(t, name)
		m.Generation++
		if got := StandingOf(m); got != Unseen {
			t.Errorf("%s, changed since, stands at %s", name, got)
		}
	}
	m, _, _ := read(t, "released")
	m.Spec.Retire = &v1.Retire{By: "ann"}
	if got := StandingOf(m); got != Working {
		t.Errorf("released, about to be retired, stands at %s", got)
	}
}

func TestEveryStateHasItsOwnGlyph(t *testing.T) {
	check := func(kind string, glyphs []string) {
		seen := map[string]bool{}
		for _, g := range glyphs {
			if seen[g] {
				t.Errorf("%s: two states are drawn as %q", kind, g)
			}
			seen[g] = true
		}
	}
	check("stages", glyphs(stageMarks))
	check("standings", glyphs(standingMarks))
	check("apps", glyphs(appMarks))
	check("gates", []string{gatePassed.glyph, gateHeld.glyph, gateFailed.glyph, gateWaived.glyph})
}

func glyphs[K comparable](marks map[K]mark) []string {
	var out []string
	for _, m := range marks {
		out = append(out, m.glyph)
	}
	return out
}

// The reasons that end by themselves are those whose fix is to do nothing.
func TestReasonsThatEndByThemselves(t *testing.T) {
	for reason, e := range v1.Explanations {
		if reason == v1.OnHold || reason == v1.FenceLost {
			continue // a person's, and one that somebody else may have to end
		}
		nothing := strings.HasPrefix(e.Fix, "Nothing to do") || reason == v1.Soaking
		if nothing != endsByItself[reason] {
			t.Errorf("%s: its fix is %q, and that it ends by itself is %v", reason, e.Fix, endsByItself[reason])
		}
	}
}

func TestWorstAppsComeFirstAndTheRestIsCounted(t *testing.T) {
	m, moves, _ := read(t, "quarantined")
	moves = append(moves, v1.Move{Spec: v1.MoveSpec{Migration: "another", App: "stray"}})
	apps := Summarize(m, moves, nil, 2, noon).Apps
	if len(apps.Worst) != 2 || apps.Worst[0].Name != "cart" || apps.Worst[1].Name != "search" || apps.More != 3 {
		t.Errorf("got %+v and %d more, want cart and search and 3 more", apps.Worst, apps.More)
	}
	if got := len(Summarize(m, moves, nil, -1, noon).Apps.Worst); got != 5 {
		t.Errorf("without a limit %d apps are shown, want 5", got)
	}
}

func TestSummaryAsJSON(t *testing.T) {
	m, moves, freezes := read(t, "quarantined")
	data, err := json.MarshalIndent(Summarize(m, moves, freezes, 2, noon), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "quarantined.json", string(data)+"\n")
}

func TestLineIsOneShortLine(t *testing.T) {
	m, _, _ := read(t, "shifting")
	m.Status.Message = strings.Repeat("a long\nmessage, ", 30)
	if line := Line(m); strings.Contains(line, "\n") || ansi.StringWidth(line) > 160 || !strings.HasSuffix(line, "…") {
		t.Errorf("got %q", line)
	}
	if got, want := Line(&v1.Migration{}), "unseen    forward  capacity   0 %  entry   0 %  writer ?"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 40 * time.Millisecond: "40ms", 4250 * time.Millisecond: "4.2s", 2 * time.Second: "2s",
		9949 * time.Millisecond: "9.9s", 9960 * time.Millisecond: "10s", 59600 * time.Millisecond: "1m00s",
		185 * time.Second: "3m05s", 5*time.Hour + 20*time.Minute + 40*time.Second: "5h20m", 76 * time.Hour: "3d4h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}

func TestPlanText(t *testing.T) {
	_, moves, _ := read(t, "quarantined")
	for i := range moves {
		moves[i].Status.State = v1.MoveWaiting
	}
	moves[4].Status.State = v1.MoveUndecided
	moves[4].Status.Workloads[0].Decide = v1.Undecided
	p := Plan{
		Source: "east", Target: "west", Moves: moves, Warnings: []string{"The hub is the source: it would be moved away from under the migration."},
		Gates: []v1.Gate{
			{Name: "clusters", Verdict: v1.Passed, Reason: v1.Finished, Observed: "two clusters"},
			{Name: "decisions", Verdict: v1.Held, Reason: v1.DecisionNeeded, Observed: "1 workload needs a decision: Deployment/play/origin", Limit: "none"},
		},
	}
	if p.Passes() {
		t.Error("a plan with a gate that is held passes")
	}
	golden(t, "plan.txt", PlanText(p, Look{}, 10, false))
	golden(t, "plan-wide.txt", PlanText(p, Look{Width: 100}, -1, true))
	p.Gates[1].Waived = "ann"
	if !p.Passes() {
		t.Error("a plan whose gates have passed or are waived does not pass")
	}
}

func TestFindingsShowTheirWaiverUntilItEnds(t *testing.T) {
	found := []finding.Found{
		{ID: "CF-NODE-003", Severity: finding.Blocks, Object: "Deployment shop/a", Observed: "wants disk=ssd"},
		{ID: "CF-NET-003", Severity: finding.Blocks, Object: "bridge", Observed: "no connection"},
	}
	end := metav1.NewTime(noon.Add(time.Hour))
	waivers := []v1.Waiver{
		{Gate: "CF-NODE-003", Owner: "ann", Reason: "nodes come tonight", Expires: end},
		{Gate: "networks", Owner: "kim", Reason: "moved by weights", Expires: end},
	}
	p := Plan{Findings: Findings(found, waivers, noon)}
	text := PlanText(p, Look{}, 10, false)
	for _, want := range []string{"✓ nothing stands in the way", "waived by ann until 2027-", ": nodes come tonight", "waived by kim until 2027-", ": moved by weights"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	p.Findings = Findings(found, waivers, end.Time)
	text = PlanText(p, Look{}, 10, false)
	if p.Passes() || !strings.Contains(text, "✗ 2 kinds of findings block") || !strings.Contains(text, "the waiver of ann ended 2027-") {
		t.Errorf("ended waivers let it pass:\n%s", text)
	}
}

func TestDifferenceText(t *testing.T) {
	golden(t, "differences.txt", DifferenceText([]Difference{
		{Object: "ConfigMap shop/cart", Text: "is missing in the target"},
		{Object: "Deployment shop/cart", Fields: []FieldValue{
			{Path: "spec.template.spec.containers[0].image", Source: "cart:2", Target: "cart:1"},
			{Path: "metadata.labels.team", Source: "shop"},
		}},
	}, Look{}))
}

func states(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no states in testdata: %v", err)
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	return names
}

// read returns the objects of one state.
func read(t *testing.T, name string) (*v1.Migration, []v1.Move, []v1.Freeze) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := &v1.Migration{}
	var moves []v1.Move
	var freezes []v1.Freeze
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return m, moves, freezes
		} else if err != nil {
			t.Fatal(err)
		}
		if err := place(raw, m, &moves, &freezes); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func place(raw json.RawMessage, m *v1.Migration, moves *[]v1.Move, freezes *[]v1.Freeze) error {
	var kind struct{ Kind string }
	if err := json.Unmarshal(raw, &kind); err != nil {
		return err
	}
	switch kind.Kind {
	case "Migration":
		return json.Unmarshal(raw, m)
	case "Move":
		*moves = append(*moves, v1.Move{})
		return json.Unmarshal(raw, &(*moves)[len(*moves)-1])
	case "Freeze":
		*freezes = append(*freezes, v1.Freeze{})
		return json.Unmarshal(raw, &(*freezes)[len(*freezes)-1])
	default:
		return fmt.Errorf("kind %q", kind.Kind)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestWhoeverRetiresReadsWhatToDoAboutWhatStays(t *testing.T) {
	m, moves, freezes := read(t, "released")
	m.Spec.Retire = &v1.Retire{By: "ann"}
	m.Status.Reason, m.Status.Message = v1.DecisionNeeded, "staying: 1 workload stays in the source"
	wait := Summarize(m, moves, freezes, 2, noon).Wait
	if wait == nil || strings.Contains(wait.Fix, "spec.decisions") || !strings.Contains(wait.Fix, "gate staying") {
		t.Errorf("got %+v", wait)
	}
}

func TestAPlanWithoutWorkloadsAsksForNoDecisions(t *testing.T) {
	p := Plan{Source: "config/crd", Gates: []v1.Gate{{Name: "decisions", Verdict: v1.Held, Reason: v1.DecisionNeeded, Observed: "no app was found in the estate's namespaces", Limit: "at least one app"}}}
	if text := PlanText(p, Look{}, 10, false); strings.Contains(text, "spec.decisions") || !strings.Contains(text, "Look elsewhere") {
		t.Errorf("got\n%s", text)
	}
}
