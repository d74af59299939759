package app

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"crossfade.dev/internal/manifest"
)

func TestPartOfADiscoveryIsRefused(t *testing.T) {
	service := schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	deployment := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	definition := schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	shop := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Shop"}
	if served, err := servedBy(manifest.Reading{}); served != nil || err != nil {
		t.Errorf("without a discovery: %v, %v, want it unknown", served, err)
	}
	r := manifest.Reading{Serves: map[schema.GroupVersionKind]bool{service: true}, Served: map[schema.GroupVersionKind]int{shop: 1}}
	if _, err := servedBy(r); err == nil || !strings.Contains(err.Error(), "lacks apps/v1, so it is not whole") {
		t.Errorf("%v, want it refused", err)
	}
	r.Serves[deployment], r.Serves[definition] = true, true
	served, err := servedBy(r)
	if err != nil || !served[deployment] || !served[shop] {
		t.Errorf("%v, %v, want what was discovered and what came from there", served, err)
	}
}
