package app

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
)

// findingsLast is how long findings are believed: looking for them reads both
// clusters whole.
const findingsLast = time.Minute

// blocking looks for what holds a migration, as `crossfade plan` does, for Preflight.
type blocking struct {
	// reach connects to the Cluster of that name.
	reach func(ctx context.Context, namespace, name string) (*cluster.Cluster, error)
	clock clock.PassiveClock

	mu   sync.Mutex
	seen map[types.UID]*blockingSeen
}

// blockingSeen is what was found, of which version of a migration, and when.
type blockingSeen struct {
	generation int64
	at         time.Time
	found      []plan.Blocking
}

// look returns what blocks a migration of that estate.
func (b *blocking) look(ctx context.Context, m *v1.Migration, estate plan.Estate) ([]plan.Blocking, error) {
	b.mu.Lock()
	seen := b.seen[m.UID]
	b.mu.Unlock()
	if seen != nil && seen.generation == m.Generation && b.clock.Since(seen.at) < findingsLast {
		return seen.found, nil
	}
	facts := finding.Facts{Estate: estate, InEstate: migration.Scope(m), MaxTotalPercent: m.Spec.Shift.MaxTotalPercent}
	for _, side := range []v1.Side{v1.Source, v1.Target} {
		read, lacking, err := b.read(ctx, m, side)
		if err != nil {
			return nil, err
		}
		facts.Lacking = append(facts.Lacking, lacking...)
		if side == v1.Source {
			facts.Source = *read
		} else {
			facts.Target = read
		}
	}
	estate.Relate(facts.Source.Objects)
	found := blockingOf(finding.Find(facts))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[m.UID] = &blockingSeen{m.Generation, b.clock.Now(), found}
	return found, nil
}

func (b *blocking) read(ctx context.Context, m *v1.Migration, side v1.Side) (*finding.Side, []finding.Right, error) {
	name := m.Spec.Source
	if side == v1.Target {
		name = m.Spec.Target
	}
	c, err := b.reach(ctx, m.Namespace, name)
	if err != nil {
		return nil, nil, err
	}
	return takeCensus(ctx, c, name)
}

// blockingOf counts, by id, what blocks.
func blockingOf(all []finding.Found) []plan.Blocking {
	var out []plan.Blocking
	for _, f := range all {
		if f.Severity != finding.Blocks {
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].ID == f.ID {
			out[last].Objects++
			continue
		}
		entry, _ := finding.EntryOf(f.ID)
		out = append(out, plan.Blocking{ID: f.ID, Title: entry.Title, Objects: 1, First: f.Object + ": " + f.Observed})
	}
	return out
}
