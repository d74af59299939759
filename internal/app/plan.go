package app

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"crossfade.dev/internal/census"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/manifest"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
	"crossfade.dev/internal/vantage"
	"crossfade.dev/internal/view"
)

// runPlan says what a migration would find, and writes nothing.
func runPlan(ctx context.Context, o cli.PlanOptions) (view.Plan, error) {
	p := planning{o: o, clock: clock.RealClock{}, close: func() {}}
	defer func() { p.close() }()
	if err := p.look(ctx); err != nil {
		return view.Plan{}, err
	}
	return p.view(ctx)
}

// planning is one plan as it is made: what was read, then what follows from it.
type planning struct {
	o     cli.PlanOptions
	clock clock.Clock
	// source and target are what was read; target is nil if it was not looked at.
	source, target *finding.Side
	// facts are those of the connections; nil where files were read.
	sourceFacts, targetFacts cluster.Facts
	unknown                  map[schema.GroupVersionKind]int
	// read is what the source's files hold; empty where a cluster was read.
	read    manifest.Reading
	zones   *zones
	lacking []finding.Right
	ways    []plan.Way
	// close ends what has to stay open until the plan is made.
	close func()
}

// look reads both sides, each from where it is to be found.
func (p *planning) look(ctx context.Context) error {
	switch {
	case p.o.From != "":
		return p.lookInFiles(ctx)
	case p.o.SourceContext != "":
		return p.lookInContexts(ctx)
	default:
		return p.lookFromHub(ctx)
	}
}

func (p *planning) lookInFiles(ctx context.Context) error {
	var err error
	if p.source, p.read, err = sideFrom("--from", p.o.From, p.o.Migration.Spec.Source); err != nil {
		return err
	}
	p.unknown = p.read.Unknown
	switch {
	case p.o.TargetFrom != "":
		var read manifest.Reading
		if p.target, read, err = sideFrom("--target-from", p.o.TargetFrom, p.o.Migration.Spec.Target); err != nil {
			return err
		}
		p.target.Serves, err = servedBy(read)
		return err
	case p.o.TargetContext != "":
		c, err := reachContext(ctx, "--target-context", p.o.Hub.Kubeconfig, p.o.TargetContext)
		if err != nil {
			return err
		}
		defer c.Close()
		p.targetFacts = told(ctx, c)
		p.target, p.lacking, err = takeCensus(ctx, c, p.o.TargetContext)
		return err
	}
	return nil
}

// sideFrom reads a side from files.
func sideFrom(flag, path, name string) (*finding.Side, manifest.Reading, error) {
	r, err := manifest.Read(path)
	if err != nil {
		return nil, r, fmt.Errorf("%s: %w", flag, err)
	}
	return &finding.Side{Name: name, Objects: r.Objects, Present: r.Served, InPart: true}, r, nil
}

func (p *planning) lookInContexts(ctx context.Context) error {
	source, err := reachContext(ctx, "--source-context", p.o.Hub.Kubeconfig, p.o.SourceContext)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := reachContext(ctx, "--target-context", p.o.Hub.Kubeconfig, p.o.TargetContext)
	if err != nil {
		return err
	}
	defer target.Close()
	return p.takeBoth(ctx, source, target)
}

func (p *planning) lookFromHub(ctx context.Context) error {
	route, err := vantage.Parse(p.o.Route.Translate, p.o.Route.MapPorts)
	if err != nil {
		return err
	}
	hub, err := reachHub(ctx, p.o.Hub)
	if err != nil {
		return err
	}
	m := p.o.Migration.DeepCopy()
	m.Namespace = p.o.Hub.Namespace
	source, target, done, err := reachBoth(ctx, hub, m)
	if err != nil {
		hub.Close()
		return err
	}
	defer done()
	p.close = hub.Close
	p.zones = &zones{hub: hub, dial: route.DialContext}
	return p.takeBoth(ctx, source, target)
}

// takeBoth reads both clusters side by side.
func (p *planning) takeBoth(ctx context.Context, source, target *cluster.Cluster) error {
	p.sourceFacts, p.targetFacts = told(ctx, source), told(ctx, target)
	var group sync.WaitGroup
	var errs [2]error
	var lacking [2][]finding.Right
	group.Go(func() { p.source, lacking[0], errs[0] = takeCensus(ctx, source, p.o.Migration.Spec.Source) })
	group.Go(func() { p.target, lacking[1], errs[1] = takeCensus(ctx, target, p.o.Migration.Spec.Target) })
	group.Wait()
	p.lacking = append(lacking[0], lacking[1]...)
	p.unknown = unknownIn(p.source.Objects)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if !p.o.ProbePods {
		return nil
	}
	var err error
	p.ways, err = measureWays(ctx, source, target, p.o)
	return err
}

