package app

import (
	"errors"
	"testing"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/freeze"
)

func TestFreezesAreLiftedWithoutAHub(t *testing.T) {
	c := inMemory(t, "source", 1)
	since := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, name := range []string{"demo", "other"} {
		notice := freeze.Notice{Migration: name, Side: v1.Source, Reason: "a test", Contact: "nobody", Since: since}
		if err := freeze.Close(t.Context(), c, notice); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := lift(t.Context(), c, "demmo"); !errors.Is(err, cli.ErrNo) {
		t.Errorf("a migration without a freeze: %v, want an answer that is no", err)
	}
	lifted, err := lift(t.Context(), c, "demo")
	if err != nil || len(lifted) != 1 || lifted[0] != "lifted the freeze of migration demo, which stood since 2027-03-01T12:00:00Z" {
		t.Errorf("lifted %q, %v", lifted, err)
	}
	standing, err := freeze.Standing(t.Context(), c)
	if err != nil || len(standing) != 1 || standing[0].Migration != "other" {
		t.Errorf("standing: %v, %v; want that of the other migration", standing, err)
	}
	if lifted, err = lift(t.Context(), c, ""); err != nil || len(lifted) != 1 {
		t.Errorf("lifted %q, %v", lifted, err)
	}
	if lifted, err = lift(t.Context(), c, ""); err != nil || len(lifted) != 0 {
		t.Errorf("lifted %q, %v; want nothing, for nothing is frozen", lifted, err)
	}
}
