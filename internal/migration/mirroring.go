package migration

import (
	"context"
	"errors"
	"time"

	"k8s.io/utils/clock"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/mirror"
	"crossfade.dev/internal/plan"
)

// Parts of the ledger with the mirror's entries, by the side that it wrote to.
const (
	CopiesInTarget = "copies-target"
	CopiesInSource = "copies-source"
)

// Mirroring says what the mirror of a migration copies, and from where to where: from
// the side of the writer to the other. Workers and FuseWaived are left to the caller.
// An error is about the migration's rules.
func Mirroring(source, target mirror.Side, s Subject, writer v1.Side, clk clock.PassiveClock) (mirror.Config, error) {
	choices, err := mirror.Choices(s.Migration.Spec.Rules)
	if err != nil {
		return mirror.Config{}, err
	}
	toTarget, toSource := s.copies(CopiesInTarget), s.copies(CopiesInSource)
	c := mirror.Config{
		From: source, To: target, Record: toTarget, Back: &toSource,
		Namespaces: s.In, App: func(_ string, labels map[string]string) string { return plan.LabelledApp(labels) },
		Decided: mirror.Decided{Choices: choices, Turned: writer == v1.Target},
		Clock:   clk,
	}
	if writer == v1.Target {
		c.From, c.To, c.Record, c.Back = c.To, c.From, toSource, &toTarget
		c.Since = s.Since()
	}
	return c, nil
}

// copies is the part of the ledger with the mirror's entries of one side.
func (s Subject) copies(part string) mirror.Record {
	return mirror.Record{
		Load: func(ctx context.Context) (map[string]mirror.Entry, error) {
			return ledger.LoadOnce[mirror.Entry](ctx, s.Ledger, s.Migration, v1.Created, part)
		},
		Save: func(ctx context.Context, changed map[string]mirror.Entry) error {
			return ledger.Add(ctx, s.Ledger, s.Migration, v1.Created, part, changed)
		},
	}
}

// FuseWaived tells whether a person lets more deletions pass than the mirror's fuse does.
func (s Subject) FuseWaived(now time.Time) bool {
	return plan.Waived(plan.Fuse, s.Migration.Spec.Waivers, now)
}

// SyncMirror lets a mirror make one pass, and returns what it then says. After an error
// that is nothing.
func SyncMirror(ctx context.Context, m *mirror.Mirror) (Followed, error) {
	report, err := m.Sync(ctx)
	if err != nil {
		return Followed{}, err
	}
	lag, err := m.Lag(ctx, mirror.App{})
	if errors.Is(err, mirror.ErrUnsynced) {
		return Followed{Mirror: report}, nil
	}
	return Followed{Mirror: report, Lag: lag, Synced: err == nil}, err
}
