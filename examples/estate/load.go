package estate

import (
	"fmt"
	"os"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"crossfade.dev/internal/manifest"
)

// Load reads the manifests at path, a file or a folder with all that is below it,
// and makes up what they need to be moved and asked under zone: their namespaces,
// and public names.
//
// Objects stay as they were written, except that those without a namespace get
// `default`. An Ingress of our own is added where hosts of theirs are outside the
// zone, and for each Service that speaks HTTP where no name would be left to ask.
//
// Manifests that an API server would refuse to read are refused here, by file,
// document and line.
func Load(path, zone string) (Estate, error) {
	if wrong := validation.IsDNS1123Subdomain(zone); len(wrong) > 0 {
		return Estate{}, fmt.Errorf("zone %q: %s", zone, wrong[0])
	}
	files, err := manifest.Files(path)
	if err != nil {
		return Estate{}, fmt.Errorf("read the estate: %w", err)
	}
	objects, err := readAll(files)
	if err != nil {
		return Estate{}, fmt.Errorf("read the estate: %w", err)
	}
	if len(objects) == 0 {
		return Estate{}, fmt.Errorf("read the estate: %s holds no object", path)
	}
	objects = append(missingNamespaces(objects), objects...)
	objects = append(objects, missingEntries(objects, zone)...)
	sortForCreation(objects)
	return Estate{Objects: objects, Names: Names(objects, zone)}, nil
}

// readAll reads the objects of files, and refuses one that comes twice.
func readAll(files []string) ([]*unstructured.Unstructured, error) {
	var found []placed
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		inFile, err := readFile(file, text)
		if err != nil {
			return nil, err
		}
		found = append(found, inFile...)
	}
	scopes := customScopes(found)
	seen := map[string]place{}
	objects := make([]*unstructured.Unstructured, 0, len(found))
	for _, p := range found {
		settleNamespace(p.object, scopes)
		gk := p.object.GroupVersionKind().GroupKind()
		key := fmt.Sprintf("%s %s/%s", gk, p.object.GetNamespace(), p.object.GetName())
		if first, twice := seen[key]; twice {
			return nil, fmt.Errorf("%s: %s is there already, in %s", p.place, key, first)
		}
		seen[key] = p.place
		objects = append(objects, p.object)
	}
	return objects, nil
}

// clusterKinds are Kubernetes' own kinds that belong to no namespace, by group.
var clusterKinds = map[string][]string{
	"":                             {"Namespace", "Node", "PersistentVolume"},
	"admissionregistration.k8s.io": nil,
	"apiextensions.k8s.io":         nil,
	"apiregistration.k8s.io":       nil,
	"certificates.k8s.io":          {"CertificateSigningRequest", "ClusterTrustBundle"},
	"flowcontrol.apiserver.k8s.io": nil,
	"networking.k8s.io":            {"IngressClass", "IPAddress", "ServiceCIDR"},
	"node.k8s.io":                  nil,
	"policy":                       {"PodSecurityPolicy"},
	"rbac.authorization.k8s.io":    {"ClusterRole", "ClusterRoleBinding"},
	"resource.k8s.io":              {"DeviceClass", "ResourceSlice"},
	"scheduling.k8s.io":            nil,
	"storage.k8s.io":               {"StorageClass", "CSIDriver", "CSINode", "VolumeAttachment", "VolumeAttributesClass"},
}

// settleNamespace gives `default` to a namespaced object that names none, and
// takes the namespace from one that cannot have any. custom are the scopes of
// kinds that the manifests define themselves, by group/kind; other kinds that
// nobody knows are taken for namespaced.
func settleNamespace(u *unstructured.Unstructured, custom map[string]string) {
	gk := u.GroupVersionKind().GroupKind()
	kinds, known := clusterKinds[gk.Group]
	ofCluster := known && (kinds == nil || slices.Contains(kinds, gk.Kind))
	if scope, defined := custom[gk.String()]; defined {
		ofCluster = scope == "Cluster"
	}
	switch {
	case ofCluster:
		u.SetNamespace("")
	case u.GetNamespace() == "":
		u.SetNamespace(metav1.NamespaceDefault)
	}
}

func customScopes(found []placed) map[string]string {
	scopes := map[string]string{}
	for _, p := range found {
		if p.object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		group, _, _ := unstructured.NestedString(p.object.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(p.object.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(p.object.Object, "spec", "scope")
		scopes[kind+"."+group] = scope
	}
	return scopes
}

// missingNamespaces are those that objects stand in, but that nobody wrote down
// and no cluster has from the beginning.
func missingNamespaces(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	known := map[string]bool{
		"": true, metav1.NamespaceDefault: true, metav1.NamespaceSystem: true,
		metav1.NamespacePublic: true, corev1.NamespaceNodeLease: true,
	}
	for _, u := range objects {
		if u.GroupVersionKind().GroupKind().String() == "Namespace" {
			known[u.GetName()] = true
		}
	}
	var missing []*unstructured.Unstructured
	for _, u := range objects {
		if name := u.GetNamespace(); !known[name] {
			known[name] = true
			missing = append(missing, bare(&corev1.Namespace{
				TypeMeta: kind("v1", "Namespace"), ObjectMeta: metav1.ObjectMeta{Name: name},
			}))
		}
	}
	return missing
}
