package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/ledger"
)

// An entry is what tests keep.
type entry struct {
	Address string `json:"address"`
	TTL     int    `json:"ttl,omitempty"`
}

var migration = &v1.Migration{ObjectMeta: metav1.ObjectMeta{Namespace: "crossfade-system", Name: "east-to-west"}}

// world is a hub and object storage; ledgers come and go.
type world struct {
	hub   *memory.Cluster
	store *blobtest.Store
}

func newHub(seed uint64) *memory.Cluster {
	return memory.New(memory.Options{
		Name: "hub", Number: 3, Seed: seed, User: "engine",
		Clock: clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
	})
}

func newWorld(t interface{ Fatal(...any) }) *world {
	w := &world{hub: newHub(1), store: blobtest.New()}
	system := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: migration.Namespace}}
	if err := w.hub.Create(context.Background(), system); err != nil {
		t.Fatal(err)
	}
	return w
}

// ledger is what a process that has just started works with.
func (w *world) ledger() *ledger.Ledger { return ledger.New(w.hub, w.store.Bucket()) }

func mustLoad(t *testing.T, l *ledger.Ledger, record v1.Record, part string) map[string]entry {
	t.Helper()
	got, err := ledger.Load[entry](t.Context(), l, migration, record, part)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func want(t *testing.T, got, want map[string]entry) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPagesKeepWhatWasSaved(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	want(t, mustLoad(t, l, v1.Intended, "capacity"), map[string]entry{})

	first := map[string]entry{"a": {"192.0.2.1", 60}, "b": {"192.0.2.2", 60}, "<&>": {"é\"\n", 0}}
	if err := ledger.Save(t.Context(), l, migration, v1.Intended, "capacity", first); err != nil {
		t.Fatal(err)
	}
	want(t, mustLoad(t, l, v1.Intended, "capacity"), first)
	want(t, mustLoad(t, w.ledger(), v1.Intended, "capacity"), first)
	want(t, mustLoad(t, w.ledger(), v1.Intended, "floor"), map[string]entry{})
	want(t, mustLoad(t, w.ledger(), v1.Created, "capacity"), map[string]entry{})

	second := map[string]entry{"b": {"192.0.2.9", 60}, "c": {"192.0.2.3", 0}}
	if err := ledger.Save(t.Context(), l, migration, v1.Intended, "capacity", second); err != nil {
		t.Fatal(err)
	}
	want(t, mustLoad(t, w.ledger(), v1.Intended, "capacity"), second)

	if err := ledger.Add(t.Context(), w.ledger(), migration, v1.Intended, "capacity", map[string]entry{"d": {"x", 1}}, "b", "never there"); err != nil {
		t.Fatal(err)
	}
	third := map[string]entry{"c": {"192.0.2.3", 0}, "d": {"x", 1}}
	want(t, mustLoad(t, l, v1.Intended, "capacity"), third)

	if err := ledger.Save(t.Context(), l, migration, v1.Intended, "capacity", map[string]entry{}); err != nil {
		t.Fatal(err)
	}
	want(t, mustLoad(t, w.ledger(), v1.Intended, "capacity"), map[string]entry{})
}

func TestBeforeKeepsTheFirstValueAlways(t *testing.T) {
	w := newWorld(t)
	steps := []struct {
		found, before map[string]entry
		saved         bool
	}{
		{map[string]entry{"a": {"old", 60}}, map[string]entry{"a": {"old", 60}}, true},
		{map[string]entry{"a": {"new", 5}}, map[string]entry{"a": {"old", 60}}, false},
		{map[string]entry{"a": {"new", 5}, "b": {"late", 60}}, map[string]entry{"a": {"old", 60}, "b": {"late", 60}}, true},
		{map[string]entry{}, map[string]entry{"a": {"old", 60}, "b": {"late", 60}}, false},
	}
	for i, step := range steps {
		before, saved, err := ledger.Before(t.Context(), w.ledger(), migration, "entry", step.found)
		if err != nil || saved != step.saved || !maps.Equal(before, step.before) {
			t.Errorf("step %d: got %v, saved %v, %v; want %v, saved %v", i, before, saved, err, step.before, step.saved)
		}
	}
}

func TestTheCallerKeepsTheMap(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	if err := ledger.Save(t.Context(), l, migration, v1.Created, "x", map[string]entry{"a": {"1", 1}}); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, l, v1.Created, "x")["a"] = entry{"2", 2}
	want(t, mustLoad(t, l, v1.Created, "x"), map[string]entry{"a": {"1", 1}})
}

