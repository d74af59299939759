package migration

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
	dnsmemory "crossfade.dev/internal/dns/memory"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/mirror"
	"crossfade.dev/internal/probe"
	"crossfade.dev/internal/zone"
)

// A world is an engine in memory whose stages are asked one by one.
type world struct {
	*Engine
	t                   *testing.T
	clock               *testclock.FakeClock
	source, target, hub *memory.Cluster
	old, fresh, parent  *dnsmemory.Service
	m                   *v1.Migration
	told                []v1.Reason
}

const hubNamespace = "crossfade-system"

// newWorld makes two clusters that hold these objects, and a migration between them.
func newWorld(t *testing.T, source, target []memory.Object) *world {
	t.Helper()
	w := &world{t: t, clock: testclock.NewFakeClock(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))}
	for i, into := range []**memory.Cluster{&w.source, &w.target, &w.hub} {
		*into = memory.New(memory.Options{Name: "c", Number: i + 1, Seed: uint64(i), Clock: w.clock})
	}
	shop := func() memory.Object { return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}} }
	w.m = &v1.Migration{
		ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: hubNamespace},
		Spec: v1.MigrationSpec{
			Source: "east", Target: "west", Direction: v1.Forward, BackTo: v1.Prepare,
			Shift:  v1.Shift{SharePercent: 50, MaxTotalPercent: 125, ReadyMinutes: 10},
			Freeze: v1.FreezePolicy{Window: v1.Handover, Contact: "#platform", MaxMinutes: 60},
		},
		Status: v1.MigrationStatus{Writer: v1.Source, Endpoint: v1.Source},
	}
	east := &v1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "east", Namespace: hubNamespace}}
	west := &v1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "west", Namespace: hubNamespace}}
	for c, objects := range map[*memory.Cluster][]memory.Object{
		w.source: append(objects(shop()), source...), w.target: append(objects(shop()), target...), w.hub: {w.m, east, west},
	} {
		if err := c.Seed(objects...); err != nil {
			t.Fatal(err)
		}
		for _, o := range objects { // a creation has no status
			if i, entered := o.(*netv1.Ingress); entered {
				have := &netv1.Ingress{}
				if err := c.Get(t.Context(), client.ObjectKeyFromObject(i), have); err != nil {
					t.Fatal(err)
				}
				have.Status = i.Status
				if err := c.Status().Update(t.Context(), have); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	kept := ledger.New(w.hub, nil)
	w.Engine = &Engine{
		Clock: w.clock, Hub: w.hub, Workers: 1, User: "system:serviceaccount:crossfade-system:crossfade",
		Clusters: func(_ context.Context, c *v1.Cluster) (Connection, error) {
			at := map[string]*memory.Cluster{"east": w.source, "west": w.target}[c.Name]
			return Connection{at, at}, nil
		},
		Ledger:   func(context.Context, *v1.Migration) (*ledger.Ledger, error) { return kept, nil },
		Follower: still{}, Judge: content{},
		Tell: func(_ *v1.Migration, reason v1.Reason, _ string) { w.told = append(w.told, reason) },
	}
	return w
}

// still is a Follower of two clusters that are level.
type still struct{}

func (still) Follow(context.Context, Subject, Following) (Followed, error) {
	return Followed{Synced: true, Bridged: true}, nil
}
func (still) Differences(context.Context, Subject) ([]mirror.Difference, error) { return nil, nil }
func (still) Remove(context.Context, Subject) ([]mirror.Left, bool, error)      { return nil, true, nil }

// content is a Judge to whom nothing is worse than before.
type content struct{}

func (content) Judge(context.Context, *v1.Migration, []probe.Name, time.Time) ([]v1.Gate, error) {
	return nil, nil
}

// visit looks at the world as it is now.
func (w *world) visit() *visit {
	w.t.Helper()
	v, err := w.look(w.t.Context(), w.m)
	if err != nil {
		w.t.Fatal(err)
	}
	v.followed = Followed{Synced: true, Bridged: true}
	return v
}

// until repeats a stage's work, with time passing between, until it says the reason.
func (w *world) until(reason v1.Reason, work func(*Engine, context.Context, *visit) (Progress, error)) Progress {
	w.t.Helper()
	var p Progress
	for range 60 {
		var err error
		if p, err = work(w.Engine, w.t.Context(), w.visit()); err != nil {
			w.t.Fatal(err)
		}
		if p.Reason == reason {
			return p
		}
		w.pass(5 * time.Second)
	}
	w.t.Fatalf("never came to %s; last %s: %s", reason, p.Reason, p.Message)
	return p
}

// pass lets time pass in the clusters.
func (w *world) pass(d time.Duration) {
	w.clock.Step(d)
	w.source.Tick()
	w.target.Tick()
}

// serving is a Deployment behind a Service of its name.
func serving(name string, replicas int32) []memory.Object {
	labels := map[string]string{"app": name}
	return objects(
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: labels},
			Spec: appsv1.DeploymentSpec{
				Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: name + ":1"}}},
				},
			},
		},
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
			Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}},
		},
	)
}

