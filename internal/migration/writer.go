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
	"crossfade.dev/internal/freeze"
)

// trials is how often a freeze is tried, each time on a connection of its own.
const trials = 3

// close refuses teams' changes on one side. It is Done once every try of a write
// was refused. The side that teams do not write to is closed for as long as the
// migration lasts, so that no object has two writers.
func (e *Engine) close(ctx context.Context, v *visit, side v1.Side) (Progress, error) {
	s := v.on(side)
	record, err := e.freezeRecord(ctx, v, side)
	if err != nil {
		return Progress{}, err
	}
	notice := e.notice(v, record)
	if proved(record) {
		if standing, err := freeze.Closed(ctx, s.api, v.m.Name); err != nil || standing {
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
		return Again(v1.FreezeNotProved, "%s: %s", s.name, proof.Odd(freeze.Refused)), nil
	}
	return Done(), e.recordFrozen(ctx, record)
}

// sit closes the writer's side, for no longer than people were promised: then it
// is opened again, and the stage is Held.
func (e *Engine) sit(ctx context.Context, v *visit, side v1.Side) (Progress, error) {
	limit := time.Duration(v.m.Spec.Freeze.MaxMinutes) * time.Minute
	if _, over := e.waited(v, "freeze-ends", limit); !over {
		return e.close(ctx, v, side)
	}
	if p, err := e.open(ctx, v, side); err != nil || p.outcome != done {
		return p, err
	}
	return Hold(v1.FreezeTooLong, "%s was frozen for %s and is open again: roll back", v.on(side).name, limit), nil
}

// open lets teams change one side again. It is Done once every try of a write was
// accepted.
func (e *Engine) open(ctx context.Context, v *visit, side v1.Side) (Progress, error) {
	s := v.on(side)
	record := &v1.Freeze{}
	err := e.Hub.Get(ctx, client.ObjectKey{Namespace: v.m.Namespace, Name: freezeName(v.m, side)}, record)
	if apierrors.IsNotFound(err) { // nothing is known of a freeze, which is not to say that none stands
		return Done(), wrap("open "+s.name+" to teams", freeze.Lift(ctx, s.api, v.m.Name))
	}
	if err != nil {
		return Progress{}, fmt.Errorf("read freeze of %s: %w", s.name, err)
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

// thaw notes for how long teams' changes were refused on both sides, which ends
// when their address leads to the side that is open.
func (e *Engine) thaw(ctx context.Context, v *visit, closed v1.Side) (Progress, error) {
	record, err := e.freezeRecord(ctx, v, closed)
	if err != nil {
		return Progress{}, err
	}
	if since := record.Status.Since; since != nil {
		v.m.Status.FrozenSeconds = int32(e.Clock.Now().Sub(since.Time).Round(time.Second) / time.Second)
	}
	return Done(), nil
}

// freezeRecord is the Freeze object of one side, made if it is not there.
func (e *Engine) freezeRecord(ctx context.Context, v *visit, side v1.Side) (*v1.Freeze, error) {
	record := &v1.Freeze{}
	key := client.ObjectKey{Namespace: v.m.Namespace, Name: freezeName(v.m, side)}
	err := e.Hub.Get(ctx, key, record)
	if !apierrors.IsNotFound(err) {
		return record, wrap("read freeze "+key.Name, err)
	}
	reason := fmt.Sprintf("its apps are moving to %s", v.target.name)
	if side == v1.Target {
		reason = fmt.Sprintf("apps are moving here from %s, which still takes every change", v.source.name)
	}
	record = &v1.Freeze{
		ObjectMeta: metav1.ObjectMeta{
			Name: key.Name, Namespace: key.Namespace,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(v.m, v1.GroupVersion.WithKind("Migration"))},
		},
		Spec: v1.FreezeSpec{
			Cluster: v.on(side).name, Migration: v.m.Name, Side: side,
			Reason: reason, Contact: v.m.Spec.Freeze.Contact, Exempt: v.m.Spec.Freeze.Exempt,
		},
	}
	return record, wrap("record freeze "+key.Name, e.Hub.Create(ctx, record))
}

func (e *Engine) recordFrozen(ctx context.Context, record *v1.Freeze) error {
	record = record.DeepCopy()
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
