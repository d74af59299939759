package mirror

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/object"
)

func manifests(t testing.TB, file string) []*unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	for text := range strings.SplitSeq(string(data), "\n---\n") {
		out = append(out, manifest(t, text))
	}
	return out
}

// byTheirKind groups objects of one kind that stand together.
func byTheirKind(objects []*unstructured.Unstructured) [][]*unstructured.Unstructured {
	var out [][]*unstructured.Unstructured
	for i, obj := range objects {
		if i == 0 || obj.GetKind() != objects[i-1].GetKind() {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], obj)
	}
	return out
}

// exploreAll explores every kind of which there is a base object.
func exploreAll(t *testing.T, config *rest.Config, kinds []cluster.Kind) []*explorer {
	t.Helper()
	ctx := t.Context()
	api, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"every", "every-limits"} {
		if err := api.Create(ctx, manifest(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+name+"}}")); err != nil {
			t.Fatal(err)
		}
	}
	byKind := map[schema.GroupVersionKind]cluster.Kind{}
	all := map[schema.GroupVersion]schemas{}
	for _, kind := range kinds {
		byKind[kind.GroupVersionKind] = kind
	}
	var found []*explorer
	var templates []any
	var mu sync.Mutex
	var wait sync.WaitGroup
	limit := make(chan struct{}, 4)
	for _, bases := range byTheirKind(manifests(t, "testdata/least.yaml")) {
		gvk := bases[0].GroupVersionKind()
		if *only != "" && *only != gvk.Kind {
			continue
		}
		if all[gvk.GroupVersion()] == nil {
			if all[gvk.GroupVersion()], err = readSchemas(ctx, config, gvk.Group, gvk.Version); err != nil {
				t.Fatal(err)
			}
		}
		schemas, kind := all[gvk.GroupVersion()], byKind[gvk]
		run := func(templates []any) *explorer {
			began := time.Now()
			e := explore(ctx, api, kind, schemas, bases, templates)
			t.Logf("%s: %d questions in %s", kind.Kind, e.asked, time.Since(began))
			mu.Lock()
			defer mu.Unlock()
			found = append(found, e)
			return e
		}
		if gvk.Kind == "PodTemplate" {
			for _, obj := range run(nil).objects {
				templates = append(templates, obj.Object["template"])
			}
			continue
		}
		limit <- struct{}{}
		wait.Go(func() {
			run(templates)
			<-limit
		})
	}
	wait.Wait()
	return found
}

var only = flag.String("kind", "", "the one kind to explore")

// unset is how many fields of a kind could not be set: those that validation forbids
// there, that an API server drops because their feature is off, and that it never
// returns. Kinds that are not listed have none.
var unset = map[string]int{
	"PodTemplate": 12, "Secret": 1, "ServiceAccount": 6, "PersistentVolumeClaim": 1, "StatefulSet": 2, "CronJob": 1, "Role": 1,
	"ResourceClaimTemplate": 3, "PersistentVolume": 2, "CustomResourceDefinition": 10,
}

// TestEveryFieldOfEveryKind copies objects in which every field is set that the API
// server lets a team set, lets them be changed on the target, and has the mirror bring
// that back. Nothing may differ but what the documentation lists.
func TestEveryFieldOfEveryKind(t *testing.T) {
	s := startServers(t)
	began := time.Now()
	found := exploreAll(t, s.fromConfig, must(s.from.Kinds(t.Context())))
	total, missed := 0, 0
	for _, e := range found {
		miss := e.log(t)
		if *only == "" && miss > unset[e.kind.Kind] {
			t.Errorf("%s: %d fields could not be set, %d are known", e.kind.Kind, miss, unset[e.kind.Kind])
		}
		total, missed = total+len(e.fields), missed+miss
	}
	t.Logf("%d of %d fields of %d kinds, found in %s", total-missed, total, len(found), time.Since(began).Round(time.Millisecond))

	before := s.createFound(t, found)
	s.config.Choices = []Choice{
		{Group: "apps", Kind: "DaemonSet", Mode: v1.Inert}, {Kind: "PersistentVolume", Mode: v1.Inert}, {Kind: "PersistentVolumeClaim", Mode: v1.Inert},
		{Group: "admissionregistration.k8s.io", Kind: "*", Mode: v1.Inert}, {Group: "apiextensions.k8s.io", Kind: "*", Mode: v1.Inert},
	}
	s.restart()
	if report := s.follow(); !report.Level() || len(report.Held) > 0 {
		t.Fatalf("not level: %+v", report)
	}
	left := documentedFields(t)
	for _, origin := range before {
		copied := s.copyOf(origin)
		left.compare(t, "the copy", origin, copied)
		rule := s.config.ruleFor(origin.GroupVersionKind().GroupKind())
		if must(rule.ownership(copied)) != must(rule.ownership(origin)) {
			got, want := s.owners(s.to, origin), s.owners(s.from, origin)
			t.Errorf("%s %s: managers of the copy\n%s\nof the origin\n%s", origin.GetKind(), origin.GetName(), got, want)
		}
	}
	s.bringsBack(t, before)
	t.Logf("%d objects there and back, in %s in all", len(before), time.Since(began).Round(time.Millisecond))
}

