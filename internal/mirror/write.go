package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/object"
)

// write does what is due: it reads the origins that are not at hand, notes in the
// ledger what will be written, writes, and keeps what came of it for the next note.
func (p *pass) write(ctx context.Context, f *following, due []*twin) error {
	for len(due) > 0 {
		n := min(batch, len(due))
		if err := p.writeBatch(ctx, f, due[:n]); err != nil {
			return err
		}
		due = due[n:]
	}
	return nil
}

func (p *pass) writeBatch(ctx context.Context, f *following, due []*twin) error {
	m := p.m
	err := m.waitFor(ForWriter, func() error {
		return m.each(ctx, due, func(ctx context.Context, t *twin) error { return m.fetch(ctx, f, t) })
	})
	if err != nil {
		return err
	}
	ready := due[:0:0]
	for _, t := range due {
		if err := m.accept(f, t); err != nil {
			return err
		}
		if m.mapped(t) && m.intend(f, t) {
			ready = append(ready, t)
		}
	}
	if err := m.save(ctx); err != nil {
		return fmt.Errorf("note in the ledger what will be written: %w", err)
	}
	err = m.waitFor(ForFollower, func() error {
		return m.each(ctx, ready, func(ctx context.Context, t *twin) error { return m.act(ctx, f, t) })
	})
	for _, t := range ready {
		m.note(f, t)
		m.judge(f, t)
		p.written += count(t.obstacle.text == "")
	}
	return err
}

// needsBody is true if the fate can't be met without the origin.
func (t *twin) needsBody() bool {
	switch t.fate {
	case create, replace, sign, ask:
		return true
	}
	return false
}

// fetch reads the origin, if a write needs it and it is not at hand.
func (m *Mirror) fetch(ctx context.Context, f *following, t *twin) error {
	if t.body != nil || !t.needsBody() {
		return nil
	}
	body := &unstructured.Unstructured{}
	body.SetGroupVersionKind(f.kind.GroupVersionKind)
	if err := m.From.API.Get(ctx, t.name, body); err != nil {
		return m.failed(t, err)
	}
	t.fetched = body
	return nil
}

// accept judges a twin by the origin that was just read.
func (m *Mirror) accept(f *following, t *twin) error {
	body := t.fetched
	t.fetched = nil
	if body != nil && !older(body.GetResourceVersion(), t.from.version) {
		return m.see(f, t, body)
	}
	m.judge(f, t)
	return nil
}

// mapped makes the origin's ownerReferences point to copies. It returns false while
// an owner's copy is not there.
func (m *Mirror) mapped(t *twin) bool {
	if t.body == nil || t.mapped {
		return true
	}
	missing := mapOwners(t.body, m.copyOf)
	switch {
	case missing == nil:
		t.mapped = true
		return true
	case missing.follows:
		m.obstruct(t, v1.Busy, fmt.Sprintf("its owner %s comes first", missing.object))
	default:
		m.obstruct(t, v1.DecisionNeeded, fmt.Sprintf("its owner %s is not copied", missing.object))
	}
	return false
}

// copyOf finds the UID of the copy of an owner, given the owner's own UID.
func (m *Mirror) copyOf(owner Object, uid types.UID) (types.UID, bool) {
	f := m.kinds[owner.groupKind()]
	if f == nil || f.rule.idle() {
		return "", false
	}
	for _, namespace := range []string{owner.Namespace, ""} {
		t := f.twins[types.NamespacedName{Namespace: namespace, Name: owner.Name}]
		if t != nil && t.wanted && t.from.uid == uid {
			return t.to.uid, true
		}
	}
	return "", false
}

// intend notes what is about to be written. It returns false if there is nothing to
// write: what only concerns the ledger is done then.
func (m *Mirror) intend(f *following, t *twin) bool {
	if t.needsBody() && t.body == nil {
		return false
	}
	switch t.fate {
	case create:
		t.entry = Entry{From: t.from.uid, Version: t.from.version, Next: t.from.digest}
	case replace:
		if t.entry.UID != t.to.uid {
			t.entry = Entry{UID: t.to.uid, Got: t.to.digest, Found: true}
		}
		t.entry.From, t.entry.Version, t.entry.Next = t.from.uid, t.from.version, t.from.digest
	case take:
		t.take(f)
		m.note(f, t)
		m.judge(f, t)
		return false
	case sign, ask, forget:
		return true
	default:
		return false
	}
	m.note(f, t)
	return true
}

// take notes the copy as it stands.
func (t *twin) take(f *following) {
	e := &t.entry
	switch {
	case *e == Entry{} || e.Gone:
		*e = Entry{From: t.from.uid, Version: t.from.version, Wrote: t.from.digest, Owners: t.from.owners, Carried: t.from.carried, Found: true}
	case t.to.digest == t.from.digest:
		e.Wrote = t.from.digest
	case t.to.digest == e.Next:
		e.Wrote = e.Next
	}
	e.UID, e.At, e.Got, e.Next, e.Going = t.to.uid, t.to.version, t.to.digest, "", false
	e.Found = e.Found || f.furnished(t) // whoever made it, the cluster makes it by itself
}

