package app

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/judge"
	"crossfade.dev/internal/probe"
)

// judging tells what users would have noticed, from the pairs of its prober.
type judging struct {
	prober *probe.Prober

	mu sync.Mutex
	// latches hold what was found worse since a moment, for each migration.
	latches map[types.UID]*latch
}

type latch struct {
	since time.Time
	judge.Latch
}

// Judge goes on asking these names on both sides, and returns its verdicts over
// what it has seen since a moment. It does not wait.
func (j *judging) Judge(_ context.Context, m *v1.Migration, names []probe.Name, since time.Time) ([]v1.Gate, error) {
	key := string(m.UID)
	j.prober.Ask(key, names, int(max(m.Spec.Objectives.ProbesPerSecond, 1)))
	objectives := judge.NewObjectives(m.Spec.Objectives)
	report := judge.Judge(j.prober.Evidence(key, since), objectives)
	return judge.Gates(j.keep(m.UID, since, report), objectives), nil
}

// keep holds on to what was found worse, until another moment is asked about. A
// moment is known to the microsecond: more is not stored.
func (j *judging) keep(migration types.UID, since time.Time, r judge.Report) judge.Report {
	since = since.Truncate(time.Microsecond)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.latches == nil {
		j.latches = map[types.UID]*latch{}
	}
	l := j.latches[migration]
	if l == nil || !l.since.Equal(since) {
		l = &latch{since: since}
		j.latches[migration] = l
	}
	return l.Keep(r)
}
