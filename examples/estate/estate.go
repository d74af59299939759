// Package estate is a streaming platform to move: the manifests of its
// applications, and the public names under which its viewers ask for them.
//
// By default there are 40 applications in 12 namespaces of 4 business units. A few
// run the real services of cmd/estate (a web front, a core API over a key-value
// store, the origin of a live stream); the others have images that nobody built,
// for a sandbox to stand in for. Most are plain Deployments. The rest is what moves
// are difficult for: one workload at least of each other kind.
//
// Load takes any other manifests in their place.
package estate

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

//go:generate go run ./cmd/estate manifests --dir manifests

const (
	// DefaultApps is how many applications the catalogue has.
	DefaultApps = 40
	// DefaultZone is the DNS zone of the platform's names.
	DefaultZone = "live.demo.test"
)

// An Estate is what stands in a cluster before a move, and how it is asked for.
type Estate struct {
	// Objects are in an order in which they can be created.
	Objects []*unstructured.Unstructured
	// Names are the public names, in the order of their hosts.
	Names []Name
}

// Options choose the estate to generate. The zero value is the default estate.
type Options struct {
	Apps int    // 0 means DefaultApps
	Zone string // empty means DefaultZone
	Seed int64  // the same seed gives the same estate, object for object
}

// Generate returns an estate of options.Apps applications. Up to 40 they are those
// of the catalogue, the indispensable ones first; beyond, further teams in further
// namespaces run the like of its plain Deployments. What an application looks like
// depends on its name and the seed, not on how many there are.
func Generate(options Options) Estate {
	options.Apps = cmp.Or(options.Apps, DefaultApps)
	options.Zone = cmp.Or(options.Zone, DefaultZone)

	var typed []runtime.Object
	apps := choose(options)
	typed = append(typed, surroundings(apps)...)
	for _, a := range apps {
		typed = append(typed, a.objects()...)
	}

	objects := make([]*unstructured.Unstructured, 0, len(typed))
	standing := newStanding()
	for _, object := range typed {
		objects = append(objects, bare(object))
		standing.add(object)
	}
	sortForCreation(objects)
	return Estate{Objects: objects, Names: standing.names(options.Zone)}
}

// bare is object as a person would have written it: without status, and without
// the fields that only an API server fills.
func bare(object runtime.Object) *unstructured.Unstructured {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		panic(fmt.Sprintf("convert a %T of the catalogue: %v", object, err)) // the types are Kubernetes' own
	}
	u := &unstructured.Unstructured{Object: content}
	delete(content, "status")
	for _, path := range [][]string{
		{"metadata"},
		{"spec", "template", "metadata"},
		{"spec", "jobTemplate", "metadata"},
		{"spec", "jobTemplate", "spec", "template", "metadata"},
	} {
		unstructured.RemoveNestedField(content, append(path, "creationTimestamp")...)
	}
	for _, path := range [][]string{
		{"spec", "jobTemplate", "metadata"},
		{"spec", "strategy"},
		{"spec", "updateStrategy"},
		{"spec"},
	} {
		field, _, _ := unstructured.NestedFieldNoCopy(content, path...)
		if inner, isObject := field.(map[string]any); isObject && len(inner) == 0 {
			unstructured.RemoveNestedField(content, path...)
		}
	}
	return u
}

// creation lists the kinds that others need to be there first; workloads and what
// leads to them come after all of these.
var creation = []string{
	"Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "IngressClass",
	"ClusterRole", "ClusterRoleBinding", "LimitRange", "ResourceQuota",
	"ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Secret",
	"PersistentVolume", "PersistentVolumeClaim", "NetworkPolicy", "Service",
}

func sortForCreation(objects []*unstructured.Unstructured) {
	rank := func(u *unstructured.Unstructured) int {
		if i := slices.Index(creation, u.GetKind()); i >= 0 {
			return i
		}
		return len(creation)
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int {
		return cmp.Compare(rank(a), rank(b))
	})
}
