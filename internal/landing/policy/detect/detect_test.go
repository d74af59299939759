package detect

import (
	"strings"
	"testing"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

func pack(t testing.TB, rules ...landing.DetectiveRule) (*Pack, source.Findings) {
	t.Helper()
	g := &landing.Guardrail{}
	g.Name = "storage"
	g.Spec.Rules = rules
	text := "apiVersion: v\nkind: Guardrail\nmetadata: {name: storage}\nspec:\n  rules:\n"
	for _, r := range rules {
		text += "  - name: " + r.Name + "\n    expression: '" + strings.ReplaceAll(r.Expression, "'", "''") + "'\n"
	}
	documents, found := source.Read([]source.File{{Name: "g.yaml", Data: []byte(text)}})
	if len(found) > 0 {
		t.Fatalf("arrange: %v", found)
	}
	return Compile(g, documents[0])
}

func bucket(t *testing.T, text string) Resource {
	t.Helper()
	resources, found := ParseResources("r.json", []byte(`[{"type": "AWS::S3::Bucket", "id": "films", "region": "eu-west-1", "tags": {"team": "red"}, `+text+`}]`))
	if len(found) > 0 {
		t.Fatalf("arrange: %v", found)
	}
	return resources[0]
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name, expression, resource string
		want                       Status
		why                        string
	}{
		{"holds", `resource.configuration.versioning == "Enabled"`, `"configuration": {"versioning": "Enabled"}`, Compliant, ""},
		{"does not hold", `resource.configuration.versioning == "Enabled"`, `"configuration": {"versioning": "Suspended"}`, NonCompliant, "versions must be kept"},
		{"not in the snapshot", `resource.configuration.versioning == "Enabled"`, `"configuration": {}`, InsufficientData, "no such key: versioning"},
		{"no configuration at all", `resource.configuration.versioning == "Enabled"`, `"account": "1"`, InsufficientData, "no such key: versioning"},
		{"asked for first", `has(resource.configuration.versioning) && resource.configuration.versioning == "Enabled"`, `"configuration": {}`, NonCompliant, "versions must be kept"},
		{"not seen", `has(resource.configuration.versioning) && resource.configuration.versioning == "Enabled"`, `"configuration": {}, "unknown": ["configuration.versioning"]`, InsufficientData, "the snapshot does not tell configuration.versioning"},
		{"not seen and not needed", `resource.tags.team == "red" || resource.configuration.versioning == "Enabled"`, `"unknown": ["configuration"]`, Compliant, ""},
		{"numbers and lists", `resource.configuration.rules.all(r, r.days >= 30 && r.share < 0.5)`, `"configuration": {"rules": [{"days": 30, "share": 0.25}, {"days": 90, "share": 0}]}`, Compliant, ""},
		{"neither true nor false", `resource.configuration.versioning`, `"configuration": {"versioning": "Enabled"}`, InsufficientData, "the expression is string, not true or false"},
		{"too dear", `resource.configuration.l.all(a, resource.configuration.l.all(b, resource.configuration.l.all(c, a + b + c > 0)))`,
			`"configuration": {"l": [` + strings.Repeat("1, ", 199) + `1]}`, InsufficientData, "operation cancelled: actual cost limit exceeded"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, found := pack(t, landing.DetectiveRule{Name: "versions", ResourceType: "AWS::S3::Bucket", Expression: test.expression, Message: "versions must be kept"})
			if len(found) > 0 {
				t.Fatal(found)
			}
			r := p.Check([]Resource{bucket(t, test.resource)})
			if got := r.Results[0]; got.Status != test.want || got.Why != test.why {
				t.Errorf("%s (%s), want %s (%s)", got.Status, got.Why, test.want, test.why)
			}
			if r.Status != test.want {
				t.Errorf("the pack is %s, want %s", r.Status, test.want)
			}
		})
	}
}

