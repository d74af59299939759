package finding

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/manifest"
	"crossfade.dev/internal/plan"
)

// A fields is a part of an object, as it is written: it has no schema here.
type fields = map[string]any

// A situation is what both clusters hold.
type situation struct {
	// Meta, Spec, Pod and Container are put over those of the Deployment shop/web;
	// Service over the spec of its Service; Claim is the spec of one that it mounts.
	Meta, Spec, Pod, Container, Service, Claim fields
	// Objects are more of the source's, Target all of the target's: without any, and
	// without Served, the target was not looked at.
	Objects, Target []fields
	// Served is what the target serves, as version/Kind.
	Served []string
	// Release is the manifest of a Helm release in the source.
	Release   string
	Names     *Names
	Unreached []string
	Lacking   []Right
	Unseen    []Unseen
	Level     string
}

type findingCase struct {
	ID        string
	Has, Near situation
}

func casesOf(t *testing.T) []findingCase {
	t.Helper()
	text, err := os.ReadFile("testdata/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []findingCase
	if err := yaml.UnmarshalStrict(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryFindingIsFoundInWhatHasItAndNotInWhatJustDoesNot(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range casesOf(t) {
		tested[c.ID] = true
		entry, ok := EntryOf(c.ID)
		if !ok {
			t.Errorf("%s: it is not in the catalogue", c.ID)
		}
		has, near := of(Find(c.Has.facts(t)), c.ID), of(Find(c.Near.facts(t)), c.ID)
		if len(has) == 0 {
			t.Errorf("%s was not found in what has it", c.ID)
		} else if has[0].Severity != entry.Severity {
			t.Errorf("%s %s: %s, want %s as in the catalogue", c.ID, has[0].Object, has[0].Severity, entry.Severity)
		} else if has[0].Object == "" || has[0].Observed == "" {
			t.Errorf("%s says nothing: %+v", c.ID, has[0])
		}
		if len(near) > 0 {
			t.Errorf("%s was found in what just does not have it: %+v", c.ID, near)
		}
	}
	for _, e := range Catalogue() {
		if !tested[e.ID] {
			t.Errorf("%s has no case", e.ID)
		}
	}
}

func TestTheCatalogueIsWhole(t *testing.T) {
	ids := map[string]bool{}
	for _, e := range Catalogue() {
		if !regexp.MustCompile(`^CF-[A-Z]+-\d{3}$`).MatchString(e.ID) || ids[e.ID] {
			t.Errorf("id %q is malformed or there twice", e.ID)
		}
		ids[e.ID] = true
		if !slices.Contains(order, e.Severity) || e.Title == "" || !strings.HasSuffix(e.Why, ".") || !strings.HasSuffix(e.Fix, ".") {
			t.Errorf("%s is not complete: %+v", e.ID, e)
		}
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.id == e.ID }) {
			t.Errorf("%s has no rule", e.ID)
		}
	}
	if len(rules) != len(ids) {
		t.Errorf("%d rules for %d findings", len(rules), len(ids))
	}
}

// A plain workload with a plain Service has nothing.
func TestWhatIsPlainHasNoFinding(t *testing.T) {
	if found := Find((situation{}).facts(t)); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
}

// The claims of a StatefulSet are found though its pods do not name them: those that
// were made of its templates, and without any the template.
func TestClaimsOfStatefulSets(t *testing.T) {
	set := fields{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": fields{"name": "pg", "namespace": "shop"}, "spec": fields{"replicas": 2,
		"volumeClaimTemplates": []fields{{"metadata": fields{"name": "d"}, "spec": fields{"storageClassName": "fast", "accessModes": []string{"ReadWriteOnce"}}}}}}
	claim := func(name string) fields {
		return fields{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": fields{"name": name, "namespace": "shop"},
			"spec": fields{"storageClassName": "fast", "accessModes": []string{"ReadWriteOnce"}}}
	}
	slow := []fields{{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": fields{"name": "slow"}}}
	tests := []struct {
		name    string
		objects []fields
		want    string
	}{
		{"none was made yet", []fields{set}, "PersistentVolumeClaim shop/d-pg"},
		{"those that were made, and not one that a larger set left", []fields{set, claim("d-pg-0"), claim("d-pg-1"), claim("d-pg-2")}, "PersistentVolumeClaim shop/d-pg-0 PersistentVolumeClaim shop/d-pg-1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := Find(situation{Objects: tt.objects, Target: slow}.facts(t))
			for _, id := range []string{"CF-VOL-001", "CF-VOL-003"} {
				var named []string
				for _, f := range of(slices.Clone(all), id) {
					named = append(named, f.Object)
					if f.Severity != Warns {
						t.Errorf("%s is %s, want a warning: nobody has decided how the set moves", id, f.Severity)
					}
				}
				if got := strings.Join(named, " "); got != tt.want {
					t.Errorf("%s names %q, want %q", id, got, tt.want)
				}
			}
		})
	}
}

// A role blocks for a workload that moves, and warns while nobody has decided.
func TestARoleWarnsUntilItsWorkloadIsDecided(t *testing.T) {
	account := fields{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": fields{"name": "a", "namespace": "shop", "annotations": fields{"eks.amazonaws.com/role-arn": "arn:x"}}}
	alone := fields{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": fields{"name": "alone", "namespace": "shop"},
		"spec": fields{"template": fields{"spec": fields{"serviceAccountName": "a", "containers": []fields{{"name": "c", "image": "x:1"}}}}}}
	for want, s := range map[Severity]situation{
		Warns:  {Objects: []fields{account, alone}},
		Blocks: {Objects: []fields{account, alone}, Pod: fields{"serviceAccountName": "a"}},
	} {
		found := of(Find(s.facts(t)), "CF-SEC-003")
		if len(found) != 1 || found[0].Severity != want {
			t.Errorf("found %+v, want one that %s", found, want)
		}
	}
}

// A dump of the target that holds no storage class tells nothing of them.
func TestPartOfATargetIsNotAllOfIt(t *testing.T) {
	namespace := []fields{{"apiVersion": "v1", "kind": "Namespace", "metadata": fields{"name": "other"}}}
	facts := situation{Claim: fields{"storageClassName": "fast"}, Target: namespace}.facts(t)
	facts.Target.InPart = true
	if found := of(Find(facts), "CF-VOL-001"); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
}

func of(all []Found, id string) []Found {
	return slices.DeleteFunc(all, func(f Found) bool { return f.ID != id })
}

const authority = "-----BEGIN CERTIFICATE-----\nMIIBpTCCAUugAwIBAgIRAKd0VmJ3ZkxwQ0FzYW5kYm94MAoGCCqGSM49BAMCMA0G\nx\n-----END CERTIFICATE-----\n"

func (s situation) facts(t *testing.T) Facts {
	t.Helper()
	source := read(t, append(s.web(), s.Objects...))
	if s.Release != "" {
		source.Objects.Add(release(s.Release))
	}
	f := Facts{
		Source: Side{
			Name: "source", Objects: source.Objects, Present: source.Served, Unseen: s.Unseen, Level: s.Level,
			Address: "10.0.0.1", CA: []byte(authority),
		},
		InEstate: func(ns string) bool { return ns == "shop" }, Names: s.Names, Unreached: s.Unreached, Lacking: s.Lacking,
	}
	if s.Target != nil || s.Served != nil {
		f.Target = &Side{Name: "target", Objects: read(t, s.Target).Objects}
	}
	for _, text := range s.Served {
		at := strings.LastIndexByte(text, '/')
		gv, err := schema.ParseGroupVersion(text[:at])
		if err != nil {
			t.Fatal(err)
		}
		if f.Target.Serves == nil {
			f.Target.Serves = map[schema.GroupVersionKind]bool{}
		}
		f.Target.Serves[gv.WithKind(text[at+1:])] = true
	}
	f.Estate = plan.Inventory(source.Objects.Within(f.InEstate), []v1.Decision{{Workload: "Deployment/shop/web", Decide: v1.DecideMove}})
	f.Estate.Relate(source.Objects)
	return f
}

// web is the Deployment, its Service, and the claim that it mounts.
func (s situation) web() []fields {
	container := fields{
		"name": "main", "image": "example/app:1", "readinessProbe": fields{"tcpSocket": fields{"port": 80}},
		"resources": fields{"requests": fields{"cpu": "100m", "memory": "64Mi"}}, "lifecycle": fields{"preStop": fields{"sleep": fields{"seconds": 5}}},
	}
	maps.Copy(container, s.Container)
	pod := fields{"containers": []fields{container}}
	objects := []fields{{"apiVersion": "v1", "kind": "Service", "metadata": fields{"name": "web", "namespace": "shop"},
		"spec": put(fields{"selector": fields{"app": "web"}, "clusterIP": "10.0.0.7"}, s.Service)}}
	if s.Claim != nil {
		pod["volumes"] = []fields{{"name": "d", "persistentVolumeClaim": fields{"claimName": "data"}}}
		objects = append(objects, fields{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": fields{"name": "data", "namespace": "shop"}, "spec": s.Claim})
	}
	maps.Copy(pod, s.Pod)
	meta := put(fields{"name": "web", "namespace": "shop", "labels": fields{"app": "web"}}, s.Meta)
	spec := put(fields{"replicas": 2, "template": fields{"metadata": fields{"labels": fields{"app": "web"}}, "spec": pod}}, s.Spec)
	return append(objects, fields{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
}

func put(under, top fields) fields {
	maps.Copy(under, top)
	return under
}

func read(t *testing.T, objects []fields) manifest.Reading {
	t.Helper()
	if objects == nil {
		objects = []fields{}
	}
	text, err := json.Marshal(objects)
	if err != nil {
		t.Fatal(err)
	}
	r, err := manifest.Parse("case", text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// release is a Secret as Helm 3 stores a release.
func release(text string) *corev1.Secret {
	body, err := json.Marshal(map[string]string{"manifest": text})
	if err != nil {
		panic(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(body); err != nil {
		panic(err)
	}
	_ = w.Close()
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "sh.helm.release.v1.web.v1", Namespace: "shop", Labels: map[string]string{"status": "deployed"}},
		Type:       "helm.sh/release.v1", Data: map[string][]byte{"release": []byte(base64.StdEncoding.EncodeToString(packed.Bytes()))},
	}
}

// Property: no bytes in a Helm release make the reader panic.
func FuzzReleaseManifest(f *testing.F) {
	f.Add([]byte("H4sI"))
	f.Add(release("kind: a").Data["release"])
	f.Fuzz(func(_ *testing.T, data []byte) {
		if text, err := releaseManifest(data); err == nil {
			kindsIn(text)
		}
	})
}
