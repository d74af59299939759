package mirror

import (
	"context"
	"errors"
	"sync"
	"time"
)

// An App is a unit of inventory: a namespace, and a name by its objects' labels. An
// empty name stands for the whole namespace, an empty App for the estate.
type App struct{ Namespace, Name string }

// ErrUnsynced says that the mirror has not been over every kind yet.
var ErrUnsynced = errors.New("the mirror has not seen everything yet")

// lags are what the last pass left open.
type lags struct {
	mu     sync.Mutex
	synced bool
	oldest map[App]time.Time
}

// set notes, for the estate, each namespace and each app, since when its oldest
// object is not level.
func (l *lags) set(m *Mirror) {
	oldest := map[App]time.Time{}
	for _, f := range m.order {
		for name := range f.open {
			t := f.twins[name]
			if !t.wanted && t.entry == (Entry{}) {
				continue
			}
			for _, app := range []App{{}, {Namespace: name.Namespace}, {Namespace: name.Namespace, Name: t.app}} {
				if at, ok := oldest[app]; !ok || t.since.Before(at) {
					oldest[app] = t.since
				}
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.synced, l.oldest = m.synced, oldest
}

// Lag returns the age of the oldest write to app on the writer's side that the other
// side has not yet confirmed; zero means level. The age counts from when the mirror
// heard of the write, on its own clock only, so skew between the clusters does not
// enter; what a cut connection hides is counted by the feed (see Feed.Deaf).
//
// Until the first pass over every mirrored kind has ended, Lag returns an error
// wrapping ErrUnsynced; callers must not read that as zero lag. Lag may be called
// while Sync runs.
func (m *Mirror) Lag(_ context.Context, app App) (time.Duration, error) {
	l := &m.lags
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.synced {
		return 0, ErrUnsynced
	}
	now := m.Clock.Now()
	var lag time.Duration
	if at, ok := l.oldest[app]; ok {
		lag = now.Sub(at)
	}
	if since, deaf := m.From.Feed.Deaf(); deaf {
		lag = max(lag, now.Sub(since))
	}
	return lag, nil
}
