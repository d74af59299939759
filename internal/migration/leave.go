package migration

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1 "crossfade.dev/api/v1alpha1"
)

// wayBack is the finalizer by which a deleted migration stays for as long as the
// clusters or the names hold anything of it: without it nobody would lift its freezes,
// keep its bridge, or know the way back.
const wayBack = "crossfade.dev/way-back"

// stay keeps a migration from going while its way back is needed, and lets a deleted
// one go that has none to go. It reports false once there is nothing left to lead.
func (e *Engine) stay(ctx context.Context, m *v1.Migration) (bool, error) {
	deleted := m.DeletionTimestamp != nil
	needed := !deleted || inForce(m)
	if needed == controllerutil.ContainsFinalizer(m, wayBack) || needed && deleted {
		return needed, nil // of a deleted object a finalizer can only be taken away
	}
	if needed {
		controllerutil.AddFinalizer(m, wayBack)
	} else {
		controllerutil.RemoveFinalizer(m, wayBack)
	}
	err := e.Hub.Update(ctx, m)
	if !needed && apierrors.IsNotFound(err) {
		err = nil
	}
	return needed, err
}

// inForce tells whether anything of a migration stands in the clusters or the names
// that only its undo takes away.
func inForce(m *v1.Migration) bool {
	return !retired(m) && slices.ContainsFunc(v1.Stages, m.Begun)
}

// leaving tells whether a deleted migration has only its way back, or its retirement,
// before it: more is whether a stage is left in its direction.
func leaving(m *v1.Migration, more bool) bool {
	if m.DeletionTimestamp == nil {
		return false
	}
	if more {
		return m.Spec.Direction == v1.Forward
	}
	return !m.Retires()
}

// gone forgets a migration that a read did not find; any other error it returns.
func (e *Engine) gone(err error, key client.ObjectKey) error {
	if err = client.IgnoreNotFound(err); err == nil {
		e.known.forget(key)
		forget(key.Name)
	}
	return err
}
