package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatIsRead(t *testing.T) {
	item := func(kind, name string) string {
		return "- apiVersion: v1\n  kind: " + kind + "\n  metadata:\n    name: " + name + "\n    annotations:\n      text: |\n        - apiVersion: not an item\n"
	}
	tests := []struct {
		name, text string
		count      int
		maps       int
	}{
		{"one document", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", 1, 1},
		{"documents, comments and empty ones", "# head\n---\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n--- # second\n\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\n", 2, 2},
		{"a dump as YAML", "apiVersion: v1\nitems:\n" + item("ConfigMap", "a") + item("ConfigMap", "b") + "kind: List\nmetadata:\n  resourceVersion: \"\"\n", 2, 2},
		{"indented items", "kind: ConfigMapList\napiVersion: v1\nitems:\n  - apiVersion: v1\n    kind: ConfigMap\n    metadata:\n      name: a\n  - apiVersion: v1\n    kind: ConfigMap\n    metadata:\n      name: b\n", 2, 2},
		{"an anchor across items", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n  data: &d\n    k: v\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: b}\n  data: *d\n", 2, 2},
		{"a list in flow style", `{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]}`, 1, 1},
		{"JSON documents one after another", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}} {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b{\"}"}}`, 2, 2},
		{"a dump as JSON, its kind last", `{"apiVersion":"v1","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"Event","metadata":{"name":"b"}}],"kind":"List"}`, 2, 1},
		{"an object that has items of its own", `{"apiVersion":"example.com/v1","kind":"Menu","metadata":{"name":"a"},"items":[1,2]}`, 1, 0},
		{"nothing", "# only a comment\n", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Parse("x.yaml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if r.Count != tt.count || len(r.Objects.ConfigMaps) != tt.maps {
				t.Errorf("%d objects, %d ConfigMaps; want %d and %d", r.Count, len(r.Objects.ConfigMaps), tt.count, tt.maps)
			}
		})
	}
}

func TestUnknownKindsAreKeptAndListed(t *testing.T) {
	r, err := Parse("x.yaml", []byte("apiVersion: example.com/v1\nkind: Shop\nmetadata: {name: a, namespace: b}\nspec: {size: 3}\n"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := KindsOf(r.Unknown)
	if len(r.Objects.Others) != 1 || len(kinds) != 1 || kinds[0].String() != "example.com/v1, Kind=Shop" {
		t.Errorf("kept %d, kinds %v", len(r.Objects.Others), kinds)
	}
}

func TestParseErrorsAreSentences(t *testing.T) {
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: three\n"
	tests := []struct{ name, text, want string }{
		{"its own line only", "a: b\n---\nkind: ConfigMap\n bad: [\n", "x.yaml: document 1, line 1: apiVersion \"\", kind \"\": a Kubernetes object has both; x.yaml: document 2, line 4: it is not YAML: mapping values are not allowed in this context"},
		{"a field and its line", deployment, "x.yaml: document 1, line 5: Deployment: spec.replicas is a string, want a whole number"},
		{"what is no base64", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {k: '!!'}\n", "x.yaml: document 1, line 1: Secret: a value of data is not base64 (at its byte 0); stringData takes plain text"},
		{"what kubectl prints for people", "NAME READY\nweb 1/1\n", "x.yaml: document 1, line 1: it is no Kubernetes object, but a bare value; kubectl get prints objects with -o yaml or -o json"},
		{"a template", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  {{ .Values.labels }}\n", "x.yaml: document 1, line 4: it is a template, not yet a manifest: render it first (helm template), and read what that prints"},
		{"text like a template's elsewhere", "apiVersion: v1\nkind: ConfigMap\ndata: {a: '{{ x }}'}\n\tb: c\n", "x.yaml: document 1, line 4: it is not YAML: found character that cannot start any token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse("x.yaml", []byte(tt.text)); err == nil || err.Error() != tt.want {
				t.Errorf("error = %v\nwant    %s", err, tt.want)
			}
		})
	}
}

func TestParseErrorsNameFileDocumentAndLine(t *testing.T) {
	good := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
	tests := []struct {
		name, text string
		document   int
		line       int
	}{
		{"a tab in the second document", good + "---\napiVersion: v1\nkind:\tConfigMap\n\tmetadata: x\n", 2, 8},
		{"a wrong type", good + "---\n" + "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: 7\n", 2, 9},
		{"no kind", "apiVersion: v1\nmetadata: {name: a}\n", 1, 1},
		{"no name", "apiVersion: v1\nkind: ConfigMap\n", 1, 1},
		{"no object", "just text\n", 1, 1},
		{"JSON that ends", "{\"apiVersion\": \"v1\",\n \"kind\": \"List\",\n \"items\": [\n", 1, 4},
		{"an item of a dump", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n- apiVersion: v1\n  kind: [\n", 1, 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("bad.yaml", []byte(tt.text))
			var wrong *ParseError
			if !errors.As(err, &wrong) {
				t.Fatalf("error = %v, want a ParseError", err)
			}
			if wrong.File != "bad.yaml" || wrong.Document != tt.document || wrong.Line != tt.line {
				t.Errorf("%v: want document %d, line %d", wrong, tt.document, tt.line)
			}
		})
	}
}

func TestFoldersAreReadWithoutHiddenFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "b/c.json": `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"k":"v"}}`,
		".hidden/d.yaml": "}", "notes.txt": "}",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Read(dir)
	if err != nil || r.Count != 2 || string(r.Objects.Secrets[0].Data["k"]) != "v" || r.Objects.Secrets[0].Namespace != "default" {
		t.Errorf("read %d objects, %v, %+v", r.Count, err, r.Objects.Secrets)
	}
	if _, err := Read(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "no such file or folder") {
		t.Errorf("error = %v", err)
	}
	if _, err := Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no .yaml, .yml or .json file") {
		t.Errorf("error = %v", err)
	}
}

// Property: no text makes the reader panic, and what it reads it reads again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"apiVersion: v1\nkind: List\nitems:\n- a\n", "{\"items\":[{}],\"kind\":\"List\"}", "---\n---\n", "[1,2", "items:\n- \n-", "{\"a\":\"\\", "\ufeff{",
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := Parse("x", text)
		again, errAgain := Parse("x", text)
		if first.Count != again.Count || (err == nil) != (errAgain == nil) {
			t.Errorf("%d objects, %v; then %d, %v", first.Count, err, again.Count, errAgain)
		}
	})
}
