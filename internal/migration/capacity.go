package migration

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/plan"
)

// A goal says what either side of a workload is to run in the end.
type goal func(wanted int32) plan.Scale

// split is the goal of a share of percent in the target.
func split(percent int32) goal {
	return func(wanted int32) plan.Scale { return plan.Split(wanted, percent) }
}

// warm is the goal of a few pods that stand by in the target.
func warm(s v1.Shift) goal {
	return func(wanted int32) plan.Scale { return plan.Warm(wanted, s.Warm, s.MaxTotalPercent) }
}

// carry brings every moving workload one step nearer to its goal. It reports Done
// when all of them stand there. What each side is told is in the ledger before it
// is told.
func (e *Engine) carry(ctx context.Context, v *visit, to goal) (Progress, error) {
	if v.target.lost { // then there is one goal only, which every pass sees to first
		return Done(), nil
	}
	book, err := e.openStandings(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	loads, left := e.weigh(v, book, to)
	var steps []step
	behind := 0
	for _, l := range loads {
		next, level := plan.NextScale(l.balance)
		if level {
			book.replicas[l.workload.ID()] = book.replicas[l.workload.ID()].Arrive()
		} else {
			behind++
		}
		if s := (step{load: l, next: next, floors: book.floors(v, l, next)}); s.changes() {
			steps = append(steps, s)
		}
	}
	v.m.Status.Capacity = percentOf(loads)
	steps, outdated, err := e.confirmed(ctx, v, steps)
	if err != nil {
		return Progress{}, err
	}
	left.outdated += outdated
	for _, s := range steps {
		book.tell(s, e.Clock.Now())
	}
	if err := book.save(ctx, v); err != nil {
		return Progress{}, err
	}
	e.tellQuarantined(v, book)
	if err := each(e.Workers, steps, func(s step) error { return v.rescale(ctx, s) }); err != nil {
		return Progress{}, err
	}
	if behind > 0 {
		if why := e.cramped(ctx, v, book, loads); why != "" {
			p := Again(v1.CapacityShort, "%d of %d workloads are on their way; %s", behind, len(loads), why)
			p.After = patience // room is made by others
			return p, nil
		}
		return e.lagging(v, loads, behind), nil
	}
	if left.absent > 0 && v.m.Spec.Direction == v1.Forward {
		return Again(v1.TargetNotReady, "%d workloads that move are not in the target yet", left.absent), nil
	}
	if left.outdated > 0 {
		return waitForReads(left), nil
	}
	return Done(), nil
}

// A load is one moving workload as both sides hold it.
type load struct {
	workload       plan.Workload
	source, target *appsv1.Deployment
	// The workload's autoscalers, nil where it has none.
	sourceScaler, targetScaler *autoscalingv2.HorizontalPodAutoscaler
	balance                    plan.Balance
}

func (l load) told() plan.Scale {
	return plan.Scale{Source: l.balance.Source.Spec, Target: l.balance.Target.Spec}
}

// A step tells both sides of a workload, and their autoscalers, what to run.
type step struct {
	load
	next plan.Scale
	// floors is the least that each side's autoscaler may go down to, 0 where there
	// is none to be told.
	floors plan.Scale
}

func (s step) changes() bool { return s.next != s.told() || s.floors != plan.Scale{} }

// gaps counts moving workloads of which nothing can be told: those that the target
// does not have, and those that were read in an older state than before.
type gaps struct{ absent, outdated int }

func waitForReads(left gaps) Progress {
	return Again(v1.CapacityMoving, "%d workloads were read in an older state than before", left.outdated)
}

// weigh gathers the balance of every workload that moves. A quarantined one is
// led back to the source, whatever the goal is, and so is one that was decided to
// stay when some of it had moved.
// On the way back no pods are waited for that the target does not bring up: they may be
// the reason for going back.
func (e *Engine) weigh(v *visit, book *standings, to goal) (loads []load, left gaps) {
	back := v.m.Spec.Direction == v1.Back
	for _, w := range v.estate.Workloads(book.concerns) {
		key := client.ObjectKey{Namespace: w.Namespace, Name: w.Name}
		l := load{
			workload: w, source: v.source.deployments[key], target: v.target.deployments[key],
			sourceScaler: v.source.autoscaler(w), targetScaler: v.target.autoscaler(w),
		}
		if l.source == nil {
			continue // its team has deleted it since
		}
		if l.target == nil && plan.Moving(w) {
			left.absent++
		}
		if l.target == nil {
			continue
		}
		if book.outdated(l) {
			left.outdated++
			continue
		}
		if !plan.Moving(w) && book.settle(l) {
			continue
		}
		standing := book.observe(l, v.m.Status.Writer)
		patience := time.Duration(v.m.Spec.Shift.ReadyMinutes) * time.Minute
		l.balance = plan.Balance{
			Wanted: standing.Wanted, Goal: to(standing.Wanted), MaxTotalPercent: v.m.Spec.Shift.MaxTotalPercent,
			Source: e.capacityOf(v, &v.source, l.source, w), Target: e.capacityOf(v, &v.target, l.target, w),
		}
		standing = standing.Try(v.m.Status.Stage, l.balance.Target, e.Clock.Now(), patience)
		if back && e.settling.short(settlingKeyOf(v, &v.target, w), l.balance.Target, e.Clock.Now()) >= roomAsked {
			standing.QuarantinedIn = v.m.Status.Stage
		}
		book.replicas[w.ID()] = standing
		if standing.QuarantinedIn != "" || !plan.Moving(w) {
			l.balance.Goal, l.balance.GivenUp = plan.Scale{Source: standing.Wanted}, standing.QuarantinedIn != ""
		}
		loads = append(loads, l)
	}
	return loads, left
}

// capacityOf tells what a side's Deployment serves. Pods count as settled once
// they have been ready, and bridged to the other side, for as long as the
// migration asks.
func (e *Engine) capacityOf(v *visit, s *site, d *appsv1.Deployment, w plan.Workload) plan.Capacity {
	c := plan.Capacity{
		Spec: ptr.Deref(d.Spec.Replicas, 1), Ready: d.Status.ReadyReplicas,
		Current: d.Status.ObservedGeneration >= d.Generation,
	}
	wait := time.Duration(v.m.Spec.Shift.SettleSeconds) * time.Second
	reachable := v.reachable(s, w, c.Ready)
	c.Settled = min(reachable, e.settling.observe(settlingKeyOf(v, s, w), c.Ready, reachable >= c.Ready, e.Clock.Now(), wait))
	return c
}

// rescale tells both sides of one workload.
func (v *visit) rescale(ctx context.Context, s step) error {
	if err := v.source.rescale(ctx, s.source, s.sourceScaler, s.next.Source, s.floors.Source); err != nil {
		return err
	}
	return v.target.rescale(ctx, s.target, s.targetScaler, s.next.Target, s.floors.Target)
}

// rescale tells one side of a workload, its autoscaler first, because that would
// otherwise undo it. A floor of 0 is none to be told.
func (s *site) rescale(ctx context.Context, have *appsv1.Deployment, scaler *autoscalingv2.HorizontalPodAutoscaler, next, floor int32) error {
	if floor > 0 {
		if err := setFloor(ctx, s, scaler, floor); err != nil {
			return err
		}
	}
	if ptr.Deref(have.Spec.Replicas, 1) == next {
		return nil
	}
	return setReplicas(ctx, s, have, next)
}

func setReplicas(ctx context.Context, s *site, d *appsv1.Deployment, replicas int32) error {
	told := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name}}
	err := s.api.Patch(ctx, told, countPatch(d, "replicas", replicas), client.FieldOwner(cluster.FieldManager))
	return wrap(fmt.Sprintf("scale Deployment %s/%s in %s to %d", d.Namespace, d.Name, s.name, replicas), err)
}

