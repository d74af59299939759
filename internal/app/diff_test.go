package app

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
	"crossfade.dev/internal/object"
)

// inMemory makes a cluster with a namespace, and what else is given.
func inMemory(t *testing.T, name string, number int, objects ...memory.Object) *memory.Cluster {
	t.Helper()
	c := memory.New(memory.Options{Name: name, Number: number, Seed: uint64(number), Clock: clock.RealClock{}})
	objects = append([]memory.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}}, objects...)
	if err := c.Seed(objects...); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDifferencesAreFoundWithoutWriting(t *testing.T) {
	settings := func(name, text string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}, Data: map[string]string{"text": text}}
	}
	source := inMemory(t, "source", 1, settings("cart", "new"), settings("pay", "same"), settings("only", "here"))
	target := inMemory(t, "target", 2, settings("cart", "old"), settings("pay", "same"))
	m := &v1.Migration{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "crossfade-system"}}
	m.Status.Writer = v1.Source
	s := migration.Subject{Migration: m, Ledger: ledger.New(inMemory(t, "hub", 3), nil), In: migration.Scope(m)}
	all, err := differences(t.Context(), mirror.Side{API: source, Kinds: source.Kinds}, mirror.Side{API: target, Kinds: target.Kinds}, s, "")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, d := range all {
		found[d.Object] = d.Text
		for _, f := range d.Fields {
			found[d.Object] += f.Path + " " + f.Source + " " + f.Target
		}
	}
	if found["ConfigMap shop/cart"] != `data.text "new" "old"` {
		t.Errorf("ConfigMap shop/cart: %q", found["ConfigMap shop/cart"])
	}
	if found["ConfigMap shop/only"] != "it is missing (the target follows)" {
		t.Errorf("ConfigMap shop/only: %q", found["ConfigMap shop/only"])
	}
	if text, differs := found["ConfigMap shop/pay"]; differs {
		t.Errorf("ConfigMap shop/pay: %q", text)
	}
}

func TestDifferencesOfOneApp(t *testing.T) {
	settings := func(name, app string) *corev1.ConfigMap {
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
		if app != "" {
			c.Labels = map[string]string{"app": app}
		}
		return c
	}
	source := inMemory(t, "source", 1, settings("cart", "cart"), settings("pay", "pay"), settings("shared", ""))
	target := inMemory(t, "target", 2)
	m := &v1.Migration{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "crossfade-system"}}
	m.Status.Writer = v1.Source
	s := migration.Subject{Migration: m, Ledger: ledger.New(inMemory(t, "hub", 3), nil), In: migration.Scope(m)}
	all, err := differences(t.Context(), mirror.Side{API: source, Kinds: source.Kinds}, mirror.Side{API: target, Kinds: target.Kinds}, s, "shop/cart")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, d := range all {
		found = append(found, d.Object)
	}
	if want := []string{"ConfigMap shop/cart", "ConfigMap shop/shared"}; !slices.Equal(found, want) {
		t.Errorf("differences of shop/cart: %q, want %q", found, want)
	}
}

func TestDifferencesAreShownFromTheSource(t *testing.T) {
	d := mirror.Difference{
		Object: mirror.Object{Group: "example.com", Kind: "Widget", Namespace: "shop", Name: "cart"},
		Fields: []object.FieldDiff{{Path: "spec.size", A: "1", B: "2"}},
	}
	got := shownDifference(d, v1.Target)
	if got.Object != "Widget.example.com shop/cart" || got.Fields[0].Source != "2" || got.Fields[0].Target != "1" {
		t.Errorf("with the target as the writer: %+v", got)
	}
	d = mirror.Difference{Object: mirror.Object{Group: "apps", Kind: "Deployment"}, Text: "it is missing"}
	if got = shownDifference(d, v1.Target); got.Object != "Deployment" || got.Text != "it is missing (the source follows)" {
		t.Errorf("a whole kind: %+v", got)
	}
}
