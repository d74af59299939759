package cli

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

func TestExitCodes(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		code int
		said string
	}{
		{"nothing went wrong", t.Context(), nil, 0, ""},
		{"an answer that is no, said before", t.Context(), ended(codeNo), 1, ""},
		{"an answer that is no, with a sentence", t.Context(), no(errors.New("it differs")), 1, "error: it differs"},
		{"one that package app gave", t.Context(), errors.Join(ErrNo), 1, "error: no"},
		{"an error", t.Context(), errors.New("what\n  went wrong"), 2, "error: what went wrong"},
		{"an interrupt", interrupted, context.Canceled, 130, "interrupted"},
		{"an answer that was there before the interrupt", interrupted, ended(codeRolledBack), 5, ""},
	} {
		if code, said := verdict(c.ctx, c.err); code != c.code || said != c.said {
			t.Errorf("%s: got %d %q, want %d %q", c.name, code, said, c.code, c.said)
		}
	}
}

// Every standing has the code that the help promises.
func TestStandingsHaveCodes(t *testing.T) {
	for standing, want := range map[view.Standing][2]int{
		view.Unseen: {0, 0}, view.Working: {0, 0}, view.Waiting: {0, 0}, view.OnHold: {0, 0},
		view.Asking: {3, 3}, view.Failed: {1, 1}, view.Arrived: {0, 1}, view.Retired: {0, 1}, view.RolledBack: {5, 0},
	} {
		if got := [2]int{exitCode(standing), backCode(standing)}; got != want {
			t.Errorf("%s: got %v forward and back, want %v", standing, got, want)
		}
	}
}

func TestSentences(t *testing.T) {
	invalid := func(causes ...metav1.StatusCause) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Reason: metav1.StatusReasonInvalid,
			Message: `Migration.crossfade.dev "demo" is invalid: and so on`, Details: &metav1.StatusDetails{Causes: causes},
		}}
	}
	refused := &url.Error{Op: "Get", URL: "https://127.3.0.1:6443/apis?timeout=32s", Err: &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{
			"a number out of range",
			invalid(metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: "spec.shift.sharePercent",
				Message: "Invalid value: 120: spec.shift.sharePercent in body should be less than or equal to 99"}),
			"spec.shift.sharePercent: 120: should be less than or equal to 99",
		},
		{
			"a word that is none",
			invalid(metav1.StatusCause{Type: metav1.CauseTypeFieldValueNotSupported, Field: "spec.freeze.window",
				Message: `Unsupported value: "Night": supported values: "Sitting", "Handover"`}),
			`spec.freeze.window: "Night": supported values: "Sitting", "Handover"`,
		},
		{
			"a rule of ours, which names its field itself",
			invalid(metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: "spec",
				Message: `Invalid value: "object": target: a cluster cannot be its own target`}),
			"spec.target: a cluster cannot be its own target",
		},
		{
			"a rule of ours in a part of the spec",
			invalid(metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: "spec.dns",
				Message: `Invalid value: "object": dns.zone: the zone must lie below dns.parent`}),
			"spec.dns.zone: the zone must lie below dns.parent",
		},
		{
			"two at once",
			invalid(
				metav1.StatusCause{Field: "spec.source", Message: `Invalid value: "": spec.source in body should be at least 1 chars long`},
				metav1.StatusCause{Field: "spec", Message: `Invalid value: "object": source and target of a migration cannot be changed once it exists`},
			),
			`spec.source: "": should be at least 1 chars long; spec: source and target of a migration cannot be changed once it exists`,
		},
		{"a hub without our kinds", &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "crossfade.dev", Kind: "Migration"}},
			"the hub does not know Crossfade's kinds: apply config/crd to it, or choose another with --kubeconfig and --context"},
		{"a hub that is not there", refused, "127.3.0.1:6443 does not answer: connect: connection refused"},
		{"credentials that are not accepted", apierrors.NewUnauthorized("no"), "the hub does not accept the credentials of this context"},
	} {
		if got := sentence(c.err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNearestWords(t *testing.T) {
	for text, want := range map[string]string{
		"ErrorWorse": "; did you mean ErrorsWorse?",
		"archiv":     "; did you mean archive or Archiving?",
		"qqqqqqqqqq": "; crossfade explain lists them",
	} {
		if got := didYouMean(text, explainable()); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"same", "same", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q are %d letters, want %d", c.a, c.b, got, c.want)
		}
	}
}

// Every reason has a section in the runbooks, every gate of package plan is
// explained, and nothing is explained that does not exist.
func TestTheHandbookIsComplete(t *testing.T) {
	h := theHandbook()
	seen := map[v1.Reason]bool{}
	for _, r := range h.reasons() {
		if _, ok := v1.Explanations[r.Name]; !ok || seen[r.Name] {
			t.Errorf("%s is no reason, or is there twice", r.Name)
		}
		if len(r.Look) == 0 || !strings.HasSuffix(r.Back, ".") && !strings.HasSuffix(r.Back, "`") {
			t.Errorf("%s: says not how to look, or how to go back: %q", r.Name, r.Back)
		}
		seen[r.Name] = true
	}
	for reason := range v1.Explanations {
		if !seen[reason] {
			t.Errorf("%s has no section", reason)
		}
	}
	known := gateNames(t)
	for _, g := range h.Gates {
		if !known[g.Name] {
			t.Errorf("gate %s is not one of package plan's", g.Name)
		}
		delete(known, g.Name)
		for _, r := range g.Reasons {
			if !seen[r] {
				t.Errorf("gate %s: %s is no reason", g.Name, r)
			}
		}
		for _, stage := range g.Stages {
			if stage.Finished() == "" {
				t.Errorf("gate %s: %s is no stage", g.Name, stage)
			}
		}
	}
	for name := range known {
		t.Errorf("gate %s is not explained", name)
	}
}

// gateNames reads the constants Gate… of package plan.
func gateNames(t *testing.T) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../plan/gates.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Gate") || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			name, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			names[name] = true
		}
		return true
	})
	return names
}

