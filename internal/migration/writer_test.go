package migration

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/plan"
)

// write tries a change in somebody's name.
func (w *world) write(c *memory.Cluster, user string) error {
	probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "probe"}}
	return c.As(user, "team").Create(w.t.Context(), probe, client.DryRunAll)
}

// act makes one pass as Reconcile does, but for what it records.
func (w *world) act() Progress {
	w.t.Helper()
	p, err := w.Engine.act(w.t.Context(), w.visit())
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// stand lets a stage be under way.
func (w *world) stand(s v1.Stage) {
	for _, stage := range v1.Stages {
		status := metav1.ConditionTrue
		if stage == s {
			status = metav1.ConditionFalse
		}
		setFinished(w.m, stage, status, v1.Busy, "")
		if stage == s {
			break
		}
	}
	w.m.Status.Stage = s
	(&visit{m: w.m}).start(s, v1.Forward, w.clock.Now())
}

func closeSource(e *Engine, ctx context.Context, v *visit) (Progress, error) {
	return e.sit(ctx, v, v1.Source)
}

func TestASittingFreezeEndsInWhateverStage(t *testing.T) {
	w := newWorld(t, serving("cart", 2), serving("cart", 0))
	w.m.Spec.Freeze.Window = v1.Sitting
	w.until(v1.Finished, closeSource)
	if w.write(w.source, "ann") == nil {
		t.Fatal("the source takes changes while it is frozen")
	}
	w.m.Spec.Hold = &v1.Hold{By: "ann"} // a hold does not make it last
	for _, s := range []v1.Stage{v1.Shifting, v1.Cutover} {
		w.stand(s)
		w.m.Status.Waits = nil // as when a stage begins
		if p := w.act(); p.Reason != v1.OnHold {
			t.Fatalf("%s after %s: %s", s, p.Reason, p.Message)
		}
		w.pass(31 * time.Minute)
	}
	for range 20 {
		if p := w.act(); p.Reason == v1.FreezeTooLong {
			break
		}
		w.pass(time.Second)
	}
	if err := w.write(w.source, "ann"); err != nil {
		t.Errorf("after the time that people were promised: %v", err)
	}
	w.m.Spec.Hold = nil
	for range 3 {
		if p := w.act(); p.outcome != held || p.Reason != v1.FreezeTooLong {
			t.Errorf("the stage goes on: %s: %s", p.Reason, p.Message)
		}
		w.pass(time.Minute)
	}
	if err := w.write(w.source, "ann"); err != nil {
		t.Errorf("it was closed again: %v", err)
	}
}

func TestAStandingFreezeSaysAndExemptsWhatTheSpecSaysNow(t *testing.T) {
	w := newWorld(t, serving("cart", 2), serving("cart", 0))
	w.until(v1.Finished, closeSource)
	w.stand(v1.Release)
	w.m.Spec.Freeze.Exempt, w.m.Spec.Freeze.Contact = []string{"ann"}, "#night-shift"
	w.act()
	w.pass(10 * time.Second)
	if err := w.write(w.source, "ann"); err != nil {
		t.Errorf("a write of who is exempt now: %v", err)
	}
	if err := w.write(w.source, "bob"); err == nil || !strings.Contains(err.Error(), "#night-shift") {
		t.Errorf("a write of who is not: %v; want it refused, with whom to ask now", err)
	}
}

func TestAReleaseThatNeverTurnedCountsItsOwnFreezeOnly(t *testing.T) {
	w := newWorld(t, serving("cart", 2), serving("cart", 0))
	closeTarget := func(e *Engine, ctx context.Context, v *visit) (Progress, error) { return e.close(ctx, v, v1.Target) }
	w.until(v1.Finished, closeTarget)
	w.pass(30 * 24 * time.Hour)
	w.until(v1.Finished, closeSource)
	w.pass(20 * time.Second)
	w.m.Spec.Direction = v1.Back
	w.until(v1.Finished, (*Engine).undoRelease)
	if w.m.Status.FrozenSeconds < 20 || w.m.Status.FrozenSeconds > 60 {
		t.Errorf("frozen for %d s, want some 20: the target alone had been closed for weeks", w.m.Status.FrozenSeconds)
	}
}

func TestWhatIsDecidedToStayGoesBackToTheSource(t *testing.T) {
	w := newWorld(t, serving("cart", 4), serving("cart", 0))
	w.m.Spec.Shift.MaxTotalPercent = 200
	w.m.Status.Stage = v1.Shifting
	for range 40 {
		if _, err := w.carry(t.Context(), w.visit(), split(50)); err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Second)
	}
	counts := func() (source, target int32) {
		v := w.visit()
		key := client.ObjectKey{Namespace: "shop", Name: "cart"}
		return *v.source.deployments[key].Spec.Replicas, *v.target.deployments[key].Spec.Replicas
	}
	if s, at := counts(); s != 2 || at != 2 {
		t.Fatalf("source %d, target %d; want it shared", s, at)
	}
	w.m.Spec.Decisions = []v1.Decision{{Workload: "Deployment/shop/cart", Decide: v1.DecideStay}}
	w.until(v1.Finished, func(e *Engine, ctx context.Context, v *visit) (Progress, error) { return e.carry(ctx, v, split(100)) })
	if s, at := counts(); s != 4 || at != 0 {
		t.Errorf("source %d, target %d; want all of it in the source", s, at)
	}
	book, err := w.openStandings(t.Context(), w.visit())
	if err != nil || len(book.replicas) != 0 {
		t.Errorf("the engine still keeps it: %+v, %v", book.replicas, err)
	}
}

