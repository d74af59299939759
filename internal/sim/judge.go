package sim

import (
	"context"
	"math/rand/v2"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	engineplan "crossfade.dev/internal/plan"
	"crossfade.dev/internal/probe"
)

// A judge passes, but for some time at first holds or fails.
type judge struct {
	w      *world
	chance *rand.Rand
	// until is when the verdict about a moment becomes good, by moment.
	until   map[time.Time]time.Time
	verdict map[time.Time]v1.Verdict
}

func newJudge(w *world) *judge {
	return &judge{w: w, chance: stream(w.o.Seed, "judge"), until: map[time.Time]time.Time{}, verdict: map[time.Time]v1.Verdict{}}
}

// Judge implements migration.Judge.
func (j *judge) Judge(_ context.Context, _ *v1.Migration, _ []probe.Name, since time.Time) ([]v1.Gate, error) {
	now := j.w.clock.Now()
	if _, asked := j.until[since]; !asked {
		j.until[since] = now.Add(time.Duration(j.chance.IntN(20)) * time.Second)
		j.verdict[since] = []v1.Verdict{v1.Held, v1.Held, v1.Failed}[j.chance.IntN(3)]
		if j.w.o.Calm || j.chance.IntN(3) > 0 {
			j.until[since] = now
		}
	}
	gate := v1.Gate{Name: engineplan.GateComparison, Verdict: v1.Passed, Reason: v1.Finished, Observed: "nobody noticed"}
	if now.Before(j.until[since]) {
		gate.Verdict, gate.Reason, gate.Observed = j.verdict[since], v1.ErrorsWorse, "the target is worse"
	}
	return []v1.Gate{gate}, nil
}
