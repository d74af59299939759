package ledger_test

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/ledger"
)

// kept makes a migration and a cluster in the hub, and journals them.
func kept(t *testing.T, w *world, l *ledger.Ledger) (*v1.Migration, *v1.Cluster) {
	t.Helper()
	m := migration.DeepCopy()
	m.Labels = map[string]string{"team": "platform"}
	m.Spec.Source, m.Spec.Target = "east", "west"
	c := &v1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: "east"}, Spec: v1.ClusterSpec{UID: "u-1"}}
	for _, o := range []client.Object{m, c} {
		if err := w.hub.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	m.Status.Stage, m.Status.Capacity = v1.Cutover, 50
	c.Status.UID = "u-1"
	for _, o := range []client.Object{m, c} {
		if err := w.hub.Status().Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Keep(t.Context(), m, c); err != nil {
		t.Fatal(err)
	}
	return m, c
}

func TestTheWayBackNeedsNoHub(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	kept(t, w, l)
	saved := map[string]entry{"a": {"1", 1}}
	if err := ledger.Save(t.Context(), l, migration, v1.Before, "entry", saved); err != nil {
		t.Fatal(err)
	}

	journal, err := ledger.Open(t.Context(), w.store.Bucket())
	if err != nil || len(journal.Torn) > 0 {
		t.Fatal(journal, err)
	}
	hub := newHub(2)
	for range 2 { // repeatable
		if err := journal.Restore(t.Context(), hub); err != nil {
			t.Fatal(err)
		}
	}
	var m v1.Migration
	var c v1.Cluster
	if err := hub.Get(t.Context(), client.ObjectKeyFromObject(migration), &m); err != nil {
		t.Fatal(err)
	}
	if err := hub.Get(t.Context(), client.ObjectKey{Namespace: migration.Namespace, Name: "east"}, &c); err != nil {
		t.Fatal(err)
	}
	if m.Spec.Target != "west" || m.Status.Stage != v1.Cutover || m.Status.Capacity != 50 || m.Labels["team"] != "platform" || c.Status.UID != "u-1" || c.Spec.UID != "u-1" {
		t.Errorf("restored %+v and %+v", m, c)
	}
	next := ledger.New(hub, w.store.Bucket())
	want(t, mustLoad(t, next, v1.Before, "entry"), saved)
	if err := ledger.Add(t.Context(), next, migration, v1.Before, "entry", map[string]entry{"b": {"2", 2}}); err != nil {
		t.Errorf("going on without the old hub: %v", err)
	}
	m.Status.Capacity = 0
	if err := hub.Status().Update(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	if err := next.Keep(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	again, err := ledger.Open(t.Context(), w.store.Bucket())
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(again.Objects, func(o client.Object) bool { _, ok := o.(*v1.Migration); return ok }); again.Objects[i].(*v1.Migration).Status.Capacity != 0 {
		t.Error("the old hub's version, with its higher resourceVersion, counts more than the new hub's")
	}

	// The old hub comes back.
	if err := ledger.Add(t.Context(), l, migration, v1.Before, "entry", map[string]entry{"c": {"3", 3}}); !errors.Is(err, ledger.ErrSuperseded) {
		t.Errorf("the old hub goes on: %v, want %v", err, ledger.ErrSuperseded)
	}
	if err := ledger.Add(t.Context(), w.ledger(), migration, v1.Before, "entry", map[string]entry{"c": {"3", 3}}); !errors.Is(err, ledger.ErrSuperseded) {
		t.Errorf("a new process of the old hub goes on: %v, want %v", err, ledger.ErrSuperseded)
	}
}

func TestTornFiles(t *testing.T) {
	first, second := map[string]entry{"a": {"1", 1}}, map[string]entry{"a": {"2", 2}}
	newest := func(w *world, kind string) string {
		keys := slices.Sorted(maps.Keys(w.store.Files()))
		keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.Contains(key, kind) })
		return keys[len(keys)-1]
	}
	tests := []struct {
		name, kind string
		missing    bool
	}{
		{"the newest head: the one before it counts", "/head-", false},
		{"the newest chunk", "/chunk-", true},
		{"the newest state of the migration", "/objects/Migration/", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			l := w.ledger()
			m, _ := kept(t, w, l)
			m.Status.Capacity = 75
			if err := w.hub.Status().Update(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if err := l.Keep(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			states := slices.Repeat([]map[string]entry{second, first}, 16) // until old files are swept up
			for _, entries := range append(states, second) {
				if err := ledger.Save(t.Context(), l, migration, v1.Intended, "x", entries); err != nil {
					t.Fatal(err)
				}
			}
			key := newest(w, test.kind)
			data := w.store.Files()[key]
			w.store.Put(key, data[:len(data)-10])
			journal, err := ledger.Open(t.Context(), w.store.Bucket())
			if test.missing {
				if !errors.Is(err, ledger.ErrMissing) {
					t.Errorf("got %v, want %v", err, ledger.ErrMissing)
				}
				return
			}
			if err != nil || !slices.Equal(journal.Torn, []string{key}) {
				t.Fatalf("torn %v, %v; want %s", journal.Torn, err, path.Base(key))
			}
			if test.kind == "/head-" {
				if err := journal.Restore(t.Context(), newHub(2)); err != nil {
					t.Fatal(err)
				}
				want(t, w.withoutHub(t), first)
			}
		})
	}
}

func TestKeepTakesWhatTheWayBackNeedsAndNoSecrets(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	m, c := kept(t, w, l)
	files := len(w.store.Files())
	if err := l.Keep(t.Context(), m, c); err != nil || len(w.store.Files()) != files {
		t.Errorf("keeping the same again: %v, %d files, before %d", err, len(w.store.Files()), files)
	}
	older := m.DeepCopy()
	for range 6 {
		m.Status.Capacity++
		if err := w.hub.Status().Update(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if err := l.Keep(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Keep(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	if n := len(w.store.Files()); n > files+3 {
		t.Errorf("%d files for two objects", n)
	}
	journal, err := ledger.Open(t.Context(), w.store.Bucket())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range journal.Objects {
		if got, ok := o.(*v1.Migration); ok && got.Status.Capacity != m.Status.Capacity {
			t.Errorf("capacity %d, want %d", got.Status.Capacity, m.Status.Capacity)
		}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "kubeconfig", ResourceVersion: "1"}}
	if err := l.Keep(t.Context(), m, secret); err == nil {
		t.Error("a Secret was kept")
	}
	if err := ledger.New(w.hub, nil).Keep(t.Context(), m, c); err != nil {
		t.Errorf("without a journal: %v", err)
	}
}

func TestRestoreLeavesAnotherMigrationAlone(t *testing.T) {
	w := newWorld(t)
	kept(t, w, w.ledger())
	hub := newHub(2)
	other := migration.DeepCopy()
	other.Spec.Source, other.Spec.Target = "north", "south"
	if err := hub.Seed(other); err != nil {
		t.Fatal(err)
	}
	journal, err := ledger.Open(t.Context(), w.store.Bucket())
	if err != nil {
		t.Fatal(err)
	}
	if err := journal.Restore(t.Context(), hub); err == nil {
		t.Error("a hub with another migration of the name was filled")
	}
}

func TestForget(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	kept(t, w, l)
	other := migration.DeepCopy()
	other.Name = "other"
	for _, m := range []*v1.Migration{migration, other} {
		if err := ledger.Save(t.Context(), l, m, v1.Created, "x", map[string]entry{"a": {"1", 1}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := l.Forget(t.Context(), migration); err != nil {
			t.Fatal(err)
		}
	}
	heads, chunks := w.objects(t)
	for _, o := range append(heads, chunks...) {
		if o.Spec.Migration != "other" {
			t.Errorf("%s stands", o.Name)
		}
	}
	if len(heads) != 1 || len(chunks) != 1 {
		t.Errorf("%d heads and %d chunks of the other migration, want one each", len(heads), len(chunks))
	}
	for key := range w.store.Files() {
		if strings.HasPrefix(key, "crossfade-system/east-to-west/ledger") || strings.Contains(key, "/objects/") {
			t.Errorf("%s stands", key)
		}
	}
	want(t, mustLoad(t, l, v1.Created, "x"), map[string]entry{})
}

// TestForgetCutShort dies at every request of forgetting, and forgets again.
func TestForgetCutShort(t *testing.T) {
	for _, how := range []string{"hub before", "hub after", "bucket before", "bucket after"} {
		for at := 1; ; at++ {
			w := newWorld(t)
			for _, part := range []string{"x", "y"} {
				if err := ledger.Save(t.Context(), w.ledger(), migration, v1.Created, part, map[string]entry{"a": {"1", 1}}); err != nil {
					t.Fatal(err)
				}
			}
			died := w.dieAt(how, at)
			_ = w.ledger().Forget(t.Context(), migration)
			w.heal()
			if !*died {
				break
			}
			if err := w.ledger().Forget(t.Context(), migration); err != nil {
				t.Fatalf("%s request %d: %v", how, at, err)
			}
			if heads, chunks := w.objects(t); len(heads)+len(chunks) > 0 {
				t.Errorf("%s request %d: %d objects stand", how, at, len(heads)+len(chunks))
			}
		}
	}
}

// TestWhatAnotherProcessLeftUnjournalledIsMadeUpFor lets another process change the
// page in the hub and die before the bucket hears of it.
func TestWhatAnotherProcessLeftUnjournalledIsMadeUpFor(t *testing.T) {
	w := newWorld(t)
	l := w.ledger()
	if err := ledger.Save(t.Context(), l, migration, v1.Intended, "x", map[string]entry{"a": {"1", 1}}); err != nil {
		t.Fatal(err)
	}
	other := w.ledger()
	w.store.SetFaults(func(op blobtest.Op) blobtest.Fault {
		if op.Verb == "write" && strings.Contains(op.Key, "-00000000000000000002") {
			return blobtest.Fault{Before: blobtest.ErrInjected}
		}
		return blobtest.Fault{}
	})
	if err := ledger.Save(t.Context(), other, migration, v1.Intended, "x", map[string]entry{"a": {"2", 2}}); err == nil {
		t.Fatal("the bucket took the change")
	}
	w.heal()
	want(t, mustLoad(t, l, v1.Intended, "x"), map[string]entry{"a": {"2", 2}})
	want(t, w.withoutHub(t), map[string]entry{"a": {"2", 2}})
}
