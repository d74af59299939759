package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	engineplan "crossfade.dev/internal/plan"
)

// check holds what is there against the promises, for every app of which anything
// has changed; now and then for all.
func (w *world) check() {
	if w.plan == nil || w.broken != nil {
		return
	}
	w.changed = false
	for _, a := range w.touched() {
		w.tally.Checks++
		w.checkCapacity(a)
		w.checkEntry(a)
	}
	w.checkWriters()
}

// thorough is after how many passes every app is checked.
const thorough = 64

// touched are the apps to be checked, in the order of the estate.
func (w *world) touched() []*app {
	everyone := w.names.allDirty || w.passes-w.checkedAll >= thorough
	if everyone {
		w.names.allDirty, w.checkedAll = false, w.passes
	}
	at := map[int]bool{}
	for _, s := range w.eyes {
		for key := range s.dirty {
			if a := w.byName[key.Name]; a != nil && a.namespace == key.Namespace {
				at[a.index] = true
			}
		}
		clear(s.dirty)
		for _, key := range s.fell(w.clock.Now()) {
			if a := w.byName[key.Name]; a != nil {
				at[a.index] = true
			}
		}
	}
	for name := range w.names.dirty {
		at[w.byName[strings.TrimSuffix(name, "."+zoneName)].index] = true
	}
	clear(w.names.dirty)
	if everyone {
		return w.apps
	}
	out := make([]*app, 0, len(at))
	for _, i := range slices.Sorted(maps.Keys(at)) {
		out = append(out, w.apps[i])
	}
	return out
}

// checkEntry is the first promise: whatever answer a resolver gives for a name, a
// ready pod stands behind it.
func (w *world) checkEntry(a *app) {
	if a.host == "" {
		if a.serves() {
			w.checkService(a, v1.Source, "its own name in the cluster")
		}
		return
	}
	for _, service := range w.names.copies() {
		for _, set := range w.names.answers(service, a.host) {
			if set == nil {
				w.breaks("1 (every name has a healthy side)", "%s may be answered by nothing from the %s", a.host, w.names.called(service))
				return
			}
			for _, address := range set.Data {
				side, led := w.sideOf(a, address)
				switch {
				case led:
					w.checkService(a, side, fmt.Sprintf("%s, answered %s from the %s", a.host, set, w.names.called(service)))
				case address != elsewhere: // where a person led it
					w.breaks("1 (every name has a healthy side)", "%s leads to %s, where nothing is entered", a.host, address)
				}
			}
		}
	}
}

// sideOf tells on which side an address is the app's entry.
func (w *world) sideOf(a *app, address string) (v1.Side, bool) {
	for _, side := range []v1.Side{v1.Source, v1.Target} {
		if w.eyes[side].entry(a) == address {
			return side, true
		}
	}
	return "", false
}

func (w *world) checkService(a *app, side v1.Side, asked string) {
	addresses := w.eyes[side].addresses(a.key())
	if !slices.ContainsFunc(addresses, w.answers) && !w.helpless(a) {
		w.breaks("1 (every name has a healthy side)", "%s: behind Service %s of the %s no pod answers (%d addresses are ready: %v); %s",
			asked, a.key(), side, len(addresses), addresses, w.stand(a))
	}
}

// answers tells whether a pod of either cluster answers at the address.
func (w *world) answers(address string) bool {
	return w.source.Answers(address) || w.target.Answers(address)
}

// blind is for how long the engine may be kept from a pass before a pod that its team
// replaces may be gone without its knowing: a little less than pods linger.
const blind = 6 * time.Second

// helpless is true of an app whose capacity is its team's own doing: one that stops
// all its pods before it starts any, and one that was replaced pod by pod while the
// engine was dead or could not reach the clusters.
func (w *world) helpless(a *app) bool {
	return a.disturbed && (a.wanted == 1 || a.kind == singleton || w.clock.Since(w.saw) > blind)
}

func (w *world) stand(a *app) string {
	s, t := w.eyes[v1.Source], w.eyes[v1.Target]
	return fmt.Sprintf("%s: source %d ready of %d, target %d ready of %d, disturbed %v", a,
		s.ready[a.key()], s.told(a.key()), t.ready[a.key()], t.told(a.key()), a.disturbed)
}

