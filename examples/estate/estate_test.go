package estate

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

func count(objects []*unstructured.Unstructured, holds func(*unstructured.Unstructured) bool) int {
	n := 0
	for _, u := range objects {
		if holds(u) {
			n++
		}
	}
	return n
}

func ofKind(kind string) func(*unstructured.Unstructured) bool {
	return func(u *unstructured.Unstructured) bool { return u.GetKind() == kind }
}

// apps are the distinct applications of objects' workloads: namespace and instance.
func apps(objects []*unstructured.Unstructured) map[string]bool {
	found := map[string]bool{}
	for _, u := range objects {
		switch u.GetKind() {
		case "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job":
			found[u.GetNamespace()+"/"+u.GetLabels()["app.kubernetes.io/instance"]] = true
		}
	}
	return found
}

func TestDefaultEstateHasEveryKind(t *testing.T) {
	made := Generate(Options{})
	if got := len(apps(made.Objects)); got != 40 {
		t.Errorf("%d applications, want 40", got)
	}
	exactly := map[string]int{
		"Namespace": 12, "StatefulSet": 1, "DaemonSet": 1, "CronJob": 1, "Job": 1, "Deployment": 36,
		"ClusterRole": 1, "ClusterRoleBinding": 1, "ResourceQuota": 1, "LimitRange": 1, "PriorityClass": 1,
	}
	for kind, want := range exactly {
		if got := count(made.Objects, ofKind(kind)); got != want {
			t.Errorf("%d of kind %s, want %d", got, kind, want)
		}
	}
	atLeast := map[string]int{
		"Service": 30, "Ingress": 10, "ConfigMap": 8, "Secret": 6, "ServiceAccount": 6, "Role": 2, "RoleBinding": 2,
		"HorizontalPodAutoscaler": 4, "PodDisruptionBudget": 5, "NetworkPolicy": 2,
	}
	for kind, want := range atLeast {
		if got := count(made.Objects, ofKind(kind)); got < want {
			t.Errorf("%d of kind %s, want %d or more", got, kind, want)
		}
	}
}