// note keeps a twin's entry for the next save.
func (m *Mirror) note(f *following, t *twin) {
	m.unsaved[f.object(t.name).String()] = t.entry
	if t.entry.Gone {
		t.entry = Entry{}
	}
}

// act makes one write. It returns an error only if nothing more must be written.
func (m *Mirror) act(ctx context.Context, f *following, t *twin) error {
	t.obstacle = unhindered
	var err error
	switch t.fate {
	case create:
		err = m.create(ctx, f, t)
	case replace:
		err = m.replace(ctx, f, t)
	case sign:
		err = m.sign(ctx, f, t)
	case ask:
		err = m.ask(ctx, f, t)
	case forget:
		err = m.forgotten(ctx, f, t)
	}
	return m.failed(t, err)
}

func (m *Mirror) create(ctx context.Context, f *following, t *twin) error {
	obj := f.rule.birth(t.body)
	made, err := m.applied(ctx, f, t, obj, nil)
	if made == nil && err == nil {
		made, err = obj, m.To.API.Create(ctx, obj, firstManager(t.body))
	}
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		// The feed did not know it yet, or the reply to an earlier attempt was lost.
		err := m.reread(ctx, f, t)
		if apierrors.IsNotFound(err) {
			f.unapplied.Store(true) // an API server that takes no apply for a creation
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return m.written(ctx, f, t, made)
}

// reread looks at the copy as it is now.
func (m *Mirror) reread(ctx context.Context, f *following, t *twin) error {
	_, _, err := m.live(ctx, f, t)
	return err
}

// live reads the copy, and returns whether it is still what it was when it was judged.
func (m *Mirror) live(ctx context.Context, f *following, t *twin) (live *unstructured.Unstructured, same bool, err error) {
	live = &unstructured.Unstructured{}
	live.SetGroupVersionKind(f.kind.GroupVersionKind)
	if err := m.To.API.Get(ctx, t.name, live); err != nil {
		return nil, false, fmt.Errorf("read the copy: %w", err)
	}
	if older(live.GetResourceVersion(), t.to.version) {
		return nil, false, errOldAnswer
	}
	now := f.lookTo(live)
	same = now.uid == t.to.uid && now.digest == t.to.digest && !now.leaving
	t.to = now
	return live, same, nil
}

// errOldAnswer says that a cluster answered with what is known to have changed since.
var errOldAnswer = errors.New("the cluster gave an old answer")

func (m *Mirror) replace(ctx context.Context, f *following, t *twin) error {
	live, same, err := m.live(ctx, f, t)
	if err != nil || !same {
		return err // it is judged again before anything is overwritten
	}
	obj := f.rule.change(t.body, live)
	made, err := m.applied(ctx, f, t, obj, live)
	if made == nil && err == nil {
		made, err = obj, m.To.API.Update(ctx, obj, firstManager(t.body))
	}
	if apierrors.IsInvalid(err) && f.rule.Remade && !t.entry.Found {
		t.remake = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return m.written(ctx, f, t, made)
}

// written notes what the API server returned, and adds what the write itself could
// not say: several field owners, and the carried status.
func (m *Mirror) written(ctx context.Context, f *following, t *twin, obj *unstructured.Unstructured) error {
	t.to = f.lookTo(obj)
	e := &t.entry
	e.UID, e.At, e.Wrote, e.Got, e.Next, e.Going = t.to.uid, t.to.version, t.from.digest, t.to.digest, "", false
	e.Owners, e.Carried = "?", "" // until it is known
	return m.signed(ctx, f, t, obj)
}

// signed makes the managers and the carried status of the copy those of its origin.
func (m *Mirror) signed(ctx context.Context, f *following, t *twin, obj *unstructured.Unstructured) error {
	owners, err := f.rule.ownership(obj)
	if err != nil {
		return err
	}
	if owners != t.from.owners && t.from.owners != "" {
		patch, err := ownershipPatch(t.body, obj)
		if err != nil {
			return err
		}
		if err := m.To.API.Patch(ctx, obj, patch, client.FieldOwner(cluster.FieldManager)); err != nil {
			return fmt.Errorf("write the field managers: %w", err)
		}
	}
	t.entry.Owners = t.from.owners
	if err := m.carry(ctx, f, t, obj); err != nil {
		return err
	}
	t.entry.Carried = t.from.carried
	t.to = f.lookTo(obj)
	t.entry.Got, t.entry.At = t.to.digest, t.to.version
	return nil
}

// carry writes the carried field of the status. Where the copy is at work itself,
// the engine has handed it over, and its status is its own.
func (m *Mirror) carry(ctx context.Context, f *following, t *twin, obj *unstructured.Unstructured) error {
	if t.from.carried == "" || t.from.carried == t.entry.Carried {
		return nil
	}
	if f.rule.Carried == "" {
		return m.carryStatus(ctx, f, t, obj)
	}
	if !f.rule.asleep(obj) {
		return nil
	}
	have, _, _ := unstructured.NestedString(obj.Object, "status", f.rule.Carried)
	if have >= t.from.carried { // RFC 3339 times in UTC sort by their text
		return nil
	}
	data, err := json.Marshal(struct {
		Metadata struct {
			UID             types.UID `json:"uid"`
			ResourceVersion string    `json:"resourceVersion"`
		} `json:"metadata"`
		Status map[string]string `json:"status"`
	}{
		Metadata: struct {
			UID             types.UID `json:"uid"`
			ResourceVersion string    `json:"resourceVersion"`
		}{obj.GetUID(), obj.GetResourceVersion()},
		Status: map[string]string{f.rule.Carried: t.from.carried},
	})
	if err != nil {
		return err
	}
	if err := m.To.API.Status().Patch(ctx, obj, client.RawPatch(types.MergePatchType, data), client.FieldOwner(cluster.FieldManager)); err != nil {
		return fmt.Errorf("write status.%s: %w", f.rule.Carried, err)
	}
	return nil
}

// carryStatus makes the whole status of the copy that of its origin.
func (m *Mirror) carryStatus(ctx context.Context, f *following, t *twin, obj *unstructured.Unstructured) error {
	status := f.rule.status(t.body)
	if have, _, _ := unstructured.NestedMap(obj.Object, "status"); statusDigest(have) == statusDigest(status) {
		return nil
	}
	obj.Object["status"] = status
	if err := m.To.API.Status().Update(ctx, obj, client.FieldOwner(cluster.FieldManager)); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return nil
}

// statusDigest stands for a status.
func statusDigest(status map[string]any) string {
	return object.Digest(&unstructured.Unstructured{Object: status})[:32]
}

// asleep is true while the engine's fields of obj are as they are at birth.
func (r *Rule) asleep(obj *unstructured.Unstructured) bool {
	for _, engine := range r.Engine {
		value, _, _ := unstructured.NestedFieldNoCopy(obj.Object, engine.Field...)
		if value != engine.Birth {
			return false
		}
	}
	return true
}

// sign writes managers and carried status alone.
func (m *Mirror) sign(ctx context.Context, f *following, t *twin) error {
	live, same, err := m.live(ctx, f, t)
	if err != nil || !same {
		return err
	}
	return m.signed(ctx, f, t, live)
}

// ask finds out whether the object is what was wanted, by a GET, and else by a dry run
// whether it is what the mirror's write would have made of it, defaults and webhooks
// included.
func (m *Mirror) ask(ctx context.Context, f *following, t *twin) error {
	live, same, err := m.live(ctx, f, t)
	if err != nil || !same {
		return err
	}
	if t.to.digest == t.entry.Next || t.to.digest == t.from.digest {
		t.take(f)
		return nil
	}
	obj := f.rule.change(t.body, live)
	if err := m.To.API.Update(ctx, obj, client.DryRunAll, firstManager(t.body)); err != nil {
		return fmt.Errorf("ask whether it is what was wanted: %w", err)
	}
	if f.rule.digest(obj) != t.to.digest {
		m.refused(t, t.why)
		return nil
	}
	t.entry.UID, t.entry.Wrote, t.entry.Got, t.entry.Next = t.to.uid, t.from.digest, t.to.digest, ""
	return nil
}

// forgotten drops the entry of a copy that a second answer says is not there, or is
// another object.
func (m *Mirror) forgotten(ctx context.Context, f *following, t *twin) error {
	err := m.reread(ctx, f, t)
	if apierrors.IsNotFound(err) || err == nil && t.to.uid != t.entry.UID {
		t.entry = Entry{Gone: true}
		return nil
	}
	return err
}

// each runs do for every twin, as many at once as the pace allows; one after the
// other, in this goroutine, with one worker. It stops early when the side that is
// written to asks for a pause, and returns the first error.
func (m *Mirror) each(ctx context.Context, twins []*twin, do func(context.Context, *twin) error) error {
	if m.Workers == 1 {
		for _, t := range twins {
			if m.pace.paused() {
				return nil
			}
			if err := m.pace.timed(func() error { return do(ctx, t) }); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for _, t := range twins {
		if m.pace.paused() || m.pace.acquire(ctx) != nil {
			break
		}
		all.Go(func() {
			defer m.pace.release()
			if err := m.pace.timed(func() error { return do(ctx, t) }); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
