package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/object"
	"crossfade.dev/internal/zone"
)

// people are the teams, and the others who change things meanwhile. What a team does
// and is not refused is what must be there in the end.
type people struct {
	w      *world
	chance *rand.Rand
	next   time.Time
	deeds  int
	// extra are the objects that teams have added, by namespace.
	extra []client.ObjectKey
	// putsBack is when the record that was changed is put back.
	putsBack map[zone.Key]time.Time
	was      map[zone.Key]dns.RecordSet
}

func newPeople(w *world) *people {
	return &people{
		w: w, chance: stream(w.o.Seed, "people"), next: w.clock.Now().Add(time.Minute),
		putsBack: map[zone.Key]time.Time{}, was: map[zone.Key]dns.RecordSet{},
	}
}

// act lets people do what is due.
func (p *people) act(w *world) {
	if w.o.Still {
		return
	}
	now := w.clock.Now()
	for key, at := range p.putsBack {
		if !now.Before(at) {
			p.putBack(key)
		}
	}
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(time.Duration(2+p.chance.IntN(90)) * time.Second)
	if p.chance.IntN(6) == 0 {
		p.autoscale()
		return
	}
	p.deed()
}

// busy is true while somebody has still to put something back before a leg may end.
func (p *people) busy(bool) bool { return len(p.putsBack) > 0 }

// deed is one thing that somebody does. It may happen at any moment, also in the
// middle of an engine's pass.
func (p *people) deed() {
	p.deeds++
	p.w.tally.Deeds++
	a := p.w.apps[p.chance.IntN(len(p.w.apps))]
	switch p.chance.IntN(8) {
	case 0, 1:
		p.configure(a)
	case 2:
		p.deploy(a)
	case 3, 4:
		p.scale(a)
	case 5:
		p.add(a)
	case 6:
		p.remove()
	default:
		p.editName()
	}
}

// meanwhile is what somebody does just before an engine's write arrives, often to
// the same object.
func (p *people) meanwhile(op memory.Op) {
	if p.w.o.Still {
		return
	}
	if op.Cluster == "hub" || p.chance.IntN(2) == 0 || !slices.Contains(pictured, op.Kind) || op.Kind.Kind == "EndpointSlice" {
		p.deed()
		return
	}
	p.deeds++
	p.w.tally.Deeds++
	p.change(op.Kind, client.ObjectKey{Namespace: op.Namespace, Name: op.Name}, func(obj *unstructured.Unstructured) {
		annotations := obj.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations["team.test/note"] = fmt.Sprint("n", p.deeds)
		obj.SetAnnotations(annotations)
	})
}

// address is the side to which teams' changes go.
func (p *people) address() v1.Side {
	if d := p.w.m.Spec.DNS; d != nil && d.Endpoint != nil {
		if k := p.w.names.known[p.w.names.old][zone.Key{Name: apiName, Type: "A"}]; k.now != nil && slices.Contains(k.now.Data, d.Endpoint.Target) {
			return v1.Target
		}
		return v1.Source
	}
	if p.w.m.Status.Writer == v1.Target {
		return v1.Target
	}
	return v1.Source // also before anything is known
}

var (
	configMapKind  = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	deploymentKind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
)

