// Package migration leads migrations through their stages, forward and back.
//
// The Engine looks at the clusters, the names and the ledger, decides what is
// next, does it, and records where that leads. It keeps no progress of its own:
// killed anywhere, the next pass finds what is there and goes on.
package migration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/plan"
)

// An Engine leads migrations. Its fields are set once, by package app; the methods
// of one Engine may be called for several migrations at once, but not twice at
// once for the same one.
type Engine struct {
	Clock clock.Clock
	// Hub holds the migrations and their record.
	Hub cluster.API
	// Clusters connects to a cluster, or returns the connection that it has.
	Clusters func(context.Context, *v1.Cluster) (Connection, error)
	// Ledger is the durable record of a migration.
	Ledger func(context.Context, *v1.Migration) (*ledger.Ledger, error)
	// TargetLost is true if a person said so: nothing of the target is seen or told. The
	// engine then leads back only, and to Prepare at most, which stays in force for what
	// is left in the target.
	TargetLost bool
	// Follower keeps the mirror and the bridge going.
	Follower Follower
	// Blocking looks for what the plan of a migration finds that would hurt someone;
	// nil means that nobody looks.
	Blocking func(context.Context, *v1.Migration, plan.Estate) ([]plan.Blocking, error)
	// Ways are those of the bridge as they were measured with pods, or that this is under
	// way; nil means that nobody has agreed to pods.
	Ways func(context.Context, *v1.Migration) []plan.Way
	// Zones opens the services that hold a migration's zone.
	Zones func(context.Context, *v1.Migration) (Zones, error)
	// Servers asks authoritative servers what they answer.
	Servers dns.Servers
	// Judge tells what users would have noticed.
	Judge Judge
	// Archiver keeps the source, and proves that it can be restored.
	Archiver Archiver
	// Tell publishes an event about a migration.
	Tell func(m *v1.Migration, reason v1.Reason, message string)
	// Workers is how many writes to a cluster may be under way at once; 1 makes a
	// pass deterministic.
	Workers int
	// User is the user name of the engine in both clusters, which a freeze exempts.
	User string

	settling  settling
	permitted permitted
	known     known
	rooms     rooms
}

// Reconcile makes one pass over a migration: look, decide and act, record.
func (e *Engine) Reconcile(ctx context.Context, key types.NamespacedName) (reconcile.Result, error) {
	m := &v1.Migration{}
	if err := e.Hub.Get(ctx, key, m); err != nil {
		return reconcile.Result{}, e.gone(err, key)
	}
	if stays, err := e.stay(ctx, m); err != nil {
		return reconcile.Result{}, fmt.Errorf("keep migration %s while its way back is needed: %w", m.Name, err)
	} else if !stays {
		return reconcile.Result{}, e.gone(nil, key)
	}
	if len(m.Status.Conditions) == 0 {
		return e.greet(ctx, m)
	}
	before := m.DeepCopy()

	v, err := e.look(ctx, m)
	if err != nil {
		return e.record(ctx, before, m, unseen(err))
	}
	progress, err := e.act(ctx, v)
	if err != nil {
		progress = troubled(err)
	}
	return e.record(ctx, before, m, progress)
}

// greet shows every condition as unknown before anything is done.
func (e *Engine) greet(ctx context.Context, m *v1.Migration) (reconcile.Result, error) {
	before := m.DeepCopy()
	for _, s := range v1.Stages {
		setFinished(m, s, metav1.ConditionUnknown, v1.NotVisited, "not begun")
	}
	m.Status.Writer, m.Status.Endpoint = v1.Source, v1.Source
	m.Status.Mirror.LagMillis = -1
	return e.record(ctx, before, m, Again(v1.NotVisited, "not begun"))
}

// act decides which stage is next, and lets it work unless something holds it.
func (e *Engine) act(ctx context.Context, v *visit) (Progress, error) {
	// What ails the mirror or the bridge must not stand in the way back.
	if err := e.follow(ctx, v); err != nil && v.m.Spec.Direction == v1.Forward {
		return Progress{}, err
	}
	closed, err := e.keepClosed(ctx, v)
	if (err != nil || closed.outcome != done) && v.m.Spec.Direction == v1.Forward {
		return closed, err
	}
	if v.target.lost {
		if p, err := e.regain(ctx, v); err != nil || p.outcome != done {
			return p, err
		}
	}
	s, more := v.m.Next()
	if leaving(v.m, more) {
		return Hold(v1.DeletionWaits, "it was deleted, and stays until nothing of it is left: roll it back with --to %s, or retire the source", v1.Nothing), nil
	}
	if !more {
		return e.arrived(ctx, v)
	}
	if v.m.Spec.Direction == v1.Back {
		return e.undo(ctx, v, s)
	}
	if v.m.Spec.Hold != nil {
		return Hold(v1.OnHold, "on hold by %s: %s", v.m.Spec.Hold.By, v.m.Spec.Hold.Reason), nil
	}
	if !v.m.Begun(s) {
		return e.begin(v, s), nil
	}
	if v.start(s, v1.Forward, e.Clock.Now()) {
		v.m.Status.Waits, v.m.Status.Gates = nil, nil // they are of another time
		return Again(v1.Busy, "going forward again"), nil
	}
	p, err := stages()[s].forward(e, ctx, v)
	if err == nil && p.outcome == done {
		setFinished(v.m, s, metav1.ConditionTrue, v1.Finished, "")
		v.finish(e.Clock.Now())
		e.Tell(v.m, v1.Finished, string(s)+" has ended")
	}
	return p, err
}

