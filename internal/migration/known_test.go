package migration

import (
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

func TestWhatIsKnownOfALookIsWhatALookWouldShow(t *testing.T) {
	w := newWorld(t, append(serving("cart", 2), serving("web", 3)...), serving("cart", 0))
	for round := range 40 {
		v := w.visit()
		have := []any{v.estate, v.source.podsOf, v.source.loose, v.source.addresses(), v.target.podsOf, v.target.addresses()}
		w.known.forget(client.ObjectKeyFromObject(w.m))
		v = w.visit()
		want := []any{v.estate, v.source.podsOf, v.source.loose, v.source.addresses(), v.target.podsOf, v.target.addresses()}
		if !reflect.DeepEqual(have, want) {
			t.Fatalf("round %d: %+v; a new look shows %+v", round, have, want)
		}
		switch round {
		case 10:
			w.m.Spec.Decisions, w.m.Generation = []v1.Decision{{Workload: "Deployment/shop/web", Decide: v1.DecideStay}}, w.m.Generation+1
		case 20:
			d := v.source.deployments[client.ObjectKey{Namespace: "shop", Name: "web"}].DeepCopy()
			d.Spec.Template.Spec.Containers[0].Image = "redis:7"
			if err := w.source.Update(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		case 30:
			if err := w.source.Delete(t.Context(), v.source.services[client.ObjectKey{Namespace: "shop", Name: "cart"}].DeepCopy()); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(time.Second)
	}
	if plan.Moving(w.visit().estate.Workloads(func(w plan.Workload) bool { return w.Name == "web" })[0]) {
		t.Error("what was decided is not known")
	}
}

func TestStatesTellAnyDifference(t *testing.T) {
	var s states
	look := func(versions ...string) bool {
		for i, v := range versions {
			s.see(types.UID(rune('a'+i)), v)
		}
		return s.same()
	}
	for i, step := range []struct {
		versions []string
		same     bool
	}{
		{nil, true}, {[]string{"1", "2"}, false}, {[]string{"1", "2"}, true}, {[]string{"1", "3"}, false}, {[]string{"1"}, false},
		{[]string{"1"}, true}, {[]string{"1", "3"}, false}, {nil, false}, {nil, true},
	} {
		if same := look(step.versions...); same != step.same {
			t.Errorf("step %d: same is %t", i, same)
		}
	}
}