func TestRollUp(t *testing.T) {
	p, found := pack(t,
		landing.DetectiveRule{Name: "versions", ResourceType: "AWS::S3::Bucket", Expression: `resource.configuration.versioning == "Enabled"`},
		landing.DetectiveRule{Name: "keys", ResourceType: "AWS::KMS::Key", Expression: `resource.configuration.rotation`},
	)
	if len(found) > 0 {
		t.Fatal(found)
	}
	good, bad, open := bucket(t, `"configuration": {"versioning": "Enabled"}`), bucket(t, `"configuration": {"versioning": ""}`), bucket(t, `"configuration": {}`)
	key := Resource{Type: "AWS::KMS::Key", ID: "k", Configuration: map[string]any{"rotation": true}}
	tests := []struct {
		name      string
		resources []Resource
		want      string // of the pack and its rules
	}{
		{"all comply", []Resource{good, key}, "COMPLIANT COMPLIANT COMPLIANT"},
		{"one does not", []Resource{good, bad, open, key}, "NON_COMPLIANT NON_COMPLIANT COMPLIANT"},
		{"one cannot be told", []Resource{good, open, key}, "INSUFFICIENT_DATA INSUFFICIENT_DATA COMPLIANT"},
		{"nothing of one type", []Resource{good}, "INSUFFICIENT_DATA COMPLIANT INSUFFICIENT_DATA"},
		{"nothing", nil, "INSUFFICIENT_DATA INSUFFICIENT_DATA INSUFFICIENT_DATA"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := p.Check(test.resources)
			if got := strings.Join([]string{string(r.Status), string(r.Rules[0].Status), string(r.Rules[1].Status)}, " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestRulesThatAreWrong(t *testing.T) {
	p, found := pack(t,
		landing.DetectiveRule{Name: "a", ResourceType: "AWS::S3::Bucket", Expression: `resource.configuration.versioning ==`},
		landing.DetectiveRule{Name: "a", ResourceType: "AWS::S3::Bucket", Expression: `bucket.id == "x"`},
		landing.DetectiveRule{Name: "c", ResourceType: "AWS::S3::Bucket", Expression: `"text"`},
	)
	var got []string
	for _, f := range found {
		got = append(got, f.String())
	}
	want := []string{
		`g.yaml:7:17: $.spec.rules[0].expression: "resource.configuration.versioning ==": expected a CEL expression that is true or false: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}, at line 1, column 37 [detect/expression]`,
		`g.yaml:8:11: $.spec.rules[1].name: "a": expected names of rules to be different [detect/name]`,
		`g.yaml:9:17: $.spec.rules[1].expression: "bucket.id == \"x\"": expected a CEL expression that is true or false: undeclared reference to 'bucket' (in container ''), at line 1, column 1 [detect/expression]`,
		`g.yaml:11:17: $.spec.rules[2].expression: "\"text\"": expected a CEL expression that is true or false: this is of type string [detect/expression]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r := p.Check([]Resource{bucket(t, `"configuration": {}`)}); r.Status != InsufficientData || r.Results[0].Why != "the rule has errors" {
		t.Errorf("rules with errors say %s: %v", r.Status, r.Results)
	}
}

func TestLoad(t *testing.T) {
	documents, found := source.Read([]source.File{{Name: "g.yaml", Data: []byte(`apiVersion: landing.crossfade.dev/v1alpha1
kind: Guardrail
metadata: {name: storage}
spec:
  type: Detective
  rules:
  - {name: versions, resourceType: AWS::S3::Bucket, expression: resource.configuration.versioning == "Enabled"}
---
apiVersion: landing.crossfade.dev/v1alpha1
kind: Guardrail
metadata: {name: logs}
spec: {type: ServiceControl}
`)}})
	packs, wrong := Load(documents)
	if len(found)+len(wrong) > 0 || len(packs) != 1 || packs[0].Name != "storage" || len(packs[0].rules) != 1 {
		t.Errorf("loaded %v; %v %v", packs, found, wrong)
	}
}

func TestResourcesThatAreWrong(t *testing.T) {
	resources, found := ParseResources("r.json", []byte(`[{"type": "t", "id": "a"}, {"type": 1, "id": "b"}, {"id": "c", "colour": 1}, 3]`))
	if len(resources) != 1 || resources[0].ID != "a" {
		t.Errorf("read %v", resources)
	}
	var paths []string
	for _, f := range found {
		paths = append(paths, f.Path)
	}
	if got, want := strings.Join(paths, " "), "$[1].type $[1] $[2].colour $[2] $[3]"; got != want {
		t.Errorf("found at %s, want %s", got, want)
	}
}

// Neither rules nor snapshots make it panic, and a rule that does not compile never
// says that something complies.
func FuzzCheck(f *testing.F) {
	f.Add(`resource.configuration.x == 1`, []byte(`[{"type":"t","id":"i","configuration":{"x":1},"unknown":["configuration.y"]}]`))
	f.Add(`has(resource.tags.a) && resource.configuration.l.exists(v, v.startsWith("a"))`, []byte(`[{"type":"t","id":"i","configuration":{"l":["ab",null]},"tags":{"a":"b"}}]`))
	f.Fuzz(func(t *testing.T, expression string, data []byte) {
		g := &landing.Guardrail{}
		g.Spec.Rules = []landing.DetectiveRule{{Name: "r", ResourceType: "t", Expression: expression}}
		p, found := Compile(g, &source.Document{File: "g.yaml", Root: &source.Node{Kind: source.Map}})
		resources, _ := ParseResources("r.json", data)
		for i := range resources {
			resources[i].Type = "t"
		}
		if r := p.Check(resources); len(found) > 0 && r.Status != InsufficientData {
			t.Fatalf("%v, and says %s", found, r.Status)
		}
	})
}
