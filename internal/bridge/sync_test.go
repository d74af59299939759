package bridge_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
)

var (
	start    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	bothWays = bridge.Ways{ToTarget: true, ToSource: true}
	sides    = []v1.Side{v1.Source, v1.Target}
)

// world is two clusters, the bridge between them, and their clock.
type world struct {
	clock   *clocktesting.FakePassiveClock
	at      map[v1.Side]*memory.Cluster
	bridge  *bridge.Bridge
	foreign []string // changes by the bridge to what is not its own
}

func newWorld(t interface{ Fatal(...any) }, apps int, replicas int32) *world {
	w := &world{clock: clocktesting.NewFakePassiveClock(start), at: map[v1.Side]*memory.Cluster{}}
	for i, side := range sides {
		w.at[side] = memory.New(memory.Options{
			Name: string(side), Number: i + 1, Seed: 7, Clock: w.clock, User: "engine", Observe: w.observe,
			Start: func(*corev1.Pod) (time.Duration, bool) { return time.Second, true },
		})
		for n := range apps {
			if err := w.at[side].Seed(app(n, replicas)...); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.bridge = bridge.New(bridge.Config{
		Source: w.at[v1.Source], Target: w.at[v1.Target], Clock: w.clock,
		Namespaces: func(ns string) bool { return strings.HasPrefix(ns, "team-") },
	})
	w.pass(5 * time.Second)
	return w
}

// observe records what the bridge must never do.
func (w *world) observe(c memory.Change) {
	obj := c.New
	if obj == nil {
		obj = c.Old
	}
	if c.User == "engine" && obj.GetLabels()["endpointslice.kubernetes.io/managed-by"] != "crossfade.dev" {
		w.foreign = append(w.foreign, fmt.Sprintf("%s %s %s/%s", c.Cluster, c.Kind.Kind, obj.GetNamespace(), obj.GetName()))
	}
}

func (w *world) pass(d time.Duration) {
	for end := w.clock.Now().Add(d); w.clock.Now().Before(end); {
		w.clock.SetTime(w.clock.Now().Add(100 * time.Millisecond))
		for _, side := range sides {
			w.at[side].Tick()
		}
	}
}

func key(n int) bridge.Key {
	return bridge.Key{Namespace: fmt.Sprintf("team-%d", n%7), Name: fmt.Sprintf("app-%d", n)}
}

func app(n int, replicas int32) []client.Object {
	labels := map[string]string{"app": key(n).Name}
	meta := metav1.ObjectMeta{Namespace: key(n).Namespace, Name: key(n).Name}
	return []client.Object{
		&appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "main", Image: "app:1", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
				}}},
			},
		}},
		&corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
			Selector: labels, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
		}},
	}
}

func (w *world) scale(t interface{ Fatal(...any) }, side v1.Side, n int, replicas int32) {
	var d appsv1.Deployment
	team := w.at[side].As("team")
	if err := team.Get(ctx(t), key(n), &d); err != nil {
		t.Fatal(err)
	}
	d.Spec.Replicas = &replicas
	if err := team.Update(ctx(t), &d); err != nil {
		t.Fatal(err)
	}
}

// leads is the addresses that a Service leads new connections to on one side, by
// who manages them: own and bridged.
func (w *world) leads(side v1.Side, k bridge.Key) (own, bridged []string) {
	for _, e := range w.at[side].Endpoints(k) {
		switch {
		case !e.Ready:
		case e.Manager == bridge.ManagedBy:
			bridged = append(bridged, e.Address)
		default:
			own = append(own, e.Address)
		}
	}
	slices.Sort(own)
	slices.Sort(bridged)
	return own, bridged
}

// mustLead fails unless every app leads on each side to exactly what the other
// side's controller says, where the way is on.
func (w *world) mustLead(t interface{ Fatalf(string, ...any) }, ways bridge.Ways, apps int) {
	for n := range apps {
		for _, side := range sides {
			_, got := w.leads(side, key(n))
			want, _ := w.leads(side.Other(), key(n))
			if !ways.From(side) {
				want = nil
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s in the %s leads over the bridge to %v, want %v", key(n), side, got, want)
			}
		}
	}
}