// takeCensus reads one cluster, and asks what this account may do there.
func takeCensus(ctx context.Context, c *cluster.Cluster, name string) (*finding.Side, []finding.Right, error) {
	side, err := census.Take(ctx, c, c, name)
	if err != nil {
		return &side, nil, err
	}
	side.Address, side.CA = c.Endpoint()
	// Who signs tokens is unknown where it is not told: then nothing is assumed of it.
	side.Issuer, _ = c.Issuer(ctx)
	lacking, unseen := census.Lacking(ctx, c.Unfenced(), name)
	side.Unseen = append(side.Unseen, unseen...)
	side.Level = census.Level(ctx, c.Unfenced(), side.Objects.FlowSchemas)
	runtime.GC() // pages are many times as large as what is kept of them
	return &side, lacking, nil
}

// unknownIn counts the objects of kinds that are kept as they are. Every cluster has
// APIServices, and a rule of their own reads them.
func unknownIn(o plan.Objects) map[schema.GroupVersionKind]int {
	out := map[schema.GroupVersionKind]int{}
	for _, u := range o.Others {
		if u.GroupVersionKind().Group == "apiregistration.k8s.io" {
			continue
		}
		out[u.GroupVersionKind()]++
	}
	return out
}

// view looks through what was read.
func (p *planning) view(ctx context.Context) (view.Plan, error) {
	m := p.o.Migration.DeepCopy()
	m.Namespace = p.o.Hub.Namespace
	surveyor := &migration.Engine{Clock: p.clock}
	if p.zones != nil {
		surveyor.Zones = p.zones.open
	} else {
		m.Spec.DNS = nil // its keys are in the hub, which was not asked
	}
	seenTarget := migration.Seen{Facts: p.targetFacts}
	if p.target != nil {
		seenTarget.Objects = p.target.Objects
	}
	found, err := surveyor.Survey(ctx, m, migration.Seen{Objects: p.source.Objects, Facts: p.sourceFacts}, seenTarget)
	if err != nil {
		return view.Plan{}, err
	}
	in := migration.Scope(m)
	found.Estate.Relate(p.source.Objects, p.o.TenantLabels...)
	facts := finding.Facts{
		Source: *p.source, Target: p.target, Estate: found.Estate, InEstate: in,
		MaxTotalPercent: m.Spec.Shift.MaxTotalPercent, Lacking: p.lacking, Unreached: plan.Unreached(p.ways),
	}
	out := view.Plan{
		Source: m.Spec.Source, Target: m.Spec.Target, Moves: found.Moves, Gates: found.Gates, Warnings: p.warnings(),
		Apps: found.Estate.Apps,
	}
	rooms := p.roomFacts(found.Estate, in, m)
	out.Capacity, out.Costs = plan.Rooms(rooms), plan.Costs(found.Estate, m.Spec.Shift.MaxTotalPercent)
	out.Growth = append(plan.Growth(rooms.Source), plan.Growth(rooms.Target)...)
	out.Ways = p.ways
	out.Gates = append(out.Gates, plan.Waive(plan.ReachGates(p.ways), m.Spec.Waivers, p.clock.Now())...)
	if p.zones != nil && m.Spec.DNS != nil {
		names, times := p.names(ctx, surveyor, m)
		facts.Names, out.Names = names, times
	}
	out.Findings = view.Findings(finding.Find(facts), m.Spec.Waivers, p.clock.Now())
	p.place(out.Findings)
	for _, k := range manifest.KindsOf(p.unknown) {
		out.Unknown = append(out.Unknown, view.Unit{Kind: k.GroupVersion().String() + " " + k.Kind, Count: p.unknown[k]})
	}
	estimate := plan.EstimateOf(found.Estate, objectsIn(p.source.Objects, in), m.Spec.Shift, stepsOf(m), plan.MeasuredRates)
	out.Estimate = &estimate
	out.Next = p.next(out)
	return out, p.save(m)
}

func objectsIn(o plan.Objects, in func(string) bool) int {
	n := 0
	o.Each(func(obj plan.Object) {
		if ns := obj.GetNamespace(); ns != "" && in(ns) {
			n++
		}
	})
	return n
}
