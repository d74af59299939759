package migration

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "crossfade.dev/api/v1alpha1"
)

// record writes what a pass came to into the migration's status, if it changed,
// and says when to look again. A status that someone else changed meanwhile is not
// overwritten: the pass is made again.
func (e *Engine) record(ctx context.Context, before, m *v1.Migration, p Progress) (reconcile.Result, error) {
	describe(m, p)
	if !equality.Semantic.DeepEqual(before.Status, m.Status) {
		err := e.Hub.Status().Update(ctx, m)
		if apierrors.IsConflict(err) {
			return reconcile.Result{RequeueAfter: poll}, nil
		}
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("record migration %s: %w", m.Name, err)
		}
		e.announce(before, m, p)
	}
	observe(m)
	return reconcile.Result{RequeueAfter: max(p.After, time.Millisecond)}, nil
}

// describe derives what people read from what the pass found.
func describe(m *v1.Migration, p Progress) {
	m.Status.ObservedGeneration = m.Generation
	m.Status.Reason, m.Status.Message = p.Reason, p.Message
	m.Status.Rollback = rollbackCost(m)
	s, more := m.Next()
	switch {
	case !more || s != m.Status.Stage:
		m.Status.Gates = nil // they were another stage's
	case p.Gates != nil:
		m.Status.Gates = p.Gates
	}
	if !more {
		m.Status.Stage = arrivedAt(m)
		return
	}
	m.Status.Stage = s
	if m.Begun(s) && p.outcome != done {
		setFinished(m, s, metav1.ConditionFalse, p.Reason, p.Message)
	}
}

// arrivedAt is the last stage in force when none is under way; Nothing if every stage
// was undone, or none was begun.
func arrivedAt(m *v1.Migration) v1.Stage {
	at := v1.Nothing
	for _, s := range v1.Stages {
		if m.Begun(s) {
			at = s
		}
	}
	return at
}

// announce publishes an event when a stage comes to be held or failed for another
// reason than before.
func (e *Engine) announce(before, m *v1.Migration, p Progress) {
	if (p.outcome == held || p.outcome == failed) && before.Status.Reason != p.Reason {
		e.Tell(m, p.Reason, p.Message)
	}
}

// rollbackCost estimates the way back from here. Names come back with their TTL,
// pods as fast as they left.
func rollbackCost(m *v1.Migration) v1.RollbackCost {
	cost := v1.RollbackCost{Loses: "nothing"}
	var ttl int32
	if m.Spec.DNS != nil {
		ttl = m.Spec.DNS.TTLSeconds + m.Spec.DNS.TTLSeconds/10 + 1
	}
	if m.Begun(v1.Shifting) {
		cost.Seconds += 30
	}
	if m.Begun(v1.Cutover) {
		cost.Seconds += ttl + 30
	}
	if m.Begun(v1.Release) {
		cost.Seconds += ttl + 10
	}
	if retired(m) {
		return v1.RollbackCost{Loses: "there is no way back: the source was retired"}
	}
	return cost
}

// start notes that a stage begins in a direction, and tells whether that is news.
func (v *visit) start(s v1.Stage, d v1.Direction, now time.Time) bool {
	if n := len(v.m.Status.Timeline); n > 0 {
		last := v.m.Status.Timeline[n-1]
		if last.Stage == s && last.Direction == d && last.Finished == nil {
			return false
		}
	}
	v.finish(now)
	v.m.Status.Timeline = append(v.m.Status.Timeline, v1.StageTime{Stage: s, Direction: d, Started: metav1.NewMicroTime(now)})
	return true
}

// finish notes that the stage under way has ended.
func (v *visit) finish(now time.Time) {
	if n := len(v.m.Status.Timeline); n > 0 && v.m.Status.Timeline[n-1].Finished == nil {
		at := metav1.NewMicroTime(now)
		v.m.Status.Timeline[n-1].Finished = &at
	}
}

// moment returns the moment of that name, noting it first if it is not known.
func (v *visit) moment(name string, until time.Time) time.Time {
	if at, known := v.noted(name); known {
		return at
	}
	v.m.Status.Waits = append(v.m.Status.Waits, v1.Moment{Name: name, Until: metav1.NewMicroTime(until)})
	return until
}

// noted returns the moment of that name, if it was noted.
func (v *visit) noted(name string) (time.Time, bool) {
	for _, w := range v.m.Status.Waits {
		if w.Name == name {
			return w.Until.Time, true
		}
	}
	return time.Time{}, false
}

// setMoment notes a moment, in the place of the one of that name.
func (v *visit) setMoment(name string, until time.Time) {
	v.dropMoment(name)
	v.moment(name, until)
}

func (v *visit) dropMoment(name string) {
	v.m.Status.Waits = slices.DeleteFunc(v.m.Status.Waits, func(w v1.Moment) bool { return w.Name == name })
}
