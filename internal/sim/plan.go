package sim

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	v1 "crossfade.dev/api/v1alpha1"
	engineplan "crossfade.dev/internal/plan"
)

// A leg is one way that a person sends the migration.
type leg struct {
	direction v1.Direction
	backTo    v1.Stage
	// turnAt, if it is set, is the stage in which the person turns it, after a number
	// of passes in that stage; turnAfter may be more than the stage takes, and then it
	// is turned at the stage's end.
	turnAt    v1.Stage
	turnAfter int
}

func (l leg) String() string {
	text := string(l.direction)
	if l.direction == v1.Back {
		text += " to " + string(l.backTo)
	}
	if l.turnAt != "" {
		text += fmt.Sprintf(", turned in %s after %d passes", l.turnAt, l.turnAfter)
	}
	return text
}

// A plan is what the person who leads the migration does.
type plan struct {
	legs     []leg
	at       int
	since    time.Time // when the present leg began
	inStage  int       // passes in the stage at which the leg turns
	maxTotal int32
}

func newPlan(w *world) *plan {
	chance := stream(w.o.Seed, "plan")
	p := &plan{since: w.clock.Now(), maxTotal: w.m.Spec.Shift.MaxTotalPercent}
	forward := leg{direction: v1.Forward, backTo: v1.Prepare}
	if w.o.Forward || chance.IntN(4) == 0 {
		p.legs = []leg{forward}
		return p
	}
	for range 1 + chance.IntN(5)/4 {
		turned := forward
		turned.turnAt = v1.Stages[chance.IntN(len(v1.Stages))]
		turned.turnAfter = []int{0, 1, 3, 10, 30, 100, 1000}[chance.IntN(7)]
		p.legs = append(p.legs, turned, p.back(chance, turned))
	}
	if chance.IntN(6) == 0 {
		p.legs = append(p.legs, forward)
	}
	return p
}

// back is a leg back from where a leg forward was turned; some are turned again.
func (p *plan) back(chance *rand.Rand, from leg) leg {
	l := leg{direction: v1.Back, backTo: []v1.Stage{v1.Nothing, v1.Nothing, v1.Prepare, v1.Prepare, v1.Snapshot, v1.Preflight}[chance.IntN(6)]}
	if chance.IntN(5) == 0 {
		l.turnAt, l.turnAfter = from.turnAt, 1+chance.IntN(10)
	}
	return l
}

func (p *plan) String() string {
	var words []string
	for _, l := range p.legs {
		words = append(words, l.String())
	}
	return strings.Join(words, "; ")
}

func (p *plan) leg() string { return p.legs[p.at].String() }

// advance turns the migration when its time has come. It returns false when the
// last leg has ended.
func (p *plan) advance(w *world) bool {
	m := w.m
	l := p.legs[p.at]
	ended := arrived(m)
	if l.turnAt != "" && m.Status.Stage == l.turnAt && m.Spec.Direction == l.direction {
		p.inStage++
	}
	turned := l.turnAt != "" && (p.inStage > l.turnAfter || past(m, l))
	if !ended && !turned {
		return true
	}
	if w.people.busy(ended) {
		return true
	}
	w.trace.note(w.clock.Now(), "ended %v: %s", ended, l)
	if p.at+1 == len(p.legs) {
		return !ended
	}
	if ended && !turned {
		w.finish()
	}
	p.at, p.since, p.inStage = p.at+1, w.clock.Now(), 0
	p.send(w, p.legs[p.at])
	return w.broken == nil
}

// past is true once the stage in which a leg turns has ended.
func past(m *v1.Migration, l leg) bool {
	c := meta.FindStatusCondition(m.Status.Conditions, l.turnAt.Finished())
	if c == nil {
		return false
	}
	if l.direction == v1.Forward {
		return c.Status == metav1.ConditionTrue
	}
	return c.Status == metav1.ConditionUnknown
}

// send writes what the person wants.
func (p *plan) send(w *world, l leg) {
	m := w.m.DeepCopy()
	m.Spec.Direction = l.direction
	if l.direction == v1.Back {
		m.Spec.BackTo = l.backTo
	}
	if err := outside(w.hub, "operator").Update(context.Background(), m); err != nil {
		panic(err) // nobody else writes at this moment
	}
	w.trace.note(w.clock.Now(), "a person sends it %s", l)
}

