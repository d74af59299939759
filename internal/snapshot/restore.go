package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/object"
)

// Into says how to restore.
type Into struct {
	// Clock is waited on, for the API server to serve restored kinds.
	Clock clock.Clock
	// Workers is how many objects are written at once; 1 if less.
	Workers int

	// mark is the value of markLabel on what is created; empty for no label.
	mark string
}

// A Restoration is what restoring an archive came to.
type Restoration struct {
	// Created and Found count the objects that were made, and those that stood there
	// already just so.
	Created, Found int
	// Refused are objects that the API server did not accept.
	Refused []Refusal
	// Ownerless are objects whose owner is not in the archive; they stand without.
	Ownerless []Ref
	// Unread are the kinds that could not be read from the archive: Secrets without
	// data or identity.
	Unread []string
}

// A Refusal is an object that the API server did not accept, and why.
type Refusal struct {
	Ref
	Err error
}

// Restore makes every object of an archive in a cluster, in an order in which what
// others need comes first. Workloads and schedules sleep: replicas are 0, CronJobs
// suspended, DaemonSets ask for nodes that do not exist. Before the first write the
// archive is verified.
//
// Restoring may be repeated after an error, and then goes on. It overwrites nothing
// but what clusters furnish by themselves (service accounts and namespaces named
// default): the error wraps ErrOccupied if something else stands in the way.
func Restore(ctx context.Context, to Cluster, a *Archive, into Into) (Restoration, error) {
	r := &restoring{Into: into, to: to, uids: map[types.UID]types.UID{}}
	if to.UID() == a.Cluster {
		return r.Restoration, fmt.Errorf("restore archive %s: %w", a.Name, ErrOwnSource)
	}
	if err := a.Verify(ctx); err != nil {
		return r.Restoration, fmt.Errorf("restore: %w", err)
	}
	for _, file := range a.Files {
		if !a.readable(file) {
			r.Unread = append(r.Unread, file.gvk().GroupKind().String())
			continue
		}
		if err := r.file(ctx, a, file); err != nil {
			return r.Restoration, fmt.Errorf("restore: %w", err)
		}
	}
	for _, late := range r.late {
		if err := r.adopt(ctx, late); err != nil {
			return r.Restoration, fmt.Errorf("restore: %w", err)
		}
	}
	return r.Restoration, nil
}

type restoring struct {
	Into
	to Cluster

	mu sync.Mutex // guards what follows
	Restoration
	uids map[types.UID]types.UID // in the archive's cluster to here
	late []orphan
}

// An orphan was created before its owners.
type orphan struct {
	kind   schema.GroupVersionKind
	name   types.NamespacedName
	owners []metav1.OwnerReference
}

// batch is how many objects are in memory at once.
const batch = 256

