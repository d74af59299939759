package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

const (
	memberID  = "222222222222"
	managerID = "111111111111"
)

// zone returns the files of an organization with the units Workloads and
// Workloads/Prod and the account player in the latter, and more documents.
func zone(more ...string) []source.File {
	return []source.File{{Name: "zone.yaml", Data: []byte(strings.Join(append([]string{`apiVersion: landing.crossfade.dev/v1alpha1
kind: Organization
metadata: {name: stream}
spec:
  id: o-a1b2c3d4e5
  rootID: r-ab12
  managementAccount: "111111111111"
  units:
  - {path: Workloads/Prod, id: ou-ab12-22222222}
  - {path: Workloads, id: ou-ab12-11111111}
`, `apiVersion: landing.crossfade.dev/v1alpha1
kind: Account
metadata: {name: player}
spec: {id: "222222222222", unit: Workloads/Prod}
`}, more...), "---\n"))}}
}

// guardrail returns the document of a guardrail at a target, with a policy of
// statements in JSON.
func guardrail(name, kind, target string, statements ...string) string {
	return fmt.Sprintf(`apiVersion: landing.crossfade.dev/v1alpha1
kind: Guardrail
metadata: {name: %s}
spec:
  type: %s
  targets: [%s]
  policy: {"Version": "2012-10-17", "Statement": [%s]}
`, name, kind, target, strings.Join(statements, ", "))
}

// load returns the state of files that must be without errors.
func load(t testing.TB, files []source.File) *State {
	t.Helper()
	documents, found := source.Read(files)
	s, wrong := Load(documents, files, found)
	if errors := append(found, wrong...).Errors(); len(errors) > 0 {
		t.Fatalf("arrange: %v", errors)
	}
	return s
}

// parse returns a policy that must be without errors.
func parse(t testing.TB, kind Type, text string) *Policy {
	t.Helper()
	root, found := source.ParseJSON("policy.json", []byte(text))
	if root == nil {
		t.Fatalf("arrange: %v", found)
	}
	p, found := Parse("policy", kind, "policy.json", root, "$")
	if len(found.Errors()) > 0 {
		t.Fatalf("arrange %s: %v", text, found)
	}
	return p
}

// applies says whether a statement with a condition is about a request with a
// context.
func applies(t *testing.T, condition string, context Context) truth {
	t.Helper()
	p := parse(t, landing.ServiceControl, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":`+condition+`}}`)
	var x call
	x.start(load(t, zone()), &Request{Account: "player", Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", ResourceAccount: "player", Context: context})
	return p.Statements[0].applies(&x)
}

// contextOf reads a context from JSON: texts, lists of texts, and null for keys
// that are known to be absent.
func contextOf(t *testing.T, text string) Context {
	t.Helper()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatalf("arrange: %v", err)
	}
	values := map[string][]string{}
	for name, value := range raw {
		var one string
		var many []string
		switch {
		case string(value) == "null":
		case json.Unmarshal(value, &one) == nil:
			many = []string{one}
		default:
			if err := json.Unmarshal(value, &many); err != nil {
				t.Fatalf("arrange: %v", err)
			}
		}
		values[name] = many
	}
	return NewContext(values)
}
