package mirror

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// holds names something within an object that the mirror did not make and that would
// go with it; empty if there is nothing. Only namespaces and definitions hold others.
func (m *Mirror) holds(ctx context.Context, f *following, t *twin) (string, error) {
	switch f.rule.Rank {
	case Namespaces:
		if m.strangers == nil || m.strangersIn != m.passes {
			found, err := m.survey(ctx)
			if err != nil {
				return "", err
			}
			m.strangers, m.strangersIn = found, m.passes
		}
		return m.strangers[t.name.Name], nil
	case Definitions:
		kinds, err := m.To.Kinds(ctx)
		if err != nil {
			return "", err
		}
		for _, kind := range kinds {
			if kind.Resource+"."+kind.Group == t.name.Name {
				found := map[string]string{}
				err := m.find(ctx, kind, found)
				for _, name := range found {
					return name, err
				}
				return "", err
			}
		}
	}
	return "", nil
}

// survey names, for each namespace of To, an object that the mirror did not make, if
// there is one.
func (m *Mirror) survey(ctx context.Context) (map[string]string, error) {
	kinds, err := m.To.Kinds(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, kind := range kinds {
		if !kind.Namespaced || !slices.Contains(kind.Verbs, "list") {
			continue
		}
		if err := m.find(ctx, kind, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// find adds to found the objects of a kind that the mirror did not make.
func (m *Mirror) find(ctx context.Context, kind cluster.Kind, found map[string]string) error {
	rule := m.ruleFor(kind.GroupKind())
	if rule.Incidental {
		return nil
	}
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := m.To.API.List(ctx, objects, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("look for %s that would go with it: %w", kind.Resource, err)
	}
	known := m.kinds[objectOf(kind.Group, kind.Kind, "", "").groupKind()]
	for i := range objects.Items {
		obj := &objects.Items[i]
		name := client.ObjectKeyFromObject(obj)
		if known != nil {
			if t := known.twins[name]; t != nil && t.expendable(obj.UID) {
				continue
			}
		}
		if metav1.GetControllerOfNoCopy(obj) != nil || slices.Contains(rule.Furnished, name.Name) || rule.exceptedByName(name.Name) {
			continue
		}
		found[name.Namespace] = objectOf(kind.Group, kind.Kind, name.Namespace, name.Name).String()
	}
	return nil
}

// expendable is true of a copy that may go with what holds it.
func (t *twin) expendable(uid types.UID) bool {
	return t.entry.UID == uid && !t.entry.Found && !t.kept && t.fate != drift && t.fate != hold
}
