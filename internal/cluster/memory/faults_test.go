package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster/memory"
)

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"key": value}}
}

func TestFaultsBeforeAndAfterAWrite(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		name  string
		fault func(memory.Op) memory.Fault
		is    func(error) bool
		done  bool
	}{
		{"throttled", func(memory.Op) memory.Fault { return memory.Throttled() }, apierrors.IsTooManyRequests, false},
		{"timed out", memory.TimedOut, apierrors.IsTimeout, false},
		{"conflicted", memory.Conflicted, apierrors.IsConflict, false},
		{"reply lost", memory.Lost, func(err error) bool { return err != nil && !apierrors.IsConflict(err) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := newCluster(1)
			c.SetFaults(func(op memory.Op) memory.Fault {
				if op.Write() {
					return test.fault(op)
				}
				return memory.Fault{}
			})
			cm := configMap("one", "a")
			if err := c.Create(ctx, cm); !test.is(err) {
				t.Errorf("create: %v", err)
			}
			if cm.UID != "" {
				t.Error("the object was filled though the reply never came")
			}
			err := c.Get(ctx, client.ObjectKeyFromObject(cm), cm)
			if done := err == nil; done != test.done {
				t.Errorf("created: %v (%v), want %v", done, err, test.done)
			}
		})
	}
}

func TestStaleReadsSeeThePast(t *testing.T) {
	ctx := context.Background()
	c, _ := newCluster(1)
	one := configMap("one", "a")
	if err := errors.Join(c.Create(ctx, one), c.Create(ctx, configMap("two", "a"))); err != nil {
		t.Fatal(err)
	}
	one.Data["key"] = "b"
	if err := c.Update(ctx, one); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(ctx, configMap("two", "")); err != nil {
		t.Fatal(err)
	}
	read := func(stale int) string {
		c.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Stale: stale} })
		var list corev1.ConfigMapList
		if err := c.List(ctx, &list, client.InNamespace("default")); err != nil {
			t.Fatal(err)
		}
		seen := ""
		for _, cm := range list.Items {
			var got corev1.ConfigMap
			if err := c.Get(ctx, client.ObjectKeyFromObject(&cm), &got); err != nil || got.Data["key"] != cm.Data["key"] {
				t.Errorf("%s reads %v, %v, listed as %v", cm.Name, got.Data, err, cm.Data)
			}
			seen += cm.Name + "=" + cm.Data["key"] + " "
		}
		return seen
	}
	for stale, want := range []string{"one=b ", "one=b two=a ", "one=a two=a ", "one=a ", ""} {
		if got := read(stale); got != want {
			t.Errorf("%d changes ago: %q, want %q", stale, got, want)
		}
	}
}

func TestPagesAreOfOneMoment(t *testing.T) {
	ctx := context.Background()
	c, _ := newCluster(1)
	for i := range 6 {
		if err := c.Create(ctx, configMap(fmt.Sprintf("n%d", i), "a")); err != nil {
			t.Fatal(err)
		}
	}
	var list corev1.ConfigMapList
	if err := c.List(ctx, &list, client.InNamespace("default"), client.Limit(2)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Delete(ctx, configMap("n1", "")), c.Delete(ctx, configMap("n4", "")), c.Create(ctx, configMap("n33", "a"))); err != nil {
		t.Fatal(err)
	}
	var names []string
	for {
		for _, cm := range list.Items {
			names = append(names, cm.Name)
		}
		if list.Continue == "" {
			break
		}
		if err := c.List(ctx, &list, client.InNamespace("default"), client.Limit(2), client.Continue(list.Continue)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"n0", "n1", "n2", "n3", "n4", "n5"}; !slices.Equal(names, want) {
		t.Errorf("paged through %v, want %v", names, want)
	}
}

func TestSlowWatcherIsCutOff(t *testing.T) {
	ctx := context.Background()
	clock := clocktesting.NewFakePassiveClock(start)
	c := memory.New(memory.Options{Name: "source", Number: 1, Clock: clock, WatchBuffer: 4})
	w, err := c.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace("default"), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := c.Create(ctx, configMap(fmt.Sprintf("n%d", i), "a")); err != nil {
			t.Fatal(err)
		}
	}
	var last watch.Event
	n := 0
	for e := range w.ResultChan() {
		last, n = e, n+1
	}
	if err := apierrors.FromObject(last.Object); n != 4 || last.Type != watch.Error || !apierrors.IsResourceExpired(err) {
		t.Errorf("the last of %d events is %s %v, want 410 Gone as the fourth", n, last.Type, err)
	}
}

