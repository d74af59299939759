package mirror

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/object"
)

// helmBinary is the environment variable that names Helm; tools/helm.mod builds it.
const helmBinary = "CROSSFADE_HELM"

// TestHelmUpgradesAfterTheMove upgrades a release on the target that was installed on
// the source: by server-side apply, and by three-way merge as Helm 3 does.
func TestHelmUpgradesAfterTheMove(t *testing.T) {
	if os.Getenv(helmBinary) == "" {
		t.Skipf("%s does not name Helm", helmBinary)
	}
	s := startServers(t)
	s.create("kubectl", `{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`)
	source, target := controltest.Kubeconfig(t, map[string]*rest.Config{"test": s.fromConfig}), controltest.Kubeconfig(t, map[string]*rest.Config{"test": s.toConfig})
	chart := t.TempDir()
	for file, text := range map[string]string{
		"Chart.yaml":         "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
		"templates/all.yaml": strings.ReplaceAll(teamsManifests, "NAME", "{{ .Release.Name }}"),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(chart, file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(chart, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	helm := func(kubeconfig string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Getenv(helmBinary), append(args, "--kubeconfig", kubeconfig, "--namespace", "shop")...)
		cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	releases := map[string]string{"applied": "--server-side=true", "merged": "--server-side=false"}
	for name, how := range releases {
		helm(source, "install", name, chart, how)
	}
	if report := s.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	for name, how := range releases {
		_, objects := documents(t, name)
		was := map[string]string{}
		for _, obj := range objects {
			was[obj.GetKind()] = s.copyOf(obj).GetResourceVersion()
		}
		helm(target, "upgrade", name, chart, strings.Replace(how, "=true", "=auto", 1))
		var changed []string
		for _, obj := range objects {
			copied := s.copyOf(obj)
			if copied.GetResourceVersion() != was[obj.GetKind()] {
				changed = append(changed, obj.GetKind())
			}
			rule := builtIn(obj.GroupVersionKind().GroupKind())
			for _, d := range object.Diff(rule.normal(read(t, s.from, obj)), rule.normal(copied)) {
				t.Errorf("after helm upgrade: %s %s: %s", obj.GetKind(), obj.GetName(), d)
			}
		}
		// See toolsFindNothingToDo: their fields are not kept as they are applied.
		if changed = slices.DeleteFunc(changed, func(kind string) bool { return kind == "Secret" || kind == "StatefulSet" }); len(changed) > 0 {
			t.Errorf("helm upgrade of %s changed %q", name, changed)
		}
		next := manifest(t, "{apiVersion: v1, kind: Secret, metadata: {namespace: shop, name: sh.helm.release.v1."+name+".v2}}")
		if err := s.to.Get(t.Context(), client.ObjectKeyFromObject(next), next); err != nil {
			t.Errorf("the release has no second revision: %v", err)
		}
	}
}
