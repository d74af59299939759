package sim

import (
	"context"
	"errors"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
)

// A follower keeps the clusters alike as package app does, but in the caller's
// turn: each Follow is one pass of the bridge and one of the mirror.
type follower struct {
	p        *process
	subject  migration.Subject // as it was last seen
	want     migration.Following
	followed migration.Followed

	bridge *bridge.Bridge
	mirror *mirror.Mirror
	writer v1.Side
	held   [2]int32
	deafen context.CancelFunc
}

// Follow implements migration.Follower.
func (f *follower) Follow(ctx context.Context, s migration.Subject, want migration.Following) (migration.Followed, error) {
	f.subject = s
	if f.bridge == nil {
		f.bridge = bridge.New(bridge.Config{Source: s.Source.API, Target: s.Target.API, Namespaces: s.In, Clock: f.p.w.clock, Workers: 1})
	}
	if f.want != want {
		f.want, f.followed = want, migration.Followed{}
	}
	report, err := f.bridge.Sync(ctx, want.Ways)
	f.followed.Bridge, f.followed.Bridged = report, err == nil
	return f.followed, errors.Join(err, f.mirrorPass(ctx, s))
}

func (f *follower) mirrorPass(ctx context.Context, s migration.Subject) error {
	if !f.want.Mirrored {
		f.forget()
		return nil
	}
	terms := f.p.terms()
	if f.mirror == nil || f.writer != f.want.Writer || f.held != terms {
		f.forget()
		feeding, deafen := context.WithCancel(f.p.ctx)
		m, err := f.newMirror(feeding, s, f.want.Writer)
		if err != nil {
			deafen()
			return err
		}
		f.mirror, f.deafen, f.writer, f.held = m, deafen, f.want.Writer, terms
	}
	found, err := migration.SyncMirror(ctx, f.mirror)
	f.followed.Mirror, f.followed.Lag, f.followed.Synced = found.Mirror, found.Lag, found.Synced
	return err
}

func (f *follower) forget() {
	if f.mirror != nil {
		f.deafen()
		f.mirror = nil
	}
}

// Differences implements migration.Follower.
func (f *follower) Differences(ctx context.Context, s migration.Subject) ([]mirror.Difference, error) {
	if f.mirror == nil || f.writer != s.Migration.Status.Writer {
		return nil, errors.New("the mirror has not begun in this direction")
	}
	return f.mirror.Differences(ctx)
}

// Remove implements migration.Follower.
func (f *follower) Remove(ctx context.Context, s migration.Subject) ([]mirror.Left, bool, error) {
	feeding, end := context.WithCancel(ctx)
	defer end()
	m, err := f.newMirror(feeding, s, v1.Source)
	if err != nil {
		return nil, false, err
	}
	return m.Undo(ctx)
}

// newMirror is the mirror from the writer's side to the other, as production has it but
// for its feeds, which have no turn of their own.
func (f *follower) newMirror(feeding context.Context, s migration.Subject, writer v1.Side) (*mirror.Mirror, error) {
	side := func(c migration.Connection) mirror.Side {
		return mirror.Side{API: c.API, Feed: mirror.Polled(feeding, c.API, f.p.w.clock), Kinds: c.Facts.Kinds}
	}
	c, err := migration.Mirroring(side(s.Source), side(s.Target), s, writer, f.p.w.clock)
	if err != nil {
		return nil, err
	}
	c.Workers, c.FuseWaived = 1, func() bool { return f.subject.FuseWaived(f.p.w.clock.Now()) }
	return mirror.New(c), nil
}
