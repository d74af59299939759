package ledger_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/ledger"
)

// TestKilledAtEveryRequest makes the same changes again and again, and each time
// dies at another request, before or after its effect, in the hub or in the bucket,
// or in the middle of a file. The next process finds the page wholly old or wholly
// new, never loses what was acknowledged, and finishes.
func TestKilledAtEveryRequest(t *testing.T) {
	old := map[string]entry{"a": {"1", 1}, "b": {"2", 2}}
	changed := map[string]entry{"b": {"9", 9}, "c": {"3", 3}}
	for _, how := range []string{"hub before", "hub after", "bucket before", "bucket after", "bucket torn"} {
		for _, fresh := range []bool{true, false} { // does the page exist?
			for at := 1; ; at++ {
				name := fmt.Sprintf("%s request %d, first change %v", how, at, fresh)
				w := newWorld(t)
				before := map[string]entry{}
				if !fresh {
					before = old
					if err := ledger.Save(t.Context(), w.ledger(), migration, v1.Intended, "x", old); err != nil {
						t.Fatal(err)
					}
				}
				died := w.dieAt(how, at)
				err := ledger.Save(t.Context(), w.ledger(), migration, v1.Intended, "x", changed)
				if !*died {
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					break // there are no more requests
				}
				w.heal()

				got, loadErr := ledger.Load[entry](t.Context(), w.ledger(), migration, v1.Intended, "x")
				if loadErr != nil {
					t.Fatalf("%s: load: %v", name, loadErr)
				}
				if !maps.Equal(got, before) && !maps.Equal(got, changed) || err == nil && !maps.Equal(got, changed) {
					t.Errorf("%s: found %v after error %v", name, got, err)
				}
				// What a process has read is safe in the journal too.
				if after := w.withoutHub(t); !maps.Equal(after, got) {
					t.Errorf("%s: the hub has %v, the journal alone %v", name, got, after)
				}
				if err := ledger.Save(t.Context(), w.ledger(), migration, v1.Intended, "x", changed); err != nil {
					t.Errorf("%s: save again: %v", name, err)
				}
				if after := w.withoutHub(t); !maps.Equal(after, changed) {
					t.Errorf("%s: saved again, the journal alone has %v", name, after)
				}
			}
		}
	}
}

// dieAt lets everything fail from the nth request on, and sets the result once it
// has come to that.
func (w *world) dieAt(how string, nth int) *bool {
	died, seen := false, 0
	w.hub.SetFaults(func(op memory.Op) memory.Fault {
		if died {
			return memory.TimedOut(op)
		}
		if how == "hub before" || how == "hub after" {
			seen++
		}
		switch {
		case seen != nth:
			return memory.Fault{}
		case how == "hub before":
			died = true
			return memory.TimedOut(op)
		case how == "hub after":
			died = true
			return memory.Lost(op)
		}
		return memory.Fault{}
	})
	w.store.SetFaults(func(blobtest.Op) blobtest.Fault {
		if died {
			return blobtest.Fault{Before: blobtest.ErrInjected}
		}
		if how != "hub before" && how != "hub after" {
			seen++
		}
		if seen != nth || how == "hub before" || how == "hub after" {
			return blobtest.Fault{}
		}
		died = true
		switch how {
		case "bucket before":
			return blobtest.Fault{Before: blobtest.ErrInjected}
		case "bucket after":
			return blobtest.Fault{After: blobtest.ErrInjected}
		}
		return blobtest.Fault{Torn: true}
	})
	return &died
}

func (w *world) heal() {
	w.hub.SetFaults(nil)
	w.store.SetFaults(nil)
}

