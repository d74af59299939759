package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/object"
)

// A Difference is one object that is not in a cluster as it is in an archive.
type Difference struct {
	Ref
	What What
	// Fields are those that differ, archive first; only of Changed objects.
	Fields []object.FieldDiff
}

// What is how an object differs.
type What string

// The ways to differ, seen from the cluster.
const (
	Missing What = "Missing"
	Changed What = "Changed"
	Extra   What = "Extra"
)

func (d Difference) String() string {
	switch d.What {
	case Missing:
		return fmt.Sprintf("%s is in the archive and not in the cluster", d.Ref)
	case Extra:
		return fmt.Sprintf("%s is in the cluster and not in the archive", d.Ref)
	}
	fields := make([]string, len(d.Fields))
	for i, field := range d.Fields {
		fields[i] = field.String()
	}
	return fmt.Sprintf("%s differs: %s", d.Ref, strings.Join(fields, "; "))
}

// Compare lists how a cluster differs from an archive, in the archive's kinds and
// the given namespaces, by kind and name. Whether something runs or sleeps is no
// difference, nor is what each cluster allocates or adds by itself. Kinds that
// cannot be read from the archive are not compared; Archive tells which.
func Compare(ctx context.Context, with Cluster, a *Archive, namespaces func(string) bool) ([]Difference, error) {
	var found []Difference
	for _, file := range a.Files {
		if !a.readable(file) {
			continue
		}
		differences, err := compareFile(ctx, with, a, file, scope{namespaces})
		if err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
		found = append(found, differences...)
	}
	return found, nil
}

func compareFile(ctx context.Context, with Cluster, a *Archive, file File, scope scope) ([]Difference, error) {
	live := map[types.NamespacedName]string{} // digests
	_, err := pages(ctx, with, file.gvk(), func(obj *unstructured.Unstructured) error {
		if scope.holds(obj) {
			live[client.ObjectKeyFromObject(obj)] = object.Digest(essence(obj))
		}
		return nil
	})
	if err != nil && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) { // a kind that is not served has no objects
		return nil, fmt.Errorf("%s: %w", file.gvk().GroupKind(), err)
	}
	var found []Difference
	err = a.each(ctx, file, func(_ types.UID, archived *unstructured.Unstructured) error {
		if !scope.holds(archived) {
			return nil
		}
		key := client.ObjectKeyFromObject(archived)
		digest, stands := live[key]
		delete(live, key)
		switch {
		case !stands:
			found = append(found, Difference{Ref: refOf(archived), What: Missing})
		case digest != object.Digest(essence(archived)):
			d, err := difference(ctx, with, archived)
			if err != nil {
				return err
			}
			found = append(found, d...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	extra := slices.SortedFunc(maps.Keys(live), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range extra {
		found = append(found, Difference{Ref: Ref{file.gvk().GroupKind(), key}, What: Extra})
	}
	return found, nil
}

// difference says in which fields the cluster's object differs now.
func difference(ctx context.Context, with Cluster, archived *unstructured.Unstructured) ([]Difference, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(archived.GroupVersionKind())
	err := with.Get(ctx, client.ObjectKeyFromObject(archived), live)
	if apierrors.IsNotFound(err) {
		return []Difference{{Ref: refOf(archived), What: Missing}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", refOf(archived), err)
	}
	fields := object.Diff(essence(archived), essence(live))
	if len(fields) == 0 {
		return nil, nil // it changed between the list and now
	}
	return []Difference{{Ref: refOf(archived), What: Changed, Fields: fields}}, nil
}
