// Package app puts Crossfade together: it is the only list of every part. It gives
// the command line the functions that need more than the hub.
package app

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	// Buckets by their URLs' schemes: file, s3, azblob and gs.
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/gcsblob"
	_ "gocloud.dev/blob/s3blob"
	"k8s.io/apimachinery/pkg/types"

	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/demo"
	"crossfade.dev/internal/referee"
	"crossfade.dev/internal/vantage"
)

// Main runs one command line and returns its exit code.
func Main(version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return cli.Main(ctx, cli.System(version), cli.Commands{
		Controller: runController,
		Load:       runLoad,
		Demo:       runDemo,
		Rehearse:   rehearse,
		Follow:     followAlone,
		Plan:       runPlan,
		Pinned:     runPinned,
		Diff:       runDiff,
		Step:       runStep,
		LiftFreeze: runLift,
		Bench:      runBench,

		RollbackByJournal: runRollback,
	})
}

// runLoad runs the referee.
func runLoad(ctx context.Context, streams cli.Streams, o cli.LoadOptions) error {
	route, err := vantage.Parse(o.Route.Translate, o.Route.MapPorts)
	if err != nil {
		return err
	}
	targets, err := referee.ReadTargets(o.Targets)
	if err != nil {
		return fmt.Errorf("--targets: %w", err)
	}
	_, err = referee.Run(ctx, referee.Config{
		Targets: targets, Rate: o.Rate, Duration: o.Duration, Resolvers: o.Resolvers, Seed: o.Seed,
		Timeout: o.Timeout, SlowTimeout: o.SlowTimeout, MaxSlip: o.MaxSlip, Window: o.Window,
		Listen: o.Listen, MarksFile: o.Marks, ReportFile: o.Report, Dial: route.DialContext,
		Out: streams.Out, Narration: streams.Err,
	})
	return err
}

// runDemo shows the whole system at work.
func runDemo(ctx context.Context, streams cli.Streams, o cli.DemoOptions) error {
	source, target, err := givenClusters(ctx, o)
	if err != nil {
		return err
	}
	_, err = demo.Run(ctx, demo.Options{
		Apps: o.Apps, Estate: o.Estate, Seed: o.Seed, Back: o.Back, Chaos: o.Chaos, Keep: o.Keep, Report: o.Report,
		Source: source, Target: target, Translate: o.Route.Translate, MapPorts: o.Route.MapPorts,
		Dir: o.Dir, Out: streams.Out, Progress: streams.Err, Live: streams.Live,
	})
	return outcome(err)
}

// givenClusters are the clusters that a demo is to be shown on, nil for its own. Both
// have answered, and they are two.
func givenClusters(ctx context.Context, o cli.DemoOptions) (source, target *demo.Given, err error) {
	if o.SourceContext == "" {
		return nil, nil, nil
	}
	source = &demo.Given{Flag: "--source-context", Context: o.SourceContext}
	target = &demo.Given{Flag: "--target-context", Context: o.TargetContext}
	met := map[types.UID]*demo.Given{}
	for _, g := range []*demo.Given{source, target} {
		c, err := reachContext(ctx, g.Flag, o.Kubeconfig, g.Context)
		if err != nil {
			return nil, nil, err
		}
		uid := c.UID()
		c.Close()
		if other := met[uid]; other != nil {
			return nil, nil, fmt.Errorf("%s: it leads to the same cluster as %s, and a cluster cannot be its own target", g, other)
		}
		met[uid] = g
		if g.Config, err = contextConfig(o.Kubeconfig, g.Context); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", g, err)
		}
	}
	return source, target, nil
}
