package migration

import (
	"testing"

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
