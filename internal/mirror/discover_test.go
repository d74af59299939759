package mirror

import (
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

func TestVersionThatBothSidesServe(t *testing.T) {
	kind := func(versions ...string) cluster.Kind {
		return cluster.Kind{
			GroupVersionKind: schema.GroupVersionKind{Group: "autoscaling", Version: versions[0], Kind: "HorizontalPodAutoscaler"},
			Versions:         versions,
		}
	}
	for name, test := range map[string]struct {
		from, to cluster.Kind
		want     string
	}{
		"the same":                    {kind("v2", "v1"), kind("v2", "v1"), "v2"},
		"the target prefers another":  {kind("v1", "v2"), kind("v2", "v1"), "v2"},
		"the target's is too new":     {kind("v2beta2", "v2beta1", "v1"), kind("v2", "v1"), "v1"},
		"the target dropped the best": {kind("v2beta2", "v1"), kind("v1"), "v1"},
		"nothing in common":           {kind("v2beta2"), kind("v2"), ""},
	} {
		f := &following{}
		f.serve(test.from, test.to, true)
		if got := f.kind.Version; f.served != (test.want != "") || f.served && got != test.want {
			t.Errorf("%s: %s, served %v, want %q", name, got, f.served, test.want)
		}
	}
}

func TestObjectsOfAVersionThatTheTargetDroppedAreFound(t *testing.T) {
	w := withDatabases(t, v1.MirrorRule{Group: databases.Group, Kind: databases.Kind, Mode: v1.Inert})
	crd := get(t, w.from, &apiextensionsv1.CustomResourceDefinition{}, "", "databases.example.com").DeepCopy()
	crd.ResourceVersion, crd.UID, crd.Spec.Versions[0].Name = "", "", "v2"
	add(t, w.to, "kubectl", crd)
	add(t, w.from, "kubectl", database("one", map[string]any{"size": int64(3)}))
	w.tick(time.Minute)
	report := w.follow()
	i := slices.IndexFunc(report.Held, func(h Held) bool { return h.Object.Kind == databases.Kind })
	if report.Level() || i < 0 || !strings.Contains(report.Held[i].Text, "serves this kind as v2 only, the writer's side as v1") {
		t.Errorf("held: %v, level: %v", report.Held, report.Level())
	}
}
