package mirror

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// An Object names one object, on both sides alike. Namespace is empty for kinds of
// the whole cluster.
type Object struct {
	Group, Kind, Namespace, Name string
}

func objectOf(group, kind, namespace, name string) Object {
	return Object{Group: group, Kind: kind, Namespace: namespace, Name: name}
}

// String writes the name as Kind.group/namespace/name; it is the key in the ledger.
func (o Object) String() string {
	return o.groupKind() + "/" + o.Namespace + "/" + o.Name
}

func (o Object) groupKind() string {
	if o.Group == "" {
		return o.Kind
	}
	return o.Kind + "." + o.Group
}

// ParseObject reads what String wrote.
func ParseObject(text string) (Object, error) {
	parts := strings.SplitN(text, "/", 3)
	if len(parts) != 3 || parts[0] == "" || parts[2] == "" {
		return Object{}, fmt.Errorf("read object name %q: want Kind.group/namespace/name", text)
	}
	kind, group, _ := strings.Cut(parts[0], ".")
	return Object{Group: group, Kind: kind, Namespace: parts[1], Name: parts[2]}, nil
}

func compareObjects(a, b Object) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func compareNames(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func groupOf(apiVersion string) string {
	version, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return apiVersion
	}
	return version.Group
}
