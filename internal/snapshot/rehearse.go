package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// markLabel is on everything that a rehearsal created; its value tells the archive.
// Nothing else in the cluster is ever removed.
const markLabel = "crossfade.dev/rehearsal"

// A Rehearsal is what restoring and comparing an archive showed.
type Rehearsal struct {
	Restoration
	Differences []Difference
}

// Proved is true if the archive brought everything back as it was.
func (r Rehearsal) Proved() bool { return len(r.Differences)+len(r.Refused)+len(r.Unread) == 0 }

// Problems says in a sentence each what the rehearsal did not bring back.
func (r Rehearsal) Problems() []string {
	var out []string
	for _, kind := range r.Unread {
		out = append(out, fmt.Sprintf("%s: the archive does not hold their data, or no identity opens it", kind))
	}
	for _, refusal := range r.Refused {
		out = append(out, fmt.Sprintf("%s was refused: %v", refusal.Ref, refusal.Err))
	}
	for _, difference := range r.Differences {
		out = append(out, difference.String())
	}
	return out
}

// Rehearse restores an archive into a cluster that is empty of the estate, compares
// what stands there then, tells found, and removes what it created, which takes a
// while: found may act on the result at once, and its error is returned. What a
// rehearsal that was cut short left behind is removed first. The cluster should have
// no controllers that act outside of it: restored claims and Services would ask them
// for volumes and addresses.
//
// The error wraps ErrOccupied if the cluster holds objects of the estate. found is
// not called if there is no result.
func Rehearse(ctx context.Context, in Cluster, a *Archive, into Into, found func(Rehearsal) error) error {
	if in.UID() == a.Cluster {
		return fmt.Errorf("rehearse archive %s: %w", a.Name, ErrOwnSource)
	}
	if err := a.Verify(ctx); err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	into.mark = markOf(a.Name)
	if err := clean(ctx, in, into.Clock); err != nil {
		return fmt.Errorf("remove what an earlier rehearsal left: %w", err)
	}
	result, err := rehearse(ctx, in, a, into)
	if err == nil {
		err = found(result)
	}
	if cleaned := clean(ctx, in, into.Clock); cleaned != nil {
		err = errors.Join(err, fmt.Errorf("remove what the rehearsal created: %w", cleaned))
	}
	return err
}

func rehearse(ctx context.Context, in Cluster, a *Archive, into Into) (result Rehearsal, err error) {
	if result.Restoration, err = Restore(ctx, in, a, into); err != nil {
		return result, err
	}
	// Everything in the archive is of the estate; what stood in the cluster before is
	// in other namespaces, or does not belong to one.
	archived, err := a.namespaces(ctx)
	if err != nil {
		return result, err
	}
	differences, err := Compare(ctx, in, a, func(namespace string) bool { return archived[namespace] })
	if err != nil {
		return result, err
	}
	for _, d := range differences {
		if d.What != Extra || d.Namespace != "" {
			result.Differences = append(result.Differences, d)
		}
	}
	return result, nil
}

// markOf is a label's value for the name of an archive.
func markOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// clean removes everything that rehearsals created and waits until it is gone.
func clean(ctx context.Context, in Cluster, clock interface {
	After(time.Duration) <-chan time.Time
}) error {
	for {
		left, err := sweep(ctx, in)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d objects are left: %w", left, ctx.Err())
		case <-clock.After(500 * time.Millisecond):
		}
	}
}

// sweep asks for the removal of everything marked, and returns how much stood there
// still. What has no namespace goes first, beginning with what could refuse others;
// what is in a marked namespace goes with it.
func sweep(ctx context.Context, in Cluster) (left int, err error) {
	kinds, err := in.Kinds(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask what the cluster serves: %w", err)
	}
	kinds = inOrder(kinds)
	slices.Reverse(kinds)
	going := map[string]bool{}
	for _, namespaced := range []bool{false, true} {
		for _, kind := range kinds {
			if kind.Namespaced != namespaced {
				continue
			}
			err := marked(ctx, in, kind, func(item *metav1.PartialObjectMetadata) error {
				left++
				if kind.GroupKind() == namespaceKind {
					going[item.Name] = true
				}
				if going[item.Namespace] && item.DeletionTimestamp == nil {
					return nil
				}
				return end(ctx, in, item)
			})
			if err != nil {
				return left, fmt.Errorf("%s: %w", kind.GroupKind(), err)
			}
		}
	}
	return left, nil
}

// marked calls do for every object of a kind that a rehearsal created.
func marked(ctx context.Context, in Cluster, kind cluster.Kind, do func(*metav1.PartialObjectMetadata) error) error {
	next := ""
	for {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		err := in.List(ctx, &list, client.HasLabels{markLabel}, client.Limit(pageSize), client.Continue(next))
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			return nil // its definition has just gone
		}
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		for i := range list.Items {
			item := &list.Items[i]
			item.SetGroupVersionKind(kind.GroupVersionKind)
			if err := do(item); err != nil {
				return fmt.Errorf("%s: %w", item.Name, err)
			}
		}
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}

// end deletes an object. One that is being deleted and waits for finalizers that
// came out of the archive loses them: their controllers are not here.
func end(ctx context.Context, in cluster.API, item *metav1.PartialObjectMetadata) error {
	kind := item.GroupVersionKind().GroupKind()
	byServer := kind == definitions || kind == namespaceKind
	if item.DeletionTimestamp != nil {
		if len(item.Finalizers) == 0 || byServer {
			return nil
		}
		before := item.DeepCopy()
		item.Finalizers = nil
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		return client.IgnoreNotFound(in.Patch(ctx, item, patch))
	}
	version := item.ResourceVersion
	return client.IgnoreNotFound(in.Delete(ctx, item, client.Preconditions{UID: &item.UID, ResourceVersion: &version}))
}