func (w *world) ours(t interface{ Fatal(...any) }, side v1.Side) []discoveryv1.EndpointSlice {
	var list discoveryv1.EndpointSliceList
	if err := w.at[side].List(ctx(t), &list, client.MatchingLabels{"endpointslice.kubernetes.io/managed-by": "crossfade.dev"}); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func mustSync(t *testing.T, w *world, ways bridge.Ways) bridge.Report {
	t.Helper()
	report, err := w.bridge.Sync(t.Context(), ways)
	if err != nil || !report.Level() {
		t.Fatalf("sync: %+v, %v", report, err)
	}
	return report
}

func TestNamesLeadToThePodsOfBothClusters(t *testing.T) {
	w := newWorld(t, 3, 2)
	report := mustSync(t, w, bothWays)
	if report.Services != 3 || report.Writes != 6 || len(report.Blocked) > 0 {
		t.Errorf("got %+v", report)
	}
	w.mustLead(t, bothWays, 3)
	if report = mustSync(t, w, bothWays); report.Writes != 0 || report.Services != 3 {
		t.Errorf("a second pass: %+v", report)
	}

	oneWay := bridge.Ways{ToTarget: true}
	if report = mustSync(t, w, oneWay); report.Writes != 3 {
		t.Errorf("one way off: %+v", report)
	}
	w.mustLead(t, oneWay, 3)

	if left, err := w.bridge.Remove(t.Context(), v1.Source); left != 0 || err != nil {
		t.Errorf("remove: %d left, %v", left, err)
	}
	w.mustLead(t, bridge.Ways{}, 3)
	if len(w.foreign) > 0 {
		t.Errorf("the bridge changed what is not its own: %v", w.foreign)
	}
}

func TestATerminatingPodLeavesTheOtherSideAtOnce(t *testing.T) {
	w := newWorld(t, 1, 2)
	mustSync(t, w, bothWays)
	before, err := w.bridge.Bridged(t.Context(), v1.Source)
	if err != nil || len(before[key(0)].Ready) != 2 {
		t.Fatalf("got %v, %v", before, err)
	}
	w.scale(t, v1.Target, 0, 1)
	for _, side := range sides {
		w.at[side].Tick()
	}
	w.clock.SetTime(w.clock.Now().Add(50 * time.Millisecond))
	w.at[v1.Target].Tick()
	for own, _ := w.leads(v1.Target, key(0)); len(own) == 2; own, _ = w.leads(v1.Target, key(0)) {
		w.pass(100 * time.Millisecond)
	}
	report, err := w.bridge.SyncServices(t.Context(), bothWays, []bridge.Key{key(0)})
	if err != nil || report.Writes != 1 || !report.Level() {
		t.Fatalf("got %+v, %v", report, err)
	}
	after, err := w.bridge.Bridged(t.Context(), v1.Source)
	if err != nil || len(after[key(0)].Ready) != 1 {
		t.Fatalf("got %v, %v", after, err)
	}
	gone := before[key(0)].Ready[0]
	if after[key(0)].Has(gone) {
		gone = before[key(0)].Ready[1]
	}
	if !w.at[v1.Target].Answers(gone) {
		t.Error("the pod had ended before it left the other side")
	}
	if !after[key(0)].Has(after[key(0)].Ready[0]) || after[key(0)].Has("192.0.2.1") {
		t.Error("Has does not agree with Ready")
	}
}

func TestARecreatedServiceGetsItsSlicesBack(t *testing.T) {
	w := newWorld(t, 1, 1)
	mustSync(t, w, bothWays)
	team := w.at[v1.Source].As("team")
	var service corev1.Service
	if err := team.Get(t.Context(), key(0), &service); err != nil {
		t.Fatal(err)
	}
	if err := team.Delete(t.Context(), &service, client.Preconditions{UID: &service.UID}); err != nil {
		t.Fatal(err)
	}
	if err := w.at[v1.Source].Seed(app(0, 1)[1]); err != nil {
		t.Fatal(err)
	}
	mustSync(t, w, bothWays)
	w.pass(time.Second)
	mustSync(t, w, bothWays)
	w.mustLead(t, bothWays, 1)
}

func TestWhatIsNoLongerOfTheEstateIsNoLongerBridged(t *testing.T) {
	w := newWorld(t, 14, 1)
	mustSync(t, w, bothWays)
	narrow := bridge.New(bridge.Config{
		Source: w.at[v1.Source], Target: w.at[v1.Target], Clock: w.clock,
		Namespaces: func(ns string) bool { return ns == "team-0" },
	})
	report, err := narrow.Sync(t.Context(), bothWays)
	if err != nil || !report.Level() || report.Services != 2 {
		t.Fatalf("got %+v, %v", report, err)
	}
	for _, side := range sides {
		for _, slice := range w.ours(t, side) {
			if slice.Namespace != "team-0" {
				t.Errorf("slice %s/%s stands in the %s", slice.Namespace, slice.Name, side)
			}
		}
	}
}

func TestOnlyOursAreRemoved(t *testing.T) {
	w := newWorld(t, 1, 1)
	mustSync(t, w, bothWays)
	family := discoveryv1.AddressTypeIPv4
	labelled := map[string]string{"endpointslice.kubernetes.io/managed-by": "crossfade.dev", "kubernetes.io/service-name": "app-0"}
	theirs := []client.Object{
		&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "team-0", Name: "app-0-copy", Labels: labelled}, AddressType: family},
		&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "team-0", Name: "app-0-crossfade-x"}, AddressType: family},
	}
	if err := w.at[v1.Source].Seed(theirs...); err != nil {
		t.Fatal(err)
	}
	if left, err := w.bridge.Remove(t.Context(), v1.Source); left > 0 || err != nil {
		t.Fatalf("%d left, %v", left, err)
	}
	for _, obj := range theirs {
		if err := w.at[v1.Source].Get(t.Context(), client.ObjectKeyFromObject(obj), &discoveryv1.EndpointSlice{}); err != nil {
			t.Errorf("%s: %v", obj.GetName(), err)
		}
	}
	if _, bridged := w.leads(v1.Source, key(0)); len(bridged) > 0 {
		t.Errorf("still leads to %v", bridged)
	}
}

