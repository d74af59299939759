package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	estate "crossfade.dev/examples/estate"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/plan/finding"
)

// On real API servers: the example estate has nothing that blocks, and a plan between
// two contexts sees everything and writes nothing.
func TestAPlanOfTheExampleEstateFindsNothingThatBlocks(t *testing.T) {
	source, target := controltest.Start(t), controltest.Start(t)
	api := controltest.New(t, source)
	for _, obj := range estate.Generate(estate.Options{}).Objects {
		if err := api.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	o := cli.PlanOptions{
		Hub:           cli.Hub{Kubeconfig: controltest.Kubeconfig(t, map[string]*rest.Config{"east": source, "west": target}), Namespace: "crossfade-system"},
		SourceContext: "east", TargetContext: "west",
		Migration: &v1.Migration{Spec: v1.MigrationSpec{Source: "east", Target: "west"}},
	}
	p, err := runPlan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Findings {
		if f.Severity == finding.Blocks {
			t.Errorf("%s: %+v", f.ID, f.Objects)
		}
	}
	if len(p.Apps) != estate.DefaultApps {
		t.Errorf("%d apps, want %d", len(p.Apps), estate.DefaultApps)
	}
	// Nothing has changed since it was saved; then something has.
	pin := saved(t, o)
	if differences, err := runPinned(t.Context(), pin, o); err != nil || len(differences) != 0 {
		t.Errorf("differences = %q, %v; want none", differences, err)
	}
	config := estate.Generate(estate.Options{}).Objects
	i := slices.IndexFunc(config, func(u *unstructured.Unstructured) bool { return u.GetKind() == "ConfigMap" })
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(config[i]), config[i]); err != nil {
		t.Fatal(err)
	}
	config[i].Object["data"] = map[string]any{"changed": "yes"}
	if err := api.Update(t.Context(), config[i]); err != nil {
		t.Fatal(err)
	}
	if differences, err := runPinned(t.Context(), pin, o); err != nil || len(differences) != 1 || !strings.HasSuffix(differences[0], "has changed") {
		t.Errorf("differences = %q, %v; want one", differences, err)
	}
}

// saved plans and returns the file in which the source is pinned.
func saved(t *testing.T, o cli.PlanOptions) string {
	t.Helper()
	o.Save = filepath.Join(t.TempDir(), "pin")
	if _, err := runPlan(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.Save); err != nil {
		t.Fatal(err)
	}
	return o.Save
}
