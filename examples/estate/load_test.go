package estate

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// write puts text into a file of the test's own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func keys(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, u := range objects {
		all = append(all, u.GetKind()+" "+u.GetNamespace()+"/"+u.GetName())
	}
	return all
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n"
}

func TestLoadReadsFoldersListsAndDocuments(t *testing.T) {
	folder := t.TempDir()
	files := map[string]string{
		"a.yaml":        "# comment only\n---\n" + configMap("a") + "---\n\n--- # another\n" + configMap("b") + "  namespace: shop\n",
		"below/c.yml":   "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(configMap("c"), "\n", "\n  ") + "\n",
		"below/d.json":  `{"apiVersion":"v1","kind":"ConfigMapList","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}]}`,
		".git/e.yaml":   "not: kubernetes\n",
		"README.md":     "not yaml",
		"below/f.yaml":  "apiVersion: v1\nkind: Namespace\nmetadata: {name: there, namespace: odd}\n---\n" + configMap("f") + "  namespace: there\n",
		"crd.yaml":      "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: tvs.example.com}\nspec: {group: example.com, scope: Cluster, names: {kind: TV, plural: tvs}, versions: []}\n",
		"custom.yaml":   "apiVersion: example.com/v1\nkind: TV\nmetadata: {name: g}\n---\napiVersion: example.com/v1\nkind: Radio\nmetadata: {name: h}\n",
		"zclass.yaml":   "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: high}\nvalue: 1\n",
		"windows.yaml":  strings.ReplaceAll("\ufeff"+configMap("w")+"---\n"+configMap("x"), "\n", "\r\n"),
		"below/.h.yaml": "also: hidden\n",
	}
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := Load(folder, "live.demo.test")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Namespace /shop", "Namespace /there", "CustomResourceDefinition /tvs.example.com", "PriorityClass /high",
		"ConfigMap default/a", "ConfigMap shop/b", "ConfigMap default/c", "ConfigMap default/d", "ConfigMap there/f",
		"ConfigMap default/w", "ConfigMap default/x", "TV /g", "Radio default/h",
	}
	if got := keys(loaded.Objects); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLoadLeavesObjectsAsTheyAre(t *testing.T) {
	path := write(t, "a.yaml", deployment+ingressFor("shop.example.com"))
	loaded, err := Load(path, "live.demo.test")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Service default/shop", "Deployment default/shop", "Ingress default/entry", "Ingress default/entry-asked"}
	if got := keys(loaded.Objects); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	hosts := map[string]string{}
	for _, ingress := range survey(loaded.Objects).ingresses {
		hosts[ingress.Name] = ingress.Spec.Rules[0].Host
	}
	if want := map[string]string{"entry": "shop.example.com", "entry-asked": "entry.live.demo.test"}; !reflect.DeepEqual(hosts, want) {
		t.Errorf("the hosts are %v, want %v", hosts, want)
	}
}

func TestBadManifestsAreRefusedInOneSentence(t *testing.T) {
	good := configMap("good") + "---\n"
	tests := []struct {
		name, text string
		want       []string // in the error, beside the file's name
	}{
		{"no YAML", good + "a: b\nc: [d\n", []string{"document 2", "line 6"}},
		{"tab", good + "a:\n\tb: c\n", []string{"document 2", "line 7"}},
		{"duplicate field", good + configMap("b") + "kind: Secret\n", []string{"document 2", "line 10: mapping key", "kind"}},
		{"no apiVersion", good + "kind: ConfigMap\n", []string{"document 2, line 6", "apiVersion"}},
		{"no kind", good + "\n\napiVersion: v1\n", []string{"document 2, line 8", "kind"}},
		{"no name", good + "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  generateName: a-\n", []string{"document 2, line 6", "metadata.name", "ConfigMap"}},
		{"not an object", good + "- a\n- b\n", []string{"document 2, line 6", "no object"}},
		{"text", good + "hello\n", []string{"document 2, line 6", "no object"}},
		{"unknown field", good + "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n  label: {}\n", []string{"document 2, line 10", `"metadata.label"`, `ConfigMap "b"`}},
		{"unknown field in a list", strings.Replace(deployment, "image: shop", "imag: shop", 1), []string{"document 1, line 10", "containers[0].imag"}},
		{"wrong type", strings.Replace(deployment, "spec:\n  selector: {match", "spec:\n  replicas: three\n  selector: {match", 1), []string{"document 1, line 6", "spec.replicas", "string"}},
		{"wrong quantity", strings.Replace(deployment, "image: shop}", "image: shop, resources: {requests: {cpu: much}}}", 1), []string{"document 1", "line 2", "quantities"}},
		{"bad namespace", configMap("a") + "  namespace: Shop_1\n", []string{"document 1, line 5", "Shop_1"}},
		{"in a List", "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(configMap("a"), "\n", "\n  ") + "\n- kind: Secret\n", []string{"document 1, line 9", "apiVersion"}},
		{"twice", good + good, []string{"document 2, line 6", "ConfigMap default/good", "document 1, line 1"}},
		{"kustomization", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", []string{"document 1, line 1", "kubectl kustomize"}},
		{"Helm template", good + "{{ if .Values.on }}\n" + configMap("b") + "{{ end }}\n", []string{"document 2", "line 5"}},
		{"nothing", "# nothing\n", []string{"no object"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, "shop.yaml", test.text)
			_, err := Load(path, "live.demo.test")
			if err == nil {
				t.Fatal("it is not refused")
			}
			for _, want := range append(test.want, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %v", err)
			}
		})
	}
}

func TestBadPathsAndZonesAreRefused(t *testing.T) {
	good := write(t, "a.yaml", configMap("a"))
	tests := []struct{ path, zone, want string }{
		{"/no/such/path", "live.demo.test", "/no/such/path"},
		{t.TempDir(), "live.demo.test", "no .yaml, .yml or .json file"},
		{good, "Live.demo.test", `"Live.demo.test"`},
		{good, "", `""`},
	}
	for _, test := range tests {
		if _, err := Load(test.path, test.zone); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Load(%q, %q): %v; want %q in it", test.path, test.zone, err, test.want)
		}
	}
}
