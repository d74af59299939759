package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/metrics"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bench/mirrorbench"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
)

// followAlone lets the mirror of a migration follow from the source to the target,
// wired as in the engine, and tells after each pass how far it is.
func followAlone(ctx context.Context, streams cli.Streams, o cli.FollowOptions) error {
	ctrl.SetLogger(logr.Discard())
	var sides [3]*cluster.Cluster
	for i, file := range []string{o.Hub, o.Source, o.Target} {
		c, err := reachFile(ctx, file)
		if err != nil {
			return err
		}
		defer c.Close()
		sides[i] = c
	}
	hub, source, target := sides[0], sides[1], sides[2]
	m := &v1.Migration{}
	if err := hub.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Migration}, m); err != nil {
		return fmt.Errorf("--migration: %w", err)
	}
	heard := make(chan struct{}, 1)
	hear := func() {
		select {
		case heard <- struct{}{}:
		default: // a pass is due already
		}
	}
	side := func(c *cluster.Cluster) mirror.Side {
		return mirror.Side{API: c, Feed: mirror.Watches(ctx, c, clock.RealClock{}, hear), Kinds: c.Kinds}
	}
	config, err := migration.Mirroring(side(source), side(target), migration.Subject{Migration: m, Ledger: ledger.New(hub, nil), In: migration.Scope(m)}, v1.Source, clock.RealClock{})
	if err != nil {
		return err
	}
	config.Workers = o.Workers
	return tell(ctx, streams, mirror.New(config), heard)
}

// tell makes passes until ctx ends, and writes a line after each.
func tell(ctx context.Context, streams cli.Streams, m *mirror.Mirror, heard <-chan struct{}) error {
	lines := json.NewEncoder(streams.Out)
	written := 0
	for ctx.Err() == nil {
		report, err := m.Sync(ctx)
		if err != nil {
			fmt.Fprintf(streams.Err, "a pass was cut short: %v\n", err)
		}
		written += report.Written
		lag, err := m.Lag(ctx, mirror.App{})
		unsynced := errors.Is(err, mirror.ErrUnsynced)
		if err := lines.Encode(mirrorbench.Pass{
			Objects: report.Objects, Differing: report.Differing, Written: written,
			Held: len(report.Held), Heap: heap(), Level: report.Level() && !unsynced && lag == 0 && err == nil,
		}); err != nil {
			return err
		}
		wait := time.NewTimer(max(longest, report.Again))
		select {
		case <-ctx.Done():
		case <-heard:
		case <-wait.C:
		}
		wait.Stop()
	}
	return nil
}

// heap is what objects take in this process's memory, in bytes.
func heap() uint64 {
	objects := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(objects)
	return objects[0].Value.Uint64()
}

// reachFile connects to the cluster of a kubeconfig, and holds its fence for as long
// as ctx lasts.
func reachFile(ctx context.Context, file string) (*cluster.Cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %q: %w", file, err)
	}
	return fenced(ctx, config, "follow@"+hostname())
}
