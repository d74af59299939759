package migration

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/plan"
)

// Without the target there is a way back still: capacity, entry, delegation, writer
// and endpoint need the source and DNS only. The target's fence cannot be taken, and
// need not be, since nothing is written there. What counts is the source's: whoever
// holds it is the only engine that writes to the source, and a target's nodes and
// controllers never do. What was made in the target stays in the ledger, and Prepare
// in force, so that a later way back that reaches the target removes it.

// regain lets the source carry everything again: all capacity first, and the names
// only when it is ready. It is the first thing to do in every pass.
func (e *Engine) regain(ctx context.Context, v *visit) (Progress, error) {
	p, err := e.carryAlone(ctx, v)
	if err != nil || p.outcome != done || !v.m.Begun(v1.Cutover) {
		return p, err
	}
	if v.m.Status.Entry != 0 {
		v.m.Status.Entry = 0
		return Again(v1.EntryMoving, "the source carries everything: the names go back to it"), nil
	}
	return e.enter(ctx, v, 0)
}

// takeOver makes a side the writer although the other one cannot be asked what teams
// have written there.
func (e *Engine) takeOver(v *visit, to v1.Side) Progress {
	v.m.Status.Writer = to
	return Again(v1.WriterMoving, "teams write to %s again; what they changed in %s and the mirror had not carried over is lost with it",
		v.on(to).name, v.on(to.Other()).name)
}

// carryAlone tells the source to run all that is wanted of every workload whose
// capacity was led anywhere, as the ledger has it. No bound holds it up: what the
// target ran is gone. As soon as the source is ready to carry a Service alone, its
// clients there are no longer led to the target's pods.
func (e *Engine) carryAlone(ctx context.Context, v *visit) (Progress, error) {
	book, err := e.openStandings(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	loads, outdated := e.weighAlone(v, book)
	var steps []step
	behind, needed := 0, map[bridge.Key]bool{}
	for _, l := range loads {
		next, level := plan.NextScale(l.balance)
		if !level {
			behind++
			for _, name := range l.workload.Services {
				needed[bridge.Key{Namespace: l.workload.Namespace, Name: name}] = true
			}
		}
		if s := (step{load: l, next: next, floors: book.floorAlone(l, next)}); s.changes() {
			steps = append(steps, s)
		}
	}
	v.m.Status.Capacity = percentOf(loads)
	untold, err := e.tellSource(ctx, v, book, steps)
	if err != nil {
		return Progress{}, err
	}
	if outdated += untold; outdated > 0 {
		return waitForReads(gaps{outdated: outdated}), nil
	}
	in := Scope(v.m)
	keep := func(service bridge.Key) bool { return needed[service] || !in(service.Namespace) }
	if _, err := bridge.Cut(ctx, v.source.api, keep); err != nil {
		return Progress{}, wrap("lead clients of "+v.source.name+" to its own pods", err)
	}
	if behind > 0 {
		return e.lagging(v, loads, behind), nil
	}
	return Done(), nil
}

// weighAlone gathers what the source is to run of every workload that was ever told
// anything; the others run there as their teams want them. It counts those that were
// read in an older state than before.
func (e *Engine) weighAlone(v *visit, book *standings) (loads []load, outdated int) {
	for _, w := range v.estate.Workloads(book.concerns) {
		key := client.ObjectKey{Namespace: w.Namespace, Name: w.Name}
		l := load{workload: w, source: v.source.deployments[key], sourceScaler: v.source.autoscaler(w)}
		standing, told := book.replicas[w.ID()]
		if !told || l.source == nil {
			continue
		}
		minimum, limited := book.minimum[w.ID()]
		limited = limited && l.sourceScaler != nil
		if standing.Source.Outdated(replicasOf(l.source)) || limited && minimum.Source.Outdated(minimumOf(l.sourceScaler)) {
			outdated++
			continue
		}
		standing = standing.ObserveAlone(replicasOf(l.source), w.Autoscaler != "")
		book.replicas[w.ID()] = standing
		if limited {
			book.minimum[w.ID()] = minimum.ObserveAlone(minimumOf(l.sourceScaler), false)
		}
		l.balance = plan.Balance{
			Wanted: standing.Wanted, Goal: plan.Scale{Source: standing.Wanted}, MaxTotalPercent: 100,
			Source: e.capacityOf(v, &v.source, l.source, w), Target: plan.Capacity{Current: true},
		}
		loads = append(loads, l)
	}
	return loads, outdated
}

// floorAlone tells what the source's autoscaler must be told for the next step.
func (b *standings) floorAlone(l load, next plan.Scale) (floors plan.Scale) {
	minimum, known := b.minimum[l.workload.ID()]
	if !known || l.sourceScaler == nil || next.Source == 0 {
		return plan.Scale{}
	}
	if floor := plan.Floor(minimum.Wanted, l.balance.Wanted, next.Source); floor != minimumOf(l.sourceScaler).Value {
		floors.Source = floor
	}
	return floors
}

// tellSource records those steps that rest on what stands in the source now, and then
// takes them. It returns how many others there were.
func (e *Engine) tellSource(ctx context.Context, v *visit, book *standings, all []step) (untold int, err error) {
	steps, err := e.confirmedBy(all, func(l load) (bool, error) {
		return v.source.confirm(ctx, l.workload, l.source, l.sourceScaler)
	})
	if err != nil {
		return 0, err
	}
	for _, s := range steps {
		id := s.workload.ID()
		standing, floor := book.replicas[id], book.minimum[id]
		standing.Source = standing.Source.Tell(replicasOf(s.source), s.next.Source)
		book.replicas[id] = standing
		if s.floors.Source > 0 {
			floor.Source = floor.Source.Tell(minimumOf(s.sourceScaler), s.floors.Source)
			book.minimum[id] = floor
		}
	}
	if err := book.save(ctx, v); err != nil {
		return 0, err
	}
	return len(all) - len(steps), each(e.Workers, steps, func(s step) error {
		return v.source.rescale(ctx, s.source, s.sourceScaler, s.next.Source, s.floors.Source)
	})
}
