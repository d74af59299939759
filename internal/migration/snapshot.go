package migration

import (
	"context"
	"fmt"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/plan"
)

// archivePart holds, under archiveKey, the archive that was taken.
const (
	archivePart = "archive"
	archiveKey  = "archive"
)

// An Archiver keeps the source in object storage and proves that the archive can
// be restored.
type Archiver interface {
	// Take archives the subject's source and returns the name of the archive in the
	// migration's bucket. Taking it again makes another archive.
	Take(ctx context.Context, s Subject) (name string, err error)
	// Rehearse restores the archive, in another process, into an empty API server,
	// and returns how what stands there differs from the archive.
	Rehearse(ctx context.Context, m *v1.Migration, name string) (differences []string, err error)
}

// An Archived is what the ledger knows of an archive.
type archived struct {
	Name      string `json:"name"`
	Rehearsed bool   `json:"rehearsed,omitempty"`
}

// snapshot brings the mirror level and keeps the source as it is now. With the
// window Sitting, teams' changes are refused from here on.
func (e *Engine) snapshot(ctx context.Context, v *visit) (Progress, error) {
	if p, err := e.sitOn(ctx, v); err != nil || p.outcome != done {
		return p, err
	}
	level, err := e.levelGates(ctx, v)
	if err != nil {
		return Progress{}, err
	}
	if p := Through(level); p != nil {
		return *p, nil
	}
	p, err := e.archive(ctx, v)
	p.Gates = append(level, p.Gates...)
	return p, err
}

// levelGates tells whether anything is on its way in the source, and whether the
// two sides differ in anything.
func (e *Engine) levelGates(ctx context.Context, v *visit) ([]v1.Gate, error) {
	differences, err := e.Follower.Differences(ctx, v.subject())
	if err != nil {
		return nil, fmt.Errorf("compare both sides: %w", err)
	}
	f := plan.LevelFacts{Deployments: values(v.on(v.m.Status.Writer).deployments)}
	for _, d := range differences {
		f.Differences = append(f.Differences, d.String())
	}
	return plan.Waive(plan.LevelGates(f), v.m.Spec.Waivers, e.Clock.Now()), nil
}

// archive takes the archive once, and rehearses it once.
func (e *Engine) archive(ctx context.Context, v *visit) (Progress, error) {
	gate := v1.Gate{Name: plan.GateArchive, Verdict: v1.Held, Reason: v1.ArchiveNotProved, Limit: "an archive that was restored and compared"}
	if v.m.Spec.Archive == nil || v.m.Spec.Archive.RehearseIn == "" {
		gate.Observed = "spec.archive names no bucket, or no cluster to rehearse in"
		return e.archiveGate(v, gate), nil
	}
	taken, err := ledger.Load[archived](ctx, v.ledger, v.m, v1.Intended, archivePart)
	if err != nil {
		return Progress{}, err
	}
	a := taken[archiveKey]
	if a.Name == "" {
		if a.Name, err = e.Archiver.Take(ctx, v.subject()); err != nil {
			return Progress{}, fmt.Errorf("archive %s: %w", v.source.name, err)
		}
		return Again(v1.Archiving, "archived as %s", a.Name), e.saveArchive(ctx, v, a)
	}
	if !a.Rehearsed {
		differences, err := e.Archiver.Rehearse(ctx, v.m, a.Name)
		if err != nil {
			return Progress{}, fmt.Errorf("rehearse archive %s: %w", a.Name, err)
		}
		if len(differences) > 0 {
			gate.Verdict, gate.Reason = v1.Failed, v1.ArchiveDiffers
			gate.Observed = fmt.Sprintf("%s (and %d more)", differences[0], len(differences)-1)
			return e.archiveGate(v, gate), nil
		}
		a.Rehearsed = true
		if err := e.saveArchive(ctx, v, a); err != nil {
			return Progress{}, err
		}
	}
	gate.Verdict, gate.Reason, gate.Observed = v1.Passed, v1.Finished, a.Name+" was restored and compared"
	return e.archiveGate(v, gate), nil
}

func (e *Engine) saveArchive(ctx context.Context, v *visit, a archived) error {
	return ledger.Save(ctx, v.ledger, v.m, v1.Intended, archivePart, map[string]archived{archiveKey: a})
}

func (e *Engine) archiveGate(v *visit, g v1.Gate) Progress {
	gates := plan.Waive([]v1.Gate{g}, v.m.Spec.Waivers, e.Clock.Now())
	if p := Through(gates); p != nil {
		return *p
	}
	p := Done()
	p.Gates = gates
	return p
}

// undoSnapshot lets teams change things again. The archive is kept, but a new
// snapshot takes a new one.
func (e *Engine) undoSnapshot(ctx context.Context, v *visit) (Progress, error) {
	if err := e.saveArchive(ctx, v, archived{}); err != nil {
		return Progress{}, err
	}
	return e.open(ctx, v, v1.Source)
}
