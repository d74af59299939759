package dryrun

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/migration"
)

// mostPasses is how many passes a step may take; far fewer are needed to begin a stage,
// to save what its undo needs, and to make its first writes.
const mostPasses = 50

// Step lets the engine, all of whose doors lead to this recorder, make the passes of one
// step, and returns the migration as it stands then. The step is over after the first
// pass that wrote anything outside the engine's own record, or when the engine goes no
// further by itself: then the migration's status says what it waits for. A pass that
// only begins a stage, or saves what its undo needs, does not end the step, whatever the
// mirror did meanwhile.
func (r *Recorder) Step(ctx context.Context, engine *migration.Engine, key types.NamespacedName) (*v1.Migration, error) {
	before := &v1.Migration{}
	if err := engine.Hub.Get(ctx, key, before); err != nil {
		return nil, fmt.Errorf("read migration %s: %w", key.Name, err)
	}
	for range mostPasses {
		written := r.count()
		if _, err := engine.Reconcile(ctx, key); err != nil {
			return nil, err
		}
		after := &v1.Migration{}
		if err := engine.Hub.Get(ctx, key, after); apierrors.IsNotFound(err) {
			return before, nil // it was deleted, and nothing keeps it any more
		} else if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", key.Name, err)
		}
		if writes := r.since(written); Ends(before, after, writes) {
			return after, nil
		}
		before = after
	}
	return before, nil
}

// Ends tells whether a step ends with a pass that brought a migration from before to
// after and made these writes.
func Ends(before, after *v1.Migration, writes []Write) bool {
	outside := slices.ContainsFunc(writes, func(w Write) bool { return !w.Place.Record() })
	if outside {
		return !prepares(before, after)
	}
	acted := slices.ContainsFunc(writes, func(w Write) bool {
		return w.Place == Hub && w.Kind != "Event" && (w.Kind != "Migration" || w.Subresource == "")
	})
	return !acted && wordless(before.Status) == wordless(after.Status)
}

// prepares tells whether a pass only got ready to act: it began a stage, or saved what
// its undo needs.
func prepares(before, after *v1.Migration) bool {
	return len(after.Status.Timeline) != len(before.Status.Timeline) || after.Status.Reason == v1.BeforeSaved
}

// wordless is a status without what changes while it stays the same: words that count
// the seconds, and the mirror's lag, as JSON: so precise are times.
func wordless(s v1.MigrationStatus) string {
	s = *s.DeepCopy()
	s.Message, s.Mirror.LagMillis, s.FrozenSeconds = "", 0, 0
	for i := range s.Conditions {
		s.Conditions[i].Message, s.Conditions[i].LastTransitionTime = "", metav1.Time{}
	}
	for i := range s.Gates {
		s.Gates[i].Observed = ""
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // it came as JSON
	}
	return string(text)
}
