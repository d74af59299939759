package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"k8s.io/apimachinery/pkg/types"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

func TestWaysAreHeldUntilMeasuredAndMeasuredAgainUntilOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []struct {
			ways []plan.Way
			err  error
		}{
			{nil, errors.New("forbidden")},
			{[]plan.Way{{Range: plan.PodRange, Verdict: v1.Failed}}, nil},
			{[]plan.Way{{Range: plan.PodRange, Verdict: v1.Passed}}, nil},
		}
		asked := 0
		c := &crossings{
			lasting: t.Context(), clock: clock.RealClock{}, seen: map[types.UID]*crossing{},
			measure: func(context.Context, *v1.Migration) ([]plan.Way, error) {
				asked++
				return answers[asked-1].ways, answers[asked-1].err
			},
		}
		m := &v1.Migration{ObjectMeta: metav1.ObjectMeta{UID: "m", Generation: 1}, Spec: v1.MigrationSpec{Source: "east", Target: "west"}}
		verdict := func() v1.Verdict { return plan.ReachGates(c.look(t.Context(), m))[0].Verdict }
		for i, want := range []v1.Verdict{v1.Held, v1.Failed, v1.Passed} {
			if got := verdict(); got != v1.Held {
				t.Errorf("measurement %d is under way: %s, want Held", i, got)
			}
			synctest.Wait()
			if got := verdict(); got != want || asked != i+1 {
				t.Errorf("measurement %d: %s after %d, want %s", i, got, asked, want)
			}
			time.Sleep(waysLast) // the bubble's clock
		}
		if got := verdict(); got != v1.Passed || asked != 3 {
			t.Errorf("open ways: %s after %d measurements, want them believed", got, asked)
		}
	})
}
