package demo

import (
	"slices"
	"testing"

	v1 "crossfade.dev/api/v1alpha1"
)

func TestFaultsThatWereNotDealtAreSaid(t *testing.T) {
	asked := &show{Options: Options{Chaos: 1}}
	c := &chaos{s: asked, left: 7, planes: []string{"target"}}
	want := []string{"7 of 20 killings of the controller", "the killing of the control plane of the target", "the cut of the connection to the source"}
	if got := c.undealt(); !slices.Equal(got, want) {
		t.Errorf("undealt = %q, want %q", got, want)
	}
	if got := (&chaos{s: asked, cut: true}).undealt(); len(got) != 0 {
		t.Errorf("undealt = %q, want nothing after everything", got)
	}
	if got := (&chaos{s: &show{}}).undealt(); len(got) != 0 {
		t.Errorf("undealt = %q, want nothing where nothing was asked for", got)
	}
}

func TestKillingsAreLeftForEveryStage(t *testing.T) {
	s := &show{Options: Options{Chaos: 1}}
	c := &chaos{s: s, left: killings}
	if c.take() {
		t.Error("a killing was dealt before any stage was under way")
	}
	dealt := 0
	for _, stage := range v1.Stages {
		s.underWay.Store(&stage)
		before := dealt
		for c.take() {
			dealt++
		}
		if dealt == before {
			t.Errorf("no killing was left for %s", stage)
		}
	}
	if dealt != killings {
		t.Errorf("%d killings were dealt, want %d", dealt, killings)
	}
}
