package mirror

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"crossfade.dev/internal/cluster/memory"
)

// TestEachFaultEndsLevelOrHeld makes each thing that may go wrong go wrong on either
// side for half a minute, while teams write and a controller deletes something by
// right. Nothing else may be deleted meanwhile, and afterwards all is level.
func TestEachFaultEndsLevelOrHeld(t *testing.T) {
	when := func(is func(memory.Op) bool, fault func(memory.Op) memory.Fault) memory.Faults {
		return func(op memory.Op) memory.Fault {
			if is(op) {
				return fault(op)
			}
			return memory.Fault{}
		}
	}
	before := func(err error) func(memory.Op) memory.Fault {
		return func(memory.Op) memory.Fault { return memory.Fault{Before: err} }
	}
	watches := func(op memory.Op) bool { return op.Verb == "watch" }
	lists := func(op memory.Op) bool { return op.Verb == "list" }
	reads := func(op memory.Op) bool { return !op.Write() && op.Verb != "discover" }
	writes := func(op memory.Op) bool { return op.Write() }
	for _, test := range []struct {
		name  string
		fault memory.Faults
		// held is the kind that must be Held by name while the target does this.
		held string
	}{
		{"watch cut", when(watches, memory.TimedOut), ""},
		{"410 on watches", when(watches, before(apierrors.NewResourceExpired("too old resource version"))), ""},
		{"410 within a list", when(lists, before(apierrors.NewResourceExpired("the continue token is too old"))), ""},
		{"409", when(writes, memory.Conflicted), ""},
		{"429", when(writes, func(memory.Op) memory.Fault { return memory.Throttled() }), ""},
		{"429 on reads", when(reads, func(memory.Op) memory.Fault { return memory.Throttled() }), ""},
		{"500", when(writes, before(apierrors.NewInternalError(errors.New("etcd")))), ""},
		{"500 on reads", when(reads, before(apierrors.NewInternalError(errors.New("etcd")))), ""},
		{"no answer in time", when(func(memory.Op) bool { return true }, memory.TimedOut), ""},
		{"replies lost", when(writes, memory.Lost), ""},
		{"old answers", when(reads, func(memory.Op) memory.Fault { return memory.Fault{Stale: 40} }), ""},
		{"refused by schema", when(writes, func(op memory.Op) memory.Fault {
			return memory.Fault{Before: apierrors.NewInvalid(op.Kind.GroupKind(), op.Name, nil)}
		}), "ConfigMap"},
	} {
		for _, side := range []string{"source", "target"} {
			t.Run(test.name+" on the "+side, func(t *testing.T) {
				const seed = 11
				t.Logf("seed %d", seed)
				w := newWorld(t, seed)
				w.estate(3)
				w.follow()
				edit(t, w.from, &corev1.ConfigMap{}, "team-0", "app-0", func(c *corev1.ConfigMap) { c.Data["level"] = "debug" })
				add(t, w.from, "kubectl", &corev1.Secret{ObjectMeta: named("team-1", "new")})
				erase(t, w.from, &corev1.Secret{}, "team-2", "app-2")
				faulty := map[string]*memory.Cluster{"source": w.from, "target": w.to}[side]
				var held []Held
				for round := range 30 {
					faulty.SetFaults(test.fault)
					if round == 10 {
						w.restart() // what is not in the ledger is forgotten
					}
					report, err := w.mirror.Sync(t.Context())
					if err == nil {
						held = report.Held
					}
					faulty.SetFaults(nil)
					w.tick(time.Second)
				}
				if test.held != "" && side == "target" && !slices.ContainsFunc(held, func(h Held) bool { return h.Object.Kind == test.held && h.Object.Name == "app-0" }) {
					t.Errorf("held: %v, want the %s by its name", held, test.held)
				}
				for i := range 3 {
					namespace, name := fmt.Sprintf("team-%d", i), fmt.Sprintf("app-%d", i)
					if absent(t, w.to, &corev1.ConfigMap{}, namespace, name) || absent(t, w.to, &appsv1.Deployment{}, namespace, name) {
						t.Errorf("a copy in %s is gone", namespace)
					}
				}
				w.tick(2 * time.Minute)
				if report := w.follow(); !report.Level() || len(report.Drift) > 0 {
					t.Errorf("not level afterwards: %+v", report)
				}
				if !absent(t, w.to, &corev1.Secret{}, "team-2", "app-2") || absent(t, w.to, &corev1.Secret{}, "team-1", "new") {
					t.Error("what teams did meanwhile is not on the target")
				}
				if found := must(w.mirror.Differences(t.Context())); len(found) > 0 {
					t.Errorf("differences: %v", found)
				}
			})
		}
	}
}
