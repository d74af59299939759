package migration

import (
	"context"
	"fmt"
	"slices"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/mirror"
)

// A Follower keeps the two clusters alike while a migration lasts: objects by the
// mirror, endpoints by the bridge. What it knows it can find again after a
// restart.
type Follower interface {
	// Follow goes on with what is wanted, or changes over to it, and returns what is
	// known. It does not wait.
	Follow(ctx context.Context, s Subject, want Following) (Followed, error)
	// Differences compares both sides object by object, from fresh lists.
	Differences(ctx context.Context, s Subject) ([]mirror.Difference, error)
	// Remove deletes what the mirror created in the target, and returns what it may
	// not delete; done is false while deletions are under way.
	Remove(ctx context.Context, s Subject) (left []mirror.Left, done bool, err error)
}

// A Subject is the migration that is followed.
type Subject struct {
	Migration      *v1.Migration
	Source, Target Connection
	Ledger         *ledger.Ledger
	In             func(namespace string) bool
}

// Since is when teams came to write to the target, for as long as they do; zero
// while they write to the source.
func (s Subject) Since() time.Time {
	if s.Migration.Status.Writer != v1.Target {
		return time.Time{}
	}
	for _, t := range slices.Backward(s.Migration.Status.Timeline) {
		if t.Stage == v1.Release && t.Direction == v1.Forward {
			return t.Started.Time
		}
	}
	return time.Time{}
}

// Following is what should be kept true between the clusters.
type Following struct {
	// Mirrored is true while objects are copied, from the Writer's side to the other.
	Mirrored bool
	Writer   v1.Side
	// Ways are the directions in which the bridge carries endpoints.
	Ways bridge.Ways
}

// Followed is what the mirror and the bridge last said.
type Followed struct {
	// Synced is false until the mirror has been through every kind once.
	Synced bool
	Mirror mirror.Report
	// Lag is the age of the oldest write that is not confirmed; it means nothing
	// until Synced.
	Lag time.Duration
	// Bridged is false until the bridge has been over every Service once.
	Bridged bool
	Bridge  bridge.Report
}

// lagMillis is the lag in milliseconds, -1 while it is unknown.
func (f Followed) lagMillis() int64 {
	if !f.Synced {
		return -1
	}
	return f.Lag.Milliseconds()
}

// following derives from the stages what should be kept true: the mirror, and the
// bridge by which the target's Services lead to the source's pods, from Prepare on;
// the bridge by which the source's Services lead to the target's pods from Shift on.
func following(m *v1.Migration) Following {
	f := Following{Writer: m.Status.Writer}
	if retired(m) {
		return f
	}
	prepared := m.Begun(v1.Prepare) && !undoing(m, v1.Prepare)
	f.Mirrored = prepared
	f.Ways = bridge.Ways{ToSource: prepared, ToTarget: prepared && m.Begun(v1.Shifting)}
	return f
}

// follow keeps the mirror and the bridge going, as long as there are two sides.
func (e *Engine) follow(ctx context.Context, v *visit) error {
	if v.target.lost {
		return nil
	}
	followed, err := e.Follower.Follow(ctx, v.subject(), following(v.m))
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	v.followed = followed
	observeMirror(v.m, followed.Mirror)
	v.m.Status.Mirror = v1.MirrorStatus{
		Objects: int32(followed.Mirror.Objects), Differing: int32(followed.Mirror.Differing),
		LagMillis: followed.lagMillis(),
	}
	return nil
}

func (v *visit) subject() Subject {
	return Subject{v.m, v.source.connection(), v.target.connection(), v.ledger, Scope(v.m)}
}
