package migration

import (
	"context"
	"slices"
	"strings"
	"testing"

	v1 "crossfade.dev/api/v1alpha1"
	dnsmemory "crossfade.dev/internal/dns/memory"
)

func TestANameLeadsToEveryAddressOfItsEntry(t *testing.T) {
	w := newWorld(t, objects(entered("cart", "cart."+zoneName, "10.1.240.1", "10.1.240.2", "fd00:1::1")),
		objects(entered("cart", "cart."+zoneName, "10.2.240.1", "10.2.240.2", "10.2.240.3", "fd00:2::1")))
	w.named(set("cart."+zoneName, "A", "10.1.240.1", "10.1.240.2"), set("cart."+zoneName, "AAAA", "fd00:1::1"))
	w.until(v1.Finished, (*Engine).lowerTTLs)
	w.until(v1.Finished, (*Engine).cutover)
	if got := w.answer(w.old, "cart."+zoneName, "A"); !slices.Equal(got, []string{"10.2.240.1", "10.2.240.2", "10.2.240.3"}) {
		t.Errorf("A leads to %v, want all of the target's addresses", got)
	}
	if got := w.answer(w.old, "cart."+zoneName, "AAAA"); !slices.Equal(got, []string{"fd00:2::1"}) {
		t.Errorf("AAAA leads to %v, want the target's address of that family", got)
	}
	names, missing := w.visit().names()
	if len(names) != 4 || len(missing) != 0 {
		t.Fatalf("asked are %v, missing %v; want every address of either side", names, missing)
	}
	if names[0].String() == names[1].String() {
		t.Errorf("evidence about %v and %v is kept as one", names[0], names[1])
	}
}

func TestANameThatTheTargetDoesNotEnterHoldsTheJudge(t *testing.T) {
	w := newWorld(t, objects(entered("cart", "cart.test", "10.1.240.1"), entered("pay", "pay.test", "10.1.240.1")),
		objects(entered("cart", "cart.test", "10.2.240.1"), entered("pay", "pay.test")))
	p, err := w.judged(t.Context(), w.visit(), "warm", nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.outcome != held || p.Reason != v1.EntryMissing || !strings.Contains(p.Message, "pay.test (Ingress shop/pay)") {
		t.Errorf("%s: %s; want it held, with the name", p.Reason, p.Message)
	}
}

func TestNamesAddedAfterPrepareMoveWithTheOthers(t *testing.T) {
	w := newWorld(t, objects(entered("cart", "cart."+zoneName, "10.1.240.1")), objects(entered("cart", "cart."+zoneName, "10.2.240.1")))
	w.named(set("cart."+zoneName, "A", "10.1.240.1"))
	w.until(v1.Finished, (*Engine).lowerTTLs)
	w.until(v1.Finished, func(e *Engine, ctx context.Context, v *visit) (Progress, error) {
		return e.copyZone(ctx, v, nil, false)
	})
	w.add(w.old, set("new."+zoneName, "A", "10.1.240.1"))
	w.add(w.old, set("proof."+zoneName, "TXT", `"ours"`))

	w.until(v1.DelegationMoving, (*Engine).cutover)
	for _, service := range []*dnsmemory.Service{w.old, w.fresh} {
		if got := w.answer(service, "new."+zoneName, "A"); !slices.Equal(got, []string{"10.2.240.1"}) {
			t.Errorf("the name that was added leads to %v", got)
		}
		if got := w.answer(service, "proof."+zoneName, "TXT"); len(got) != 1 {
			t.Errorf("the record that was added is %v", got)
		}
	}
	// While the delegation moves, some resolvers ask the old servers and some the new.
	w.add(w.old, set("late."+zoneName, "TXT", `"old"`))
	w.add(w.fresh, set("own."+zoneName, "TXT", `"new"`))
	w.until(v1.Finished, (*Engine).cutover)
	if got := w.answer(w.fresh, "late."+zoneName, "TXT"); len(got) != 1 {
		t.Errorf("what was added to the old copy is %v in the new one", got)
	}
	w.m.Status.Waits, w.m.Spec.Direction = nil, v1.Back
	w.until(v1.Finished, (*Engine).undoCutover)
	if got := w.answer(w.old, "new."+zoneName, "A"); !slices.Equal(got, []string{"10.1.240.1"}) {
		t.Errorf("back at the source, the name that was added leads to %v", got)
	}
	if got := w.answer(w.old, "own."+zoneName, "TXT"); len(got) != 1 {
		t.Errorf("what was added to the new copy is %v in the old one, to which the delegation went back", got)
	}
}

func TestACopyThatSomeoneChangedIsLeft(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.named(set("a."+zoneName, "TXT", `"one"`))
	copies := func(e *Engine, ctx context.Context, v *visit) (Progress, error) {
		return e.copyZone(ctx, v, nil, false)
	}
	w.until(v1.Finished, copies)
	w.replace(w.old, set("a."+zoneName, "TXT", `"two"`))
	w.until(v1.Finished, copies)
	if got := w.answer(w.fresh, "a."+zoneName, "TXT"); got[0] != `"two"` {
		t.Errorf("the copy does not follow: %v", got)
	}
	w.replace(w.fresh, set("a."+zoneName, "TXT", `"theirs"`))
	w.replace(w.old, set("a."+zoneName, "TXT", `"three"`))
	if p := w.until(v1.ZonesDiffer, copies); p.outcome != held {
		t.Errorf("%s: %s; want it held", p.Reason, p.Message)
	}
	if p, err := w.clearZone(t.Context(), w.visit()); err != nil || p.outcome == held {
		t.Fatal(p, err)
	}
	if got := w.answer(w.fresh, "a."+zoneName, "TXT"); len(got) != 1 || got[0] != `"theirs"` {
		t.Errorf("someone's set in the new copy is %v after the way back", got)
	}
}
