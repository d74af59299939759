package app

import (
	"context"

	"k8s.io/utils/clock"

	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/vantage"
	"crossfade.dev/internal/view"
)

// runPlan says what a migration would find, and writes nothing.
func runPlan(ctx context.Context, o cli.PlanOptions) (view.Plan, error) {
	route, err := vantage.Parse(o.Route.Translate, o.Route.MapPorts)
	if err != nil {
		return view.Plan{}, err
	}
	m := o.Migration.DeepCopy()
	m.Namespace = o.Hub.Namespace
	surveyor := &migration.Engine{Clock: clock.RealClock{}}
	var source, target *cluster.Cluster
	if o.SourceContext != "" {
		m.Spec.DNS = nil // its keys are in the hub, which is not asked
		if source, err = reachContext(ctx, "--source-context", o.Hub.Kubeconfig, o.SourceContext); err != nil {
			return view.Plan{}, err
		}
		defer source.Close()
		if target, err = reachContext(ctx, "--target-context", o.Hub.Kubeconfig, o.TargetContext); err != nil {
			return view.Plan{}, err
		}
		defer target.Close()
	} else {
		hub, err := reachHub(ctx, o.Hub)
		if err != nil {
			return view.Plan{}, err
		}
		defer hub.Close()
		var done func()
		if source, target, done, err = reachBoth(ctx, hub, m); err != nil {
			return view.Plan{}, err
		}
		defer done()
		surveyor.Zones = zones{hub: hub, dial: route.DialContext}.open
	}
	found, err := surveyor.Survey(ctx, m, migration.Connection{API: source, Facts: source}, migration.Connection{API: target, Facts: target})
	return view.Plan{
		Source: m.Spec.Source, Target: m.Spec.Target, Moves: found.Moves, Gates: found.Gates, Warnings: warningsOf(o),
	}, err
}

// warningsOf are what a person should know and no gate of Preflight holds.
func warningsOf(o cli.PlanOptions) []string {
	var all []string
	say := func(when bool, text string) {
		if when {
			all = append(all, text)
		}
	}
	spec := o.Migration.Spec
	say(spec.DNS == nil, "spec.dns is not set: names, and the API address that teams use, stay where they are")
	say(spec.DNS != nil && o.SourceContext != "", "the zone was not looked at: its keys are in the hub, and none was asked")
	say(spec.Archive == nil || spec.Archive.RehearseIn == "",
		"spec.archive names no bucket, or no cluster to rehearse in: Snapshot will be held until it does or its gate is waived")
	say(spec.Journal == "", "spec.journal is not set: the way back needs the hub")
	return all
}
