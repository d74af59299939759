package migration

import (
	"context"
	"strings"
	"testing"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
)

// rehearsing is an Archiver whose rehearsal ends when it is told to.
type rehearsing struct {
	ended       bool
	differences []string
	asked       int
}

func (*rehearsing) Take(context.Context, Subject) (string, error) { return "archive", nil }

func (r *rehearsing) Rehearse(context.Context, *v1.Migration, string) ([]string, bool, error) {
	r.asked++
	return r.differences, r.ended, nil
}

func TestAnArchiveIsProvedOnceAndTriedAgainIfItDiffered(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.m.Spec.Archive = &v1.Archive{URL: "mem://", RehearseIn: "empty"}
	r := &rehearsing{}
	w.Archiver = r
	pass := func() Progress {
		t.Helper()
		p, err := w.archive(t.Context(), w.visit())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for range 3 { // archived, and then being restored
		if p := pass(); p.outcome != again || p.Reason != v1.Archiving {
			t.Fatalf("%s: %s", p.Reason, p.Message)
		}
	}
	r.ended, r.differences = true, []string{"ConfigMap shop/cart: it is missing"}
	asked := r.asked
	for range 3 {
		if p := pass(); p.outcome != failed || p.Reason != v1.ArchiveDiffers || !strings.Contains(p.Message, "shop/cart") {
			t.Fatalf("%s: %s", p.Reason, p.Message)
		}
	}
	if r.asked != asked+1 {
		t.Errorf("it was rehearsed %d times at once", r.asked-asked)
	}
	r.differences = nil
	w.pass(3 * time.Minute)
	asked = r.asked
	for range 3 {
		if p := pass(); p.outcome != done {
			t.Fatalf("%s: %s", p.Reason, p.Message)
		}
	}
	if r.asked != asked+1 {
		t.Errorf("what was proved was rehearsed %d times", r.asked-asked)
	}
}