// arrived is true when every stage of the migration's way has ended, as it says.
func arrived(m *v1.Migration) bool {
	if len(m.Status.Conditions) == 0 || m.Status.ObservedGeneration != m.Generation {
		return false
	}
	for i := len(v1.Stages) - 1; i >= 0; i-- {
		s := v1.Stages[i]
		if m.Spec.Direction == v1.Back && s == m.Spec.BackTo {
			return true
		}
		c := meta.FindStatusCondition(m.Status.Conditions, s.Finished())
		want := metav1.ConditionTrue
		if m.Spec.Direction == v1.Back {
			want = metav1.ConditionUnknown
		}
		if c == nil || c.Status != want {
			return false
		}
	}
	return true
}

// twoSides is true while the target was closed and is not yet to be opened again.
func (p *plan) twoSides(m *v1.Migration) bool {
	return meta.IsStatusConditionTrue(m.Status.Conditions, v1.Prepared)
}

// expected is where an app's capacity stands at the end of the leg.
func (p *plan) expected(w *world, a *app) engineplan.Scale {
	m := w.m
	switch l := p.legs[p.at]; {
	case l.direction == v1.Forward:
		return engineplan.Scale{Target: a.wanted}
	case l.backTo == v1.Nothing, l.backTo == v1.Preflight, !m.Begun(v1.Prepare):
		return engineplan.Scale{Source: a.wanted}
	default:
		return engineplan.Scale{Source: w.eyes[v1.Source].told(a.key()), Target: w.eyes[v1.Target].told(a.key())}
	}
}

// compare lists what is not as it must be at the end of the leg.
func (p *plan) compare(w *world, now picture) []string {
	l := p.legs[p.at]
	switch {
	case l.direction == v1.Back && (l.backTo == v1.Nothing || !w.m.Begun(v1.Preflight)):
		out := append(differ("source", w.before.objects[v1.Source], now.objects[v1.Source]),
			differ("target", w.before.objects[v1.Target], w.withoutTeams(now.objects[v1.Target]))...)
		for _, zone := range []string{"old", "new", "parent"} {
			out = append(out, differInNames(zone+" zone", w.before.zones[zone], now.zones[zone])...)
		}
		return out
	case l.direction == v1.Forward:
		return p.moved(w, now)
	}
	return nil
}

// moved lists what teams had in the source and do not have in the target.
func (p *plan) moved(w *world, now picture) []string {
	want := map[string]*unstructured.Unstructured{}
	for name, obj := range w.before.objects[v1.Source] {
		if w.mirrored(obj) {
			want[name] = awake(obj)
		}
	}
	have := map[string]*unstructured.Unstructured{}
	for name := range want {
		if obj := now.objects[v1.Target][name]; obj != nil {
			have[name] = awake(obj)
		}
	}
	return differ("target", want, have)
}

// mirrored tells whether an object should stand in the target.
func (w *world) mirrored(obj *unstructured.Unstructured) bool {
	if obj.GetKind() == "ConfigMap" && obj.GetName() == "kube-root-ca.crt" {
		return false
	}
	for _, a := range w.apps {
		if a.namespace == obj.GetNamespace() {
			return true
		}
	}
	return false
}

// awake is an object without what the engine leads over: of what stays, the copy
// sleeps.
func awake(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := obj.DeepCopy()
	unstructured.RemoveNestedField(out.Object, "spec", "replicas")
	unstructured.RemoveNestedField(out.Object, "spec", "suspend")
	return out
}

// withoutTeams leaves out what teams made in the target, and where it stands: nobody
// but they may remove it.
func (w *world) withoutTeams(objects map[string]*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	out := maps.Clone(objects)
	for name := range w.teams {
		if obj := objects[name]; obj != nil {
			delete(out, name)
			for _, furnished := range []string{
				nameIn("Namespace", "", obj.GetNamespace()),
				nameIn("ConfigMap", obj.GetNamespace(), "kube-root-ca.crt"), nameIn("ServiceAccount", obj.GetNamespace(), "default"),
			} {
				delete(out, furnished)
			}
		}
	}
	return out
}
