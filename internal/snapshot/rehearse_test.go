package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"

	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/snapshot"
)

func forbidden(op memory.Op) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: op.Kind.Kind}, op.Name, errors.New("a policy"))
}

// unpacked is a file as somebody without an identity can read it.
func unpacked(t *testing.T, name string, data []byte) string {
	t.Helper()
	if !strings.HasSuffix(name, ".zst") {
		return string(data)
	}
	in, err := zstd.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// plain is an archive of the estate without the object whose owner is not archived,
// so that a rehearsal can prove it.
func plain(t *testing.T, store *blobtest.Store) *snapshot.Archive {
	t.Helper()
	k := newKeys(t)
	source := newCluster(1)
	furnish(t, source)
	var orphan = objects(t, owned)[1]
	mustGet(t, source, "video/of-the-lease", orphan)
	orphan.SetOwnerReferences(nil)
	if err := source.Update(t.Context(), orphan); err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Take(t.Context(), source, store.Bucket(), options(k.recipient)); err != nil {
		t.Fatal(err)
	}
	return open(t, store, k)
}

func TestARehearsalProvesTheArchiveAndLeavesNothing(t *testing.T) {
	store := blobtest.New()
	a := plain(t, store)
	target := newCluster(2)
	before := everything(t, target)
	for range 2 {
		result, err := rehearsed(t.Context(), target, a, into(4))
		if err != nil || !result.Proved() {
			t.Fatalf("%q, %v", result.Problems(), err)
		}
		if after := everything(t, target); !maps.Equal(after, before) {
			t.Errorf("before %d objects, after %d: %v", len(before), len(after), difference(before, after))
		}
	}
}

func difference(before, after map[string]string) (changed []string) {
	for name, version := range after {
		if before[name] != version {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if after[name] == "" {
			changed = append(changed, "gone: "+name)
		}
	}
	return changed
}

// TestARehearsalCutShortIsFinishedByTheNext lets everything fail from the nth
// request on. The next rehearsal removes what is left, proves the archive and
// leaves nothing.
func TestARehearsalCutShortIsFinishedByTheNext(t *testing.T) {
	store := blobtest.New()
	a := plain(t, store)
	for cut := 1; ; cut += 3 {
		target := newCluster(2)
		before := everything(t, target)
		clock := clocktesting.NewFakePassiveClock(start)
		requests := 0
		target.SetFaults(alive(target, clock, func(op memory.Op) memory.Fault {
			if requests++; requests < cut {
				return memory.Fault{}
			}
			if requests == cut && cut%2 == 0 {
				return memory.Lost(op)
			}
			return memory.TimedOut(op)
		}))
		_, err := rehearsed(t.Context(), target, a, into(1))
		target.SetFaults(alive(target, clock, nil))
		if requests < cut {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if err == nil {
			t.Fatalf("everything failed from request %d on, and nobody says so", cut)
		}
		result, err := rehearsed(t.Context(), target, a, into(1))
		if err != nil || !result.Proved() {
			t.Fatalf("after request %d: %q, %v", cut, result.Problems(), err)
		}
		if after := everything(t, target); !maps.Equal(after, before) {
			t.Fatalf("after request %d: %v", cut, difference(before, after))
		}
	}
}

func TestARehearsalWithoutTheSecretsProvesNothing(t *testing.T) {
	store := blobtest.New()
	plain(t, store)
	result, err := rehearsed(t.Context(), newCluster(2), open(t, store), into(1))
	if err != nil || result.Proved() {
		t.Errorf("%+v, %v", result, err)
	}
	if problems := result.Problems(); len(problems) != 1 || !strings.HasPrefix(problems[0], "Secret: ") {
		t.Errorf("got %q", problems)
	}
}

// rehearsed is what a rehearsal found, once it has cleaned up as well.
func rehearsed(ctx context.Context, in snapshot.Cluster, a *snapshot.Archive, into snapshot.Into) (result snapshot.Rehearsal, err error) {
	err = snapshot.Rehearse(ctx, in, a, into, func(r snapshot.Rehearsal) error {
		result = r
		return nil
	})
	return result, err
}
