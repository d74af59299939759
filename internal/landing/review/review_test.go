package review_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/review"
	"crossfade.dev/internal/landing/source"
)

var now = time.Date(2026, time.May, 4, 9, 0, 0, 0, time.UTC)

const lensText = `{
  "schemaVersion": "2021-11-01",
  "name": "Streaming",
  "description": "What a streaming platform asks itself.",
  "pillars": [{
    "id": "reliability",
    "name": "Reliability",
    "questions": [{
      "id": "region_loss",
      "title": "What happens when a region is lost?",
      "choices": [
        {"id": "copied", "title": "Data is copied", "improvementPlan": {"displayText": "Copy the data."}},
        {"id": "drilled", "title": "It was drilled", "improvementPlan": {"displayText": "Drill it once a quarter."}},
        {"id": "region_no", "title": "None of these"}
      ],
      "riskRules": [
        {"condition": "copied && drilled", "risk": "NO_RISK"},
        {"condition": "copied && !drilled", "risk": "MEDIUM_RISK"},
        {"condition": "default", "risk": "HIGH_RISK"}
      ]
    }, {
      "id": "peak",
      "title": "Who carries the finals?",
      "choices": [
        {"id": "loaded", "title": "Tested at three times the load", "helpfulResource": {"displayText": "How", "url": "https://example.com"}, "improvementPlan": {"displayText": "Test."},
         "additionalResources": [{"type": "HELPFUL_RESOURCE", "content": [{"displayText": "more", "url": "http://example.com/more"}]}]},
        {"id": "peak_no", "title": "None of these"}
      ],
      "riskRules": [
        {"condition": "loaded", "risk": "NO_RISK"},
        {"condition": "default", "risk": "HIGH_RISK"}
      ]
    }]
  }]
}`

const reviewHead = `apiVersion: landing.crossfade.dev/v1alpha1
kind: Review
metadata: {name: player}
spec:
  workload: player
  lens: lenses/streaming.json
`

func load(t *testing.T, files ...source.File) (review.Records, source.Findings) {
	t.Helper()
	documents, unread := source.Read(files)
	records, found := review.Load(documents, files, unread)
	return records, append(unread, found...)
}

func withLens(text string) []source.File {
	return []source.File{{Name: "r.yaml", Data: []byte(text)}, {Name: "lenses/streaming.json", Data: []byte(lensText)}}
}

func lines(found []finding.Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, f.String())
	}
	return strings.Join(out, "\n")
}

func TestRisks(t *testing.T) {
	tests := []struct {
		name, answers, want, pillar string
	}{
		{"nothing answered", "", "UNANSWERED UNANSWERED", "UNANSWERED"},
		{"all well", "  answers:\n  - {question: region_loss, choices: [copied, drilled]}\n  - {question: peak, choices: [loaded]}\n", "NONE NONE", "NONE"},
		{"not drilled", "  answers:\n  - {question: region_loss, choices: [copied]}\n  - {question: peak, notApplicable: no viewers}\n", "MEDIUM NOT_APPLICABLE", "MEDIUM"},
		{"none of these", "  answers:\n  - {question: region_loss, choices: [region_no]}\n  - {question: peak, choices: []}\n", "HIGH UNANSWERED", "HIGH"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			records, wrong := load(t, withLens(reviewHead+test.answers)...)
			if len(wrong) > 0 {
				t.Fatal(wrong)
			}
			a := records.Reviews[0].Assess()
			risks := a.Risks()
			if got := string(risks["region_loss"] + " " + risks["peak"]); got != test.want || string(a.Pillars[0].Risk) != test.pillar {
				t.Errorf("got %s and %s, want %s and %s", got, a.Pillars[0].Risk, test.want, test.pillar)
			}
		})
	}
}