// createFound makes the objects that were found on the source, with an owner and a
// finalizer, and returns them as they are then.
func (s *servers) createFound(t *testing.T, found []*explorer) []*unstructured.Unstructured {
	t.Helper()
	owner := manifest(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: owner, namespace: every}}")
	if err := s.from.Create(t.Context(), owner, client.FieldOwner("helm")); err != nil {
		t.Fatal(err)
	}
	var before []*unstructured.Unstructured
	for _, e := range found {
		for _, obj := range e.objects {
			obj.SetAnnotations(map[string]string{"example.com/every": "every"})
			if e.kind.Kind != "CustomResourceDefinition" {
				obj.SetGenerateName("every-")
			}
			if obj.GetNamespace() == owner.GetNamespace() {
				obj.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.GetName(), UID: owner.GetUID(), BlockOwnerDeletion: ptr(true)}})
			}
			if err := s.from.Create(t.Context(), obj, client.FieldOwner("helm")); err != nil {
				t.Fatalf("create %s %s: %v", obj.GetKind(), obj.GetName(), err)
			}
			before = append(before, obj)
		}
	}
	for i, obj := range before {
		before[i] = read(t, s.from, obj) // a controller may have written to it since
	}
	return before
}

// bringsBack turns the mirror, changes every copy, and compares what comes of the
// origins with what they were.
func (s *servers) bringsBack(t *testing.T, before []*unstructured.Unstructured) {
	t.Helper()
	s.turn()
	if report := s.follow(); !report.Level() || len(report.Held) > 0 {
		t.Fatalf("turned: %+v", report)
	}
	touch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"example.com/every":"changed"}}}`))
	for _, obj := range before {
		if err := s.to.Patch(t.Context(), s.copyOf(obj), touch, client.FieldOwner("helm")); err != nil {
			t.Fatal(err)
		}
	}
	s.written(len(before))
	if report := s.follow(); !report.Level() {
		t.Errorf("turned, and changed: %+v", report)
	}
	for _, origin := range before {
		now := read(t, s.from, origin)
		if got := now.GetAnnotations()["example.com/every"]; got != "changed" {
			t.Errorf("%s %s: the change did not come back: %q", origin.GetKind(), origin.GetName(), got)
		}
		now.SetAnnotations(origin.GetAnnotations())
		now.SetManagedFields(origin.GetManagedFields())
		now.SetResourceVersion(origin.GetResourceVersion())
		now.SetGeneration(origin.GetGeneration())
		for _, d := range object.Diff(origin, now) {
			if !strings.HasPrefix(d.Path, "status") {
				t.Errorf("back again: %s %s: %s", origin.GetKind(), origin.GetName(), d)
			}
		}
	}
}

// leftFields are the fields that the documentation says are left to each side, by kind.
type leftFields map[string][]string

func documentedFields(t *testing.T) leftFields {
	t.Helper()
	text, err := os.ReadFile(mirrorPage)
	if err != nil {
		t.Fatal(err)
	}
	left := leftFields{}
	_, table, _ := strings.Cut(string(text), "generated from the rules: fields -->")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		kind, _, _ := strings.Cut(strings.TrimSpace(cells[1]), " (")
		name, _, _ := strings.Cut(strings.TrimSpace(cells[2]), " where ")
		if key, is := strings.CutPrefix(name, "metadata.annotations: "); is {
			name = "metadata.annotations[" + strconv.Quote(key) + "]"
		}
		name, _, _ = strings.Cut(name, "[]:")
		left[kind] = append(left[kind], name)
	}
	return left
}

var positions = regexp.MustCompile(`\[[0-9]+\]`)

// compare reports the fields in which two objects differ, as the API servers return
// them, though the documentation does not say that they may.
func (left leftFields) compare(t *testing.T, what string, origin, copied *unstructured.Unstructured) {
	t.Helper()
	origin, copied = origin.DeepCopy(), copied.DeepCopy()
	origin.SetManagedFields(nil) // who owns what is compared for itself
	copied.SetManagedFields(nil)
	for _, d := range object.Diff(origin, copied) {
		path := positions.ReplaceAllString(d.Path, "[]")
		if !slices.ContainsFunc(slices.Concat(left["every kind"], left[origin.GetKind()]), func(field string) bool {
			return path == field || strings.HasPrefix(path, field+".") || strings.HasPrefix(path, field+"[")
		}) {
			t.Errorf("%s of %s %s: %s", what, origin.GetKind(), origin.GetName(), d)
		}
	}
}
