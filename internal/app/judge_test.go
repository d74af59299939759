package app

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/judge"
	"crossfade.dev/internal/probe"
)

func TestMigrationWithoutPublicNamesIsNotHeldUp(t *testing.T) {
	j := &judging{prober: probe.New(t.Context(), probe.Options{})}
	m := &v1.Migration{ObjectMeta: metav1.ObjectMeta{UID: "a"}}
	gates, err := j.Judge(t.Context(), m, nil, time.Now())
	if err != nil || len(gates) != 3 {
		t.Fatalf("%v, %v", gates, err)
	}
	for _, g := range gates {
		if g.Verdict != v1.Passed || g.Observed != "no public name" {
			t.Errorf("%+v", g)
		}
	}
}

func TestStopLastsUntilAnotherMomentIsAskedAbout(t *testing.T) {
	worse := judge.Report{Pooled: judge.Finding{Errors: judge.Comparison{Verdict: judge.Worse}}}
	well := judge.Report{Pooled: judge.Finding{Errors: judge.Comparison{Verdict: judge.NotWorse}}}
	verdict := func(r judge.Report) judge.Verdict { return r.Pooled.Errors.Verdict }

	j := &judging{}
	since := time.Date(2026, 1, 1, 0, 0, 0, 123456789, time.UTC)
	stored := since.Truncate(time.Microsecond)
	j.keep("a", since, worse)
	if got := verdict(j.keep("a", stored, well)); got != judge.Worse {
		t.Errorf("the same moment, read back: %s", got)
	}
	if got := verdict(j.keep("b", since, well)); got != judge.NotWorse {
		t.Errorf("another migration: %s", got)
	}
	if got := verdict(j.keep("a", since.Add(time.Second), well)); got != judge.NotWorse {
		t.Errorf("another moment: %s", got)
	}
}
