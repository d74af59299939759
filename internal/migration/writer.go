package migration

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/freeze"
	"crossfade.dev/internal/plan"
)

// trials is how often a freeze is tried, each time on a connection of its own.
const trials = 3

// close refuses teams' changes on one side. It is Done in the first pass that looked
// after every try of a write had been refused. The side that teams do not write to is
// closed for as long as the migration lasts, so that no object has two writers.
func (e *Engine) close(ctx context.Context, v *visit, side v1.Side) (Progress, error) {
	s := v.on(side)
	record, err := e.freezeRecord(ctx, v, side)
	if err != nil {
		return Progress{}, err
	}
	notice := e.notice(v, record)
	if proved(record) {
		if standing, err := e.renew(ctx, s, notice); err != nil || standing {
			return Done(), err
		}
	}
	trial, ok := v.trial(s)
	if !ok {
		return Hold(v1.FreezeNotProved, "%s has no namespace of the estate to try a write in", s.name), nil
	}
	if record.Status.Since == nil {
		if proof := freeze.Prove(ctx, s.api, notice, trial); !proof.Accepted() && !proof.Refused() {
			return Hold(v1.FreezeNotProved, "before the freeze of %s: %s", s.name, proof.Odd(freeze.Accepted)), nil
		}
	}
	if err := freeze.Close(ctx, s.api, notice); err != nil {
		return Progress{}, fmt.Errorf("close %s to teams: %w", s.name, err)
	}
	if proof := freeze.Prove(ctx, s.api, notice, trial); !proof.Refused() {
		return Again(v1.FreezeNotProved, "%s does not refuse teams yet: %s", s.name, proof.Odd(freeze.Refused)), nil
	}
	now, err := freeze.Now(ctx, s.api, trial.Namespaces[0])
	if err != nil {
		return Hold(v1.FreezeNotProved, "%s refuses the engine itself (controller --user %s): %v", s.name, e.User, err), nil
	}
	return Again(v1.Busy, "%s is closed to teams", s.name), e.recordFrozen(ctx, record, now)
}

// renew gives a freeze that stands what the migration's spec says now, and tells
// whether it stands.
func (e *Engine) renew(ctx context.Context, s *site, notice freeze.Notice) (standing bool, err error) {
	standing, err = freeze.Closed(ctx, s.api, notice.Migration)
	if err != nil || !standing {
		return false, err
	}
	return true, wrap("renew the freeze of "+s.name, freeze.Close(ctx, s.api, notice))
}

// freezeEnds is when the side to which teams write is opened again, whatever holds
// the migration. Once it is over it stays so until the migration goes back.
const freezeEnds = "freeze-ends"

// sit closes the writer's side, for no longer than people were promised: then it
// is opened again, and the stage is Held.
func (e *Engine) sit(ctx context.Context, v *visit, side v1.Side) (Progress, error) {
	record, err := e.findFreeze(ctx, v, side)
	if err != nil {
		return Progress{}, err
	}
	if v.overdue(record, e.Clock.Now()) {
		return e.expire(ctx, v, side)
	}
	p, err := e.close(ctx, v, side)
	if err != nil || p.outcome != done || v.m.Spec.Direction == v1.Back || record == nil || record.Status.ProvedAt == nil {
		return p, err
	}
	gates := plan.WriteGates(v.on(side).writtenSince(record.Status.ProvedAt.Time), v.on(side).name)
	if p := Through(plan.Waive(gates, v.m.Spec.Waivers, e.Clock.Now())); p != nil {
		return *p, nil
	}
	return Done(), nil
}

// writtenSince says, for people, what somebody else than the engine and Kubernetes has
// written since, as the objects themselves tell (managedFields): of Deployments and
// autoscalers, whose are kept. Times are whole seconds of the API server's clock.
func (s *site) writtenSince(at time.Time) (seen []string) {
	look := func(kind string, o client.Object) {
		for _, f := range o.GetManagedFields() {
			theirs := f.Subresource == "" && f.Manager != cluster.FieldManager && f.Manager != "kube-controller-manager"
			if theirs && f.Time != nil && f.Time.After(at.Add(time.Second)) {
				seen = append(seen, fmt.Sprintf("%s %s/%s, by %s at %s", kind, o.GetNamespace(), o.GetName(), f.Manager, f.Time.UTC().Format(time.TimeOnly)))
				return
			}
		}
	}
	for _, d := range values(s.deployments) {
		look("Deployment", d)
	}
	for _, h := range values(s.autoscalers) {
		look("HorizontalPodAutoscaler", h)
	}
	return seen
}

