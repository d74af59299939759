package app

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/plan/finding"
)

// nowhere is a kubeconfig whose contexts lead to a port that nobody listens on.
func nowhere(t *testing.T) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["nowhere"] = &clientcmdapi.Cluster{Server: "https://127.0.0.1:1"}
	config.AuthInfos["ann"] = &clientcmdapi.AuthInfo{Token: "x"}
	for _, name := range []string{"east", "west"} {
		config.Contexts[name] = &clientcmdapi.Context{Cluster: "nowhere", AuthInfo: "ann"}
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAPlanNamesTheContextThatDoesNotAnswer(t *testing.T) {
	o := cli.PlanOptions{
		Hub:       cli.Hub{Kubeconfig: nowhere(t), Namespace: "crossfade-system"},
		Migration: &v1.Migration{}, SourceContext: "east", TargetContext: "west",
	}
	_, err := runPlan(t.Context(), o)
	if err == nil || !strings.HasPrefix(err.Error(), `--source-context "east": https://127.0.0.1:1 gave no answer (after `) ||
		!strings.HasSuffix(err.Error(), "connection refused)") {
		t.Errorf("error = %v", err)
	}
	o.SourceContext = "north"
	if _, err = runPlan(t.Context(), o); err == nil || err.Error() != `--source-context "north": the kubeconfig has no context of that name; it has east, west` {
		t.Errorf("error = %v", err)
	}
	o.SourceContext, o.TargetContext = "", ""
	if _, err = runPlan(t.Context(), o); err == nil || !strings.Contains(err.Error(), "the hub: ") {
		t.Errorf("error = %v", err)
	}
}

func TestAPlanWarnsOfWhatNoGateHolds(t *testing.T) {
	warnings := func(m *v1.Migration, p planning) []string {
		p.o.Migration, p.target = m, &finding.Side{}
		p.sourceFacts = toldFacts{}
		return p.warnings()
	}
	full := &v1.Migration{Spec: v1.MigrationSpec{
		DNS: &v1.DNS{}, Journal: "file:///journal", Archive: &v1.Archive{URL: "file:///archive", RehearseIn: "third"},
	}}
	const unmeasured = 1 // whether the networks reach each other
	if got := warnings(&v1.Migration{}, planning{}); len(got) != 3+unmeasured {
		t.Errorf("warnings = %q, want names, archive and journal too", got)
	}
	if got := warnings(full, planning{zones: &zones{}}); len(got) != unmeasured {
		t.Errorf("warnings = %q, want no more", got)
	}
	if got := warnings(full, planning{}); len(got) != 1+unmeasured {
		t.Errorf("warnings = %q, want one about the zone too", got)
	}
}
