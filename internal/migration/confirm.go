package migration

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/plan"
)

// A write is conditional on the object that it changes, and on no other. What else a
// decision rests on was read from a cache, or from a server that is behind, and after
// a restart nothing tells how old it is. So the API servers are asked again, for
// metadata, which no cluster.Cache answers.

// confirmed returns the steps of which everything was read as it stands, and how
// many others there are.
func (e *Engine) confirmed(ctx context.Context, v *visit, steps []step) (kept []step, outdated int, err error) {
	kept, err = e.confirmedBy(steps, func(l load) (bool, error) { return v.confirm(ctx, l) })
	return kept, len(steps) - len(kept), err
}

// confirmedBy returns the steps whose loads pass a check, in their order.
func (e *Engine) confirmedBy(steps []step, check func(load) (bool, error)) (kept []step, err error) {
	current, order := make([]bool, len(steps)), make([]int, len(steps))
	for i := range steps {
		order[i] = i
	}
	err = each(e.Workers, order, func(i int) (err error) {
		current[i], err = check(steps[i].load)
		return err
	})
	for i, s := range steps {
		if current[i] {
			kept = append(kept, s)
		}
	}
	return kept, err
}

// confirm tells whether a workload was read as it stands on both sides.
func (v *visit) confirm(ctx context.Context, l load) (bool, error) {
	if current, err := v.source.confirm(ctx, l.workload, l.source, l.sourceScaler); err != nil || !current {
		return false, err
	}
	return v.target.confirm(ctx, l.workload, l.target, l.targetScaler)
}

// confirm tells whether a workload was read as it stands on the site.
func (s *site) confirm(ctx context.Context, w plan.Workload, have *appsv1.Deployment, scaler *autoscalingv2.HorizontalPodAutoscaler) (bool, error) {
	if current, err := s.current(ctx, deploymentKind, have); err != nil || !current {
		return false, err
	}
	if scaler == nil {
		return s.lacks(ctx, w)
	}
	return s.current(ctx, autoscalerKind, scaler)
}

var (
	deploymentKind = appsv1.SchemeGroupVersion.WithKind("Deployment")
	autoscalerKind = autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler")
)

// current tells whether an object was read as it stands.
func (s *site) current(ctx context.Context, kind schema.GroupVersionKind, read client.Object) (bool, error) {
	now := &metav1.PartialObjectMetadata{}
	now.SetGroupVersionKind(kind)
	err := s.api.Get(ctx, client.ObjectKeyFromObject(read), now)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s %s/%s in %s again: %w", kind.Kind, read.GetNamespace(), read.GetName(), s.name, err)
	}
	return now.UID == read.GetUID() && now.ResourceVersion == read.GetResourceVersion(), nil
}

// lacks tells whether a workload's autoscaler does not stand on the site, as was read.
func (s *site) lacks(ctx context.Context, w plan.Workload) (bool, error) {
	if w.Autoscaler == "" {
		return true, nil
	}
	now := &metav1.PartialObjectMetadata{}
	now.SetGroupVersionKind(autoscalerKind)
	err := s.api.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: w.Autoscaler}, now)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("read HorizontalPodAutoscaler %s/%s in %s again: %w", w.Namespace, w.Autoscaler, s.name, err)
	}
	return err != nil, nil
}

// outdated counts the Deployments and autoscalers of a site that stand there in
// another state than they were read in.
func (s *site) outdated(ctx context.Context) (int, error) {
	read := map[string]string{}
	for _, d := range s.deployments {
		read[string(d.UID)] = d.ResourceVersion
	}
	for _, h := range s.autoscalers {
		read[string(h.UID)] = h.ResourceVersion
	}
	outdated := 0
	for _, kind := range []schema.GroupVersionKind{deploymentKind, autoscalerKind} {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := s.api.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
			return 0, fmt.Errorf("list every %s of %s again: %w", kind.Kind, s.name, err)
		}
		for _, now := range list.Items {
			if version, known := read[string(now.UID)]; known && version == now.ResourceVersion {
				delete(read, string(now.UID))
			} else if known {
				outdated++
			}
		}
	}
	return max(outdated, len(read)), nil
}