// begin marks a stage as begun, durably, before its first write: from then on the
// way back leads through its undo.
func (e *Engine) begin(v *visit, s v1.Stage) Progress {
	if slices.Contains(v.m.Spec.Approval, s) && !v.m.Approves(s) {
		return Hold(v1.NotApproved, "%s waits for approval: crossfade approve %s %s", s, v.m.Name, s)
	}
	setFinished(v.m, s, metav1.ConditionFalse, v1.Busy, "begun")
	v.start(s, v1.Forward, e.Clock.Now())
	v.m.Status.Waits = slices.DeleteFunc(v.m.Status.Waits, func(w v1.Moment) bool {
		return w.Name != freezeEnds || e.Clock.Now().Before(w.Until.Time) // a freeze that has ended does not begin again
	})
	e.Tell(v.m, v1.Busy, string(s)+" has begun")
	return Again(v1.Busy, "begun")
}

// undo lets a stage undo itself.
func (e *Engine) undo(ctx context.Context, v *visit, s v1.Stage) (Progress, error) {
	if v.start(s, v1.Back, e.Clock.Now()) {
		setFinished(v.m, s, metav1.ConditionFalse, v1.Busy, "being undone")
		v.m.Status.Waits, v.m.Status.Gates = nil, nil
		e.Tell(v.m, v1.Busy, string(s)+" is being undone")
		return Again(v1.Busy, "being undone"), nil
	}
	p, err := stages()[s].back(e, ctx, v)
	if err == nil && p.outcome == done {
		if err := e.pardon(ctx, v); err != nil {
			return Progress{}, err
		}
		setFinished(v.m, s, metav1.ConditionUnknown, v1.Undone, "undone")
		v.finish(e.Clock.Now())
		e.Tell(v.m, v1.Undone, string(s)+" was undone")
	}
	return p, err
}

// arrived is what is left to do when no stage is.
func (e *Engine) arrived(ctx context.Context, v *visit) (Progress, error) {
	if v.m.Spec.Direction == v1.Forward && v.m.Retires() && !retired(v.m) {
		return e.retire(ctx, v)
	}
	if !v.m.Begun(v1.Prepare) {
		v.m.Status.Capacity = 0
	}
	if err := e.recordMoves(ctx, v); err != nil {
		return Progress{}, err
	}
	p := Done()
	p.After = patience
	if v.target.lost {
		p.Message = fmt.Sprintf("the source serves alone; what was made in %s is left there until a way back reaches it", v.target.name)
	}
	if v.m.Spec.Direction == v1.Forward && !retired(v.m) {
		p.Reason, p.Message = v1.Soaking, "everything has moved; the source stands by until `crossfade retire`"
	}
	return p, nil
}

// unseen is the progress when the ledger or one of the clusters could not be looked
// at: what was not seen is not assumed.
func unseen(err error) Progress {
	reason := v1.ClusterUnreachable
	switch {
	case errors.Is(err, cluster.ErrReplaced):
		reason = v1.ClusterReplaced
	case errors.Is(err, errLedger):
		if p, told := ledgerTrouble(err); told {
			return p
		}
		reason = v1.LedgerUnreachable
	}
	return Hold(reason, "%v", err)
}

// ledgerTrouble is the progress when the ledger says itself that it is not whole, or
// not ours.
func ledgerTrouble(err error) (Progress, bool) {
	switch {
	case errors.Is(err, ledger.ErrMissing):
		return Fail(v1.LedgerMissing, "%v", err), true
	case errors.Is(err, ledger.ErrSuperseded):
		return Hold(v1.JournalTaken, "%v", err), true
	case errors.Is(err, cluster.ErrFenced):
		return Hold(v1.FenceLost, "%v", err), true
	}
	return Progress{}, false
}

// troubled is the progress after an error: the pass is made again, from a new look.
func troubled(err error) Progress {
	if p, told := ledgerTrouble(err); told {
		return p
	}
	if apierrors.IsConflict(err) {
		return Again(v1.Busy, "looking again: %v", err)
	}
	return Hold(v1.Stalled, "%v", err)
}

// waited tells whether a wait of d, begun when it was first asked for, is over.
// The moment is kept in status, so that a restart does not wait twice.
func (e *Engine) waited(v *visit, name string, d time.Duration) (left time.Duration, over bool) {
	until := v.moment(name, e.Clock.Now().Add(d))
	left = until.Sub(e.Clock.Now())
	return left, left <= 0
}

// waiting is the progress while a wait is not over.
func waiting(reason v1.Reason, left time.Duration, what string) Progress {
	p := Again(reason, "%s: %s left", what, left.Round(time.Second))
	p.After = min(left, patience)
	return p
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
