package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// rediscover is how old the knowledge of what the clusters serve may be; it is also
// renewed when a definition of custom resources has changed.
const rediscover = 30 * time.Second

// needed are the verbs without which a kind can't be mirrored.
var needed = []string{"create", "delete", "get", "list", "update"}

// discover finds out which kinds to follow.
func (m *Mirror) discover(ctx context.Context) error {
	now := m.Clock.Now()
	if !m.discovered.IsZero() && now.Sub(m.discovered) < rediscover {
		return nil
	}
	from, err := m.From.Kinds(ctx)
	if err != nil {
		return fmt.Errorf("mirror: ask the writer's side what it serves: %w", err)
	}
	to, err := m.To.Kinds(ctx)
	if err != nil {
		return fmt.Errorf("mirror: ask the side that follows what it serves: %w", err)
	}
	there := map[schema.GroupKind]cluster.Kind{}
	for _, kind := range to {
		there[kind.GroupKind()] = kind
	}
	for _, f := range m.kinds {
		f.served, f.lost = false, true
	}
	for _, kind := range from {
		if m.movable(kind) {
			other, served := there[kind.GroupKind()]
			f := m.kind(kind.Group, kind.Kind)
			before := f.kind.Version
			if f.serve(kind, other, served); before != "" && f.kind.Version != before {
				m.unsee(f)
			}
		}
	}
	m.discovered = now
	return nil
}

// unsee forgets what was seen of a kind that is read in another version from now on.
func (m *Mirror) unsee(f *following) {
	f.from.synced, f.to.synced = false, false
	for _, t := range f.twins {
		t.from, t.to, t.body = look{}, look{}, nil
		m.judge(f, t)
	}
}

func (m *Mirror) movable(kind cluster.Kind) bool {
	for _, verb := range needed {
		if !slices.Contains(kind.Verbs, verb) {
			return false
		}
	}
	rule := m.ruleFor(kind.GroupKind())
	return rule.Never == ""
}

// serve notes that the writer's side serves the kind. Both sides are read in the
// first version that the side that follows prefers and the writer's side serves: their
// API servers convert. Where they have no version in common the kind is not served.
func (f *following) serve(from, to cluster.Kind, served bool) {
	f.kind, f.served, f.lost, f.apart, f.spoken = from, served, false, "", to.Versions
	if !served {
		return
	}
	i := slices.IndexFunc(to.Versions, func(v string) bool { return slices.Contains(from.Versions, v) })
	if i < 0 {
		f.served = false
		f.apart = fmt.Sprintf("the side that follows serves this kind as %s only, the writer's side as %s: no version is common to both",
			strings.Join(to.Versions, ", "), strings.Join(from.Versions, ", "))
		return
	}
	f.kind.Version, f.rule.inline = to.Versions[i], !to.Status
}

// stopped says why a kind can't be followed now, if it can't.
func (f *following) stopped() (v1.Reason, string) {
	switch {
	case f.lost && f.recorded():
		return v1.Fused, "the writer's side does not serve this kind any longer"
	case f.from.behind >= patience:
		return v1.Fused, fmt.Sprintf("the writer's side went back in time, from resourceVersion %s: was it restored from a backup?", f.from.version)
	case f.to.behind >= patience:
		return v1.Fused, fmt.Sprintf("the side that follows went back in time, from resourceVersion %s: was it restored from a backup?", f.to.version)
	case !f.lost && !f.served && !f.rule.idle():
		return v1.ObjectHeld, cmp.Or(f.apart, "the side that follows does not serve this kind")
	}
	return "", ""
}

// recorded is true if the ledger knows of objects of the kind.
func (f *following) recorded() bool {
	for _, t := range f.twins {
		if t.entry != (Entry{}) && !t.entry.Gone {
			return true
		}
	}
	return false
}
