package migration

import (
	"testing"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/plan"
)

func TestASecondMigrationBeginsWithWhatIsTrueThen(t *testing.T) {
	w := newWorld(t, objects(entered("cart", "cart."+zoneName, "10.1.240.1")), objects(entered("cart", "cart."+zoneName, "10.2.240.1")))
	w.named(set("cart."+zoneName, "A", "10.1.240.1"))
	w.until(v1.Finished, (*Engine).lowerTTLs)
	v := w.visit()
	stale := map[string]plan.Standing{"Deployment/shop/cart": {Wanted: 9}}
	for _, part := range []string{capacityPart, floorPart} {
		if err := ledger.Save(t.Context(), v.ledger, v.m, v1.Intended, part, stale); err != nil {
			t.Fatal(err)
		}
	}
	w.until(v1.Finished, (*Engine).undoPreflight)
	if book, err := w.openStandings(t.Context(), w.visit()); err != nil || len(book.replicas)+len(book.minimum) > 0 {
		t.Errorf("after everything was undone the ledger knows %+v, %v", book, err)
	}

	// The team leads its name elsewhere, and the estate is moved once more.
	w.replace(w.old, set("cart."+zoneName, "A", "192.0.2.9"))
	w.m.Status.Waits = nil
	w.until(v1.Finished, (*Engine).lowerTTLs)
	w.until(v1.Finished, (*Engine).undoPreflight)
	if got := w.answer(w.old, "cart."+zoneName, "A"); got[0] != "192.0.2.9" {
		t.Errorf("the second way back leads the name to %v, as the first migration had found it", got)
	}
}
