package source_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

const good = `apiVersion: landing.crossfade.dev/v1alpha1
kind: Account
metadata:
  name: player-prod
spec:
  id: "111111111111"
  unit: Workloads/Prod
`

func TestReadAndDecode(t *testing.T) {
	documents, found := source.Read([]source.File{{Name: "a.yaml", Data: []byte(good)}})
	if len(found) > 0 || len(documents) != 1 {
		t.Fatalf("%d documents, findings %v", len(documents), found)
	}
	var account landing.Account
	if found := source.Decode(documents[0], &account); len(found) > 0 {
		t.Fatal(found)
	}
	if account.Name != "player-prod" || account.Spec.ID != "111111111111" || account.Spec.Unit != "Workloads/Prod" || account.Kind != "Account" {
		t.Errorf("decoded %+v", account)
	}
}

// One bad document, or file, never hides the findings of another.
func TestEverythingWrongIsFound(t *testing.T) {
	files := []source.File{
		{Name: "a.yaml", Data: []byte("kind: [\n---\n" + strings.Replace(good, "unit: Workloads/Prod", "unti: x\n  regions: eu-west-1\n  withoutFullAccess: yes", 1))},
		{Name: "b.yml", Data: []byte("apiVersion: x\nkind: Account\nkind: Account\nmetadata: {}\n")},
		{Name: "c.yaml", Data: []byte("a: &x 1\nb: *x\n")},
		{Name: "d.txt", Data: []byte("kind: [")},
	}
	documents, found := source.Read(files)
	for _, d := range documents {
		var account landing.Account
		found = append(found, source.Decode(d, &account)...)
	}
	found.Sort()
	var got []string
	for _, f := range found {
		got = append(got, f.String())
	}
	want := []string{
		`a.yaml:1:1: expected YAML: did not find expected node content [source/yaml]`,
		`a.yaml:9:3: $.spec.unti: "unti": expected one of environment, id, owner, regions, tags, unit, withoutFullAccess [source/unknown-field]`,
		`a.yaml:10:12: $.spec.regions: "eu-west-1": expected a list [source/type]`,
		`a.yaml:11:22: $.spec.withoutFullAccess: "yes": expected true or false [source/type]`,
		`b.yml:1:1: $.metadata.name: expected metadata.name, a name [source/identity]`,
		`b.yml:3:1: $.kind: "kind": expected each field once [source/duplicate]`,
		`c.yaml:1:1: $.apiVersion: expected apiVersion, a name [source/identity]`,
		`c.yaml:1:1: $.kind: expected kind, a name [source/identity]`,
		`c.yaml:1:1: $.metadata.name: expected metadata.name, a name [source/identity]`,
		`c.yaml:2:4: $.b: expected the value itself, not an alias of another one [source/alias]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRequiredFields(t *testing.T) {
	documents, _ := source.Read([]source.File{{Name: "o.yaml", Data: []byte("apiVersion: v\nkind: Organization\nmetadata: {name: o}\nspec: {units: [{id: ou-1}]}\n")}})
	var organization landing.Organization
	found := source.Decode(documents[0], &organization)
	var paths []string
	for _, f := range found {
		paths = append(paths, f.Path)
	}
	if got, want := fmt.Sprint(paths), "[$.spec.units[0].path $.spec.managementAccount]"; got != want {
		t.Errorf("required fields missing at %s, want %s", got, want)
	}
}

func TestJSONSaysWhereItIsWrong(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"syntax", "{\n\t\"a\": 1,\n\t\"b\": ]\n}", `p.json:3:7: expected JSON: invalid character ']' looking for beginning of value [source/json]`},
		{"cut", "{\"a\": [1,", `p.json:1:10: expected JSON: the file ends too early [source/json]`},
		{"two values", "{} {}", `p.json:1:5: expected JSON: one value and nothing after it [source/json]`},
		{"twice", "{\"a\": 1,\n \"a\": 2}", `p.json:2:2: $.a: "a": expected each field once [source/duplicate]`},
		{"deep", strings.Repeat("[", 100), `p.json:1:66: $` + strings.Repeat("[0]", 65) + `: expected values to nest at most 64 deep [source/depth]`},
		{"empty", "", `p.json:1:1: expected JSON: the file ends too early [source/json]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, found := source.ParseJSON("p.json", []byte(test.text))
			if len(found) != 1 || found[0].String() != test.want {
				t.Errorf("got %v, want %s", found, test.want)
			}
		})
	}
}

