package migration

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
)

// A migration that is deleted in the middle would leave freezes that nobody lifts and a
// bridge that nobody keeps: it stays until it was led back, and takes no step forward.
func TestADeletedMigrationStaysUntilItWasLedBack(t *testing.T) {
	w := newWorld(t, serving("cart", 2), nil)
	key := client.ObjectKeyFromObject(w.m)
	m := &v1.Migration{}
	reconcile := func(times int) error {
		t.Helper()
		for range times {
			if _, err := w.Reconcile(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		return w.hub.Get(t.Context(), key, m)
	}
	if err := reconcile(2); err != nil || !m.Begun(v1.Preflight) {
		t.Fatalf("got %v and %+v, want Preflight under way", err, m.Status.Conditions)
	}

	if err := w.hub.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := reconcile(3); err != nil || m.Status.Reason != v1.DeletionWaits {
		t.Fatalf("deleted in Preflight: got %v and %s, want %s", err, m.Status.Reason, v1.DeletionWaits)
	}

	m.Spec.Direction, m.Spec.BackTo = v1.Back, v1.Nothing
	if err := w.hub.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := reconcile(4); !apierrors.IsNotFound(err) {
		t.Errorf("led back to nothing: got %v and finalizers %v, want it gone", err, m.Finalizers)
	}
	if n := testutil.CollectAndCount(stageGauge); n != 0 {
		t.Errorf("%d series tell of a migration that is gone", n)
	}
}

func TestWhenADeletedMigrationIsHeld(t *testing.T) {
	for _, test := range []struct {
		name      string
		deleted   bool
		direction v1.Direction
		more      bool
		retire    *v1.Retire
		want      bool
	}{
		{"not deleted", false, v1.Forward, true, nil, false},
		{"on its way forward", true, v1.Forward, true, nil, true},
		{"on its way back", true, v1.Back, true, nil, false},
		{"arrived", true, v1.Forward, false, nil, true},
		{"arrived, to be retired", true, v1.Forward, false, &v1.Retire{By: "ann"}, false},
		{"on its way forward, to be retired", true, v1.Forward, true, &v1.Retire{By: "ann"}, true},
		{"back at a stage that stays", true, v1.Back, false, nil, true},
	} {
		m := &v1.Migration{Spec: v1.MigrationSpec{Direction: test.direction, Retire: test.retire}}
		if test.deleted {
			m.DeletionTimestamp = &metav1.Time{}
		}
		if got := leaving(m, test.more); got != test.want {
			t.Errorf("%s: got %v", test.name, got)
		}
	}
}
