package sim

import (
	"fmt"
	"math/rand/v2"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A kind is what an app is, as far as the engine has to tell them apart.
type kind string

const (
	serving   kind = "serving"
	worker    kind = "worker" // no Service leads to it; decided to move
	singleton kind = "singleton"
	stateful  kind = "stateful"
	scheduled kind = "scheduled"
)

// An app is one of the estate's.
type app struct {
	index           int // in the estate
	namespace, name string
	kind            kind
	host            string // its public name, "" for none
	balanced        bool   // the name leads to a balancer of its own
	autoscaled      bool
	guarded         bool // has policies and rights
	slow            bool

	// wanted is what the team wants in all, minimum its autoscaler's least.
	wanted, minimum int32
	// disturbed is true from a team's change that pods follow until all is as it
	// wants again: meanwhile its capacity is the team's own doing.
	disturbed bool
}

func (a *app) id() string {
	switch a.kind {
	case stateful:
		return "StatefulSet/" + a.namespace + "/" + a.name
	case scheduled:
		return "CronJob/" + a.namespace + "/" + a.name
	}
	return "Deployment/" + a.namespace + "/" + a.name
}

func (a *app) key() client.ObjectKey { return client.ObjectKey{Namespace: a.namespace, Name: a.name} }

// stays tells whether it was decided to stay.
func (a *app) stays() bool { return a.kind == singleton || a.kind == stateful || a.kind == scheduled }

// serves is true of apps that a Service leads to.
func (a *app) serves() bool { return a.kind != worker && a.kind != scheduled }

// moves is true of those whose capacity is led over.
func (a *app) moves() bool { return !a.stays() }

func (w *world) makeEstate(chance *rand.Rand) error {
	count := w.o.Apps
	if count == 0 {
		count = 3 + chance.IntN(28)
	}
	namespaces := 1 + count/(2+chance.IntN(9))
	balancers := 0
	for i := range count {
		a := newApp(chance, i, namespaces, count > 200)
		if a.balanced {
			balancers++
			a.balanced = balancers <= 200
		}
		w.apps, w.byName[a.name] = append(w.apps, a), a
	}
	w.apps[0].kind = serving // a migration of nothing is refused
	for _, a := range w.apps {
		if err := w.source.Seed(a.objects()...); err != nil {
			return fmt.Errorf("seed %s: %w", a, err)
		}
	}
	return w.makeForeign(chance)
}

func newApp(chance *rand.Rand, i, namespaces int, big bool) *app {
	a := &app{
		index: i, namespace: fmt.Sprintf("team-%d", i%namespaces), name: fmt.Sprintf("app-%d", i),
		kind: []kind{serving, serving, serving, serving, serving, serving, serving, worker, singleton, stateful, scheduled, serving}[chance.IntN(12)],
		slow: chance.IntN(12) == 0, guarded: chance.IntN(4) == 0,
		wanted: int32(1 + chance.IntN(6)),
	}
	if big {
		a.slow, a.guarded = false, false
		a.wanted = int32(1 + chance.IntN(3))
	}
	a.minimum = a.wanted
	a.autoscaled = a.kind == serving && chance.IntN(4) == 0
	if a.kind == serving && chance.IntN(4) > 0 {
		a.host = a.name + "." + zoneName
		a.balanced = chance.IntN(4) == 0
	}
	return a
}

// makeForeign puts into the target what other people have there.
func (w *world) makeForeign(chance *rand.Rand) error {
	for _, namespace := range []string{"neighbour", w.apps[chance.IntN(len(w.apps))].namespace} {
		if namespace != "neighbour" && chance.IntN(2) == 0 {
			continue
		}
		objects := foreign(namespace)
		if err := w.target.Seed(objects...); err != nil {
			return err
		}
		for _, o := range objects {
			w.foreign[client.ObjectKeyFromObject(o)] = true
		}
	}
	return nil
}