// sitOn keeps the source closed where the window is Sitting: from Snapshot to the
// writer's hand-over.
func (e *Engine) sitOn(ctx context.Context, v *visit) (Progress, error) {
	if v.m.Spec.Freeze.Window != v1.Sitting || v.m.Status.Writer != v1.Source {
		return Done(), nil
	}
	return e.sit(ctx, v, v1.Source)
}

// overdue tells whether the writer's side has been closed for longer than people were
// promised: since it was proved, or since it was first to be closed.
func (v *visit) overdue(record *v1.Freeze, now time.Time) bool {
	limit := time.Duration(v.m.Spec.Freeze.MaxMinutes) * time.Minute
	if record != nil && record.Status.Since != nil {
		return !now.Before(record.Status.Since.Add(limit))
	}
	return !now.Before(v.moment(freezeEnds, now.Add(limit)))
}

// expire opens the writer's side and holds the stage.
func (e *Engine) expire(ctx context.Context, v *visit, side v1.Side) (Progress, error) {
	if until, noted := v.noted(freezeEnds); !noted || e.Clock.Now().Before(until) {
		v.setMoment(freezeEnds, e.Clock.Now())
	}
	if p, err := e.open(ctx, v, side); err != nil || p.outcome != done {
		return p, err
	}
	return Hold(v1.FreezeTooLong, "%s was frozen for %d minutes and is open again: roll back", v.on(side).name, v.m.Spec.Freeze.MaxMinutes), nil
}

// keepClosed sees to the freezes that stand, in whatever stage and also on hold: they
// say and exempt what the spec says now, and that of the side to which teams write
// ends in time. It is Done unless that opened one.
func (e *Engine) keepClosed(ctx context.Context, v *visit) (Progress, error) {
	if retired(v.m) {
		return Done(), nil
	}
	for _, s := range []*site{&v.source, &v.target} {
		if s.lost {
			continue
		}
		record, err := e.findFreeze(ctx, v, s.side)
		if err != nil {
			return Progress{}, err
		}
		if record == nil || !proved(record) {
			continue
		}
		if s.side == v.m.Status.Writer && v.overdue(record, e.Clock.Now()) {
			return e.expire(ctx, v, s.side)
		}
		if record, err = e.freezeRecord(ctx, v, s.side); err != nil {
			return Progress{}, err
		}
		if _, err := e.renew(ctx, s, e.notice(v, record)); err != nil {
			return Progress{}, err
		}
	}
	return Done(), nil
}

// open lets teams change one side again. It is Done once every try of a write was
// accepted.
func (e *Engine) open(ctx context.Context, v *visit, side v1.Side) (Progress, error) {
	s := v.on(side)
	record, err := e.findFreeze(ctx, v, side)
	if err != nil {
		return Progress{}, err
	}
	if record == nil { // nothing is known of a freeze, which is not to say that none stands
		return Done(), wrap("open "+s.name+" to teams", freeze.Lift(ctx, s.api, v.m.Name))
	}
	if err := e.countFrozen(ctx, v, record); err != nil {
		return Progress{}, err
	}
	if err := freeze.Lift(ctx, s.api, v.m.Name); err != nil {
		return Progress{}, fmt.Errorf("open %s to teams: %w", s.name, err)
	}
	if trial, ok := v.trial(s); ok {
		if proof := freeze.Prove(ctx, s.api, e.notice(v, record), trial); !proof.Accepted() {
			return Again(v1.FreezeNotProved, "%s still refuses: %s", s.name, proof.Odd(freeze.Accepted)), nil
		}
	}
	err = e.Hub.Delete(ctx, record, client.Preconditions{UID: &record.UID})
	return Done(), client.IgnoreNotFound(err)
}

// countFrozen notes for how long teams' changes were refused on both sides, one of
// which is about to open.
func (e *Engine) countFrozen(ctx context.Context, v *visit, opening *v1.Freeze) error {
	other, err := e.findFreeze(ctx, v, opening.Spec.Side.Other())
	if err != nil || other == nil || other.Status.Since == nil || opening.Status.Since == nil {
		return err
	}
	since := opening.Status.Since.Time
	if other.Status.Since.After(since) {
		since = other.Status.Since.Time
	}
	v.m.Status.FrozenSeconds = e.secondsSince(since)
	return nil
}

// thaw notes for how long teams' changes were refused, which ends when their address
// leads to the side that is open.
func (e *Engine) thaw(ctx context.Context, v *visit, closed v1.Side) error {
	record, err := e.findFreeze(ctx, v, closed)
	if err != nil || record == nil || record.Status.Since == nil {
		return err
	}
	v.m.Status.FrozenSeconds = e.secondsSince(record.Status.Since.Time)
	return nil
}

