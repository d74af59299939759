package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/dryrun"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
	"crossfade.dev/internal/vantage"
	"crossfade.dev/internal/view"
)

// runStep lets an engine of this process make the next step of a migration with every
// write caught, and tells what it would have written. No fence is held or read, so that
// the controller may lead meanwhile.
func runStep(ctx context.Context, o cli.StepOptions) (view.Step, error) {
	ctrl.SetLogger(logr.Discard())
	route, err := vantage.Parse(o.Route.Translate, o.Route.MapPorts)
	if err != nil {
		return view.Step{}, err
	}
	config, err := hubConfig(o.Hub)
	if err != nil {
		return view.Step{}, err
	}
	hub, err := reach(ctx, "the hub", harmless(config), "")
	if err != nil {
		return view.Step{}, err
	}
	defer hub.Close()
	d := newDry(hub.Unfenced())
	defer d.close()
	engine, err := d.wire(ctx, o.Migration, route)
	if err != nil {
		return view.Step{}, err
	}
	if err := d.hub.Put(ctx, o.Migration); err != nil {
		return view.Step{}, fmt.Errorf("migration %s: %w", o.Migration.Name, err)
	}
	m, err := d.record.Step(ctx, engine, client.ObjectKeyFromObject(o.Migration))
	if err != nil {
		return view.Step{}, err
	}
	return view.NewStep(m, shownWrites(d.record.Writes()), time.Now()), nil
}

// A dry is what an engine is wired to whose writes are caught.
type dry struct {
	record           *dryrun.Recorder
	hub              *dryrun.Cluster
	journal, archive *buckets

	mu   sync.Mutex
	open map[string]*dryConnection // by the name of the Cluster
}

func newDry(hub cluster.API) *dry {
	r := &dryrun.Recorder{Clock: clock.RealClock{}}
	return &dry{
		record: r, hub: r.Cluster(dryrun.Hub, hub), open: map[string]*dryConnection{},
		journal: &buckets{openURL: caught(r, dryrun.Journal)}, archive: &buckets{openURL: caught(r, dryrun.Archive)},
	}
}

func (d *dry) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.open {
		c.cluster.Close()
	}
}

// stepWorkers is how many dry runs may be under way at once in one cluster.
const stepWorkers = 16

// wire is the controller's engine with every door caught that leads out of it.
func (d *dry) wire(ctx context.Context, m *v1.Migration, route vantage.Translation) (*migration.Engine, error) {
	source, err := readCluster(ctx, d.hub, m.Namespace, m.Spec.Source)
	if err != nil {
		return nil, err
	}
	c, err := d.connection(ctx, m, source)
	if err != nil {
		return nil, err
	}
	names, servers, err := d.names(ctx, m, route)
	if err != nil {
		return nil, err
	}
	findings := &blocking{clock: clock.RealClock{}, seen: map[types.UID]*blockingSeen{},
		reach: func(ctx context.Context, namespace, name string) (*cluster.Cluster, error) {
			obj, err := readCluster(ctx, d.hub, namespace, name)
			if err != nil {
				return nil, err
			}
			c, err := d.connection(ctx, m, obj)
			if err != nil {
				return nil, err
			}
			return c.cluster, nil
		}}
	return &migration.Engine{
		Clock: clock.RealClock{}, Hub: d.hub, User: c.user, Workers: stepWorkers,
		Clusters: func(ctx context.Context, obj *v1.Cluster) (migration.Connection, error) {
			c, err := d.connection(ctx, m, obj)
			if err != nil {
				return migration.Connection{}, err
			}
			return migration.Connection{API: c.api, Facts: c.cluster}, nil
		},
		Ledger: func(ctx context.Context, m *v1.Migration) (*ledger.Ledger, error) {
			bucket, err := d.journal.at(ctx, m.Spec.Journal)
			if err != nil {
				return nil, fmt.Errorf("journal: %w", err)
			}
			return d.journal.ledger(d.hub, m, bucket), nil
		},
		Follower: &migration.InTurn{
			Lasting: ctx, Clock: clock.RealClock{}, Workers: stepWorkers,
			Feed: func(_ context.Context, api cluster.API) mirror.Feed { return mirror.Listed(api) },
		},
		Blocking: findings.look,
		Zones:    func(context.Context, *v1.Migration) (migration.Zones, error) { return names, nil },
		Servers:  servers,
		Judge:    remembered{},
		Archiver: &unrehearsed{archiver: newArchiver(ctx, d.archive, d.hub), record: d.record},
		Tell: func(m *v1.Migration, reason v1.Reason, message string) {
			d.record.Note(dryrun.Write{
				Place: dryrun.Hub, Verb: dryrun.Create, Kind: "Event", Namespace: m.Namespace, Name: m.Name, After: string(reason) + ": " + message,
			})
		},
	}, nil
}

// shownWrites are writes as people read them.
func shownWrites(all []dryrun.Write) []view.Write {
	out := make([]view.Write, 0, len(all))
	for _, w := range all {
		shown := view.Write{
			Place: string(w.Place), Record: w.Place.Record(), Verb: string(w.Verb),
			Kind: w.Kind, Namespace: w.Namespace, Name: w.Name, Subresource: w.Subresource,
			Before: w.Before, After: w.After, Patch: w.Patch, Refused: w.Refused, Unasked: w.Unasked,
		}
		for _, f := range w.Fields {
			shown.Fields = append(shown.Fields, view.FieldChange{Path: f.Path, Before: f.A, After: f.B})
		}
		if w.Object != nil {
			shown.Object, _ = w.Object.MarshalJSON() // it came as JSON
		}
		out = append(out, shown)
	}
	return out
}