// The documentation that is made from the code is what `crossfade gen-docs docs`
// would make of it now.
func TestDocsAreFresh(t *testing.T) {
	dir := t.TempDir()
	if *update {
		dir = "../../docs"
	}
	var stderr bytes.Buffer
	env := Env{Args: []string{"crossfade", "gen-docs", dir}, Stdout: &stderr, Stderr: &stderr, Getenv: func(string) string { return "" }}
	if code := Main(t.Context(), env, allCommands()); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, part := range []string{"reference/cli", "runbooks"} {
		want, have := scratchFolder(t, filepath.Join(dir, part)), scratchFolder(t, filepath.Join("../../docs", part))
		for name, text := range want {
			if have[name] != text {
				t.Errorf("docs/%s/%s is not fresh: run `crossfade gen-docs docs`", part, name)
			}
			delete(have, name)
		}
		for name := range have {
			t.Errorf("docs/%s/%s is not made from anything", part, name)
		}
	}
}

// allCommands has every function, so that every command is there.
func allCommands() Commands {
	return Commands{
		Plan:              func(context.Context, PlanOptions) (view.Plan, error) { return view.Plan{}, nil },
		Diff:              func(context.Context, DiffOptions) ([]view.Difference, error) { return nil, nil },
		Step:              func(context.Context, StepOptions) (view.Step, error) { return view.Step{}, nil },
		LiftFreeze:        func(context.Context, LiftOptions) ([]string, error) { return nil, nil },
		RollbackByJournal: func(context.Context, JournalOptions) ([]string, error) { return nil, nil },
		Rehearse:          func(context.Context, RehearseOptions, func([]string) error) error { return nil },
		Load:              func(context.Context, Streams, LoadOptions) error { return nil },
		Demo:              func(context.Context, Streams, DemoOptions) error { return nil },
		Controller:        func(context.Context, Streams, ControllerOptions) error { return nil },
		Bench:             func(context.Context, Streams, BenchOptions) error { return nil },
	}
}

func scratchFolder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts[f.Name()] = string(text)
	}
	return texts
}

// What explanations and runbooks tell people to type is there.
func TestExplanationsNameCommandsThatExist(t *testing.T) {
	root := newRoot(Env{Args: []string{"crossfade"}, Stdout: io.Discard, Stderr: io.Discard}, allCommands())
	book, err := os.ReadFile("runbooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(book)}
	for _, e := range v1.Explanations {
		texts = append(texts, e.Cause, e.Fix)
	}
	line := regexp.MustCompile("crossfade ([a-z][a-z -]*)([^`'\n]*)")
	for _, m := range line.FindAllStringSubmatch(strings.Join(texts, "\n"), -1) {
		cmd, _, err := root.Find(strings.Fields(m[1]))
		if err != nil || cmd == root {
			t.Errorf("%q: there is no such command", m[0])
			continue
		}
		for _, flag := range regexp.MustCompile("--([a-z-]+)").FindAllStringSubmatch(m[0], -1) {
			if cmd.Flag(flag[1]) == nil && cmd.InheritedFlags().Lookup(flag[1]) == nil {
				t.Errorf("%q: %s has no flag --%s", m[0], cmd.CommandPath(), flag[1])
			}
		}
	}
}

// Property: of a kubeconfig that cannot be loaded, no byte of a key is shown.
func TestKeysOfABrokenKubeconfigAreNotShown(t *testing.T) {
	user := "- name: admin\n  user: {client-key-data: c2VjcmV0}\n" // "secret", which client-go prints as 115 101 99 …
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: Config\nusers:\n"+user+user), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := clientcmd.LoadFromFile(file)
	if err == nil || !strings.Contains(err.Error(), "115 101 99") {
		t.Fatalf("error = %v: client-go no longer prints keys, and WithoutKeys can go", err)
	}
	if said := WithoutKeys(err).Error(); strings.Contains(said, "115") || !strings.HasSuffix(said, `duplicate name "admin"`) {
		t.Errorf("shown: %s", said)
	}
}
