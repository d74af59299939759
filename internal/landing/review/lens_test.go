package review_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/review"
	"crossfade.dev/internal/landing/source"
)

func TestLens(t *testing.T) {
	lens, found := review.ParseLens("l.json", []byte(lensText))
	if len(found) > 0 {
		t.Fatal(found)
	}
	q := lens.Question("peak")
	if lens.Name != "Streaming" || q == nil || q.Title != "Who carries the finals?" || len(q.Choices) != 2 || !q.Choices[1].NoneOfThese || q.Choices[0].NoneOfThese {
		t.Fatalf("read %+v", lens)
	}
	if r := q.Choices[0].Additional; len(r) != 1 || r[0].Type != "HELPFUL_RESOURCE" || r[0].Contents[0].URL != "http://example.com/more" {
		t.Errorf("additional resources %+v", r)
	}
}

func TestLensSaysWhatTheToolRefuses(t *testing.T) {
	rules := `{"condition": "loaded", "risk": "NO_RISK"},
        {"condition": "default", "risk": "HIGH_RISK"}`
	long := strings.Repeat("x", 129)
	tests := []struct {
		name, from, to string
		want           []string // code, and the path's end
	}{
		{"version", "2021-11-01", "2022-01-01", []string{"lens/schema-version $.schemaVersion"}},
		{"no version", `"schemaVersion": "2021-11-01",`, "", []string{"lens/required $.schemaVersion"}},
		{"name too long", `"Streaming"`, `"` + long + `"`, []string{"lens/length $.name"}},
		{"description too long", "What a streaming platform asks itself.", strings.Repeat("x", 2049), []string{"lens/length $.description"}},
		{"eleven pillars", `"pillars": [{`, `"pillars": [` + strings.Repeat("7, ", 10) + `{`, append([]string{"lens/count $.pillars"},
			numbered("lens/type $.pillars[%d]", 10)...)},
		{"no questions", lensText[strings.Index(lensText, `"questions": [`):], `"questions": []}]}`, []string{"lens/count $.pillars[0].questions"}},
		{"id too short", `"peak"`, `"pk"`, []string{"lens/length $.pillars[0].questions[1].id"}},
		{"id with a dash", `"peak"`, `"pe-ak"`, []string{"lens/id $.pillars[0].questions[1].id"}},
		{"id twice", `"peak"`, `"region_loss"`, []string{"lens/duplicate $.pillars[0].questions[1].id"}},
		{"choice twice", `"id": "drilled"`, `"id": "copied"`, []string{"lens/duplicate $.pillars[0].questions[0].choices[1].id", "lens/choice $.pillars[0].questions[0].riskRules[0].condition", "lens/choice $.pillars[0].questions[0].riskRules[1].condition"}},
		{"no improvement plan", `, "improvementPlan": {"displayText": "Copy the data."}`, "", []string{"lens/improvement-plan $.pillars[0].questions[0].choices[0].improvementPlan"}},
		{"plan without text", `{"displayText": "Copy the data."}`, `{"url": "https://example.com"}`, []string{"lens/required $.pillars[0].questions[0].choices[0].improvementPlan.displayText"}},
		{"url of another kind", `"https://example.com"`, `"ftp://example.com"`, []string{"lens/url $.pillars[0].questions[1].choices[0].helpfulResource.url"}},
		{"url without text", `{"displayText": "more", `, `{`, []string{"lens/required $.pillars[0].questions[1].choices[0].additionalResources[0].content[0].displayText"}},
		{"resource of another type", "HELPFUL_RESOURCE", "HELPFUL", []string{"lens/resource-type $.pillars[0].questions[1].choices[0].additionalResources[0].type"}},
		{"six resources", `[{"displayText": "more", `, `[` + strings.Repeat(`{"displayText": "m"}, `, 5) + `{"displayText": "more", `, []string{"lens/count $.pillars[0].questions[1].choices[0].additionalResources[0].content"}},
		{"no default", `"default", "risk": "HIGH_RISK"}
      ]
    }, {`, `"region_no", "risk": "HIGH_RISK"}
      ]
    }, {`, []string{"lens/default $.pillars[0].questions[0].riskRules"}},
		{"default first", rules, `{"condition": "default", "risk": "HIGH_RISK"}, {"condition": "loaded", "risk": "NO_RISK"}`, []string{"lens/default $.pillars[0].questions[1].riskRules[0].condition"}},
		{"level twice", rules, `{"condition": "loaded", "risk": "HIGH_RISK"}, {"condition": "default", "risk": "HIGH_RISK"}`, []string{"lens/duplicate $.pillars[0].questions[1].riskRules[1].risk"}},
		{"no such level", `"condition": "loaded", "risk": "NO_RISK"`, `"condition": "loaded", "risk": "LOW_RISK"`, []string{"lens/risk $.pillars[0].questions[1].riskRules[0].risk"}},
		{"no such choice", `"condition": "loaded"`, `"condition": "laoded"`, []string{"lens/choice $.pillars[0].questions[1].riskRules[0].condition"}},
		{"condition", `"condition": "loaded"`, `"condition": "loaded and"`, []string{"lens/condition $.pillars[0].questions[1].riskRules[0].condition"}},
		{"a rule that never decides", "copied && !drilled", "copied && drilled && !copied", []string{"warning lens/unreachable $.pillars[0].questions[0].riskRules[1].condition"}},
		{"no way to no risk", `"condition": "loaded", "risk": "NO_RISK"`, `"condition": "loaded", "risk": "MEDIUM_RISK"`, []string{"warning lens/no-way-out $.pillars[0].questions[1].riskRules"}},
		{"parentheses", "copied && !drilled", "copied && !drilled || drilled", []string{"warning lens/parentheses $.pillars[0].questions[0].riskRules[1].condition"}},
		{"a field of another tool", `"id": "peak",`, `"id": "peak", "riskLevel": "HIGH",`, []string{"warning lens/unknown-field $.pillars[0].questions[1].riskLevel"}},
		{"too large", `"Data is copied"`, `"Data is copied"` + strings.Repeat(" ", 500_000), []string{"lens/size $"}},
		{"not an object", lensText, "[]", []string{"lens/type $"}},
		{"not JSON", `"name"`, `name`, []string{"source/json "}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(lensText, test.from) {
				t.Fatal("the text to change is not there")
			}
			_, found := review.ParseLens("l.json", []byte(strings.Replace(lensText, test.from, test.to, 1)))
			var got []string
			for _, f := range found {
				text := f.Code + " " + f.Path
				if f.Severity == source.Warning {
					text = "warning " + text
				}
				if f.Line == 0 || f.File != "l.json" {
					t.Errorf("no place: %v", f)
				}
				got = append(got, text)
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got\n%v\nwant\n%s", found, strings.Join(test.want, "\n"))
			}
		})
	}
}