func TestRefusedWritesLeaveAServiceBehindUntilTheNextPass(t *testing.T) {
	w := newWorld(t, 4, 1)
	w.at[v1.Source].SetFaults(func(op memory.Op) memory.Fault {
		if op.Write() && strings.HasPrefix(op.Name, "app-1-") {
			return memory.Conflicted(op)
		}
		return memory.Fault{}
	})
	report, err := w.bridge.Sync(t.Context(), bothWays)
	if err != nil || len(report.Behind) != 1 || report.Behind[0].Service != key(1) || report.Behind[0].Side != v1.Source {
		t.Fatalf("got %+v, %v", report, err)
	}
	since := report.Behind[0].Since
	w.pass(time.Second)
	report, err = w.bridge.Sync(t.Context(), bothWays)
	if err != nil || len(report.Behind) != 1 || !report.Behind[0].Since.Equal(since) {
		t.Fatalf("behind since %v: got %+v, %v", since, report, err)
	}
	w.at[v1.Source].SetFaults(nil)
	mustSync(t, w, bothWays)
	w.mustLead(t, bothWays, 4)
}

func TestAServerThatTakesNoWritesIsLeftAlone(t *testing.T) {
	w := newWorld(t, 40, 1)
	writes := 0
	w.at[v1.Source].SetFaults(func(op memory.Op) memory.Fault {
		if !op.Write() {
			return memory.Fault{}
		}
		writes++
		return memory.Throttled()
	})
	report, err := w.bridge.Sync(t.Context(), bothWays)
	if err != nil || len(report.Behind) != 40 || writes > 10 {
		t.Errorf("%d writes tried, %d services behind, %v", writes, len(report.Behind), err)
	}
	w.mustLead(t, bridge.Ways{ToSource: true}, 40)
}

func TestALostFenceEndsThePass(t *testing.T) {
	w := newWorld(t, 40, 1)
	writes := 0
	w.at[v1.Source].SetFaults(func(op memory.Op) memory.Fault {
		if !op.Write() {
			return memory.Fault{}
		}
		writes++
		return memory.Fault{Before: fmt.Errorf("write: %w", cluster.ErrFenced)}
	})
	_, err := w.bridge.Sync(t.Context(), bothWays)
	if !errors.Is(err, cluster.ErrFenced) || writes != 1 {
		t.Errorf("%d writes tried, %v", writes, err)
	}
}