// file restores the objects of one kind.
func (r *restoring) file(ctx context.Context, a *Archive, file File) error {
	type item struct {
		uid types.UID
		obj *unstructured.Unstructured
	}
	var items []item
	flush := func() error {
		err := forEach(len(items), r.Workers, func(i int) error { return r.object(ctx, items[i].uid, items[i].obj) })
		items = items[:0]
		return err
	}
	err := a.each(ctx, file, func(uid types.UID, obj *unstructured.Unstructured) error {
		items = append(items, item{uid, obj})
		if len(items) < batch {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err == nil && file.gvk().GroupKind() == definitions {
		err = r.served(ctx, a, file)
	}
	return err
}

// object restores one object.
func (r *restoring) object(ctx context.Context, uid types.UID, archived *unstructured.Unstructured) error {
	obj := archived.DeepCopy()
	lull(obj)
	if r.mark != "" {
		labels := obj.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[markLabel] = r.mark
		obj.SetLabels(labels)
	}
	whole := obj.DeepCopy()
	owners, all := r.owners(obj.GetOwnerReferences())
	if !all {
		r.mu.Lock()
		r.late = append(r.late, orphan{obj.GroupVersionKind(), client.ObjectKeyFromObject(obj), obj.GetOwnerReferences()})
		r.mu.Unlock()
	}
	obj.SetOwnerReferences(owners)
	found := false
	err := r.to.Create(ctx, obj)
	if apierrors.IsAlreadyExists(err) {
		found = true
		obj, err = r.stands(ctx, obj, whole)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case refused(err):
		r.Refused = append(r.Refused, Refusal{refOf(archived), err})
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", refOf(archived), err)
	case found:
		r.Found++
	default:
		r.Created++
	}
	r.uids[uid] = obj.GetUID()
	return nil
}

// owners maps the owners that stand here already. The second result is false if
// there are others.
func (r *restoring) owners(archived []metav1.OwnerReference) (here []metav1.OwnerReference, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, owner := range archived {
		if uid, ok := r.uids[owner.UID]; ok {
			owner.UID = uid
			here = append(here, owner)
		}
	}
	return here, len(here) == len(archived)
}

// stands deals with an object that is there already, and returns it. What is the
// same is left; what clusters furnish, and what an earlier rehearsal of the same
// archive left, is overwritten; anything else is in the way. Whole is what is wanted
// with all its owners, those included that do not stand yet.
func (r *restoring) stands(ctx context.Context, want, whole *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	have := &unstructured.Unstructured{}
	have.SetGroupVersionKind(want.GroupVersionKind())
	if err := r.to.Get(ctx, client.ObjectKeyFromObject(want), have); err != nil {
		return nil, err
	}
	stands := object.Digest(essence(have))
	if stands == object.Digest(essence(want)) || stands == object.Digest(essence(whole)) {
		return have, nil
	}
	kind := want.GroupVersionKind().GroupKind()
	byItself := want.GetName() == "default" && (kind == schema.GroupKind{Kind: "ServiceAccount"} || kind == namespaceKind)
	ours := r.mark != "" && have.GetLabels()[markLabel] == r.mark
	if !byItself && !ours {
		return nil, ErrOccupied
	}
	if byItself && !ours {
		labels := want.GetLabels()
		delete(labels, markLabel) // it was there before, and stays
		want.SetLabels(labels)
	}
	want.SetUID(have.GetUID())
	want.SetResourceVersion(have.GetResourceVersion())
	if kind == namespaceKind {
		finalizers, _, _ := unstructured.NestedSlice(have.Object, "spec", "finalizers")
		if err := unstructured.SetNestedSlice(want.Object, finalizers, "spec", "finalizers"); err != nil {
			return nil, err
		}
	}
	return want, r.to.Update(ctx, want)
}

// adopt gives an object the owners that were created after it.
func (r *restoring) adopt(ctx context.Context, late orphan) error {
	owners, all := r.owners(late.owners)
	ref := Ref{late.kind.GroupKind(), late.name}
	if !all {
		r.Ownerless = append(r.Ownerless, ref)
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(late.kind)
	err := r.to.Get(ctx, late.name, obj)
	if apierrors.IsNotFound(err) {
		return nil // it was refused
	}
	if err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	if len(owners) == len(obj.GetOwnerReferences()) {
		return nil
	}
	obj.SetOwnerReferences(owners)
	if err := r.to.Update(ctx, obj); err != nil {
		return fmt.Errorf("give %s its owners: %w", ref, err)
	}
	return nil
}

// refused is true if the API server answered about this object alone.
func refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsNotFound(err) || meta.IsNoMatchError(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// patience is how long an API server may take to serve a restored kind.
const patience = time.Minute

// served waits until the API server serves the kinds of the definitions in a file.
// One that it does not take up is found when its objects are refused.
func (r *restoring) served(ctx context.Context, a *Archive, file File) error {
	ends := r.Clock.Now().Add(patience)
	return a.each(ctx, file, func(_ types.UID, definition *unstructured.Unstructured) error {
		for {
			live := &unstructured.Unstructured{}
			live.SetGroupVersionKind(definition.GroupVersionKind())
			err := r.to.Get(ctx, client.ObjectKeyFromObject(definition), live)
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s: %w", refOf(definition), err)
			}
			if err != nil || established(live) || r.Clock.Now().After(ends) {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-r.Clock.After(100 * time.Millisecond):
			}
		}
	})
}

func established(definition *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(c any) bool {
		condition, _ := c.(map[string]any)
		return condition["type"] == "Established" && condition["status"] == "True"
	})
}

// forEach calls do for 0 to n-1, at most workers at once, until one of the calls
// fails, and returns what failed. With one worker it starts no goroutine.
func forEach(n, workers int, do func(int) error) error {
	var mu sync.Mutex
	var failed error
	next := 0
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= n && failed == nil
	}
	work := func() {
		for i, ok := take(); ok; i, ok = take() {
			if err := do(i); err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		}
	}
	var group sync.WaitGroup
	for range min(workers, n) - 1 {
		group.Go(work)
	}
	work()
	group.Wait()
	return failed
}