const zoneName = "live.demo.test"

// named gives the migration names, and its zone these record sets.
func (w *world) named(sets ...zone.RecordSet) {
	w.t.Helper()
	w.old, w.fresh, w.parent = &dnsmemory.Service{}, &dnsmemory.Service{}, &dnsmemory.Service{}
	soa := set(zoneName, "SOA", "ns.old.test. admin.demo.test. 1 900 300 86400 60")
	for _, hold := range []struct {
		service *dnsmemory.Service
		zone    string
		sets    []zone.RecordSet
	}{
		{w.old, zoneName, append([]zone.RecordSet{soa, set(zoneName, "NS", "ns.old.test.")}, sets...)},
		{w.fresh, zoneName, []zone.RecordSet{soa, set(zoneName, "NS", "ns.new.test.")}},
		{w.parent, "demo.test", []zone.RecordSet{set(zoneName, "NS", "ns.old.test.")}},
	} {
		if err := hold.service.Hold(hold.zone, hold.sets); err != nil {
			w.t.Fatal(err)
		}
	}
	w.m.Spec.DNS = &v1.DNS{
		Zone: zoneName, Parent: "demo.test", TTLSeconds: 10, Steps: []int32{50, 100},
		Old:           v1.DNSService{Servers: []string{"old:53"}, Names: []string{"ns.old.test"}},
		New:           v1.DNSService{Servers: []string{"new:53"}, Names: []string{"ns.new.test"}},
		ParentService: v1.DNSService{Servers: []string{"parent:53"}, Names: []string{"ns.test"}},
	}
	w.Zones = func(context.Context, *v1.Migration) (Zones, error) {
		return Zones{Old: w.old, New: w.fresh, Parent: w.parent}, nil
	}
	w.Servers = &dnsmemory.Servers{Services: map[string]*dnsmemory.Service{"old:53": w.old, "new:53": w.fresh, "parent:53": w.parent}}
}

func set(name, typ string, data ...string) zone.RecordSet {
	s, err := zone.NewRecordSet(name, typ, 60, data...)
	if err != nil {
		panic(err)
	}
	return s
}

// add adds a set to a service, as a person does.
func (w *world) add(service *dnsmemory.Service, s zone.RecordSet) {
	w.t.Helper()
	if err := service.Swap(w.t.Context(), zoneName, zone.Swap{New: &s}); err != nil {
		w.t.Fatal(err)
	}
}

// replace puts a set in the place of the one of its name and type, as a person does.
func (w *world) replace(service *dnsmemory.Service, s zone.RecordSet) {
	w.t.Helper()
	sets, err := service.RecordSets(w.t.Context(), zoneName)
	if err == nil {
		err = service.Swap(w.t.Context(), zoneName, zone.Swap{Old: &only(sets, s.Name, s.Type)[0], New: &s})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// answer is what a service holds for a name; nil if it holds nothing.
func (w *world) answer(service *dnsmemory.Service, name, typ string) []string {
	w.t.Helper()
	sets, err := service.RecordSets(w.t.Context(), zoneName)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range only(sets, name, typ) {
		return s.Data
	}
	return nil
}

// entered is an Ingress for a host, entered at these addresses.
func entered(name, host string, addresses ...string) memory.Object {
	i := &netv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
		Spec:       netv1.IngressSpec{Rules: []netv1.IngressRule{{Host: host}}},
	}
	for _, address := range addresses {
		i.Status.LoadBalancer.Ingress = append(i.Status.LoadBalancer.Ingress, netv1.IngressLoadBalancerIngress{IP: address})
	}
	return i
}

func objects(all ...client.Object) []memory.Object { return all }
