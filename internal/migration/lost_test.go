package migration

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/cluster/memory"
)

var cart = client.ObjectKey{Namespace: "shop", Name: "cart"}

// released is a world in which everything was handed over to the target, and clients
// of the source are led to the target's pods.
func released(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, append(serving("cart", 4), entered("cart", "cart."+zoneName, "10.1.240.1")),
		append(serving("cart", 0), entered("cart", "cart."+zoneName, "10.2.240.1")))
	w.named(set("cart."+zoneName, "A", "10.1.240.1"))
	w.m.Spec.Shift.MaxTotalPercent = 200
	w.until(v1.Finished, (*Engine).lowerTTLs)
	w.until(v1.Finished, func(e *Engine, ctx context.Context, v *visit) (Progress, error) {
		return e.copyZone(ctx, v, nil, false)
	})
	w.until(v1.Finished, func(e *Engine, ctx context.Context, v *visit) (Progress, error) { return e.carry(ctx, v, split(100)) })
	w.until(v1.Finished, func(e *Engine, ctx context.Context, v *visit) (Progress, error) { return e.enter(ctx, v, 100) })
	w.until(v1.Finished, func(e *Engine, ctx context.Context, v *visit) (Progress, error) { return e.delegate(ctx, v, v1.Target) })
	w.until(v1.Finished, closeSource)
	w.m.Status.Writer, w.m.Status.Endpoint, w.m.Status.Entry = v1.Target, v1.Target, 100
	over := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-crossfade-west-0", Labels: map[string]string{
			discoveryv1.LabelServiceName: "cart", discoveryv1.LabelManagedBy: bridge.ManagedBy,
		}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.2.1.1"}}},
	}
	if err := w.source.Create(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	w.stand(v1.Release)
	return w
}

// lose makes the target silent for good, and turns the migration back without it.
func (w *world) lose() {
	connect := w.Clusters
	w.Clusters = func(ctx context.Context, c *v1.Cluster) (Connection, error) {
		if c.Name == w.m.Spec.Target {
			return Connection{}, errors.New("no answer")
		}
		return connect(ctx, c)
	}
	w.TargetLost = true
	w.m.Spec.Direction, w.m.Spec.BackTo = v1.Back, v1.Prepare
}

// bridged tells whether clients of the source are led to the target's pods.
func (w *world) bridged() bool {
	v := w.visit()
	return slices.ContainsFunc(v.source.slices, func(s *discoveryv1.EndpointSlice) bool {
		return s.Labels[discoveryv1.LabelManagedBy] == bridge.ManagedBy
	})
}

func TestTheSourceCarriesEverythingBeforeANameLeavesALostTarget(t *testing.T) {
	w := released(t)
	before := w.visit().target.deployments[cart].ResourceVersion
	w.lose()
	ready := func() int32 { return w.visit().source.deployments[cart].Status.ReadyReplicas }
	for range 200 {
		w.act()
		for _, zone := range []string{w.answer(w.old, "cart."+zoneName, "A")[0], w.answer(w.fresh, "cart."+zoneName, "A")[0]} {
			if zone == "10.1.240.1" && ready() < 4 {
				t.Fatalf("a name leads to the source, of which %d of 4 pods are ready", ready())
			}
		}
		if !w.bridged() && ready() < 4 {
			t.Fatalf("the source is alone, with %d of 4 pods ready", ready())
		}
		w.clock.Step(time.Second)
		w.source.Tick()
		if _, more := w.m.Next(); !more {
			break
		}
	}
	p := w.act()
	if s, more := w.m.Next(); more || !w.m.Begun(v1.Prepare) || !strings.Contains(p.Message, "left there until a way back reaches it") {
		t.Fatalf("it stands before %s: %s: %s; want Prepare in force, and that told", s, p.Reason, p.Message)
	}
	for what, got := range map[string]string{
		"the old copy": w.answer(w.old, "cart."+zoneName, "A")[0], "the new copy": w.answer(w.fresh, "cart."+zoneName, "A")[0],
	} {
		if got != "10.1.240.1" {
			t.Errorf("%s leads to %s, want the source", what, got)
		}
	}
	if parent, err := w.parent.RecordSets(t.Context(), "demo.test"); err != nil || only(parent, zoneName, "NS")[0].Data[0] != "ns.old.test." {
		t.Errorf("the delegation: %v, %v; want the old servers", parent, err)
	}
	if w.bridged() || ready() != 4 || w.m.Status.Writer != v1.Source || w.m.Status.Endpoint != v1.Source {
		t.Errorf("bridged %v, %d ready, writer %s, endpoint %s", w.bridged(), ready(), w.m.Status.Writer, w.m.Status.Endpoint)
	}
	if err := w.write(w.source, "ann"); err != nil {
		t.Errorf("a team's write to the source: %v", err)
	}
	found := w.targetDeployment()
	if found != before {
		t.Errorf("the target was written to: version %s, was %s", found, before)
	}
}

// targetDeployment is the version of what stands in the target, asked past the engine.
func (w *world) targetDeployment() string {
	w.TargetLost = false
	defer func() { w.TargetLost = true }()
	lost := w.Clusters
	defer func() { w.Clusters = lost }()
	w.Clusters = func(_ context.Context, c *v1.Cluster) (Connection, error) {
		at := map[string]*memory.Cluster{"east": w.source, "west": w.target}[c.Name]
		return Connection{at, at}, nil
	}
	return w.visit().target.deployments[cart].ResourceVersion
}

func TestWithoutTheWordOfAPersonASilentTargetIsNotLost(t *testing.T) {
	w := released(t)
	w.lose()
	w.TargetLost = false
	if _, err := w.look(t.Context(), w.m); err == nil || !strings.Contains(err.Error(), "connect to cluster west: no answer") {
		t.Errorf("look: %v; want nothing assumed of it", err)
	}
}

func TestWhatAPersonScalesWhileTheTargetIsLostIsWanted(t *testing.T) {
	w := released(t)
	w.lose()
	w.act()
	d := w.visit().source.deployments[cart].DeepCopy()
	two := int32(2)
	d.Spec.Replicas = &two
	if err := w.source.Update(t.Context(), d, client.FieldOwner("kubectl")); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		w.act()
		w.clock.Step(time.Second)
		w.source.Tick()
	}
	if got := w.visit().source.deployments[cart]; *got.Spec.Replicas != 2 || w.answer(w.old, "cart."+zoneName, "A")[0] != "10.1.240.1" {
		t.Errorf("%d replicas, names at %v; want the 2 of the person, and the names back", *got.Spec.Replicas, w.answer(w.old, "cart."+zoneName, "A"))
	}
}
