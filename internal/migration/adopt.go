package migration

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/freeze"
)

// AdoptFreezes takes up the freezes of a migration that stand in its clusters while
// the hub has no record of them, as after it was filled from the journal: without a
// record nothing would lift them. They are written anew, so that this engine passes.
// It is not done if something holds it, which the migration's status then says; it may
// be repeated.
func (e *Engine) AdoptFreezes(ctx context.Context, key types.NamespacedName) (adopted bool, err error) {
	m := &v1.Migration{}
	if err := e.Hub.Get(ctx, key, m); err != nil {
		return false, err
	}
	before := m.DeepCopy()
	v := &visit{m: m}
	for _, s := range []struct {
		side v1.Side
		name string
		into *site
	}{{v1.Source, m.Spec.Source, &v.source}, {v1.Target, m.Spec.Target, &v.target}} {
		if *s.into, err = e.visitSite(ctx, m, s.side, s.name); err != nil {
			_, err = e.record(ctx, before, m, unseen(err))
			return false, err
		}
	}
	for _, s := range []*site{&v.source, &v.target} {
		if s.lost {
			continue
		}
		if err := e.adopt(ctx, v, s); err != nil {
			_, err = e.record(ctx, before, m, troubled(wrap("take up the freeze of "+s.name, err)))
			return false, err
		}
	}
	return true, nil
}

func (e *Engine) adopt(ctx context.Context, v *visit, s *site) error {
	all, err := freeze.Standing(ctx, s.api)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(f freeze.Freeze) bool { return f.Migration == v.m.Name })
	if i < 0 {
		return nil
	}
	record, err := e.freezeRecord(ctx, v, s.side)
	if err != nil {
		return err
	}
	if record.Status.Since == nil && !all[i].Since.IsZero() {
		record = record.DeepCopy()
		since := metav1.NewMicroTime(all[i].Since)
		record.Status.Since = &since
		if err := e.Hub.Status().Update(ctx, record); err != nil {
			return err
		}
	}
	return freeze.Close(ctx, s.api, e.notice(v, record))
}
