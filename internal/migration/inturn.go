package migration

import (
	"context"
	"errors"

	"k8s.io/utils/clock"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/mirror"
)

// InTurn is a Follower of one migration that works in its caller's turn: each Follow is
// one pass of the bridge and one of the mirror, so that nothing happens between passes.
// Its exported fields are set once.
type InTurn struct {
	// Lasting ends with the mirror's feeds.
	Lasting context.Context
	Clock   clock.PassiveClock
	// Workers is how many writes to a cluster may be under way at once.
	Workers int
	// Feed tells what becomes of the objects of a cluster, until ctx ends.
	Feed func(ctx context.Context, api cluster.API) mirror.Feed
	// Terms are those of the fences of source and target; nil if nobody else writes.
	Terms func() [2]int32

	subject  Subject // as it was last seen
	want     Following
	followed Followed

	bridge *bridge.Bridge
	mirror *mirror.Mirror
	writer v1.Side
	held   [2]int32
	deafen context.CancelFunc
}

// Follow implements Follower.
func (f *InTurn) Follow(ctx context.Context, s Subject, want Following) (Followed, error) {
	f.subject = s
	if f.bridge == nil {
		f.bridge = bridge.New(bridge.Config{Source: s.Source.API, Target: s.Target.API, Namespaces: s.In, Clock: f.Clock, Workers: f.Workers})
	}
	if f.want != want {
		f.want, f.followed = want, Followed{}
	}
	report, err := f.bridge.Sync(ctx, want.Ways)
	f.followed.Bridge, f.followed.Bridged = report, err == nil
	return f.followed, errors.Join(err, f.mirrorPass(ctx, s))
}

func (f *InTurn) mirrorPass(ctx context.Context, s Subject) error {
	if !f.want.Mirrored {
		f.forget()
		return nil
	}
	var terms [2]int32
	if f.Terms != nil {
		terms = f.Terms()
	}
	if f.mirror == nil || f.writer != f.want.Writer || f.held != terms {
		f.forget()
		feeding, deafen := context.WithCancel(f.Lasting)
		m, err := f.newMirror(feeding, s, f.want.Writer)
		if err != nil {
			deafen()
			return err
		}
		f.mirror, f.deafen, f.writer, f.held = m, deafen, f.want.Writer, terms
	}
	found, err := SyncMirror(ctx, f.mirror)
	f.followed.Mirror, f.followed.Lag, f.followed.Synced = found.Mirror, found.Lag, found.Synced
	return err
}

func (f *InTurn) forget() {
	if f.mirror != nil {
		f.deafen()
		f.mirror = nil
	}
}

// Differences implements Follower.
func (f *InTurn) Differences(ctx context.Context, s Subject) ([]mirror.Difference, error) {
	if f.mirror == nil || f.writer != s.Migration.Status.Writer {
		return nil, errors.New("the mirror has not begun in this direction")
	}
	return f.mirror.Differences(ctx)
}

// Remove implements Follower.
func (f *InTurn) Remove(ctx context.Context, s Subject) ([]mirror.Left, bool, error) {
	feeding, end := context.WithCancel(ctx)
	defer end()
	m, err := f.newMirror(feeding, s, v1.Source)
	if err != nil {
		return nil, false, err
	}
	return m.Undo(ctx)
}

// newMirror is the mirror from the writer's side to the other.
func (f *InTurn) newMirror(feeding context.Context, s Subject, writer v1.Side) (*mirror.Mirror, error) {
	side := func(c Connection) mirror.Side {
		return mirror.Side{API: c.API, Feed: f.Feed(feeding, c.API), Kinds: c.Facts.Kinds}
	}
	c, err := Mirroring(side(s.Source), side(s.Target), s, writer, f.Clock)
	if err != nil {
		return nil, err
	}
	c.Workers, c.FuseWaived = f.Workers, func() bool { return f.subject.FuseWaived(f.Clock.Now()) }
	return mirror.New(c), nil
}
