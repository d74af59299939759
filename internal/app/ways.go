package app

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/clock"

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