func (e *Engine) secondsSince(since time.Time) int32 {
	return int32(e.Clock.Now().Sub(since).Round(time.Second) / time.Second)
}

// findFreeze is the Freeze object of one side, nil if there is none.
func (e *Engine) findFreeze(ctx context.Context, v *visit, side v1.Side) (*v1.Freeze, error) {
	record := &v1.Freeze{}
	key := client.ObjectKey{Namespace: v.m.Namespace, Name: freezeName(v.m, side)}
	err := e.Hub.Get(ctx, key, record)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return record, wrap("read freeze "+key.Name, err)
}

// freezeRecord is the Freeze object of one side, made if it is not there, with what
// the spec says now.
func (e *Engine) freezeRecord(ctx context.Context, v *visit, side v1.Side) (*v1.Freeze, error) {
	record, err := e.findFreeze(ctx, v, side)
	if err != nil {
		return nil, err
	}
	policy := v.m.Spec.Freeze
	if record != nil {
		if record.Spec.Contact == policy.Contact && slices.Equal(record.Spec.Exempt, policy.Exempt) {
			return record, nil
		}
		record = record.DeepCopy()
		record.Spec.Contact, record.Spec.Exempt = policy.Contact, policy.Exempt
		return record, wrap("change freeze "+record.Name, e.Hub.Update(ctx, record))
	}
	reason := fmt.Sprintf("its apps are moving to %s", v.target.name)
	if side == v1.Target {
		reason = fmt.Sprintf("apps are moving here from %s, which still takes every change", v.source.name)
	}
	record = &v1.Freeze{
		ObjectMeta: metav1.ObjectMeta{
			Name: freezeName(v.m, side), Namespace: v.m.Namespace,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(v.m, v1.GroupVersion.WithKind("Migration"))},
		},
		Spec: v1.FreezeSpec{
			Cluster: v.on(side).name, Migration: v.m.Name, Side: side,
			Reason: reason, Contact: policy.Contact, Exempt: policy.Exempt,
		},
	}
	return record, wrap("record freeze "+record.Name, e.Hub.Create(ctx, record))
}

func (e *Engine) recordFrozen(ctx context.Context, record *v1.Freeze, at time.Time) error {
	record = record.DeepCopy()
	record.Status.ProvedAt = &metav1.Time{Time: at}
	if record.Status.Since == nil {
		now := metav1.NewMicroTime(e.Clock.Now())
		record.Status.Since = &now
	}
	meta.SetStatusCondition(&record.Status.Conditions, metav1.Condition{
		Type: v1.Frozen, Status: metav1.ConditionTrue, Reason: string(v1.Finished),
		Message: fmt.Sprintf("%d tries of a write were refused", trials),
	})
	return wrap("record freeze "+record.Name, e.Hub.Status().Update(ctx, record))
}

func proved(f *v1.Freeze) bool { return meta.IsStatusConditionTrue(f.Status.Conditions, v1.Frozen) }

func freezeName(m *v1.Migration, side v1.Side) string {
	if side == v1.Source {
		return m.Name + "-source"
	}
	return m.Name + "-target"
}

// notice is what a refused person reads, and who is not refused.
func (e *Engine) notice(v *visit, record *v1.Freeze) freeze.Notice {
	return freeze.Notice{
		Migration: v.m.Name, Side: record.Spec.Side, Namespaces: v.m.Spec.Namespaces, Except: []string{v.m.Namespace},
		Reason: record.Spec.Reason, Contact: record.Spec.Contact,
		Exempt: append(slices.Clone(record.Spec.Exempt), e.User), Since: record.CreationTimestamp.Time,
	}
}

// trial is where and in whose name a write is tried: in the first namespaces of
// the estate that exist on that side.
func (v *visit) trial(s *site) (freeze.Trial, bool) {
	var namespaces []string
	for _, app := range v.estate.Apps {
		if !slices.Contains(namespaces, app.Namespace) && s.holds(app.Namespace) {
			namespaces = append(namespaces, app.Namespace)
		}
		if len(namespaces) == 2 {
			break
		}
	}
	return freeze.Trial{Subjects: []freeze.Subject{freeze.Person}, Namespaces: namespaces, Times: trials}, len(namespaces) > 0
}

// holds tells whether the site has something in the namespace.
func (s *site) holds(namespace string) bool {
	for key := range s.services {
		if key.Namespace == namespace {
			return true
		}
	}
	for key := range s.deployments {
		if key.Namespace == namespace {
			return true
		}
	}
	return false
}

func setRetired(m *v1.Migration) {
	meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{
		Type: v1.Retired, Status: metav1.ConditionTrue, Reason: string(v1.Finished), Message: "by " + m.Spec.Retire.By,
	})
}
