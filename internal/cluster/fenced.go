package cluster

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrUnconditional says that a write would have hit whatever it finds, so that it
// was not sent: its UID or resourceVersion is missing. It is a fault in the caller.
var ErrUnconditional = errors.New("the write is not conditional")

// Fenced is api with its writes behind a fence: each is refused with an error
// wrapping ErrFenced unless the fence holds, is cut off after the fence's
// WriteTimeout, and is made in the engine's name. What As returns is not fenced.
func Fenced(api API, fence *Fence) API { return &fenced{API: api, fence: fence} }

type fenced struct {
	API
	fence *Fence
}

// guard runs one write within the fence.
func (f *fenced) guard(ctx context.Context, write func(context.Context) error) error {
	return guard(ctx, f.fence, write)
}

func guard(ctx context.Context, fence *Fence, write func(context.Context) error) error {
	if err := fence.Check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fence.o.WriteTimeout)
	defer cancel()
	return write(ctx)
}

func (f *fenced) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	return f.guard(ctx, func(ctx context.Context) error {
		return f.API.Create(ctx, obj, append([]client.CreateOption{client.FieldOwner(FieldManager)}, opts...)...)
	})
}

func (f *fenced) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	if err := conditional(obj); err != nil {
		return err
	}
	return f.guard(ctx, func(ctx context.Context) error {
		return f.API.Update(ctx, obj, append([]client.UpdateOption{client.FieldOwner(FieldManager)}, opts...)...)
	})
}

func (f *fenced) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return f.guard(ctx, func(ctx context.Context) error {
		return f.API.Patch(ctx, obj, patch, append([]client.PatchOption{client.FieldOwner(FieldManager)}, opts...)...)
	})
}

func (f *fenced) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	var o client.DeleteOptions
	o.ApplyOptions(opts)
	if o.Preconditions == nil || o.Preconditions.UID == nil || *o.Preconditions.UID == "" {
		return fmt.Errorf("delete %T %s: %w: no UID", obj, client.ObjectKeyFromObject(obj), ErrUnconditional)
	}
	return f.guard(ctx, func(ctx context.Context) error { return f.API.Delete(ctx, obj, opts...) })
}

func (f *fenced) Status() client.SubResourceWriter {
	return &fencedStatus{SubResourceWriter: f.API.Status(), fence: f.fence}
}

func conditional(obj client.Object) error {
	if obj.GetUID() == "" || obj.GetResourceVersion() == "" {
		return fmt.Errorf("update %T %s: %w: UID %q, resourceVersion %q", obj, client.ObjectKeyFromObject(obj), ErrUnconditional, obj.GetUID(), obj.GetResourceVersion())
	}
	return nil
}

type fencedStatus struct {
	client.SubResourceWriter
	fence *Fence
}

func (s *fencedStatus) Create(ctx context.Context, obj, sub client.Object, opts ...client.SubResourceCreateOption) error {
	return guard(ctx, s.fence, func(ctx context.Context) error { return s.SubResourceWriter.Create(ctx, obj, sub, opts...) })
}

func (s *fencedStatus) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	if err := conditional(obj); err != nil {
		return err
	}
	return guard(ctx, s.fence, func(ctx context.Context) error {
		return s.SubResourceWriter.Update(ctx, obj, append([]client.SubResourceUpdateOption{client.FieldOwner(FieldManager)}, opts...)...)
	})
}

func (s *fencedStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return guard(ctx, s.fence, func(ctx context.Context) error {
		return s.SubResourceWriter.Patch(ctx, obj, patch, append([]client.SubResourcePatchOption{client.FieldOwner(FieldManager)}, opts...)...)
	})
}

func (s *fencedStatus) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	return guard(ctx, s.fence, func(ctx context.Context) error { return s.SubResourceWriter.Apply(ctx, obj, opts...) })
}