// TestAnOldReadDoesNotUndoANewerOne answers the full pass with lists from before a
// pod was given up, after an event's pass has already acted on that.
func TestAnOldReadDoesNotUndoANewerOne(t *testing.T) {
	w := newWorld(t, 1, 2)
	mustSync(t, w, bothWays)
	w.scale(t, v1.Target, 0, 1)
	w.pass(time.Second)
	if _, err := w.bridge.SyncServices(t.Context(), bothWays, []bridge.Key{key(0)}); err != nil {
		t.Fatal(err)
	}
	_, want := w.leads(v1.Source, key(0))
	w.at[v1.Target].SetFaults(func(op memory.Op) memory.Fault {
		if op.Kind.Kind == "EndpointSlice" && op.Verb == "list" {
			return memory.Fault{Stale: 1}
		}
		return memory.Fault{}
	})
	if _, err := w.bridge.Sync(t.Context(), bothWays); err != nil {
		t.Fatal(err)
	}
	if _, got := w.leads(v1.Source, key(0)); !slices.Equal(got, want) || len(got) != 1 {
		t.Errorf("after an old read the name leads to %v, before it to %v", got, want)
	}
	w.at[v1.Target].SetFaults(nil)
	mustSync(t, w, bothWays)
	w.mustLead(t, bothWays, 1)
}

func TestAnOldReadAfterARestartTakesNothingAway(t *testing.T) {
	for _, kind := range []string{"EndpointSlice", "Service"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, 1, 2)
			mustSync(t, w, bothWays)
			_, want := w.leads(v1.Source, key(0))
			w.at[v1.Target].SetFaults(func(op memory.Op) memory.Fault {
				if op.Kind.Kind == kind && op.Verb == "list" && !op.Bare {
					return memory.Fault{Stale: 100} // before any of them was made
				}
				return memory.Fault{}
			})
			again := bridge.New(bridge.Config{Source: w.at[v1.Source], Target: w.at[v1.Target], Clock: w.clock, Namespaces: func(string) bool { return true }})
			if report, err := again.Sync(t.Context(), bothWays); err != nil || report.Level() {
				t.Errorf("after an old read: %+v, %v", report, err)
			}
			if _, got := w.leads(v1.Source, key(0)); !slices.Equal(got, want) {
				t.Errorf("after an old read the name leads to %v, before it to %v", got, want)
			}
			w.at[v1.Target].SetFaults(nil)
			mustSync(t, w, bothWays)
		})
	}
}

// TestWhateverHappensTheBridgeCatchesUp scales apps at random while requests fail
// before and after their effect, read old states, and the bridge is restarted.
func TestWhateverHappensTheBridgeCatchesUp(t *testing.T) {
	const apps = 3
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, apps, 1)
		faults := rapid.SampledFrom([]string{"", "", "before", "after", "conflict", "stale", "throttled"})
		hook := func(op memory.Op) memory.Fault {
			if op.User != "engine" {
				return memory.Fault{}
			}
			switch faults.Draw(t, "fault") {
			case "before":
				return memory.TimedOut(op)
			case "after":
				return memory.Lost(op)
			case "throttled":
				return memory.Throttled()
			case "conflict":
				if op.Write() {
					return memory.Conflicted(op)
				}
			case "stale":
				if !op.Write() {
					return memory.Fault{Stale: 1 + int(op.Seq%3)}
				}
			}
			return memory.Fault{}
		}
		ways := bothWays
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"scale", "scale", "sync", "event", "tick", "restart", "ways"}).Draw(t, "step") {
			case "scale":
				w.scale(t, rapid.SampledFrom(sides).Draw(t, "side"), rapid.IntRange(0, apps-1).Draw(t, "app"), int32(rapid.IntRange(0, 4).Draw(t, "replicas")))
			case "tick":
				w.pass(time.Duration(rapid.IntRange(1, 40).Draw(t, "tenths")) * 100 * time.Millisecond)
			case "ways":
				ways = rapid.SampledFrom([]bridge.Ways{bothWays, {ToTarget: true}, {ToSource: true}, {}}).Draw(t, "ways")
			case "restart":
				w.bridge = bridge.New(bridge.Config{Source: w.at[v1.Source], Target: w.at[v1.Target], Clock: w.clock, Namespaces: func(string) bool { return true }})
			case "event":
				w.faulty(hook)
				_, _ = w.bridge.SyncServices(ctx(t), ways, []bridge.Key{key(rapid.IntRange(0, apps-1).Draw(t, "app"))})
				w.faulty(nil)
			case "sync":
				w.faulty(hook)
				_, _ = w.bridge.Sync(ctx(t), ways)
				w.faulty(nil)
			}
		}
		w.pass(time.Minute)
		report, err := w.bridge.Sync(ctx(t), ways)
		if err != nil || !report.Level() {
			t.Fatalf("without faults the bridge does not catch up in one pass: %+v, %v", report, err)
		}
		w.mustLead(t, ways, apps)
		for _, side := range sides {
			seen := map[string]bool{}
			for _, slice := range w.ours(t, side) {
				for _, e := range slice.Endpoints {
					id := slice.Labels["kubernetes.io/service-name"] + e.Addresses[0]
					if seen[id] {
						t.Fatalf("%s stands twice in the %s", id, side)
					}
					seen[id] = true
				}
			}
		}
		if len(w.foreign) > 0 {
			t.Fatalf("the bridge changed what is not its own: %v", w.foreign)
		}
	})
}