// withoutHub is the page as a new hub has it that knows nothing but the journal. It
// works on a copy of the journal, so that the old hub stays its keeper.
func (w *world) withoutHub(t interface {
	Fatal(...any)
	Helper()
}) map[string]entry {
	t.Helper()
	copied := blobtest.New()
	for key, data := range w.store.Files() {
		copied.Put(key, append([]byte{}, data...))
	}
	journal, err := ledger.Open(context.Background(), copied.Bucket())
	if err != nil {
		t.Fatal(err)
	}
	hub := newHub(99)
	if err := journal.Restore(context.Background(), hub); err != nil {
		t.Fatal(err)
	}
	got, err := ledger.Load[entry](context.Background(), ledger.New(hub, copied.Bucket()), migration, v1.Intended, "x")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestWhateverHappensThePageIsOneOfItsStates makes random changes through a ledger
// that fails at random and is restarted at random. A model holds every state that
// the page may have: after an error the old or the new one, after a success the new
// one alone.
func TestWhateverHappensThePageIsOneOfItsStates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		l := w.ledger()
		states := []map[string]entry{{}}
		faulty := func(where string) bool {
			return rapid.IntRange(0, 9).Draw(t, where) == 0
		}
		w.hub.SetFaults(func(op memory.Op) memory.Fault {
			switch {
			case !faulty("hub"):
				return memory.Fault{}
			case op.Seq%3 == 0:
				return memory.Lost(op)
			case op.Seq%3 == 1 && op.Write():
				return memory.Conflicted(op)
			}
			return memory.TimedOut(op)
		})
		w.store.SetFaults(func(op blobtest.Op) blobtest.Fault {
			if !faulty("bucket") {
				return blobtest.Fault{}
			}
			return rapid.SampledFrom([]blobtest.Fault{{Before: blobtest.ErrInjected}, {After: blobtest.ErrInjected}, {Torn: op.Verb == "write", After: blobtest.ErrInjected}}).Draw(t, "fault")
		})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "key")
			value := entry{"v", rapid.IntRange(0, 9).Draw(t, "value")}
			switch rapid.SampledFrom([]string{"add", "add", "remove", "save", "load", "restart"}).Draw(t, "step") {
			case "restart":
				l = w.ledger()
			case "load":
				got, err := ledger.Load[entry](context.Background(), l, migration, v1.Intended, "x")
				if err == nil {
					states = narrowed(t, states, got)
				}
			case "add":
				err := ledger.Add(context.Background(), l, migration, v1.Intended, "x", map[string]entry{key: value})
				states = outcomes(states, err, func(m map[string]entry) { m[key] = value })
			case "remove":
				err := ledger.Add(context.Background(), l, migration, v1.Intended, "x", map[string]entry(nil), key)
				states = outcomes(states, err, func(m map[string]entry) { delete(m, key) })
			case "save":
				err := ledger.Save(context.Background(), l, migration, v1.Intended, "x", map[string]entry{key: value})
				states = outcomes(states, err, func(m map[string]entry) { clear(m); m[key] = value })
			}
		}
		w.heal()
		got, err := ledger.Load[entry](context.Background(), w.ledger(), migration, v1.Intended, "x")
		if err != nil {
			t.Fatal(err)
		}
		narrowed(t, states, got)
		if after := w.withoutHub(t); !maps.Equal(after, got) {
			t.Fatalf("the hub has %v, the journal alone %v", got, after)
		}
	})
}

// outcomes is what a page may be after a change that ended with err.
func outcomes(states []map[string]entry, err error, change func(map[string]entry)) []map[string]entry {
	var after []map[string]entry
	for _, state := range states {
		changed := maps.Clone(state)
		change(changed)
		after = append(after, changed)
	}
	if err != nil {
		after = append(after, states...)
	}
	var distinct []map[string]entry
	for _, state := range after {
		known := false
		for _, other := range distinct {
			known = known || maps.Equal(state, other)
		}
		if !known {
			distinct = append(distinct, state)
		}
	}
	return distinct
}

func narrowed(t *rapid.T, states []map[string]entry, got map[string]entry) []map[string]entry {
	for _, state := range states {
		if maps.Equal(state, got) {
			return []map[string]entry{state}
		}
	}
	t.Fatalf("the page holds %v, which is none of %v", got, states)
	return nil
}

// TestBeforeSurvivesEverything is the promise that the way back rests on: a value
// that Before has once returned is there for good.
func TestBeforeSurvivesEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		l := w.ledger()
		promised := map[string]entry{}
		w.hub.SetFaults(func(op memory.Op) memory.Fault {
			switch rapid.IntRange(0, 12).Draw(t, "hub") {
			case 0:
				return memory.Lost(op)
			case 1:
				return memory.TimedOut(op)
			}
			return memory.Fault{}
		})
		w.store.SetFaults(func(op blobtest.Op) blobtest.Fault {
			switch rapid.IntRange(0, 12).Draw(t, "bucket") {
			case 0:
				return blobtest.Fault{Before: blobtest.ErrInjected}
			case 1:
				return blobtest.Fault{Torn: op.Verb == "write", After: blobtest.ErrInjected}
			}
			return blobtest.Fault{}
		})
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			if rapid.IntRange(0, 5).Draw(t, "restart") == 0 {
				l = w.ledger()
			}
			key := fmt.Sprint(rapid.IntRange(0, 8).Draw(t, "key"))
			before, _, err := ledger.Before(context.Background(), l, migration, "entry", map[string]entry{key: {"found", i}})
			if err != nil {
				continue
			}
			for key, value := range promised {
				if before[key] != value {
					t.Fatalf("%s was %v, now it is %v", key, value, before[key])
				}
			}
			maps.Copy(promised, before)
		}
	})
}