func TestNothingIsWrittenWhenNothingDiffers(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	save := func() error {
		return ledger.Save(t.Context(), l, migration, v1.Intended, "capacity", map[string]entry{"a": {"1", 1}})
	}
	if err := save(); err != nil {
		t.Fatal(err)
	}
	requests := 0
	w.hub.SetFaults(func(op memory.Op) memory.Fault {
		if requests++; op.Write() {
			t.Errorf("%s %s", op.Verb, op.Name)
		}
		return memory.Fault{}
	})
	w.store.SetFaults(func(op blobtest.Op) blobtest.Fault {
		t.Errorf("%s %s", op.Verb, op.Key)
		return blobtest.Fault{}
	})
	if err := save(); err != nil || requests != 1 {
		t.Errorf("%d requests, %v; want one", requests, err)
	}
}

// heads are the objects of the hub that list chunks, and the chunks.
func (w *world) objects(t *testing.T) (heads, chunks []v1.Ledger) {
	t.Helper()
	var list v1.LedgerList
	if err := w.hub.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Items {
		if o.Spec.Chunk < 0 {
			heads = append(heads, o)
		} else {
			chunks = append(chunks, o)
		}
	}
	return heads, chunks
}

func (w *world) lose(t *testing.T, objects ...v1.Ledger) {
	t.Helper()
	for _, o := range objects {
		if len(o.Finalizers) > 0 {
			o.Finalizers = nil
			if err := w.hub.Update(t.Context(), &o); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.hub.Delete(t.Context(), &o, client.Preconditions{UID: &o.UID}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALossIsNeverReadAsEmpty(t *testing.T) {
	saved := map[string]entry{"a": {"1", 1}, "b": {"2", 2}}
	tests := []struct {
		name    string
		journal bool
		lose    func(*testing.T, *world)
		healed  bool
	}{
		{"a chunk, no journal", false, func(t *testing.T, w *world) { _, chunks := w.objects(t); w.lose(t, chunks...) }, false},
		{"a head, no journal", false, func(t *testing.T, w *world) { heads, _ := w.objects(t); w.lose(t, heads...) }, false},
		{"a chunk that the journal has", true, func(t *testing.T, w *world) { _, chunks := w.objects(t); w.lose(t, chunks...) }, true},
		{"a chunk, in hub and journal", true, func(t *testing.T, w *world) {
			_, chunks := w.objects(t)
			w.lose(t, chunks...)
			for key := range w.store.Files() {
				if strings.Contains(key, "/chunk-") {
					w.store.Put(key, nil)
				}
			}
		}, false},
		{"a chunk, and the journal's is cut short", true, func(t *testing.T, w *world) {
			_, chunks := w.objects(t)
			w.lose(t, chunks...)
			for key, data := range w.store.Files() {
				if strings.Contains(key, "/chunk-") {
					w.store.Put(key, data[:len(data)/2])
				}
			}
		}, false},
		{"everything in the hub", true, func(t *testing.T, w *world) {
			heads, chunks := w.objects(t)
			w.lose(t, append(heads, chunks...)...)
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			open := func() *ledger.Ledger {
				if !test.journal {
					return ledger.New(w.hub, nil)
				}
				return w.ledger()
			}
			if err := ledger.Save(t.Context(), open(), migration, v1.Created, "x", saved); err != nil {
				t.Fatal(err)
			}
			test.lose(t, w)
			got, err := ledger.Load[entry](t.Context(), open(), migration, v1.Created, "x")
			if test.healed {
				if err != nil {
					t.Fatal(err)
				}
				want(t, got, saved)
				want(t, func() map[string]entry {
					got, _ := ledger.Load[entry](t.Context(), ledger.New(w.hub, nil), migration, v1.Created, "x")
					return got
				}(), saved)
				return
			}
			if !errors.Is(err, ledger.ErrMissing) {
				t.Errorf("load: %v, %v; want %v", got, err, ledger.ErrMissing)
			}
			if err := ledger.Add(t.Context(), open(), migration, v1.Created, "x", saved); !errors.Is(err, ledger.ErrMissing) {
				t.Errorf("add: %v, want %v", err, ledger.ErrMissing)
			}
			if _, _, err := ledger.Before(t.Context(), open(), migration, "y", saved); err != nil {
				t.Errorf("another page: %v", err)
			}
		})
	}
}

func TestDeletingEverythingLeavesTheHeads(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	saved := map[string]entry{"a": {"1", 1}}
	if err := ledger.Save(t.Context(), l, migration, v1.Created, "x", saved); err != nil {
		t.Fatal(err)
	}
	heads, chunks := w.objects(t)
	for _, o := range append(heads, chunks...) { // kubectl delete ledgers --all
		if err := w.hub.Delete(t.Context(), &o, client.Preconditions{UID: &o.UID}); err != nil {
			t.Fatal(err)
		}
	}
	want(t, mustLoad(t, w.ledger(), v1.Created, "x"), saved)
	if err := ledger.Add(t.Context(), w.ledger(), migration, v1.Created, "x", map[string]entry{"b": {"2", 2}}); err != nil {
		t.Errorf("a ledger that was asked to go no longer works: %v", err)
	}
}

func TestAnotherWritersChangeIsNotOverwritten(t *testing.T) {
	w := newWorld(t)
	one, other := w.ledger(), w.ledger()
	if err := ledger.Save(t.Context(), one, migration, v1.Intended, "x", map[string]entry{"a": {"1", 1}}); err != nil {
		t.Fatal(err)
	}
	interrupted := false
	w.hub.SetFaults(func(op memory.Op) memory.Fault {
		if op.Verb == "update" && !interrupted {
			interrupted = true
			if err := ledger.Add(t.Context(), other, migration, v1.Intended, "x", map[string]entry{"b": {"2", 2}}); err != nil {
				t.Errorf("the other: %v", err)
			}
		}
		return memory.Fault{}
	})
	err := ledger.Save(t.Context(), one, migration, v1.Intended, "x", map[string]entry{"c": {"3", 3}})
	if !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
	want(t, mustLoad(t, one, v1.Intended, "x"), map[string]entry{"a": {"1", 1}, "b": {"2", 2}})
}

func TestAnOldReadIsRefused(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	for i := range 3 {
		if err := ledger.Save(t.Context(), l, migration, v1.Intended, "x", map[string]entry{"a": {"1", i}}); err != nil {
			t.Fatal(err)
		}
	}
	w.hub.SetFaults(func(op memory.Op) memory.Fault {
		if op.Verb == "get" && op.Kind.Kind == "Ledger" {
			return memory.Fault{Stale: 4}
		}
		return memory.Fault{}
	})
	if got, err := ledger.Load[entry](t.Context(), l, migration, v1.Intended, "x"); !errors.Is(err, ledger.ErrWentBack) && !errors.Is(err, ledger.ErrMissing) {
		t.Errorf("got %v, %v", got, err)
	}
	w.hub.SetFaults(nil)
	want(t, mustLoad(t, l, v1.Intended, "x"), map[string]entry{"a": {"1", 2}})
}

func TestNothingIsNoEntry(t *testing.T) {
	w := newWorld(t)
	err := ledger.Save(t.Context(), w.ledger(), migration, v1.Intended, "x", map[string]*entry{"a": nil})
	if err == nil || !strings.Contains(err.Error(), "entry a") {
		t.Errorf("got %v", err)
	}
}

// TestAChangeIsCheap bounds what is written for an estate of 1,600 apps.
func TestAChangeIsCheap(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	entries := map[string]entry{}
	for i := range 1600 {
		entries[fmt.Sprintf("Deployment/team-%d/app-%d", i%200, i)] = entry{fmt.Sprint("10.1.", i/250, ".", i%250), i}
	}
	if err := ledger.Save(t.Context(), l, migration, v1.Intended, "capacity", entries); err != nil {
		t.Fatal(err)
	}
	writes, reads := 0, 0
	w.hub.SetFaults(func(op memory.Op) memory.Fault {
		if op.Write() {
			writes++
		} else {
			reads++
		}
		return memory.Fault{}
	})
	const changes = 100
	for i := range changes {
		entries[fmt.Sprintf("Deployment/team-%d/app-%d", i%200, i)] = entry{"changed", i}
		if err := ledger.Save(t.Context(), l, migration, v1.Intended, "capacity", entries); err != nil {
			t.Fatal(err)
		}
	}
	// A chunk, a head, and a covered chunk swept up; the sweep's list now and then.
	if writes > 3*changes+20 || reads > changes+changes/20 {
		t.Errorf("%d changes of one app cost %d writes and %d reads", changes, writes, reads)
	}
	want(t, mustLoad(t, w.ledger(), v1.Intended, "capacity"), entries)
	if heads, chunks := w.objects(t); len(heads) != 1 || len(chunks) > 50 {
		t.Errorf("%d heads and %d chunks stand for it", len(heads), len(chunks))
	}
}

// TestManyBatchesStayProportionate writes what a mirror of 1,600 apps does: each
// object before and after its creation, a hundred at a time.
func TestManyBatchesStayProportionate(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	const objects, batch = 17600, 100
	written, content := 0, 0
	all := map[string]record{}
	for round := range 2 {
		for from := 0; from < objects; from += batch {
			changed := map[string]record{}
			for i := from; i < from+batch; i++ {
				key := fmt.Sprintf("ConfigMap/team-%d/config-%d", i%200, i)
				changed[key] = record{UID: digest(i, round)[:32], Wrote: digest(i, 2), Got: digest(i, 3+round)}
				all[key] = changed[key]
			}
			if err := ledger.Add(t.Context(), l, migration, v1.Created, "target", changed); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, data := range w.store.Files() {
		content += len(data)
	}
	heads, chunks := w.objects(t)
	for _, o := range append(heads, chunks...) {
		written += len(o.Spec.Data)
		if len(o.Spec.Data) > 256<<10 {
			t.Errorf("%s has %d bytes", o.Name, len(o.Spec.Data))
		}
	}
	if content > 2*written {
		t.Errorf("the journal holds %d bytes for %d in the hub", content, written)
	}
	got, err := ledger.Load[record](t.Context(), w.ledger(), migration, v1.Created, "target")
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Fatalf("%d entries, want %d; %v", len(got), len(all), err)
	}
	t.Logf("%d entries: %d chunks of %d kB in the hub, %d kB in the journal", len(all), len(chunks), written>>10, content>>10)
}

type record struct {
	UID   string `json:"uid"`
	Wrote string `json:"w"`
	Got   string `json:"g"`
}

// digest is 64 hexadecimal digits that do not compress well.
func digest(i, salt int) string {
	text := ""
	x := uint64(i*31+salt+1) * 0x9e3779b97f4a7c15
	for range 4 {
		x ^= x >> 30
		x *= 0xbf58476d1ce4e5b9
		x ^= x >> 27
		text += fmt.Sprintf("%016x", x)
	}
	return text
}
