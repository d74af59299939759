package mirror

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
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
