package manifest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPlacesAreTheLinesWhereObjectsBegin(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	apps := write("apps.yaml", `# ours
---
# the cart
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
---

apiVersion: v1
kind: Service
metadata: {name: cart}
`)
	list := write("list.yaml", `apiVersion: v1
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: a, namespace: shop}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: b, namespace: shop}
kind: List
`)
	dump := write("dump.json", `{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "shop"}},
  {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
]}`)
	r, err := Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]Place{
		"Deployment shop/cart": {apps, 4}, "Service default/cart": {apps, 9},
		"ConfigMap shop/a": {list, 3}, "ConfigMap shop/b": {list, 6}, "ConfigMap": {list, 3},
		"Secret shop/a": {dump, 2}, "Thing t": {dump, 3}, "Thing.example.com": {dump, 3},
	} {
		if got := r.Places[key]; got != want {
			t.Errorf("%s begins at %s line %d, want %s line %d", key, got.File, got.Line, want.File, want.Line)
		}
	}
}
