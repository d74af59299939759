package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// The fuse lets through, in a minute, a hundredth of the copies, but never more than
// most; in small estates still the few objects that an app consists of.
const (
	fusePeriod = time.Minute
	fuseLeast  = 5
	fuseMost   = 20
)

// A fuse counts deletions.
type fuse struct{ recent []time.Time }

// lets tells how many deletions may be due at once, of so many copies.
func (f *fuse) lets(copies int, now time.Time) int {
	f.recent = slices.DeleteFunc(f.recent, func(at time.Time) bool { return now.Sub(at) >= fusePeriod })
	return min(fuseMost, max(fuseLeast, copies/100)) - len(f.recent)
}

// A removal is a copy that is due to be deleted.
type removal struct {
	f *following
	t *twin
}

// removeAll deletes the copies whose origins are gone, the last rank first, unless
// there are more of them than people delete.
func (p *pass) removeAll(ctx context.Context) error {
	m := p.m
	due, again := m.removals()
	lets := m.fuse.lets(m.copies(), m.Clock.Now())
	if len(due) > lets && !m.FuseWaived() {
		for _, r := range due {
			m.obstruct(r.t, v1.Fused, fmt.Sprintf("it is gone from the writer's side with %d others within a minute, which is more than people delete", len(due)-1))
		}
		due = nil
	}
	for _, r := range slices.Concat(due, again) {
		if m.pace.paused() {
			return nil
		}
		if err := p.remove(ctx, r); err != nil {
			return fmt.Errorf("delete %s: %w", r.f.object(r.t.name), err)
		}
	}
	return nil
}

// removals lists what is due: copies whose origin is gone, and those that are made
// again.
func (m *Mirror) removals() (gone, again []removal) {
	for _, f := range slices.Backward(m.order) {
		if reason, _ := f.stopped(); reason != "" {
			continue
		}
		for _, name := range f.sortedOpen() {
			t := f.twins[name]
			switch {
			case t.fate != remove:
			case t.from.there():
				again = append(again, removal{f, t})
			default:
				gone = append(gone, removal{f, t})
			}
		}
	}
	return gone, again
}

// copies counts what the ledger knows.
func (m *Mirror) copies() int {
	n := 0
	for _, f := range m.order {
		for _, t := range f.twins {
			n += count(t.entry.UID != "")
		}
	}
	return n
}

// remove deletes one copy, after the writer's side has confirmed that its origin is
// gone and the ledger says that it is going.
func (p *pass) remove(ctx context.Context, r removal) error {
	m, f, t := p.m, r.f, r.t
	if !t.from.there() {
		if back, err := m.confirm(ctx, f, t); back || err != nil {
			return err
		}
	}
	holds, err := m.holds(ctx, f, t)
	if err != nil {
		return m.failed(t, err)
	}
	if holds != "" {
		m.obstruct(t, v1.ObjectHeld, "it is gone from the writer's side, but holds what the mirror did not make: "+holds)
		return nil
	}
	if !t.entry.Going {
		t.entry.Going = true
		m.note(f, t)
		if err := m.save(ctx); err != nil {
			return err
		}
	}
	if err := m.delete(ctx, f, t); err != nil {
		return m.failed(t, err)
	}
	p.written++
	if !t.from.there() && t.to.there() {
		m.fuse.recent = append(m.fuse.recent, m.Clock.Now())
	}
	return nil
}

// confirm asks for the origin once more. It returns true if it is there after all, or
// if there was no clear answer.
func (m *Mirror) confirm(ctx context.Context, f *following, t *twin) (bool, error) {
	origin := &unstructured.Unstructured{}
	origin.SetGroupVersionKind(f.kind.GroupVersionKind)
	err := m.From.API.Get(ctx, t.name, origin)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return true, m.failed(t, err)
	case older(origin.GetResourceVersion(), t.from.version):
		return true, m.failed(t, errOldAnswer)
	}
	return true, m.see(f, t, origin)
}

// delete removes the copy as it was last seen.
func (m *Mirror) delete(ctx context.Context, f *following, t *twin) error {
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(f.kind.GroupVersionKind)
	obj.SetNamespace(t.name.Namespace)
	obj.SetName(t.name.Name)
	uid, version := t.to.uid, t.to.version
	err := m.To.API.Delete(ctx, obj, client.Preconditions{UID: &uid, ResourceVersion: &version},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	if apierrors.IsNotFound(err) {
		t.to = look{version: version} // its deletion was under way
		return nil
	}
	return err
}

// holds names something within an object that the mirror did not make and that would
// go with it; empty if there is nothing. Only namespaces and definitions hold others.
func (m *Mirror) holds(ctx context.Context, f *following, t *twin) (string, error) {
	switch {
	case f.kind.Kind == "Namespace" && f.kind.Group == "":
		kinds, err := m.To.Kinds(ctx)
		if err != nil {
			return "", err
		}
		for _, kind := range kinds {
			if !kind.Namespaced || !slices.Contains(kind.Verbs, "list") {
				continue
			}
			if found, err := m.strangers(ctx, kind, client.InNamespace(t.name.Name)); found != "" || err != nil {
				return found, err
			}
		}
	case f.kind.Kind == "CustomResourceDefinition":
		kinds, err := m.To.Kinds(ctx)
		if err != nil {
			return "", err
		}
		for _, kind := range kinds {
			if kind.Resource+"."+kind.Group == t.name.Name {
				return m.strangers(ctx, kind)
			}
		}
	}
	return "", nil
}

// strangers names an object of a kind that the mirror did not make.
func (m *Mirror) strangers(ctx context.Context, kind cluster.Kind, opts ...client.ListOption) (string, error) {
	rule := ruleFor(m.Rules, kind.GroupKind())
	if rule.Incidental {
		return "", nil
	}
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(kind.GroupVersionKind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := m.To.API.List(ctx, objects, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		return "", fmt.Errorf("look for %s that would go with it: %w", kind.Resource, err)
	}
	known := m.kinds[objectOf(kind.Group, kind.Kind, "", "").groupKind()]
	for i := range objects.Items {
		obj := &objects.Items[i]
		name := client.ObjectKeyFromObject(obj)
		if known != nil {
			if t := known.twins[name]; t != nil && t.expendable(obj.UID) {
				continue
			}
		}
		if metav1.GetControllerOfNoCopy(obj) != nil || slices.Contains(rule.Furnished, name.Name) || rule.exceptedByName(name.Name) {
			continue
		}
		return objectOf(kind.Group, kind.Kind, name.Namespace, name.Name).String(), nil
	}
	return "", nil
}

// expendable is true of a copy that may go with what holds it.
func (t *twin) expendable(uid types.UID) bool {
	return t.entry.UID == uid && !t.entry.Found && !t.kept && t.fate != drift && t.fate != hold
}

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
		return m.failed(t, m.delete(ctx, f, t))
	})
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
	case e.Found && slices.Contains(f.rule.Furnished, t.name.Name) && t.to.digest == e.Got:
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
