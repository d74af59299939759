package app

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
	"crossfade.dev/internal/view"
)

// runDiff compares both sides of a migration from lists of its own, and writes
// nothing: not even the journal, so the ledger is read without its bucket.
func runDiff(ctx context.Context, o cli.DiffOptions) ([]view.Difference, error) {
	hub, err := reachHub(ctx, o.Hub)
	if err != nil {
		return nil, err
	}
	defer hub.Close()
	m := &v1.Migration{}
	if err := hub.Get(ctx, client.ObjectKey{Namespace: o.Hub.Namespace, Name: o.Migration}, m); err != nil {
		return nil, fmt.Errorf("read migration %s in the hub: %w", o.Migration, err)
	}
	source, target, done, err := reachBoth(ctx, hub, m)
	if err != nil {
		return nil, err
	}
	defer done()
	s := migration.Subject{Migration: m, Ledger: ledger.New(hub, nil), In: migration.Scope(m)}
	return differences(ctx, mirror.Side{API: source, Kinds: source.Kinds}, mirror.Side{API: target, Kinds: target.Kinds}, s, o.App)
}

// differences compares from the side that teams write to, the estate or one app with
// what its namespace shares.
func differences(ctx context.Context, source, target mirror.Side, s migration.Subject, app string) ([]view.Difference, error) {
	writer := s.Migration.Status.Writer
	config, err := migration.Mirroring(source, target, s, writer, clock.RealClock{})
	if err != nil {
		return nil, err
	}
	found, err := mirror.New(config).Differences(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]view.Difference, 0, len(found))
	namespace, name, one := strings.Cut(app, "/")
	for _, d := range found {
		if one && (d.Object.Namespace != namespace || d.App != "" && d.App != name) {
			continue
		}
		all = append(all, shownDifference(d, writer))
	}
	return all, nil
}

// shownDifference is a difference as people read it. The mirror's a is the writer's
// side, people's first side is the source.
func shownDifference(d mirror.Difference, writer v1.Side) view.Difference {
	kind := d.Object.Kind
	if d.Object.Group != "" && strings.Contains(d.Object.Group, ".") && !strings.HasSuffix(d.Object.Group, ".k8s.io") {
		kind += "." + d.Object.Group // a kind of somebody's own
	}
	out := view.Difference{Object: kind}
	if name := strings.TrimPrefix(d.Object.Namespace+"/"+d.Object.Name, "/"); name != "" {
		out.Object += " " + name
	}
	if d.Text != "" {
		out.Text = d.Text + " (the target follows)"
		if writer == v1.Target {
			out.Text = d.Text + " (the source follows)"
		}
	}
	for _, f := range d.Fields {
		value := view.FieldValue{Path: f.Path, Source: f.A, Target: f.B}
		if writer == v1.Target {
			value.Source, value.Target = f.B, f.A
		}
		out.Fields = append(out.Fields, value)
	}
	return out
}
