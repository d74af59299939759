package mirror

import (
	"context"
	"fmt"
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
	if report.Level() || i < 0 || report.Held[i].Object.Name != "one" || !strings.Contains(report.Held[i].Text, "serves this kind as v2 only, the writer's side as v1") {
		t.Errorf("held: %v, level: %v", report.Held, report.Level())
	}
}

// A release is the minor version of Kubernetes that first served, and the first that no
// longer served, a version of a kind (Deprecated API Migration Guide, kubernetes.io).
type release struct {
	version     string
	first, gone int // gone is 0 for those that are served still
}

var releases = map[schema.GroupKind][]release{
	{Group: "networking.k8s.io", Kind: "Ingress"}:                                   {{"v1beta1", 14, 22}, {"v1", 19, 0}},
	{Group: "networking.k8s.io", Kind: "IngressClass"}:                              {{"v1beta1", 18, 22}, {"v1", 19, 0}},
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:               {{"v1beta1", 7, 22}, {"v1", 16, 0}},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}: {{"v1beta1", 9, 22}, {"v1", 16, 0}},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"}:      {{"v1beta1", 28, 34}, {"v1", 30, 0}},
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                              {{"v1beta1", 6, 22}, {"v1", 8, 0}},
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                             {{"v1beta1", 11, 22}, {"v1", 14, 0}},
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                                 {{"v1beta1", 4, 22}, {"v1", 6, 0}},
	{Group: "batch", Kind: "CronJob"}:                                               {{"v1beta1", 8, 25}, {"v1", 21, 0}},
	{Group: "policy", Kind: "PodDisruptionBudget"}:                                  {{"v1beta1", 5, 25}, {"v1", 21, 0}},
	{Group: "policy", Kind: "PodSecurityPolicy"}:                                    {{"v1beta1", 10, 25}},
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:                                    {{"v1beta1", 14, 25}, {"v1", 20, 0}},
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:                         {{"v2beta1", 8, 25}, {"v2beta2", 12, 26}, {"v1", 2, 0}, {"v2", 23, 0}},
	{Group: "flowcontrol.apiserver.k8s.io", Kind: "FlowSchema"}:                     {{"v1beta1", 20, 26}, {"v1beta2", 23, 29}, {"v1beta3", 26, 32}, {"v1", 29, 0}},
	{Group: "apps", Kind: "Deployment"}:                                             {{"v1beta1", 6, 16}, {"v1beta2", 8, 16}, {"v1", 9, 0}},
}

// in is the kind as a release of Kubernetes serves it, the newest version first.
func in(kind schema.GroupKind, minor int) (cluster.Kind, bool) {
	var versions []string
	for _, r := range slices.Backward(releases[kind]) {
		if r.first <= minor && (r.gone == 0 || minor < r.gone) {
			versions = append(versions, r.version)
		}
	}
	if len(versions) == 0 {
		return cluster.Kind{}, false
	}
	return cluster.Kind{GroupVersionKind: kind.WithVersion(versions[0]), Versions: versions}, true
}

// Kubernetes drops a version only after another one was served for longer than two
// minors, so that two clusters so far apart always have one in common, unless the kind
// itself is gone: its objects are named then.
func TestTwoMinorsApartEveryKindIsConvertedOrNamed(t *testing.T) {
	named := map[string]bool{}
	for kind := range releases {
		for minor := 16; minor <= 34; minor++ {
			from, is := in(kind, minor)
			if !is {
				continue
			}
			to, served := in(kind, minor+2)
			f := &following{}
			f.serve(from, to, served)
			reason, text := f.stopped()
			switch {
			case f.served && slices.Contains(from.Versions, f.kind.Version) && slices.Contains(to.Versions, f.kind.Version):
			case !served && reason == v1.ObjectHeld && text != "":
				named[kind.Kind] = true
			default:
				t.Errorf("%s from 1.%d to 1.%d: read as %q, held because %q", kind, minor, minor+2, f.kind.Version, text)
			}
		}
	}
	if len(named) != 1 || !named["PodSecurityPolicy"] {
		t.Errorf("kinds that are gone altogether: %v, want PodSecurityPolicy", named)
	}
}

func TestAKindWithoutObjectsThatTheTargetDoesNotServeIsNobodysBusiness(t *testing.T) {
	w := withDatabases(t, v1.MirrorRule{Group: databases.Group, Kind: databases.Kind, Mode: v1.Inert})
	kinds := w.config.To.Kinds
	w.config.To.Kinds = func(ctx context.Context) ([]cluster.Kind, error) {
		all, err := kinds(ctx)
		return slices.DeleteFunc(slices.Clone(all), func(k cluster.Kind) bool { return k.Kind == databases.Kind }), err
	}
	w.restart()
	if report := w.follow(); !report.Level() {
		t.Errorf("held: %v", report.Held)
	}
	add(t, w.from, "kubectl", database("one", nil))
	w.tick(time.Minute)
	report := w.follow()
	if want := "Database.example.com/team-0/one: the side that follows does not serve this kind"; report.Level() || fmt.Sprint(report.Held) != "["+want+"]" {
		t.Errorf("held: %v, want %s", report.Held, want)
	}
	if found := must(w.mirror.Differences(t.Context())); len(found) != 1 || found[0].Object.Name != "one" {
		t.Errorf("differences: %v, want one", found)
	}
	w.config.To.Kinds = kinds
	w.mirror.To.Kinds = kinds
	w.tick(time.Minute)
	if report := w.follow(); !report.Level() {
		t.Errorf("the kind is served by now: %v", report.Held)
	}
	databaseIn(t, w.to, "one")
}