func TestASourceThatStillServesIsNotLetGo(t *testing.T) {
	w := newWorld(t, append(serving("cart", 2), entered("cart", "cart."+zoneName, "10.1.240.1")),
		append(serving("cart", 0), entered("cart", "cart."+zoneName, "10.2.240.1")))
	w.named()
	w.m.Status.Entry = 50
	w.m.Spec.Retire = &v1.Retire{By: "ann"}
	w.add(w.fresh, set("cart."+zoneName, "A", "10.1.240.1"))
	gates, err := w.retireGates(t.Context(), w.visit())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gates {
		if want := map[string]v1.Verdict{"staying": v1.Passed, "served": v1.Held, "entry": v1.Held, "quarantine": v1.Passed}[g.Name]; g.Verdict != want {
			t.Errorf("%s is %s (%s), want %s", g.Name, g.Verdict, g.Observed, want)
		}
	}
	if p, err := w.retire(t.Context(), w.visit()); err != nil || p.outcome != held || retired(w.m) {
		t.Errorf("%s: %s, %v; want it held", p.Reason, p.Message, err)
	}
}

func TestAQuarantineEndsWhenItsStageIsUndone(t *testing.T) {
	w := newWorld(t, serving("cart", 2)[:1], serving("cart", 0)[:1]) // without a Service nothing is to be bridged
	w.m.Spec.Decisions = []v1.Decision{{Workload: "Deployment/shop/cart", Decide: v1.DecideMove}}
	v := w.visit()
	left := plan.Stand(plan.Count{Value: 2}, plan.Count{})
	left.QuarantinedIn, left.Asked = v1.Shifting, w.clock.Now()
	if err := ledger.Save(t.Context(), v.ledger, v.m, v1.Intended, capacityPart, map[string]plan.Standing{"Deployment/shop/cart": left}); err != nil {
		t.Fatal(err)
	}
	w.stand(v1.Shifting)
	w.m.Spec.Direction, w.m.Spec.BackTo = v1.Back, v1.Snapshot
	for range 60 {
		w.act()
		w.pass(time.Second)
	}
	if w.m.Begun(v1.Shifting) {
		t.Fatalf("Shift was not undone: %+v", w.act())
	}
	book, err := w.openStandings(t.Context(), w.visit())
	if now := book.replicas["Deployment/shop/cart"]; err != nil || now.QuarantinedIn != "" || !now.Asked.IsZero() {
		t.Errorf("it is still left behind: %+v, %v", now, err)
	}
}

func TestATeamsWritePastAFreezeHoldsTheStage(t *testing.T) {
	w := newWorld(t, serving("cart", 2), serving("cart", 0))
	w.until(v1.Finished, closeSource)
	w.pass(time.Minute) // controllers go on
	if p := w.until(v1.Finished, closeSource); p.outcome != done {
		t.Fatalf("%s: %s", p.Reason, p.Message)
	}
	w.m.Spec.Freeze.Exempt = []string{"ann"}
	w.act()
	w.pass(time.Minute)
	d := w.visit().source.deployments[client.ObjectKey{Namespace: "shop", Name: "cart"}].DeepCopy()
	d.Spec.Template.Spec.Containers[0].Image = "cart:2"
	if err := w.source.As("ann").Update(t.Context(), d, client.FieldOwner("kubectl")); err != nil {
		t.Fatal(err)
	}
	p, err := closeSource(w.Engine, t.Context(), w.visit())
	if err != nil || p.outcome != held || p.Reason != v1.TeamWriteSeen || !strings.Contains(p.Message, "Deployment shop/cart, by kubectl") {
		t.Errorf("%s: %s, %v; want it held, with what and who", p.Reason, p.Message, err)
	}
	w.m.Spec.Direction = v1.Back
	if p, err := closeSource(w.Engine, t.Context(), w.visit()); err != nil || p.outcome != done {
		t.Errorf("it bars the way back: %s: %s, %v", p.Reason, p.Message, err)
	}
}
