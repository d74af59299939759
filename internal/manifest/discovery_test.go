package manifest

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// As kubectl get --raw prints them, one after another, and the aggregated form.
const (
	byVersion = `{"kind":"APIVersions","versions":["v1"]}
{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod"},{"name":"pods/eviction","group":"policy","version":"v1","kind":"Eviction"}]}
{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"apps/v1","resources":[{"name":"deployments","kind":"Deployment"},{"name":"deployments/scale","group":"autoscaling","version":"v1","kind":"Scale"}]}
`
	aggregated = `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[
 {"metadata":{"name":"apps"},"versions":[{"version":"v1","resources":[{"resource":"deployments","responseKind":{"group":"","version":"","kind":"Deployment"},"subresources":[{"subresource":"scale","responseKind":{"group":"autoscaling","version":"v1","kind":"Scale"}}]}]}]},
 {"metadata":{"name":"batch"},"versions":[{"version":"v1","resources":[{"resource":"jobs","responseKind":{"group":"batch","version":"v1","kind":"Job"}}]}]}]}`
)

func TestDiscoveryIsReadBesideADump(t *testing.T) {
	apps := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	for text, want := range map[string][]schema.GroupVersionKind{
		byVersion:  {{Version: "v1", Kind: "Pod"}, apps},
		aggregated: {apps, {Group: "batch", Version: "v1", Kind: "Job"}},
	} {
		r, err := Parse("discovery.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Serves) != len(want) || r.Count != 0 {
			t.Errorf("serves %v and %d objects, want %v and none", r.Serves, r.Count, want)
		}
		for _, k := range want {
			if !r.Serves[k] {
				t.Errorf("%v is not served in %v", k, r.Serves)
			}
		}
	}
	if r, err := Parse("web.yaml", []byte("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n")); err != nil || r.Serves != nil {
		t.Errorf("serves %v (%v), want it unknown", r.Serves, err)
	}
}
