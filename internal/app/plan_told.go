package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
	"crossfade.dev/internal/plan/ttl"
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
	say(p.target == nil, "the target was not looked at: --target-context or --target-from looks at it")
	say(p.sourceFacts == nil && p.targetFacts == nil, "no cluster was asked: rights, versions and whatever the files leave out are unknown")
	say(p.sourceFacts == nil && p.targetFacts != nil, "the source was read from files: its version, this account's rights there and whatever the files leave out are unknown")
	say(p.sourceFacts != nil && p.ways == nil, "whether the two networks reach each other was not measured: --probe-pods does, with short-lived pods")
	if p.o.TargetFrom != "" && p.target.Serves == nil {
		all = append(all, p.versionsUnknown())
	}
	if spec.DNS == nil && spec.Archive == nil && spec.Journal == "" && (p.o.From != "" || p.o.SourceContext != "") {
		return append(all, "names (spec.dns), archive and journal were not looked at, because what was planned has none of them: give a migration that has, with -f FILE")
	}
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

// roomFacts are what both sides have room for. The target is empty where it was not
// looked at.
func (p *planning) roomFacts(estate plan.Estate, in func(string) bool, m *v1.Migration) plan.RoomFacts {
	f := plan.RoomFacts{
		Source: plan.RoomSide{Name: p.source.Name, Objects: p.source.Objects}, Estate: estate, InEstate: in,
		Shares: []int32{50, cmp.Or(m.Spec.Shift.SharePercent, 50)},
	}
	if p.target != nil {
		f.Target = plan.RoomSide{Name: p.target.Name, Objects: p.target.Objects}
	}
	return f
}

func stepsOf(m *v1.Migration) int {
	if m.Spec.DNS == nil {
		return 0
	}
	return len(m.Spec.DNS.Steps)
}

// names reads what is on the path of the names, and says when a start is safe. What
// cannot be read is held by the gate zone.
func (p *planning) names(ctx context.Context, e *migration.Engine, m *v1.Migration) (*finding.Names, *ttl.Report) {
	services, err := e.Zones(ctx, m)
	if err != nil {
		return nil, nil
	}
	f := ttl.Facts{Zone: zone.CanonicalName(m.Spec.DNS.Zone), Ceiling: uint32(m.Spec.DNS.TTLSeconds), Now: p.clock.Now()}
	if f.Own, err = services.Old.RecordSets(ctx, f.Zone); err != nil {
		return nil, nil
	}
	if f.Parent, err = services.Parent.RecordSets(ctx, zone.CanonicalName(m.Spec.DNS.Parent)); err != nil {
		return nil, nil
	}
	report := ttl.Of(f)
	return &finding.Names{Zone: f.Zone, Signed: report.Signed, Long: report.Lower}, &report
}