// countPatch sets one number of a spec, if the object still is as it was read.
func countPatch(read client.Object, field string, count int32) client.Patch {
	return client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q},"spec":{%q:%d}}`, read.GetResourceVersion(), field, count))
}

func setFloor(ctx context.Context, s *site, h *autoscalingv2.HorizontalPodAutoscaler, floor int32) error {
	told := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: h.Namespace, Name: h.Name}}
	err := s.api.Patch(ctx, told, countPatch(h, "minReplicas", floor), client.FieldOwner(cluster.FieldManager))
	return wrap(fmt.Sprintf("set the minimum of HorizontalPodAutoscaler %s/%s in %s to %d", h.Namespace, h.Name, s.name, floor), err)
}

// autoscaler is the workload's autoscaler on one side, nil if it has none there.
func (s *site) autoscaler(w plan.Workload) *autoscalingv2.HorizontalPodAutoscaler {
	if w.Autoscaler == "" {
		return nil
	}
	return s.autoscalers[client.ObjectKey{Namespace: w.Namespace, Name: w.Autoscaler}]
}

// sourceSlow is until when pods of the source may take to be ready while those of the
// target are.
const sourceSlow = "source-ready"

// lagging says which workload is behind, and why.
func (e *Engine) lagging(v *visit, loads []load, behind int) Progress {
	first := slices.IndexFunc(loads, func(l load) bool { _, level := plan.NextScale(l.balance); return !level })
	if first < 0 {
		return Again(v1.CapacityMoving, "%d of %d workloads are on their way", behind, len(loads))
	}
	source, target := loads[first].balance.Source, loads[first].balance.Target
	reason := v1.CapacityMoving
	switch {
	case source.Ready < source.Spec && target.Ready >= target.Spec:
		if _, over := e.waited(v, sourceSlow, time.Duration(v.m.Spec.Shift.ReadyMinutes)*time.Minute); over {
			reason = v1.SourceNotReady
		}
	case source.Ready >= source.Spec && target.Ready >= target.Spec && source.Settled+target.Settled < source.Ready+target.Ready:
		reason = v1.Settling
	}
	if source.Ready >= source.Spec {
		v.dropMoment(sourceSlow)
	}
	return Again(reason, "%d of %d workloads are on their way; %s: source %d of %d ready, target %d of %d ready",
		behind, len(loads), loads[first].workload.ID(), source.Ready, source.Spec, target.Ready, target.Spec)
}

func percentOf(loads []load) int32 {
	balances := make([]plan.Balance, len(loads))
	for i, l := range loads {
		balances[i] = l.balance
	}
	return plan.Percent(balances)
}

// each does something for every item, as many at once as the engine may, and
// returns the first error once all have ended.
func each[T any](workers int, items []T, do func(T) error) error {
	var group errgroup.Group
	group.SetLimit(max(1, workers))
	for _, item := range items {
		group.Go(func() error { return do(item) })
	}
	return group.Wait()
}
