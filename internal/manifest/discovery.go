package manifest

import (
	"encoding/json"
	"strings"

	discoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// discoveryKinds are what an API server answers when it is asked what it serves: they
// are no objects, and they may lie beside a dump. Those that are false name groups and
// versions without their kinds, and tell nothing that the others don't.
var discoveryKinds = map[string]bool{
	"APIResourceList": true, "APIGroupDiscoveryList": true, "APIGroupList": false, "APIGroup": false, "APIVersions": false,
}

// served lists the kinds of a discovery document: one version's (kubectl get --raw
// /apis/apps/v1), or, aggregated, all groups' (the same of /apis, asked for as
// APIGroupDiscoveryList).
func served(kind string, text []byte) ([]schema.GroupVersionKind, error) {
	switch kind {
	case "APIResourceList":
		return servedIn(text)
	case "APIGroupDiscoveryList":
		var list discoveryv2.APIGroupDiscoveryList
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, err
		}
		var out []schema.GroupVersionKind
		for _, group := range list.Items {
			for _, v := range group.Versions {
				for _, r := range v.Resources {
					if r.ResponseKind != nil && r.ResponseKind.Kind != "" {
						out = append(out, schema.GroupVersionKind{Group: group.Name, Version: v.Version, Kind: r.ResponseKind.Kind})
					}
				}
			}
		}
		return out, nil
	}
	return nil, nil
}

func servedIn(text []byte) ([]schema.GroupVersionKind, error) {
	var list metav1.APIResourceList
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	gv, err := schema.ParseGroupVersion(list.GroupVersion)
	if err != nil {
		return nil, err
	}
	var out []schema.GroupVersionKind
	for _, r := range list.APIResources {
		if !strings.Contains(r.Name, "/") { // no subresource
			out = append(out, gv.WithKind(r.Kind))
		}
	}
	return out, nil
}
