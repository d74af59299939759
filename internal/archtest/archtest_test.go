package archtest

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "crossfade.dev/"

// A rule says what a package, and everything below it, must not reach.
type rule struct {
	from   string
	denied []string
	reason string
}

var act = []string{
	"internal/cluster", "internal/mirror", "internal/bridge", "internal/freeze", "internal/ledger", "internal/dns",
	"internal/queue", "internal/snapshot", "internal/probe", "internal/flowlog", "internal/census", "internal/reach",
}

var show = []string{"internal/view", "internal/cli", "internal/web", "internal/demo"}

var rules = append([]rule{
	{from: "api", denied: []string{"internal/", "cmd/"}, reason: "the kinds are for everybody, so they depend on nobody"},
	{from: "internal/plan", denied: pureDenied, reason: "deciding is pure: no client, no act"},
	{from: "internal/zone", denied: pureDenied, reason: "deciding is pure: no client, no act"},
	{from: "internal/judge", denied: pureDenied, reason: "deciding is pure: no client, no act"},
	{from: "internal/object", denied: pureDenied, reason: "deciding is pure: no client, no act"},
	{from: "internal/landing", denied: append([]string{"internal/checkout"}, pureDenied...), reason: "proofs are pure: no client, no act, no file"},
	{from: "internal/referee", denied: append([]string{"api/"}, engine...), reason: "the engine does not grade its own work"},
	{from: "internal/cli", denied: engine, reason: "people act by writing API objects; what reads clusters is passed in"},
	{from: "internal/view", denied: engine, reason: "a view shows API objects and nothing else"},
	{from: "internal/web", denied: engine, reason: "people act by writing API objects"},
	{from: "internal/migration", denied: append([]string{"internal/app"}, show...), reason: "nothing points upward"},
	{from: "internal/dryrun", denied: append([]string{"internal/app"}, show...), reason: "nothing points upward"},
}, actRules()...)

// engine is what those who show must not reach.
var engine = append([]string{"internal/migration", "internal/app"}, act...)

// pureDenied is what those who decide must not reach.
var pureDenied = append(append([]string{
	"internal/migration", "internal/app", "k8s.io/client-go/rest", "k8s.io/client-go/kubernetes", "net/http",
	"sigs.k8s.io/controller-runtime",
}, act...), show...)

// actRules let no part that acts import another: each hides one outside system.
// Package cluster is the seam that the others are given.
func actRules() []rule {
	var out []rule
	for _, part := range act {
		r := rule{from: part, reason: "each part that acts hides one outside system, and none knows another",
			denied: append([]string{"internal/migration", "internal/app"}, show...)}
		for _, other := range act {
			if other != part && other != "internal/cluster" {
				r.denied = append(r.denied, other)
			}
		}
		out = append(out, r)
	}
	return out
}

type listed struct {
	ImportPath string
	Imports    []string
	Doc        string
}

func TestImports(t *testing.T) {
	imports := map[string][]string{}
	for _, p := range list(t) {
		imports[p.ImportPath] = p.Imports
	}
	for _, r := range rules {
		for path := range imports {
			if !under(path, module+r.from) {
				continue
			}
			for _, chain := range reach(imports, path, r.denied) {
				t.Errorf("%s: %s", strings.Join(chain, " -> "), r.reason)
			}
		}
	}
}

// reach returns, for each denied package that path imports through packages of
// ours, one chain that leads to it.
func reach(imports map[string][]string, path string, denied []string) [][]string {
	var found [][]string
	seen := map[string]bool{}
	var visit func(chain []string)
	visit = func(chain []string) {
		at := chain[len(chain)-1]
		if seen[at] {
			return
		}
		seen[at] = true
		for _, next := range imports[at] {
			step := append(append([]string{}, chain...), next)
			for _, d := range denied {
				if under(next, module+strings.TrimSuffix(d, "/")) || under(next, d) {
					found = append(found, step)
				}
			}
			if strings.HasPrefix(next, module) {
				visit(step)
			}
		}
	}
	visit([]string{path})
	return found
}

func under(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Doc", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if under(p.ImportPath, strings.TrimSuffix(module, "/")) {
			all = append(all, p)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestNoRoomWithoutPurpose(t *testing.T) {
	for _, p := range list(t) {
		switch filepath.Base(p.ImportPath) {
		case "util", "utils", "common", "helper", "helpers", "misc":
			t.Errorf("%s: the name says nothing about what is in it", p.ImportPath)
		}
	}
}

// mostLines is how long a function may be outside tests, from func to its brace.
const mostLines = 70

func TestFunctionsCanBeRead(t *testing.T) {
	fset := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "out" || d.Name() == "node_modules"):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "zz_generated"):
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1; n > mostLines {
				t.Errorf("%s: %s has %d lines, more than %d", fset.Position(f.Pos()), f.Name.Name, n, mostLines)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
