package migration

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// Records and the gates of retire both look at all apps; however often, each counts once.
func TestAppsAreCountedOnceHoweverOftenTheyAreLookedAt(t *testing.T) {
	v := &visit{m: &v1.Migration{}, estate: plan.Estate{Apps: []plan.App{{Namespace: "shop", Name: "cart"}, {Namespace: "shop", Name: "web"}}}}
	for range 3 {
		(&Engine{}).standingsOf(v, &standings{})
	}
	if got := v.m.Status.Apps.Total; got != 2 {
		t.Errorf("counted %d apps of 2", got)
	}
}

func TestAnAppOfWhichOnlyWarmPodsStandByHasNotMoved(t *testing.T) {
	m := &v1.Migration{}
	v := &visit{m: m}
	if got := v.moveState(false, true, false, true, 100); got != v1.MoveWarm {
		t.Errorf("before Shift: %s, want Warm", got)
	}
	setFinished(m, v1.Shifting, metav1.ConditionFalse, v1.Busy, "begun")
	if got := v.moveState(false, true, false, true, 100); got != v1.MoveMoved {
		t.Errorf("in Shift: %s, want Moved", got)
	}
}
