package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/clock"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/plan"
	network "crossfade.dev/internal/reach"
)

// measureWays makes short-lived pods in both clusters, to which a person has agreed,
// and tells what they reach. They are made without the fence: nobody else has them.
func measureWays(ctx context.Context, source, target *cluster.Cluster, o cli.PlanOptions) ([]plan.Way, error) {
	ways, err := network.Measure(ctx,
		network.Side{Name: o.Migration.Spec.Source, API: source.Unfenced(), Addresses: o.SourceAddresses},
		network.Side{Name: o.Migration.Spec.Target, API: target.Unfenced(), Addresses: o.TargetAddresses},
		network.Options{Image: o.ProbeImage, Namespace: "crossfade-reach-" + rand.String(6), Clock: clock.RealClock{}})
	if err != nil {
		return ways, fmt.Errorf("--probe-pods: %w", err)
	}
	return ways, nil
}

// waysLast is how long ways that are not all open are believed: then they are measured
// again, because somebody may have opened them.
const waysLast = time.Minute

// crossings measure the ways of migrations in Preflight, each in the background: pods
// take longer to start than a pass may.
type crossings struct {
	// measure makes the pods; it takes a minute or two at most.
	measure func(context.Context, *v1.Migration) ([]plan.Way, error)
	lasting context.Context
	clock   clock.PassiveClock

	mu   sync.Mutex
	seen map[types.UID]*crossing
}

// crossing is what was measured of one version of a migration's clusters, and when; no
// ways while that is under way.
type crossing struct {
	generation int64
	at         time.Time
	ways       []plan.Way
}

func newCrossings(lasting context.Context, c *connections, image string) *crossings {
	measure := func(ctx context.Context, m *v1.Migration) ([]plan.Way, error) {
		var sides [2]network.Side
		for i, name := range []string{m.Spec.Source, m.Spec.Target} {
			conn, err := c.named(ctx, m.Namespace, name)
			if err != nil {
				return nil, err
			}
			sides[i] = network.Side{Name: name, API: conn.cluster}
		}
		return network.Measure(ctx, sides[0], sides[1],
			network.Options{Image: image, Namespace: "crossfade-reach-" + rand.String(6), Clock: clock.RealClock{}})
	}
	return &crossings{measure: measure, lasting: lasting, clock: clock.RealClock{}, seen: map[types.UID]*crossing{}}
}

// look returns what is known, and begins to measure where nothing is, or not any more.
func (c *crossings) look(_ context.Context, m *v1.Migration) []plan.Way {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen[m.UID]
	if seen != nil && seen.generation == m.Generation {
		stale := len(plan.Unopened(seen.ways)) > 0 && c.clock.Since(seen.at) >= waysLast
		if seen.ways != nil && !stale {
			return seen.ways
		}
		if seen.ways == nil {
			return []plan.Way{unmeasured(m, "it is being measured")}
		}
	}
	under := &crossing{generation: m.Generation}
	c.seen[m.UID] = under
	go c.run(m.DeepCopy(), under)
	return []plan.Way{unmeasured(m, "it is being measured")}
}

func (c *crossings) run(m *v1.Migration, under *crossing) {
	ways, err := c.measure(c.lasting, m)
	if err != nil {
		ways = append(ways, unmeasured(m, err.Error()))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	under.ways, under.at = ways, c.clock.Now()
}

func unmeasured(m *v1.Migration, why string) plan.Way {
	return plan.Way{From: m.Spec.Source, To: m.Spec.Target, Range: plan.PodRange, Verdict: v1.Held, Observed: why}
}