// change lets a team change one object. It returns false if the team was refused, or
// there is no such object.
func (p *people) change(kind schema.GroupVersionKind, key client.ObjectKey, edit func(*unstructured.Unstructured)) bool {
	want := p.w.before.objects[v1.Source][nameIn(kind.Kind, key.Namespace, key.Name)]
	if want == nil || p.w.foreign[key] {
		return false
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	api := outside(p.w.cluster(p.address()), "team-"+key.Namespace)
	if err := api.Get(p.w.ctx, key, obj); err != nil {
		return false
	}
	edit(obj)
	if err := api.Update(p.w.ctx, obj); err != nil {
		return false
	}
	edit(want)
	return true
}

func (p *people) configure(a *app) {
	level := fmt.Sprint("level-", p.deeds)
	p.change(configMapKind, client.ObjectKey{Namespace: a.namespace, Name: a.name + "-config"}, func(obj *unstructured.Unstructured) {
		set(obj, level, "data", "level")
	})
}

func (p *people) deploy(a *app) {
	if a.kind == stateful || a.kind == scheduled {
		return
	}
	image := fmt.Sprintf("registry.test/%s:%d", a.name, 1+p.deeds)
	done := p.change(deploymentKind, a.key(), func(obj *unstructured.Unstructured) {
		containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
		containers[0].(map[string]any)["image"] = image
		set(obj, containers, "spec", "template", "spec", "containers")
	})
	a.disturbed = a.disturbed || done
}

// scale lets a team say how many replicas it wants in all.
func (p *people) scale(a *app) {
	wanted := int32(1 + p.chance.IntN(6))
	if !a.moves() || a.autoscaled || wanted == p.w.eyes[p.address()].told(a.key()) {
		return // what changes nothing, nobody can see
	}
	done := p.change(deploymentKind, a.key(), func(obj *unstructured.Unstructured) { set(obj, int64(wanted), "spec", "replicas") })
	if done {
		a.wanted, a.disturbed = wanted, true
	}
}

// autoscale lets an autoscaler change the count on one side: it speaks for that side
// only, so what is wanted in all is this and what the other side was told.
func (p *people) autoscale() {
	a := p.w.apps[p.chance.IntN(len(p.w.apps))]
	s, t := p.w.eyes[v1.Source], p.w.eyes[v1.Target]
	if !a.autoscaled || a.disturbed || s.told(a.key()) > 0 && t.told(a.key()) > 0 {
		return
	}
	side, more := v1.Source, int32(1+p.chance.IntN(2))
	if s.told(a.key()) == 0 {
		side = v1.Target
	}
	d := p.w.eyes[side].deployments[a.key()].DeepCopy()
	if *d.Spec.Replicas+more > a.minimum+8 {
		return
	}
	*d.Spec.Replicas += more
	if err := p.w.cluster(side).As(autoscalerUser, "system:serviceaccounts", "system:serviceaccounts:kube-system").Update(p.w.ctx, d); err != nil {
		return
	}
	a.wanted, a.disturbed = *d.Spec.Replicas, true
	if want := p.w.before.objects[v1.Source][nameIn("Deployment", a.namespace, a.name)]; want != nil {
		set(want, int64(a.wanted), "spec", "replicas")
	}
}

func set(obj *unstructured.Unstructured, value any, path ...string) {
	if err := unstructured.SetNestedField(obj.Object, value, path...); err != nil {
		panic(err)
	}
}

// add lets a team make an object.
func (p *people) add(a *app) {
	side := p.address()
	made := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: fmt.Sprint("extra-", p.deeds), Labels: map[string]string{"app": a.name}},
		Data:       map[string]string{"made": "later"},
	}
	if err := outside(p.w.cluster(side), "team-"+a.namespace).Create(p.w.ctx, made); err != nil {
		return
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(configMapKind)
	if err := outside(p.w.cluster(side), "eyes").Get(p.w.ctx, client.ObjectKeyFromObject(made), obj); err != nil {
		panic(err) // it was made just now
	}
	name := nameIn("ConfigMap", made.Namespace, made.Name)
	p.w.before.objects[v1.Source][name] = object.Canonical(obj)
	p.extra = append(p.extra, client.ObjectKeyFromObject(made))
	if side == v1.Target {
		p.w.teams[name] = true
	}
}

// remove lets a team delete an object that it has added, on whichever side it made it.
func (p *people) remove() {
	if len(p.extra) == 0 {
		return
	}
	i := p.chance.IntN(len(p.extra))
	key := p.extra[i]
	name := nameIn("ConfigMap", key.Namespace, key.Name)
	p.w.removed[name] = true // before it is gone: the mirror may follow at once
	api := outside(p.w.cluster(p.address()), "team-"+key.Namespace)
	if err := api.Delete(p.w.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}); err != nil {
		delete(p.w.removed, name)
		return
	}
	delete(p.w.before.objects[v1.Source], name)
	p.extra = slices.Delete(p.extra, i, i+1)
}

// elsewhere is where a person leads a name by hand.
const elsewhere = "192.0.2.9"

// editName changes a public name by hand, in the zone that resolvers use, and puts
// it back some time later.
func (p *people) editName() {
	if p.w.m.Spec.DNS == nil || len(p.putsBack) > 0 {
		return
	}
	a := p.w.apps[p.chance.IntN(len(p.w.apps))]
	key := zone.Key{Name: a.host, Type: "A"}
	k := p.w.names.known[p.w.names.old][key]
	if a.host == "" || k == nil || k.now == nil {
		return
	}
	was := k.now.Clone()
	edit := record(a.host, "A", was.TTL, elsewhere)
	p.w.names.edited[key] = edit
	if !p.swap(dns.Swap{Old: &was, New: &edit}) {
		delete(p.w.names.edited, key)
		return
	}
	p.was[key], p.putsBack[key] = was, p.w.clock.Now().Add(time.Duration(5+p.chance.IntN(60))*time.Second)
}

// putBack ends an edit. The engine leaves alone what a person has changed, with the TTL
// that it had then; whoever puts it back after all was undone gives it its own TTL.
func (p *people) putBack(key zone.Key) {
	edit, was := p.w.names.edited[key], p.was[key]
	if p.w.m.Status.Stage == v1.Nothing {
		for _, before := range p.w.before.zones["old"] {
			if before.Key == key {
				was.TTL = before.TTL
			}
		}
	}
	if p.swap(dns.Swap{Old: &edit, New: &was}) {
		delete(p.w.names.edited, key)
		delete(p.putsBack, key)
		delete(p.was, key)
	}
}

func (p *people) swap(s dns.Swap) bool {
	p.w.names.person = true
	defer func() { p.w.names.person = false }()
	return p.w.names.old.Swap(context.Background(), zoneName, s) == nil
}