func TestDefaultEstateHasWhatMovesAreDifficultFor(t *testing.T) {
	objects := Generate(Options{}).Objects
	text := func(u *unstructured.Unstructured, path ...string) string {
		value, _, _ := unstructured.NestedString(u.Object, path...)
		return value
	}
	containers := func(u *unstructured.Unstructured) string {
		rendered, err := yaml.Marshal(u.Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		return string(rendered)
	}
	tests := []struct {
		what  string
		want  int
		holds func(u *unstructured.Unstructured) bool
	}{
		{"balancer", 3, func(u *unstructured.Unstructured) bool { return text(u, "spec", "type") == "LoadBalancer" }},
		{"headless Service", 2, func(u *unstructured.Unstructured) bool { return text(u, "spec", "clusterIP") == "None" }},
		{"registry Secret", 1, func(u *unstructured.Unstructured) bool { return text(u, "type") == "kubernetes.io/dockerconfigjson" }},
		{"Deployment that is replaced, never doubled", 2, func(u *unstructured.Unstructured) bool {
			return u.GetKind() == "Deployment" && text(u, "spec", "strategy", "type") == "Recreate"
		}},
		{"queue client", 2, func(u *unstructured.Unstructured) bool {
			return u.GetKind() == "Deployment" && strings.Contains(containers(u), "KAFKA_BROKERS")
		}},
		{"Deployment without a probe", 3, func(u *unstructured.Unstructured) bool {
			return u.GetKind() == "Deployment" && !strings.Contains(containers(u), "readinessProbe")
		}},
		{"Deployment probed by gRPC", 3, func(u *unstructured.Unstructured) bool { return strings.Contains(containers(u), "grpc:") }},
		{"Deployment probed by TCP", 2, func(u *unstructured.Unstructured) bool {
			return u.GetKind() == "Deployment" && strings.Contains(containers(u), "tcpSocket:")
		}},
		{"workload with a preStop", 3, func(u *unstructured.Unstructured) bool { return strings.Contains(containers(u), "preStop:") }},
		{"init container", 1, func(u *unstructured.Unstructured) bool { return strings.Contains(containers(u), "initContainers:") }},
	}
	for _, test := range tests {
		if got := count(objects, test.holds); got < test.want {
			t.Errorf("%s: %d, want %d or more", test.what, got, test.want)
		}
	}
	for _, role := range []Role{Web, API, Store, Origin, Service, Task} {
		if count(objects, func(u *unstructured.Unstructured) bool { return strings.Contains(containers(u), role.Image()) }) == 0 {
			t.Errorf("nothing runs %s", role.Image())
		}
	}
}

func TestNamespacesSayWhoseTheyAre(t *testing.T) {
	units := map[string]bool{}
	for _, u := range Generate(Options{Apps: 200}).Objects {
		if u.GetKind() != "Namespace" {
			continue
		}
		labels := u.GetLabels()
		units[labels[unitLabel]] = true
		if labels[partOf] != platform || labels[teamLabel] == "" || labels[unitLabel] == "" {
			t.Errorf("namespace %s has the labels %v", u.GetName(), labels)
		}
	}
	if len(units) != 4 {
		t.Errorf("the business units are %v, want 4", units)
	}
}

func TestSameSeedGivesTheSameEstate(t *testing.T) {
	options := Options{Apps: 100, Zone: "tv.example.org", Seed: 7}
	first, second := Generate(options), Generate(options)
	if !reflect.DeepEqual(first, second) {
		t.Error("two estates of one seed differ")
	}
	options.Seed = 8
	if reflect.DeepEqual(first, Generate(options)) {
		t.Error("another seed gives the same estate")
	}
}

func TestSmallerEstateIsPartOfALargerOne(t *testing.T) {
	large := map[string]*unstructured.Unstructured{}
	for _, u := range Generate(Options{Apps: 60}).Objects {
		large[u.GetKind()+" "+u.GetNamespace()+"/"+u.GetName()] = u
	}
	for _, n := range []int{1, 2, 3, 4, 5, 6, 10, 20, 39, 40, 41, 59} {
		small := Generate(Options{Apps: n})
		if got := len(apps(small.Objects)); got != n {
			t.Fatalf("%d applications, want %d", got, n)
		}
		if len(small.Names) == 0 {
			t.Errorf("an estate of %d has no name to ask", n)
		}
		for _, u := range small.Objects {
			key := u.GetKind() + " " + u.GetNamespace() + "/" + u.GetName()
			if !reflect.DeepEqual(u, large[key]) {
				t.Errorf("%s is another one in an estate of %d", key, n)
			}
		}
	}
}

func TestObjectsAreValid(t *testing.T) {
	made := Generate(Options{Apps: 200, Seed: 3})
	seen := map[string]bool{}
	namespaces := map[string]bool{"": true}
	for _, u := range made.Objects {
		key := u.GetKind() + " " + u.GetNamespace() + "/" + u.GetName()
		if seen[key] {
			t.Errorf("%s comes twice", key)
		}
		seen[key] = true
		if u.GetKind() == "Namespace" {
			namespaces[u.GetName()] = true
		}
		if !namespaces[u.GetNamespace()] {
			t.Errorf("%s comes before its namespace", key)
		}
		object, err := scheme.Scheme.New(u.GroupVersionKind())
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		text, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if strict, err := strictjson.UnmarshalStrict(text, object); err != nil || len(strict) > 0 {
			t.Errorf("%s: %v %v", key, err, strict)
		}
	}
}

func TestReferencesLeadSomewhere(t *testing.T) {
	for _, apps := range []int{3, 40, 100} {
		objects := Generate(Options{Apps: apps}).Objects
		s := survey(objects)
		for _, service := range s.services {
			if _, found := s.behind(service.Namespace, service.Name); !found {
				t.Errorf("nothing stands behind Service %s/%s", service.Namespace, service.Name)
			}
		}
		for _, ingress := range s.ingresses {
			for _, led := range leads(ingress) {
				if s.byName[ingress.Namespace+"/"+led.service] == nil {
					t.Errorf("Ingress %s/%s leads to %s, which is not there", ingress.Namespace, ingress.Name, led.service)
				}
			}
		}
	}
}

func TestLargeEstateIsQuick(t *testing.T) {
	var made Estate
	best := time.Hour
	for range 3 { // the best of them, since other tests run beside this one
		began := time.Now()
		made = Generate(Options{Apps: 1600})
		best = min(best, time.Since(began))
	}
	if best > 2*time.Second {
		t.Errorf("1,600 applications took %s", best)
	}
	if got := len(apps(made.Objects)); got != 1600 {
		t.Errorf("%d applications, want 1600", got)
	}
	namespaces := count(made.Objects, ofKind("Namespace"))
	if namespaces < 200 {
		t.Errorf("%d namespaces: want hundreds", namespaces)
	}
	if got := count(made.Objects, ofKind("StatefulSet")); got != 1 {
		t.Errorf("%d StatefulSets: further teams have nothing that needs a decision of its own", got)
	}
}

func TestManifestsAreFresh(t *testing.T) {
	files, err := Generate(Options{}).Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("manifests", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("manifests/%s is stale: run go generate ./examples/estate", name)
		}
	}
	there, err := filepath.Glob("manifests/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(there) != len(files) {
		t.Errorf("%d files in manifests, want %d", len(there), len(files))
	}
}

func TestManifestsLoadAsTheEstateThatTheyAreOf(t *testing.T) {
	made := Generate(Options{})
	loaded, err := Load("manifests", DefaultZone)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(loaded.Names, made.Names) {
		t.Errorf("the names are %v, want %v", loaded.Names, made.Names)
	}
	if len(loaded.Objects) != len(made.Objects) {
		t.Errorf("%d objects, want %d", len(loaded.Objects), len(made.Objects))
	}
}

func TestImageTable(t *testing.T) {
	var table map[string]struct{ Command, Args []string }
	if err := yaml.UnmarshalStrict(ImageTable("/opt/bin/estate"), &table); err != nil {
		t.Fatal(err)
	}
	got := table["estate.crossfade.dev/web:v1"]
	if !reflect.DeepEqual(got.Command, []string{"/opt/bin/estate"}) || !reflect.DeepEqual(got.Args, []string{"web"}) {
		t.Errorf("the web front runs as %v", got)
	}
	if len(table) != 6 {
		t.Errorf("%d images, want 6", len(table))
	}
}
