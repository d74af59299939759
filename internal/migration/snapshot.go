package migration

import (
	"context"
	"fmt"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/plan"
)

// archivePart holds, under archiveKey, the archive that was taken.
const (
	archivePart = "archive"
	archiveKey  = "archive"
)

// mostDifferences is how many differences of an archive are kept.
const mostDifferences = 20

// An Archiver keeps the source in object storage and proves that the archive can
// be restored.
type Archiver interface {
	// Take archives the subject's source and returns the name of the archive in the
	// migration's bucket. Taking it again makes another archive.
	Take(ctx context.Context, s Subject) (name string, err error)
	// Rehearse has the archive restored, by another process, into an empty API server,
	// and returns how what stands there differs from the archive. It does not wait: it
	// is not done while that is under way, and is to be asked again. After a restart,
	// or an error, it begins anew.
	Rehearse(ctx context.Context, m *v1.Migration, name string) (differences []string, done bool, err error)
}

// An Archived is what the ledger knows of an archive.
type archived struct {
	Name string `json:"name"`
	// Rehearsed is true once it was restored and did not differ; Differences are the
	// first that were found when it did.
	Rehearsed   bool     `json:"rehearsed,omitempty"`
	Differences []string `json:"differences,omitempty"`
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

// archive takes the archive once, and rehearses it once, without waiting for it.
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
		if a, err = e.rehearse(ctx, v, a); err != nil {
			return Progress{}, err
		}
	}
	if !a.Rehearsed && len(a.Differences) == 0 {
		return Again(v1.Archiving, "archive %s is being restored and compared", a.Name), nil
	}
	if len(a.Differences) > 0 {
		gate.Verdict, gate.Reason = v1.Failed, v1.ArchiveDiffers
		gate.Observed = a.Differences[0] + andMore(len(a.Differences))
		return e.archiveGate(v, gate), nil
	}
	gate.Verdict, gate.Reason, gate.Observed = v1.Passed, v1.Finished, a.Name+" was restored and compared"
	return e.archiveGate(v, gate), nil
}

// rehearse has the archive restored and compared. One in which differences were found
// is tried again after a while: they may be those of the place where it was tried.
func (e *Engine) rehearse(ctx context.Context, v *visit, a archived) (archived, error) {
	if len(a.Differences) > 0 {
		if _, over := e.waited(v, rehearsalDue, rehearsalPause); !over {
			return a, nil
		}
	}
	differences, finished, err := e.Archiver.Rehearse(ctx, v.m, a.Name)
	if err != nil {
		return a, fmt.Errorf("rehearse archive %s: %w", a.Name, err)
	}
	if !finished {
		return a, nil
	}
	v.setMoment(rehearsalDue, e.Clock.Now().Add(rehearsalPause))
	a.Rehearsed, a.Differences = len(differences) == 0, differences[:min(len(differences), mostDifferences)]
	return a, e.saveArchive(ctx, v, a)
}

// rehearsalDue is when an archive that differed is rehearsed again.
const (
	rehearsalDue   = "rehearsal"
	rehearsalPause = 2 * time.Minute
)

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
