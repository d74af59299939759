package migration

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// migrationLabel is on every Move, so that those of one migration can be listed.
const migrationLabel = "crossfade.dev/migration"

// recordMoves brings the record of every app up to date, one Move each, and the
// counts in the migration's status.
func (e *Engine) recordMoves(ctx context.Context, v *visit) error {
	var have v1.MoveList
	if err := e.Hub.List(ctx, &have, client.InNamespace(v.m.Namespace), client.MatchingLabels{migrationLabel: v.m.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list moves: %w", err)
	}
	known := map[string]*v1.Move{}
	for i := range have.Items {
		known[have.Items[i].Spec.Namespace+"/"+have.Items[i].Spec.App] = &have.Items[i]
	}
	book, err := e.openStandings(ctx, v)
	if err != nil {
		return err
	}
	return each(e.Workers, e.standingsOf(v, book), func(now appStanding) error {
		return e.recordMove(ctx, v.m, known[now.app.Namespace+"/"+now.app.Name], now)
	})
}

// An appStanding is one app with what is to be recorded of it.
type appStanding struct {
	app    plan.App
	status v1.MoveStatus
}

func (e *Engine) standingsOf(v *visit, book *standings) []appStanding {
	out := make([]appStanding, 0, len(v.estate.Apps))
	v.m.Status.Apps = v1.AppCounts{} // retire's gates count too
	for _, app := range v.estate.Apps {
		s := appStanding{app, v.moveStatus(app, book)}
		v.m.Status.Apps.Total++
		switch s.status.State {
		case v1.MoveUndecided:
			v.m.Status.Apps.Undecided++
		case v1.MoveStaying:
			v.m.Status.Apps.Staying++
		case v1.MoveQuarantined:
			v.m.Status.Apps.Quarantined++
		case v1.MoveMoved:
			v.m.Status.Apps.OnTarget++
			v.m.Status.Apps.Moving++
		default:
			v.m.Status.Apps.Moving++
		}
		out = append(out, s)
	}
	return out
}

// moveStatus tells how far an app has come.
func (v *visit) moveStatus(app plan.App, book *standings) v1.MoveStatus {
	var status v1.MoveStatus
	var wanted, onTarget int32
	var asked []string
	moving, quarantined, mirrored := false, false, true
	for _, w := range app.Workloads {
		record := v1.WorkloadStatus{Kind: w.Kind, Name: w.Name, Decide: w.Decide, Traits: w.Traits, Wanted: w.Replicas}
		key := client.ObjectKey{Namespace: w.Namespace, Name: w.Name}
		if standing, known := book.replicas[w.ID()]; known {
			record.Wanted = standing.Wanted
			quarantined = quarantined || standing.QuarantinedIn != ""
		}
		if d := v.source.deployments[key]; d != nil && w.Kind == "Deployment" {
			record.Source = min(d.Status.ReadyReplicas, ptr.Deref(d.Spec.Replicas, 1))
		}
		if d := v.target.deployments[key]; d != nil && w.Kind == "Deployment" {
			record.Target = min(d.Status.ReadyReplicas, ptr.Deref(d.Spec.Replicas, 1))
		} else if plan.Moving(w) {
			mirrored = false
		}
		if plan.Moving(w) {
			moving = true
			wanted, onTarget = wanted+record.Wanted, onTarget+min(record.Target, record.Wanted)
		}
		if plan.NeedsDecision(w) {
			asked = append(asked, w.ID()+" ("+evidence(w)+")")
		}
		status.Workloads = append(status.Workloads, record)
	}
	if wanted > 0 {
		status.Share = onTarget * 100 / wanted
	}
	status.State = v.moveState(len(asked) > 0, moving, quarantined, mirrored, status.Share)
	if len(asked) > 0 {
		status.Message = "decide how to move " + strings.Join(asked, ", ")
	}
	return status
}

// moveState tells what has become of an app. Before Shift, what it has in the target only
// stands by: of one replica that is all of them.
func (v *visit) moveState(undecided, moving, quarantined, mirrored bool, share int32) v1.MoveState {
	switch {
	case undecided:
		return v1.MoveUndecided
	case quarantined:
		return v1.MoveQuarantined
	case !moving:
		return v1.MoveStaying
	case share > 0 && !v.m.Begun(v1.Shifting):
		return v1.MoveWarm
	case share >= 100:
		return v1.MoveMoved
	case share > 0:
		return v1.MoveShifting
	case mirrored:
		return v1.MoveMirrored
	default:
		return v1.MoveWaiting
	}
}

func evidence(w plan.Workload) string {
	var all []string
	for _, t := range w.Traits {
		if t.Trait != v1.Serving {
			all = append(all, t.Evidence)
		}
	}
	if len(all) == 0 {
		return "no Service leads to it, so what it does cannot be told"
	}
	return strings.Join(all, "; ")
}

func (e *Engine) recordMove(ctx context.Context, m *v1.Migration, have *v1.Move, now appStanding) error {
	if have == nil {
		have = newMove(m, now.app)
		have.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(m, v1.GroupVersion.WithKind("Migration"))}
		if err := e.Hub.Create(ctx, have); err != nil {
			return fmt.Errorf("record app %s/%s: %w", now.app.Namespace, now.app.Name, err)
		}
	}
	if sameStatus(have.Status, now.status) {
		return nil
	}
	have = have.DeepCopy()
	have.Status = now.status
	return wrap(fmt.Sprintf("record app %s/%s", now.app.Namespace, now.app.Name), e.Hub.Status().Update(ctx, have))
}

func sameStatus(a, b v1.MoveStatus) bool {
	return a.State == b.State && a.Message == b.Message && a.Share == b.Share && slices.EqualFunc(a.Workloads, b.Workloads, sameWorkload)
}

func sameWorkload(a, b v1.WorkloadStatus) bool {
	return a.Kind == b.Kind && a.Name == b.Name && a.Decide == b.Decide && slices.Equal(a.Traits, b.Traits) &&
		a.Wanted == b.Wanted && a.Source == b.Source && a.Target == b.Target
}

func newMove(m *v1.Migration, app plan.App) *v1.Move {
	return &v1.Move{
		ObjectMeta: metav1.ObjectMeta{
			Name: moveName(m, app), Namespace: m.Namespace, Labels: map[string]string{migrationLabel: m.Name},
		},
		Spec: v1.MoveSpec{Migration: m.Name, Namespace: app.Namespace, App: app.Name},
	}
}

// moveName is unique for an app and legible for people.
func moveName(m *v1.Migration, app plan.App) string {
	return plan.Name(m.Name, app.Namespace, app.Name)
}