func TestFaultMayEditInBetween(t *testing.T) {
	ctx := context.Background()
	c, _ := newCluster(1)
	cm := configMap("one", "a")
	if err := c.Create(ctx, cm); err != nil {
		t.Fatal(err)
	}
	team := c.As("anna")
	once := true
	c.SetFaults(func(op memory.Op) memory.Fault {
		if op.Verb == "update" && once {
			once = false
			theirs := cm.DeepCopy()
			theirs.Data["key"] = "theirs"
			if err := team.Update(ctx, theirs); err != nil {
				t.Fatal(err)
			}
		}
		return memory.Fault{}
	})
	mine := cm.DeepCopy()
	mine.Data["key"] = "mine"
	if err := c.Update(ctx, mine); !apierrors.IsConflict(err) {
		t.Errorf("wrote over a foreign edit: %v, want Conflict", err)
	}
}

func TestTamperingIsFoundOut(t *testing.T) {
	ctx := context.Background()
	c := memory.New(memory.Options{Name: "source", Number: 1, Clock: clocktesting.NewFakePassiveClock(start), Guard: true})
	if err := c.Create(ctx, configMap("one", "a")); err != nil {
		t.Fatal(err)
	}
	var list corev1.ConfigMapList
	if err := c.List(ctx, &list, client.InNamespace("default")); err != nil {
		t.Fatal(err)
	}
	list.Items[0].Data["key"] = "b"
	if changed := c.Tampered(); len(changed) != 0 {
		t.Errorf("a change of a copy is taken for %v", changed)
	}
	if err := c.List(ctx, &list, client.InNamespace("default"), client.UnsafeDisableDeepCopy); err != nil {
		t.Fatal(err)
	}
	list.Items[0].Data["key"] = "b"
	if changed := c.Tampered(); !slices.Equal(changed, []string{"ConfigMap default/one"}) {
		t.Errorf("tampered: %v, want the ConfigMap", changed)
	}
}

func TestManyUseItAtOnce(t *testing.T) {
	c := memory.New(memory.Options{Name: "source", Number: 1, Clock: clock.RealClock{}})
	seed(t, c, deployment("shop", "web", 3), service("shop", "web"))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_ = c.Create(ctx, configMap(fmt.Sprintf("n%d-%d", i, n), "a"))
				var list corev1.ConfigMapList
				_ = c.List(ctx, &list, client.UnsafeDisableDeepCopy, client.Limit(10))
				c.Tick()
				if w, err := c.Watch(ctx, &list, client.InNamespace("default")); err == nil && n%2 == 0 {
					w.Stop()
				}
			}
		})
	}
	all.Wait()
	var list corev1.ConfigMapList
	if err := c.List(t.Context(), &list, client.InNamespace("default")); err != nil || len(list.Items) < 4 {
		t.Errorf("%d ConfigMaps, %v, want those of four writers", len(list.Items), err)
	}
}

// history runs a busy minute and returns everything that happened.
func history(t *testing.T, seedNumber uint64) (lines []string) {
	clock := clocktesting.NewFakePassiveClock(start)
	c := memory.New(memory.Options{Name: "source", Number: 1, Seed: seedNumber, Clock: clock, Observe: func(change memory.Change) {
		obj := change.New
		if obj == nil {
			obj = change.Old
		}
		lines = append(lines, fmt.Sprintf("%s %s %s/%s %s %s %v", clock.Now().Format(time.StampMilli), change.Kind.Kind, obj.GetNamespace(), obj.GetName(), obj.GetUID(), obj.GetResourceVersion(), change.New == nil))
	}})
	for i := range 10 {
		name := fmt.Sprintf("app-%d", i)
		seed(t, c, deployment("shop", name, 3), service("shop", name))
	}
	run(c, clock, 20*time.Second)
	for i := range 5 {
		scale(t, c, fmt.Sprintf("app-%d", i), i)
	}
	d := get(t, c, "shop", "app-9", &appsv1.Deployment{})
	d.Spec.Template.Spec.Containers[0].Image = "app:2"
	if err := c.Update(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(context.Background(), deployment("shop", "app-8", 0)); err != nil {
		t.Fatal(err)
	}
	run(c, clock, time.Minute)
	return lines
}

func TestTheSeedDecidesEverything(t *testing.T) {
	one, again, other := history(t, 11), history(t, 11), history(t, 12)
	for i := range one {
		if i >= len(again) || one[i] != again[i] {
			t.Fatalf("line %d of the same seed differs: %q", i, one[i])
		}
	}
	if slices.Equal(one, other) {
		t.Error("two seeds give the same history")
	}
}
