package sim

import (
	"context"
	"errors"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
	engineplan "crossfade.dev/internal/plan"
)

// A follower keeps the clusters alike as package app does, but in the caller's
// turn: each Follow is one pass of the bridge and one of the mirror.
type follower struct {
	p        *process
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
		var feeding context.Context
		feeding, f.deafen = context.WithCancel(f.p.ctx)
		f.mirror, f.writer = f.newMirror(feeding, s, f.want.Writer), f.want.Writer
		f.held = terms
	}
	report, err := f.mirror.Sync(ctx)
	if err != nil {
		return err
	}
	lag, err := f.mirror.Lag(ctx, mirror.App{})
	if errors.Is(err, mirror.ErrUnsynced) {
		err = nil
	} else if err == nil {
		f.followed.Synced = true
	}
	f.followed.Mirror, f.followed.Lag = report, lag
	return err
}

func (f *follower) forget() {
	if f.mirror != nil {
		f.deafen()
		f.mirror = nil
	}
}

// Differences implements migration.Follower.
func (f *follower) Differences(ctx context.Context, _ migration.Subject) ([]mirror.Difference, error) {
	if f.mirror == nil {
		return nil, errors.New("the mirror has not begun")
	}
	return f.mirror.Differences(ctx)
}

// Remove implements migration.Follower.
func (f *follower) Remove(ctx context.Context, s migration.Subject) ([]mirror.Left, bool, error) {
	feeding, end := context.WithCancel(ctx)
	defer end()
	return f.newMirror(feeding, s, v1.Source).Undo(ctx)
}

// newMirror is the mirror from the writer's side to the other, wired as package app
// does.
func (f *follower) newMirror(feeding context.Context, s migration.Subject, writer v1.Side) *mirror.Mirror {
	side := func(c migration.Connection) mirror.Side {
		return mirror.Side{API: c.API, Feed: mirror.Polled(feeding, c.API, f.p.w.clock), Kinds: c.Facts.Kinds}
	}
	toTarget, toSource := copies(s, "copies-target"), copies(s, "copies-source")
	c := mirror.Config{
		From: side(s.Source), To: side(s.Target), Record: toTarget, Back: &toSource,
		Namespaces: s.In, App: func(_ string, labels map[string]string) string { return engineplan.LabelledApp(labels) },
		Workers: 1, Clock: f.p.w.clock,
	}
	if writer == v1.Target {
		c.From, c.To, c.Record, c.Back = c.To, c.From, toSource, &toTarget
		c.Since = s.Since()
	}
	return mirror.New(c)
}

// copies is the part of the ledger with the mirror's entries of one side.
func copies(s migration.Subject, part string) mirror.Record {
	return mirror.Record{
		Load: func(ctx context.Context) (map[string]mirror.Entry, error) {
			return ledger.Load[mirror.Entry](ctx, s.Ledger, s.Migration, v1.Created, part)
		},
		Save: func(ctx context.Context, changed map[string]mirror.Entry) error {
			return ledger.Add(ctx, s.Ledger, s.Migration, v1.Created, part, changed)
		},
	}
}