func TestJSONKeepsPlaces(t *testing.T) {
	root, found := source.ParseJSON("p.json", []byte("{\n \"ä\": [true, null, 1.50],\n \"b\": {\"c\": \"x<y\"}}"))
	if len(found) > 0 {
		t.Fatal(found)
	}
	if got, want := string(root.JSON()), `{"ä":[true,null,1.50],"b":{"c":"x<y"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if c := root.Get("b", "c"); c.Line != 3 || c.Column != 13 {
		t.Errorf("c stands at %d:%d, want 3:13", c.Line, c.Column)
	}
	if n := root.Get("ä").Items[2]; n.Line != 2 || n.Column != 20 {
		t.Errorf("1.50 stands at %d:%d, want 2:20", n.Line, n.Column)
	}
}

// What was parsed writes JSON that parses back to itself, and nothing stands
// outside the file.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good), true)
	f.Add([]byte("a: {b: [1, 0x10, ~, 2012-10-17, yes]}\n---\n- |\n  text\n"), true)
	f.Add([]byte(`{"a":[1,{"b":null}],"c":"\u0000é"}`), false)
	f.Fuzz(func(t *testing.T, data []byte, isYAML bool) {
		var roots []*source.Node
		var found source.Findings
		if isYAML {
			roots, found = source.ParseYAML("f.yaml", data)
		} else {
			var root *source.Node
			root, found = source.ParseJSON("f.json", data)
			if (root == nil) != (len(found.Errors()) > 0 && root == nil) {
				t.Fatalf("no value and no finding")
			}
			if root != nil {
				roots = append(roots, root)
			}
		}
		lines := bytes.Count(data, []byte("\n")) + 2
		for _, finding := range found {
			if finding.Line < 1 || finding.Line > lines {
				t.Fatalf("%v stands outside a file of %d lines", finding, lines)
			}
		}
		for _, root := range roots {
			written := root.JSON()
			if !json.Valid(written) {
				t.Fatalf("wrote %q, which is not JSON", written)
			}
			again, found := source.ParseJSON("again.json", written)
			if again == nil || len(found) > 0 {
				t.Fatalf("wrote %q, which does not parse: %v", written, found)
			}
			if !bytes.Equal(again.JSON(), written) {
				t.Fatalf("wrote %q, then %q", written, again.JSON())
			}
		}
	})
}

// Decoding never panics, whatever the document says.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("apiVersion: v\nkind: Guardrail\nmetadata: {name: g, labels: {a: 1}, creationTimestamp: x}\nspec: {type: 1, policy: {a: [1]}, targets: [{root: true}, null, 3]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, _ := source.Read([]source.File{{Name: "f.yaml", Data: data}})
		for _, d := range documents {
			source.Decode(d, &landing.Account{})
			source.Decode(d, &landing.Organization{})
			source.Decode(d, &landing.Guardrail{})
		}
	})
}

// The line that is named is that of the file.
func TestYAMLErrorsNameTheirLine(t *testing.T) {
	tests := []struct {
		name, text string
		want       int
	}{
		{"an object that is not closed", "a: 1\nb: 2\nc: {d: e\nf:\n  - 1\n", 3},
		{"a list that is not closed", "a: 1\nb: 2\nc: [d\nf:\n  - 1\n", 3},
		{"in a second document", "a: 1\n---\nb: 2\nc: {d: e\nf:\n  - 1\n", 4},
		{"a colon too many", "a: 1\nb: 2\nc: d: e\n", 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, found := source.ParseYAML("a.yaml", []byte(test.text))
			if len(found) != 1 || found[0].Line != test.want {
				t.Errorf("got %v, want one error on line %d", found, test.want)
			}
		})
	}
}
