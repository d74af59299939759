package migration

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
)

// rivals lists, for people, the other migrations of the hub that have some of the same
// namespaces under way in one of the same clusters. Of two that are both no further than
// Preflight the older one goes first.
func (e *Engine) rivals(ctx context.Context, v *visit) ([]string, error) {
	var all v1.MigrationList
	if err := e.Hub.List(ctx, &all, client.InNamespace(v.m.Namespace)); err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	ours := []types.UID{v.source.facts.UID(), v.target.facts.UID()}
	var out []string
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID == v.m.UID || !underWay(other) || !other.Begun(v1.Prepare) && !older(other, v.m) {
			continue
		}
		shared, overlap := sharedNamespaces(other, v.m)
		if !overlap {
			continue
		}
		for _, name := range []string{other.Spec.Source, other.Spec.Target} {
			c := &v1.Cluster{}
			if err := e.Hub.Get(ctx, client.ObjectKey{Namespace: other.Namespace, Name: name}, c); client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("read cluster %s of migration %s: %w", name, other.Name, err)
			}
			if slices.Contains(ours, types.UID(c.Status.UID)) {
				out = append(out, fmt.Sprintf("migration %s has %s in %s", other.Name, shared, name))
				break
			}
		}
	}
	return out, nil
}

// underWay tells whether a migration has anything in its hands.
func underWay(m *v1.Migration) bool {
	return !retired(m) && slices.ContainsFunc(v1.Stages, m.Begun)
}

func older(a, b *v1.Migration) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

// sharedNamespaces names what of the estates of two migrations is the same.
func sharedNamespaces(a, b *v1.Migration) (text string, overlap bool) {
	switch none := len(a.Spec.Namespaces) == 0; {
	case none && len(b.Spec.Namespaces) == 0:
		return "every namespace", true
	case none:
		a, b = b, a
	}
	in := Scope(b)
	shared := slices.DeleteFunc(slices.Clone(a.Spec.Namespaces), func(namespace string) bool { return !in(namespace) })
	return "the namespace " + strings.Join(shared, ", "), len(shared) > 0
}
