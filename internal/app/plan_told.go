package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
	"crossfade.dev/internal/plan/room"
	"crossfade.dev/internal/view"
	"crossfade.dev/internal/zone"
)

// toldFacts are what a cluster told about itself before its connection was closed.
type toldFacts struct {
	uid     types.UID
	version string
	err     error
}

func told(ctx context.Context, c *cluster.Cluster) cluster.Facts {
	version, err := c.Version(ctx)
	return toldFacts{c.UID(), version, err}
}

func (f toldFacts) UID() types.UID                          { return f.uid }
func (f toldFacts) Version(context.Context) (string, error) { return f.version, f.err }
func (f toldFacts) Ready(context.Context) error             { return f.err }
func (f toldFacts) Kinds(context.Context) ([]cluster.Kind, error) {
	return nil, errors.New("kinds were not kept")
}

// warnings are what a person should know and no gate of Preflight holds.
func (p *planning) warnings() []string {
	var all []string
	say := func(when bool, text string) {
		if when {
			all = append(all, text)
		}
	}
	spec := p.o.Migration.Spec
	say(p.target == nil, "the target was not looked at: what depends on it is unknown, not clean; --target-context or --target-from looks at it")
	say(p.sourceFacts == nil, "no cluster was asked: rights, versions and whatever the files leave out are unknown")
	say(p.sourceFacts != nil, "whether the two networks reach each other was not measured")
	say(spec.DNS == nil, "spec.dns is not set: names, and the API address that teams use, stay where they are")
	say(spec.DNS != nil && p.zones == nil, "the zone was not looked at: its keys are in the hub, and none was asked")
	say(spec.Archive == nil || spec.Archive.RehearseIn == "",
		"spec.archive names no bucket, or no cluster to rehearse in: Snapshot will be held until it does or its gate is waived")
	say(spec.Journal == "", "spec.journal is not set: the way back needs the hub")
	return all
}

// next is the command that a person would run next.
func (p *planning) next(v view.Plan) string {
	for _, f := range v.Findings {
		if f.Severity == finding.Blocks && f.Waived == "" {
			return "crossfade explain " + f.ID
		}
	}
	if p.target == nil {
		return fmt.Sprintf("crossfade plan --from %s --target-context TARGET", p.o.From)
	}
	for _, g := range v.Gates {
		if g.Verdict != v1.Passed && g.Waived == "" {
			return "crossfade explain " + string(g.Reason)
		}
	}
	if p.o.SourceContext != "" || p.o.From != "" {
		return "crossfade run --source SOURCE --target TARGET"
	}
	return "crossfade run " + p.o.Migration.Name
}

// capacities pack both sides at the migration's share and at 100/0, and the target
// with each of its zones lost. A side without nodes is unknown.
func capacities(f finding.Facts, share int32) []view.Capacity {
	var out []view.Capacity
	add := func(side string, at int32, without string, fit room.Fit) {
		out = append(out, view.Capacity{
			Side: side, Share: at, Without: without, Placed: fit.Placed, Unplaced: fit.Unplaced, Short: fit.Short, Pools: fit.Pools,
		})
	}
	shares := slices.Compact([]int32{cmp.Or(share, 50), 100})
	if nodes := f.Source.Objects.Nodes; len(nodes) > 0 {
		// A way back brings everything home, whatever the share was.
		add(f.Source.Name, 0, "", room.Pack(nodes, home(f)))
	}
	if f.Target == nil || len(f.Target.Objects.Nodes) == 0 {
		return out
	}
	nodes := f.Target.Objects.Nodes
	for _, at := range shares {
		add(f.Target.Name, at, "", room.Pack(nodes, finding.Coming(f, at)))
	}
	if zones := room.Zones(nodes); len(zones) > 1 {
		for _, z := range zones {
			add(f.Target.Name, 100, "zone "+z, room.Pack(room.Without(nodes, z), finding.Coming(f, 100)))
		}
	}
	return out
}

// home are the pods that the source runs while nothing has moved.
func home(f finding.Facts) []room.Pods {
	out := finding.Resident(f.Source.Objects, f.InEstate)
	for _, app := range f.Estate.Apps {
		for _, w := range app.Workloads {
			if w.Replicas > 0 {
				out = append(out, room.Pods{Name: w.Kind + " " + w.Namespace + "/" + w.Name, Spec: &w.Pod.Spec, Count: w.Replicas})
			}
		}
	}
	return out
}

func stepsOf(m *v1.Migration) int {
	if m.Spec.DNS == nil {
		return 0
	}
	return len(m.Spec.DNS.Steps)
}

// names reads what is on the path of the names, and says when a start is safe. What
// cannot be read is held by the gate zone.
func (p *planning) names(ctx context.Context, e *migration.Engine, m *v1.Migration) (*finding.Names, *view.Times) {
	services, err := e.Zones(ctx, m)
	if err != nil {
		return nil, nil
	}
	name := zone.CanonicalName(m.Spec.DNS.Zone)
	own, err := services.Old.RecordSets(ctx, name)
	if err != nil {
		return nil, nil
	}
	parent, err := services.Parent.RecordSets(ctx, zone.CanonicalName(m.Spec.DNS.Parent))
	if err != nil {
		return nil, nil
	}
	ttl := uint32(cmp.Or(m.Spec.DNS.TTLSeconds, 60))
	onPath, signed := plan.OnPath(name, own, parent)
	names := &finding.Names{Zone: name, Signed: signed}
	for _, set := range onPath {
		if set.TTL > ttl {
			names.Long = append(names.Long, fmt.Sprintf("%s has a TTL of %d s", strings.TrimSpace(set.Key.String()), set.TTL))
		}
	}
	wait := time.Duration(0)
	if len(names.Long) > 0 {
		wait = zone.OldAnswers(onPath)
	}
	return names, &view.Times{
		Zone: name, Lower: names.Long, WaitSeconds: int64(wait.Seconds()), RollbackSeconds: int64(ttl), Safe: p.clock.Now().Add(wait),
	}
}
