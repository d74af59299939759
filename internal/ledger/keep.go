package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"gocloud.dev/gcerrors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
)

// Keep writes the migration itself, and other objects of the hub that the way back
// needs (Clusters, Freezes, Moves), into the journal, as they were read. What the
// journal has already costs nothing. Secrets are never kept: whoever rolls back
// without the hub brings credentials. Without a bucket Keep does nothing.
func (l *Ledger) Keep(ctx context.Context, m *v1.Migration, others ...client.Object) error {
	if l.journal == nil {
		return nil
	}
	root := pageID{Namespace: m.Namespace, Migration: m.Name}.root()
	for _, object := range append([]client.Object{m}, others...) {
		if err := l.journal.keep(ctx, root, object); err != nil {
			return fmt.Errorf("keep %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

// kindOf is the kind of an object that the journal may keep.
func kindOf(object client.Object) (string, error) {
	switch object.(type) {
	case *v1.Migration:
		return "Migration", nil
	case *v1.Cluster:
		return "Cluster", nil
	case *v1.Move:
		return "Move", nil
	case *v1.Freeze:
		return "Freeze", nil
	}
	return "", fmt.Errorf("a %T has no place in the journal", object)
}

// keep writes an object under its resourceVersion: the newest state counts, whoever
// writes last.
func (j *journal) keep(ctx context.Context, root string, object client.Object) error {
	kind, err := kindOf(object)
	if err != nil {
		return err
	}
	version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		return fmt.Errorf("its resourceVersion is no number: %w", err)
	}
	folder := root + "/objects/" + kind + "/" + object.GetName() + "/"
	if j.written(folder) >= fmt.Sprintf("%020d", version) {
		return nil
	}
	if err := j.claim(ctx, root); err != nil {
		return err
	}
	text, err := json.Marshal(portable(object))
	if err != nil {
		return fmt.Errorf("write it as JSON: %w", err)
	}
	name := fmt.Sprintf("%06d-%020d", j.epoch(root), version)
	if err := j.put(ctx, folder+name, seam(text)); err != nil {
		return err
	}
	j.mu.Lock()
	j.objects[folder] = name
	j.mu.Unlock()
	return j.prune(ctx, folder)
}

// written is the version of an object that this process wrote last.
func (j *journal) written(folder string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if name := j.objects[folder]; name != "" {
		return name[len("000000-"):]
	}
	return ""
}

func (j *journal) epoch(root string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.epochs[root]
}

// prune leaves the newest files of a folder, as many as are kept of heads.
func (j *journal) prune(ctx context.Context, folder string) error {
	files, err := j.list(ctx, folder)
	if err != nil {
		return err
	}
	for len(files) > kept {
		if err := j.bucket.Delete(ctx, files[0].key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return fmt.Errorf("remove %s from the journal: %w", files[0].key, err)
		}
		files = files[1:]
	}
	return nil
}

// portable is a copy of an object that another hub can take.
func portable(object client.Object) client.Object {
	out := object.DeepCopyObject().(client.Object)
	kind, _ := kindOf(object)
	out.GetObjectKind().SetGroupVersionKind(v1.GroupVersion.WithKind(kind))
	out.SetUID("")
	out.SetResourceVersion("")
	out.SetManagedFields(nil)
	out.SetOwnerReferences(nil)
	out.SetFinalizers(nil)
	out.SetGeneration(0)
	out.SetCreationTimestamp(metav1.Time{})
	out.SetDeletionTimestamp(nil)
	out.SetDeletionGracePeriodSeconds(nil)
	return out
}

// Forget removes everything that the ledger holds about a migration: after it there
// is no way back. It may be repeated.
func (l *Ledger) Forget(ctx context.Context, m *v1.Migration) error {
	if err := l.forgetHub(ctx, m); err != nil {
		return fmt.Errorf("forget migration %s/%s: %w", m.Namespace, m.Name, err)
	}
	l.mu.Lock()
	for id := range l.pages {
		if id.Namespace == m.Namespace && id.Migration == m.Name {
			delete(l.pages, id)
		}
	}
	l.mu.Unlock()
	if l.journal == nil {
		return nil
	}
	if err := l.journal.forget(ctx, pageID{Namespace: m.Namespace, Migration: m.Name}.root()); err != nil {
		return fmt.Errorf("forget migration %s/%s: %w", m.Namespace, m.Name, err)
	}
	return nil
}

// forgetHub removes the heads last: until then chunks that are gone are missed.
func (l *Ledger) forgetHub(ctx context.Context, m *v1.Migration) error {
	var list v1.LedgerList
	if err := l.hub.List(ctx, &list, client.InNamespace(m.Namespace)); err != nil {
		return fmt.Errorf("list the ledger: %w", err)
	}
	for _, heads := range []bool{false, true} {
		for i := range list.Items {
			object := &list.Items[i]
			if object.Spec.Migration != m.Name || (object.Spec.Chunk == headNumber) != heads {
				continue
			}
			if len(object.Finalizers) > 0 {
				object.Finalizers = nil
				if err := l.hub.Update(ctx, object); client.IgnoreNotFound(err) != nil {
					return fmt.Errorf("let go of %s: %w", object.Name, err)
				}
			}
			if err := l.hub.Delete(ctx, object, client.Preconditions{UID: &object.UID}); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("remove %s: %w", object.Name, err)
			}
		}
	}
	return nil
}

func (j *journal) forget(ctx context.Context, root string) error {
	if err := j.claim(ctx, root); err != nil {
		return err
	}
	files, err := j.list(ctx, root+"/")
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := j.bucket.Delete(ctx, f.key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return fmt.Errorf("remove %s from the journal: %w", f.key, err)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.epochs, root)
	clear(j.objects)
	return nil
}
