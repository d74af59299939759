package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// A Left object is one that Undo did not remove.
type Left struct {
	Object Object
	Text   string
}

// Undo removes what the mirror created on To, by the ledger only. It may be repeated
// or cut short anywhere; done is true when nothing is left to do. What it must not
// remove is listed: objects that somebody changed since, and namespaces and
// definitions that hold what the mirror did not make.
func (m *Mirror) Undo(ctx context.Context) (left []Left, done bool, err error) {
	if err := m.load(ctx); err != nil {
		return nil, false, err
	}
	if err := m.servedBy(ctx); err != nil {
		return nil, false, err
	}
	m.passes++
	done = true
	for _, f := range slices.Backward(m.order) {
		if !f.recorded() {
			continue
		}
		kindLeft, kindDone, err := m.undoKind(ctx, f)
		left, done = append(left, kindLeft...), done && kindDone
		if err != nil {
			return left, false, errors.Join(fmt.Errorf("mirror: undo %s: %w", f.kind.Kind, err), m.save(ctx))
		}
	}
	if err := m.save(ctx); err != nil {
		return left, false, fmt.Errorf("mirror: %w", err)
	}
	return left, done, nil
}

// servedBy completes the kinds of the ledger by what To serves.
func (m *Mirror) servedBy(ctx context.Context) error {
	kinds, err := m.To.Kinds(ctx)
	if err != nil {
		return fmt.Errorf("mirror: ask the side that follows what it serves: %w", err)
	}
	for _, kind := range kinds {
		if f := m.kinds[objectOf(kind.Group, kind.Kind, "", "").groupKind()]; f != nil {
			f.kind, f.served = kind, true
		}
	}
	return nil
}

func (m *Mirror) undoKind(ctx context.Context, f *following) (left []Left, done bool, err error) {
	if !f.served {
		return []Left{{objectOf(f.kind.Group, f.kind.Kind, "", ""), "the cluster does not serve this kind any longer"}}, true, nil
	}
	told, err := m.To.Feed.Hear(ctx, f.kind, f.to.version, func(obj client.Object, gone bool) error { return m.sawTo(f, obj, gone) })
	if err != nil {
		return nil, false, err
	}
	m.heard(f, &f.to, told, (*twin).sideTo)
	if f.to.behind > 0 || !f.to.synced {
		return nil, false, nil
	}
	return m.undoTwins(ctx, f)
}

func (m *Mirror) undoTwins(ctx context.Context, f *following) (left []Left, done bool, err error) {
	done = true
	var going []*twin
	for _, t := range f.recordedTwins() {
		text, over, err := m.undo(ctx, f, t)
		if err != nil {
			return left, false, err
		}
		t.kept = text != ""
		switch {
		case t.kept:
			left = append(left, Left{f.object(t.name), text})
		case !over && t.entry.Going:
			going = append(going, t)
		}
		done = done && over
	}
	if err := m.save(ctx); err != nil {
		return left, false, err
	}
	return left, done, m.each(ctx, going, func(ctx context.Context, t *twin) error {
		if freed, err := m.free(ctx, f, t); err != nil || !freed {
			return m.failed(t, err)
		}
		return m.failed(t, m.delete(ctx, f, t))
	})
}

// free takes off the finalizers that the copy has from its origin, so that no
// controller cleans up what the origin still needs. It returns false if the copy has
// changed.
func (m *Mirror) free(ctx context.Context, f *following, t *twin) (bool, error) {
	if !slices.ContainsFunc(f.rule.choices, func(c Choice) bool { return len(c.Finalizers) > 0 }) {
		return true, nil
	}
	live, same, err := m.live(ctx, f, t)
	if err != nil || !same {
		return false, err
	}
	borrowed := f.rule.finalizers(live)
	if len(borrowed) == 0 {
		return true, nil
	}
	live.SetFinalizers(slices.DeleteFunc(live.GetFinalizers(), func(name string) bool { return slices.Contains(borrowed, name) }))
	if err := m.To.API.Update(ctx, live, client.FieldOwner(cluster.FieldManager)); err != nil {
		return false, fmt.Errorf("take off its finalizers: %w", err)
	}
	t.to = f.lookTo(live)
	return true, nil
}

// recordedTwins lists the twins that the ledger knows, by name.
func (f *following) recordedTwins() []*twin {
	var twins []*twin
	for _, t := range f.twins {
		if t.entry != (Entry{}) {
			twins = append(twins, t)
		}
	}
	slices.SortFunc(twins, func(a, b *twin) int { return compareNames(a.name, b.name) })
	return twins
}

// undo decides about one copy, and notes its deletion if it is due. It returns what
// keeps it, if something does, and whether there is nothing more to do about it.
func (m *Mirror) undo(ctx context.Context, f *following, t *twin) (keeps string, over bool, err error) {
	e := &t.entry
	switch {
	case !t.to.there(), e.UID != "" && e.UID != t.to.uid:
		if err := m.failed(t, m.forgotten(ctx, f, t)); err != nil {
			return "", false, err
		}
		gone := e.Gone
		m.note(f, t)
		return "", gone, nil
	case f.furnished(t) && (e.Found && t.to.digest == e.Got || e.UID == "" && t.to.digest == e.Next):
		err := m.failed(t, m.bareAgain(ctx, f, t))
		return "", e.Gone, err
	case e.Found:
		return "it was here before the mirror", true, nil
	case t.to.leaving:
		return "", false, nil
	case e.UID == "" && t.to.digest != e.Next:
		return "it was made while the mirror made its own, and differs", true, nil
	case e.UID != "" && t.to.digest != e.Got && t.to.digest != e.Next:
		return "somebody changed it since", true, nil
	}
	if f.rule.Rank == Definitions && m.defines(t.name.Name) {
		return "", false, nil // its objects go first: without it nobody could tell that they are gone
	}
	holds, err := m.holds(ctx, f, t)
	if err != nil {
		return "", false, m.failed(t, err)
	}
	if holds != "" {
		return "it holds what the mirror did not make: " + holds, true, nil
	}
	if !e.Going {
		e.Going, e.UID, e.Got = true, t.to.uid, t.to.digest
		m.note(f, t)
	}
	return "", false, nil
}

// furnished is true of what clusters make by themselves. It may stand there although
// the mirror only meant to make it.
func (f *following) furnished(t *twin) bool { return slices.Contains(f.rule.Furnished, t.name.Name) }

// defines is true while the ledger has copies of what a definition of custom resources
// defines, by its name.
func (m *Mirror) defines(name string) bool {
	_, group, _ := strings.Cut(name, ".")
	return slices.ContainsFunc(m.order, func(f *following) bool { return f.kind.Group == group && f.recorded() })
}

// bareAgain makes an object that clusters make by themselves what it was before the
// mirror completed it.
func (m *Mirror) bareAgain(ctx context.Context, f *following, t *twin) error {
	live, same, err := m.live(ctx, f, t)
	if err != nil || !same {
		return err
	}
	if err := m.To.API.Update(ctx, f.rule.change(bareOf(live), live), client.FieldOwner(cluster.FieldManager)); err != nil {
		return err
	}
	t.entry = Entry{Gone: true}
	m.note(f, t)
	return nil
}