func numbered(format string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(format, i))
	}
	return out
}

// One bad question leaves its own risk unknown, and no other.
func TestABadQuestionHidesNoOther(t *testing.T) {
	files := withLens(reviewHead + "  answers:\n  - {question: region_loss, choices: [region_no]}\n  - {question: peak, choices: [loaded]}\n")
	files[1].Data = []byte(strings.Replace(lensText, `"condition": "loaded"`, `"condition": "loaded ||"`, 1))
	records, found := load(t, files...)
	if len(found.Errors()) != 1 {
		t.Fatal(found)
	}
	risks := records.Reviews[0].Assess().Risks()
	if risks["region_loss"] != review.High || risks["peak"] != review.Unknown {
		t.Errorf("risks %v", risks)
	}
	if got := lines(finding.Blocking(records.CheckReviews(now))); !strings.Contains(got, "LZ-REVIEW-001 fail Review/player (region_loss)") || !strings.Contains(got, "LZ-REVIEW-003 unknown Review/player (peak)") {
		t.Errorf("got\n%s", got)
	}
}

func TestWhatIsWrongWithAReviewIsSaidWithItsPlace(t *testing.T) {
	_, found := load(t, withLens(reviewHead+`  answers:
  - {question: region_loss, choices: [copied, region_no]}
  - {question: region_loss, choices: [drilled], notApplicable: " "}
  - {question: peek, choices: [loaded]}
  milestones:
  - {name: m, on: 2026-01-01, answers: [{question: peak, choices: [copied]}]}
  waivers:
  - {finding: LZ-REVIEW-001, reason: r, owner: o, expires: 2026-01-01}
  - {finding: LZ-REVIEW-002, question: peek, reason: r, owner: o, expires: 2026-01-01}
`)...)
	found.Sort()
	want := `r.yaml:8:38: $.spec.answers[0].choices: a list of 2: expected no other choice beside region_no, which means none of these [review/choice]
r.yaml:9:5: $.spec.answers[1]: an object: expected exactly one of choices and notApplicable [review/answer]
r.yaml:9:16: $.spec.answers[1].question: "region_loss": expected one answer to each question [review/duplicate]
r.yaml:9:64: $.spec.answers[1].notApplicable: " ": expected the reason why the question does not apply [review/not-applicable]
r.yaml:10:16: $.spec.answers[2].question: "peek": expected the id of a question of lenses/streaming.json [review/question]
r.yaml:12:68: $.spec.milestones[0].answers[0].choices[0]: "copied": expected one of loaded, peak_no [review/choice]
r.yaml:14:5: $.spec.waivers[0].question: expected the id of the question whose LZ-REVIEW-001 is waived [waiver/question]
r.yaml:15:40: $.spec.waivers[1].question: "peek": expected the id of a question of the lens [waiver/question]`
	var got []string
	for _, f := range found {
		got = append(got, f.String())
	}
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

// Conditions mean what the same expression means in Go, whose operators have the
// same precedence.
func TestConditionsAgreeWithGo(t *testing.T) {
	ids := []string{"aaa", "bbb", "ccc", "ddd"}
	rapid.Check(t, func(t *rapid.T) {
		text := expression(t, ids, 0)
		c, err := review.ParseCondition(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again, err := review.ParseCondition(c.String())
		if err != nil || again.Mixed {
			t.Fatalf("%s was written as %s: %v", text, c, err)
		}
		tree, err := parser.ParseExprFrom(token.NewFileSet(), "", text, 0)
		if err != nil {
			t.Fatal(err)
		}
		for set := range 1 << len(ids) {
			chosen := map[string]bool{}
			for i, id := range ids {
				chosen[id] = set&(1<<i) != 0
			}
			want := holds(tree, chosen)
			if c.Holds(chosen) != want || again.Holds(chosen) != want {
				t.Fatalf("%s with %v: %v and, written as %s, %v; Go says %v", text, chosen, c.Holds(chosen), c, again.Holds(chosen), want)
			}
		}
	})
}

func expression(t *rapid.T, ids []string, depth int) string {
	kind := 0
	if depth < 5 {
		kind = rapid.IntRange(0, 4).Draw(t, "kind")
	}
	switch kind {
	case 1:
		return "!" + expression(t, ids, 9)
	case 2:
		return rapid.SampledFrom([]string{"(", "!(", "( "}).Draw(t, "open") + expression(t, ids, depth+1) + ")"
	case 3, 4:
		return expression(t, ids, depth+1) + []string{" && ", " || "}[kind-3] + expression(t, ids, depth+1)
	}
	return rapid.SampledFrom(ids).Draw(t, "id")
}

func holds(e ast.Expr, chosen map[string]bool) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return holds(e.X, chosen)
	case *ast.UnaryExpr:
		return !holds(e.X, chosen)
	case *ast.BinaryExpr:
		if e.Op == token.LAND {
			return holds(e.X, chosen) && holds(e.Y, chosen)
		}
		return holds(e.X, chosen) || holds(e.Y, chosen)
	}
	return chosen[e.(*ast.Ident).Name]
}