// checkCapacity is the second promise, and the part of the third that concerns
// workloads which stay.
func (w *world) checkCapacity(a *app) {
	s, t := w.eyes[v1.Source], w.eyes[v1.Target]
	if a.stays() {
		if t.pods[a.key()] > 0 || t.told(a.key()) > 0 {
			w.breaks("3 (one owner)", "%s stays in the source, and has %d pods in the target", a, t.pods[a.key()])
		}
		if t.awake[a.key()] {
			w.breaks("3 (one owner)", "%s stays in the source, and its schedule is awake in the target", a)
		}
		return
	}
	if a.disturbed {
		a.disturbed = !w.calm(a)
		return
	}
	if ready := s.ready[a.key()] + t.ready[a.key()]; ready < a.wanted {
		w.breaks("2 (capacity)", "%d of %d pods are ready; %s", ready, a.wanted, w.stand(a))
	}
	bound := engineplan.Bound(a.wanted, w.plan.maxTotal)
	if told := s.told(a.key()) + t.told(a.key()); told > bound {
		w.breaks("2 (capacity)", "%d replicas are told to run, more than %d; %s", told, bound, w.stand(a))
	}
}

// calm is true once everything that follows from a team's change has followed.
func (w *world) calm(a *app) bool {
	s, t := w.eyes[v1.Source], w.eyes[v1.Target]
	one, other := s.deployments[a.key()], t.deployments[a.key()]
	if s.ready[a.key()]+t.ready[a.key()] < a.wanted || !complete(one) || other != nil && !complete(other) {
		return false
	}
	if s.told(a.key())+t.told(a.key()) > engineplan.Bound(a.wanted, w.plan.maxTotal) {
		return false
	}
	if s.leaving[a.key()]+t.leaving[a.key()] > 0 {
		return false
	}
	for _, side := range w.eyes {
		if !all(side.addresses(a.key()), w.answers) {
			return false // the bridge has not heard of the last of them
		}
	}
	return other == nil || image(one) == image(other)
}

func all(addresses []string, is func(string) bool) bool {
	return !slices.ContainsFunc(addresses, func(a string) bool { return !is(a) })
}

func complete(d *appsv1.Deployment) bool {
	want := ptr.Deref(d.Spec.Replicas, 1)
	return d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == want && d.Status.Replicas == want && d.Status.ReadyReplicas == want
}

func image(d *appsv1.Deployment) string { return d.Spec.Template.Spec.Containers[0].Image }

// checkWriters is the third promise: once the target was closed, teams' changes are
// taken by at most one side. It asks again only where rules or the migration changed.
func (w *world) checkWriters() {
	if !w.eyes[v1.Source].ruled && !w.eyes[v1.Target].ruled && w.asked == w.m.ResourceVersion {
		return
	}
	w.asked, w.eyes[v1.Source].ruled, w.eyes[v1.Target].ruled = w.m.ResourceVersion, false, false
	if w.plan.twoSides(w.m) && w.takes(v1.Source) && w.takes(v1.Target) {
		w.breaks("3 (one writer)", "both sides take teams' changes")
	}
}

// takes tells whether a side takes a team's change.
func (w *world) takes(side v1.Side) bool {
	api := outside(w.cluster(side), "team-probe")
	probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.apps[0].namespace, Name: "probe"}}
	return api.Create(context.Background(), probe, client.DryRunAll) == nil
}

// finish checks what must hold at the end of the last leg.
func (w *world) finish() {
	ctx := context.Background()
	now, err := w.look(ctx)
	if err != nil {
		w.breaks("looking", "%v", err)
		return
	}
	for _, a := range w.apps {
		w.checkEnd(a)
	}
	if differences := w.plan.compare(w, now); len(differences) > 0 {
		shown := differences[:min(len(differences), 10)]
		w.breaks("4 (nothing is lost, nothing is left)", "%s ended with %d differences: %s", w.plan.leg(), len(differences), strings.Join(shown, "; "))
	}
}

// checkEnd holds an app against where the last leg leads.
func (w *world) checkEnd(a *app) {
	if !a.moves() {
		return
	}
	want := w.plan.expected(w, a)
	have := engineplan.Scale{Source: w.eyes[v1.Source].told(a.key()), Target: w.eyes[v1.Target].told(a.key())}
	if have != want {
		w.breaks("4 (where it ends)", "after %s: want %+v, have %+v; %s", w.plan.leg(), want, have, w.stand(a))
	}
}