func TestRisksThatBlock(t *testing.T) {
	waived := func(expires string) string {
		return reviewHead + `  answers:
  - {question: region_loss, choices: [region_no]}
  waivers:
  - {finding: LZ-REVIEW-001, question: region_loss, reason: the second region opens in June, owner: Ada, expires: ` + expires + "}\n"
	}
	const unanswered = "LZ-REVIEW-002 unknown Review/player (peak): not answered: Who carries the finals?: a risk that nobody looked at may be high; fix: answer it, or say with a reason that it does not apply"
	const high = "LZ-REVIEW-001 fail Review/player (region_loss): high risk: What happens when a region is lost?: chosen: region_no: the rule default makes it one; fix: make more hold of copied, drilled: Copy the data"
	tests := []struct{ name, text, want string }{
		{"high and unanswered", reviewHead + "  answers:\n  - {question: region_loss, choices: [region_no]}\n", unanswered + "\n" + high},
		{"waived", waived("2026-05-05"), unanswered},
		{"waiver expires today", waived("2026-05-04"), unanswered + "\n" + strings.Replace(high, "chosen: region_no", "chosen: region_no; the waiver of Ada ended on 2026-05-04", 1)},
		{"medium does not block", reviewHead + "  answers:\n  - {question: region_loss, choices: [copied]}\n  - {question: peak, choices: [loaded]}\n", ""},
		{"a lens that is not there", strings.Replace(reviewHead, "streaming.json", "other.json", 1),
			"LZ-REVIEW-003 unknown Review/player: the lens lenses/other.json cannot be read: without its rules no risk is known; fix: mend what validate says of it"},
		{"an answer that does not exist", reviewHead + "  answers:\n  - {question: peak, choices: [laoded]}\n",
			"LZ-REVIEW-003 unknown Review/player: the review has errors: an answer may not be what was meant; fix: mend what validate says of it"},
		{"a file that cannot be read", "kind: [",
			"LZ-REVIEW-003 unknown file/r.yaml: a document of r.yaml cannot be read: it may hold what blocks; fix: mend what validate says of it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			records, _ := load(t, withLens(test.text)...)
			if got := lines(finding.Blocking(records.CheckReviews(now))); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestMilestones(t *testing.T) {
	records, wrong := load(t, withLens(reviewHead+`  answers:
  - {question: region_loss, choices: [copied]}
  - {question: peak, choices: [loaded]}
  milestones:
  - {name: launch, on: 2026-04-01, answers: [{question: region_loss, choices: [copied, drilled]}]}
  - {name: start, on: 2026-01-01}
`)...)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	r := records.Reviews[0]
	milestones := r.AssessMilestones()
	if len(milestones) != 2 || milestones[0].Milestone != "start" || milestones[1].Milestone != "launch" {
		t.Fatalf("milestones %+v are not in order of their days", milestones)
	}
	want := []review.Change{
		{Pillar: "reliability", Question: "region_loss", Title: "What happens when a region is lost?", Before: review.None, After: review.Medium, Worse: true},
		{Pillar: "reliability", Question: "peak", Title: "Who carries the finals?", Before: review.Unanswered, After: review.None},
	}
	if got := review.Compare(milestones[1], r.Assess()); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := lines(records.CheckReviews(now)); !strings.Contains(got, "LZ-REVIEW-005 warning Review/player (region_loss): What happens when a region is lost?: MEDIUM, and NONE at the milestone launch of 2026-04-01") {
		t.Errorf("what got worse is not said:\n%s", got)
	}
}

const decisionHead = `apiVersion: landing.crossfade.dev/v1alpha1
kind: Decision
metadata: {name: one}
spec:
  title: Move the zone
  status: accepted
  date: 2026-03-01
`

func TestDecisionsThatBlock(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // ids
	}{
		{"one-way, approved by all", "  door: one-way\n  approvers: [{name: Ada, approved: 2026-03-01}, {name: Bo, approved: 2026-05-04}]\n", nil},
		{"one-way, nobody named", "  door: one-way\n", []string{review.NoApprover}},
		{"one-way, one has not approved", "  door: one-way\n  approvers: [{name: Ada, approved: 2026-03-02}, {name: Bo}]\n", []string{review.NotApproved}},
		{"one-way, approved tomorrow", "  door: one-way\n  approvers: [{name: Ada, approved: 2026-05-05}]\n", []string{review.NotApproved}},
		{"one-way, changed since", "  door: one-way\n  approvers: [{name: Ada, approved: 2026-02-28}]\n", []string{review.NotApproved}},
		{"two-way, tested", "  door: two-way\n  reversal: {cost: an hour, test: tests/back.md, testedAt: 2026-03-02, result: passed}\n", nil},
		{"two-way, tested elsewhere", "  door: two-way\n  reversal: {test: 'https://ci.example.com/7', testedAt: 2026-03-02, result: passed}\n", nil},
		{"two-way, no test", "  door: two-way\n", []string{review.NoReversalTest}},
		{"two-way, test not there", "  door: two-way\n  reversal: {test: tests/gone.md, testedAt: 2026-03-02, result: passed}\n", []string{review.NoReversalTest}},
		{"two-way, test failed", "  door: two-way\n  reversal: {test: tests/back.md, testedAt: 2026-03-02, result: failed}\n", []string{review.ReversalFailed}},
		{"two-way, nobody knows how it ended", "  door: two-way\n  reversal: {test: tests/back.md}\n", []string{review.DecisionUnproved}},
		{"two-way, tested before it was changed", "  door: two-way\n  reversal: {test: tests/back.md, testedAt: 2026-02-01, result: passed}\n", []string{review.ReversalUntested}},
		{"no door", "", []string{review.DecisionUnproved}},
		{"expired", "  expires: 2026-05-04\n  door: one-way\n  approvers: [{name: Ada, approved: 2026-03-01}]\n", []string{review.DecisionExpired}},
		{"waived", "  door: one-way\n  waivers: [{finding: LZ-DECISION-001, reason: she is ill, owner: Bo, expires: 2026-05-05}]\n", nil},
		{"errors", "  door: sliding\n", []string{review.DecisionUnproved}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			records, _ := load(t, source.File{Name: "d.yaml", Data: []byte(decisionHead + test.text)}, source.File{Name: "tests/back.md"})
			var got []string
			for _, f := range finding.Blocking(records.CheckDecisions(now)) {
				got = append(got, f.ID)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v:\n%s", got, test.want, lines(records.CheckDecisions(now)))
			}
		})
	}
	undated := strings.Replace(decisionHead, "  date: 2026-03-01\n", "", 1) + "  door: one-way\n  approvers: [{name: Ada, approved: 2026-03-01}]\n"
	if records, _ := load(t, source.File{Name: "d.yaml", Data: []byte(undated)}); len(finding.Blocking(records.CheckDecisions(now))) != 1 {
		t.Errorf("nobody knows when it was changed: %v", records.CheckDecisions(now))
	}
	for _, status := range []string{"rejected", "deprecated", "superseded"} {
		records, _ := load(t, source.File{Name: "d.yaml", Data: []byte(strings.Replace(decisionHead, "accepted", status, 1))})
		if found := records.CheckDecisions(now); len(found) > 0 {
			t.Errorf("%s: %v", status, found)
		}
	}
}

const madr = `---
status: accepted
date: 2026-03-01
decision-makers: Ada, Bo
door: two-way
reversal:
  cost: one hour, no data
  test: ../tests/back.md
  testedAt: 2026-04-01
  result: passed
parent: Decisions
---
# Keep the old zone

## Context and Problem Statement

Resolvers keep old delegations.

## Considered Options

* keep
* delete

## Decision Outcome

Chosen option: "keep", because it costs little.
`

func TestMADR(t *testing.T) {
	records, found := load(t, source.File{Name: "decisions/0007-keep.md", Data: []byte(madr)}, source.File{Name: "tests/back.md"}, source.File{Name: "README.md", Data: []byte("# Read me\n")})
	if len(records.Decisions) != 1 {
		t.Fatalf("%d decisions: %v", len(records.Decisions), found)
	}
	d := records.Decisions[0]
	if d.Name != "0007-keep" || d.Spec.Title != "Keep the old zone" || !slices.Equal(d.Spec.DecisionMakers, []string{"Ada", "Bo"}) {
		t.Errorf("read %+v", d.Spec)
	}
	if len(found) != 1 || !strings.HasPrefix(found[0].String(), `decisions/0007-keep.md:11:1: $.parent: warning: "parent": expected one of`) {
		t.Errorf("found %v, want one warning of a field of another tool", found)
	}
	if blocking := finding.Blocking(records.CheckDecisions(now)); len(blocking) > 0 {
		t.Errorf("a tested two-way door is held: %v", blocking)
	}
}

func TestMADRSaysWhatIsWrong(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"status", strings.Replace(madr, "accepted", "agreed", 1), `d.md:2:9: $.status: "agreed": expected proposed, accepted, rejected, deprecated or superseded [decision/status]`},
		{"superseded", strings.Replace(madr, "accepted", "superseded by [8](0008.md)", 1), ``},
		{"words after the status", strings.Replace(madr, "accepted", "accepted by all", 1), `d.md:2:9: $.status: "accepted by all": expected one word, or superseded by and the decision [madr/status]`},
		{"door", strings.Replace(madr, "two-way", "open", 1), `d.md:5:7: $.door: "open": expected one-way or two-way [decision/door]`},
		{"day", strings.Replace(madr, "2026-03-01", "March", 1), `d.md:3:7: $.date: "March": expected Day: a day like 2026-05-31 [source/type]`},
		{"no end", strings.Replace(madr, "\n---\n# Keep", "\n# Keep", 1), `d.md:1:1: expected front matter between two lines --- [madr/front-matter]`},
		{"no title", strings.Replace(madr, "# Keep the old zone\n", "", 1), `d.md:13:1: expected a heading that begins with # [madr/title]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, found := review.ParseMADR(source.File{Name: "d.md", Data: []byte(test.text)})
			errors := found.Errors()
			if test.want == "" && len(errors) == 0 {
				return
			}
			if len(errors) == 0 || test.want == "" || !strings.HasPrefix(errors[0].String(), test.want) {
				t.Errorf("got %v, want %s", errors, test.want)
			}
		})
	}
}

func TestCondition(t *testing.T) {
	tests := []struct {
		text, chosen, written string
		holds, mixed          bool
	}{
		{"default", "", "default", true, false},
		{"choice_1 && choice_2 && choice_3", "choice_1 choice_2 choice_3", "choice_1 && choice_2 && choice_3", true, false},
		{"choice_1 && choice_2 && choice_3", "choice_1 choice_3", "choice_1 && choice_2 && choice_3", false, false},
		{"((choice_1 || choice_2) && choice_3) || (!choice_1 && choice_3)", "choice_3", "((choice_1 || choice_2) && choice_3) || (!choice_1 && choice_3)", true, false},
		{"((choice_1 || choice_2) && choice_3) || (!choice_1 && choice_3)", "choice_1", "((choice_1 || choice_2) && choice_3) || (!choice_1 && choice_3)", false, false},
		{"a||b&&c", "a", "a || (b && c)", true, true},
		{"!(a||b)", "", "!(a || b)", true, false},
		{"!!a", "a", "!!a", true, false},
		{"(a && b) || c", "c", "(a && b) || c", true, false},
		{"(a && b) && (c || d) || e", "e", "((a && b) && (c || d)) || e", true, true},
	}
	for _, test := range tests {
		c, err := review.ParseCondition(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		chosen := map[string]bool{}
		for _, id := range strings.Fields(test.chosen) {
			chosen[id] = true
		}
		if c.Holds(chosen) != test.holds || c.Mixed != test.mixed || c.String() != test.written {
			t.Errorf("%s with %v: holds %v, mixed %v, written %s", test.text, slices.Sorted(maps.Keys(chosen)), c.Holds(chosen), c.Mixed, c)
		}
	}
	for text, want := range map[string]string{
		"":             "at character 1: expected the id of a choice, ! or (",
		"a &&":         "at character 5: expected the id of a choice, ! or (",
		"a & b":        "at character 3: expected &&, || or the end",
		"a b":          "at character 3: expected &&, || or the end",
		"(a":           "at character 3: expected &&, || or )",
		"a)":           "at character 2: expected &&, || or the end",
		"a || default": "at character 6: expected the id of a choice: default stands alone",
		"ä":            "at character 1: expected the id of a choice, ! or (",
	} {
		if _, err := review.ParseCondition(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if _, err := review.ParseCondition(strings.Repeat("(", 100_000)); err == nil {
		t.Error("100,000 parentheses were read")
	}
}