func FuzzCondition(f *testing.F) {
	for _, text := range []string{"default", "((aaa || bbb) && ccc) || (!aaa && ccc)", "a&&", "!!!(a)", "a || b && c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := review.ParseCondition(text)
		if err != nil {
			var wrong *review.SyntaxError
			if !errors.As(err, &wrong) || wrong.Offset < 0 || wrong.Offset > len(text) {
				t.Fatalf("%q: %v; want a place in the text", text, err)
			}
			return
		}
		again, err := review.ParseCondition(c.String())
		if err != nil || again.String() != c.String() {
			t.Fatalf("%q was written as %q, and that as %q: %v", text, c, again, err)
		}
		none, all := map[string]bool{}, map[string]bool{}
		for _, id := range c.Choices() {
			all[id] = true
		}
		if c.Holds(none) != again.Holds(none) || c.Holds(all) != again.Holds(all) {
			t.Fatalf("%q and %q differ", text, c)
		}
	})
}

// Whatever a lens says: without errors every answer has a risk, and what is wrong
// stands in the file.
func FuzzParseLens(f *testing.F) {
	f.Add([]byte(lensText))
	f.Add([]byte(strings.Replace(lensText, "copied && drilled", "copied || drilled && !region_no", 1)))
	f.Add([]byte(`{"schemaVersion": "2021-11-01", "pillars": [{"questions": [{"choices": [[]], "riskRules": [null, {"condition": "default"}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		lens, found := review.ParseLens("l.json", data)
		lines := strings.Count(string(data), "\n") + 2
		for _, finding := range found {
			if finding.Line < 1 || finding.Line > lines {
				t.Fatalf("%v stands outside of %d lines", finding, lines)
			}
		}
		if lens == nil {
			if len(found.Errors()) == 0 {
				t.Fatal("no lens, and nothing wrong")
			}
			return
		}
		for _, p := range lens.Pillars {
			for _, q := range p.Questions {
				if q.Broken {
					continue
				}
				for _, c := range q.Choices {
					answer := fmt.Sprintf("  answers:\n  - {question: %q, choices: [%q]}\n", q.ID, c.ID)
					documents, _ := source.Read([]source.File{{Name: "r.yaml", Data: []byte(reviewHead + answer)}})
					records, _ := review.Load(documents, []source.File{{Name: "lenses/streaming.json", Data: data}}, nil)
					if risk := records.Reviews[0].Assess().Risks()[q.ID]; risk != review.High && risk != review.Medium && risk != review.None {
						t.Fatalf("%s with %s: %s", q.ID, c.ID, risk)
					}
				}
			}
		}
	})
}

// Whatever a file says, a decision with errors blocks.
func FuzzParseMADR(f *testing.F) {
	f.Add([]byte(madr))
	f.Add([]byte("---\nstatus: {proposed | accepted}\n---\n# x\n"))
	f.Add([]byte("\xef\xbb\xbf---\r\nstatus: superseded by [8](8.md)\r\ndoor: one-way\r\n---\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := source.File{Name: "d.md", Data: data}
		records, found := review.Load(nil, []source.File{file}, nil)
		if (len(records.Decisions) == 1) != review.IsMADR(file) {
			t.Fatalf("%d decisions", len(records.Decisions))
		}
		if len(found.Errors()) > 0 && len(finding.Blocking(records.CheckDecisions(now))) == 0 {
			t.Fatalf("wrong, and nothing blocks: %v", found)
		}
		lines := strings.Count(string(data), "\n") + 2
		for _, f := range found {
			if f.Line < 1 || f.Line > lines {
				t.Fatalf("%v stands outside of %d lines", f, lines)
			}
		}
	})
}

// Whatever the files say, errors block.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(reviewHead + "  answers:\n  - {question: region_loss, choices: [region_no]}\n---\n" + decisionHead + "  door: one-way\n"))
	f.Add([]byte(reviewHead + "  milestones: [{name: a, on: 2026-01-01, answers: [null, {question: peak}]}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		files := withLens(string(data))
		documents, unread := source.Read(files)
		records, found := review.Load(documents, files, unread)
		blocking := finding.Blocking(append(records.CheckReviews(now), records.CheckDecisions(now)...))
		if len(append(unread, found...).Errors()) > 0 && len(blocking) == 0 {
			t.Fatalf("wrong, and nothing blocks: %v %v", unread, found)
		}
	})
}