func (w *world) faulty(hook memory.Faults) {
	for _, side := range sides {
		w.at[side].SetFaults(hook)
	}
}

func TestOnlyChangedServicesAreWrittenAmongMany(t *testing.T) {
	const apps = 1600
	w := newWorld(t, apps, 1)
	w.bridge = bridge.New(bridge.Config{
		Source: w.at[v1.Source], Target: w.at[v1.Target], Clock: w.clock, Workers: 8,
		Namespaces: func(ns string) bool { return strings.HasPrefix(ns, "team-") },
	})
	if report := mustSync(t, w, bothWays); report.Services != apps || report.Writes != 2*apps {
		t.Fatalf("first pass: %d services, %d writes", report.Services, report.Writes)
	}
	w.scale(t, v1.Target, 17, 3)
	w.pass(5 * time.Second)
	if report := mustSync(t, w, bothWays); report.Writes != 1 {
		t.Errorf("one app was scaled: %d writes", report.Writes)
	}
	w.mustLead(t, bothWays, apps)
	reach, err := w.bridge.Bridged(t.Context(), v1.Source)
	if err != nil || len(slices.Collect(maps.Keys(reach))) != apps || len(reach[key(17)].Ready) != 3 {
		t.Errorf("%d services are bridged, %v", len(reach), err)
	}
}

func TestKeyOf(t *testing.T) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"}}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b-x", Labels: map[string]string{"kubernetes.io/service-name": "b"}}}
	stray := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b-x"}}
	want := types.NamespacedName{Namespace: "a", Name: "b"}
	for obj, found := range map[client.Object]bool{service: true, slice: true, stray: false, &corev1.Pod{}: false} {
		if got, ok := bridge.KeyOf(obj); ok != found || found && got != want {
			t.Errorf("%T: got %v, %v", obj, got, ok)
		}
	}
}

func BenchmarkLevelPass(b *testing.B) {
	w := newWorld(b, 1600, 1)
	for range 2 {
		if report, err := w.bridge.Sync(b.Context(), bothWays); err != nil || !report.Level() {
			b.Fatal(report, err)
		}
	}
	for b.Loop() {
		if report, err := w.bridge.Sync(b.Context(), bothWays); err != nil || report.Writes > 0 {
			b.Fatal(report, err)
		}
	}
}

// TestAnEventOvertakesAFullPass settles a service by an event while a full pass,
// whose reads are older, is still writing others: the full pass leaves it alone.
func TestAnEventOvertakesAFullPass(t *testing.T) {
	w := newWorld(t, 2, 2)
	mustSync(t, w, bothWays)
	w.scale(t, v1.Target, 0, 1)
	w.pass(5 * time.Second)
	tried := 0
	w.at[v1.Source].SetFaults(func(op memory.Op) memory.Fault {
		if !op.Write() {
			return memory.Fault{}
		}
		if tried++; tried == 1 {
			w.scale(t, v1.Target, 1, 1)
			w.pass(5 * time.Second)
			if report, err := w.bridge.SyncServices(t.Context(), bothWays, []bridge.Key{key(1)}); err != nil || report.Writes != 1 {
				t.Errorf("the event's pass: %+v, %v", report, err)
			}
		}
		return memory.Fault{}
	})
	report := mustSync(t, w, bothWays)
	if report.Writes != 1 || tried != 2 {
		t.Errorf("the full pass wrote %d slices, %d writes in all; want 1 and 2", report.Writes, tried)
	}
	w.mustLead(t, bothWays, 2)
}
