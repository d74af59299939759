package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// A write says who writes, and how.
type write struct {
	user    string
	groups  []string
	manager string
	// operation is what admission calls it: CREATE, UPDATE or DELETE.
	operation   string
	subresource string
	dryRun      bool
}

func (s *speaker) write(manager, subresource string, dryRun []string) write {
	program := "kubectl" // API servers call a manager that has no name by its program
	if s.user == s.c.options.User {
		program = cluster.FieldManager
	}
	return write{
		user: s.user, groups: s.groups, manager: cmp.Or(manager, program),
		subresource: subresource, dryRun: len(dryRun) > 0,
	}
}

// Create makes an object.
func (s *speaker) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	var o client.CreateOptions
	o.ApplyOptions(opts)
	w := s.write(o.FieldManager, "", o.DryRun)
	if review := s.review(obj); review != nil {
		review()
		return nil
	}
	return s.do(ctx, "create", obj, w, func(k *kind) (Object, error) {
		in, err := k.stored(obj)
		if err != nil {
			return nil, err
		}
		return s.c.create(k, in, w)
	})
}

// Update replaces an object, its status excepted.
func (s *speaker) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	var o client.UpdateOptions
	o.ApplyOptions(opts)
	return s.update(ctx, obj, s.write(o.FieldManager, "", o.DryRun))
}

func (s *speaker) update(ctx context.Context, obj client.Object, w write) error {
	return s.do(ctx, "update", obj, w, func(k *kind) (Object, error) {
		in, err := k.stored(obj)
		if err != nil {
			return nil, err
		}
		old := s.c.tables[k.GroupKind()].get(k.key(in))
		if old == nil {
			return nil, apierrors.NewNotFound(k.groupResource(), in.GetName())
		}
		return s.c.replace(k, old, in, w)
	})
}

// Patch changes an object by a merge, strategic merge or JSON patch.
func (s *speaker) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	var o client.PatchOptions
	o.ApplyOptions(opts)
	return s.patch(ctx, obj, patch, s.write(o.FieldManager, "", o.DryRun))
}

func (s *speaker) patch(ctx context.Context, obj client.Object, patch client.Patch, w write) error {
	data, err := patch.Data(obj)
	if err != nil {
		return err
	}
	return s.do(ctx, "patch", obj, w, func(k *kind) (Object, error) {
		old := s.c.tables[k.GroupKind()].get(k.key(obj))
		if old == nil {
			return nil, apierrors.NewNotFound(k.groupResource(), obj.GetName())
		}
		patched, err := apply(k, old, patch.Type(), data)
		if err != nil {
			return nil, err
		}
		if err := current(k, old, "", patched.GetResourceVersion()); err != nil {
			return nil, err
		}
		if uid := patched.GetUID(); uid != old.GetUID() { // an update would call it a conflict
			return nil, apierrors.NewInvalid(k.GroupKind(), old.GetName(), immutable(field.NewPath("metadata", "uid"), uid, old.GetUID()))
		}
		return s.c.replace(k, old, patched, w)
	})
}

// apply returns a copy of an object with a patch applied.
func apply(k *kind, old Object, kindOfPatch types.PatchType, data []byte) (Object, error) {
	if scaled := rescaled(old, kindOfPatch, data); scaled != nil {
		return scaled, nil
	}
	before, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	var after []byte
	switch kindOfPatch {
	case types.MergePatchType:
		after, err = jsonpatch.MergePatch(before, data)
	case types.StrategicMergePatchType:
		if !k.typed {
			return nil, apierrors.NewGenericServerResponse(415, "patch", k.groupResource(), old.GetName(), "strategic merge of a custom resource", 0, true)
		}
		after, err = strategicpatch.StrategicMergePatch(before, data, old)
	case types.JSONPatchType:
		var patch jsonpatch.Patch
		if patch, err = jsonpatch.DecodePatch(data); err == nil {
			after, err = patch.Apply(before)
		}
	default:
		return nil, apierrors.NewGenericServerResponse(415, "patch", k.groupResource(), old.GetName(), string(kindOfPatch)+" is not served here", 0, true)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("patch %s %s: %v", k.Kind, old.GetName(), err))
	}
	return k.decode(after)
}

// rescaled applies the patch that the engine makes most, of nothing but the
// replicas of a workload, without writing the object out; nil if it is another.
func rescaled(old Object, kindOfPatch types.PatchType, data []byte) Object {
	if kindOfPatch != types.MergePatchType || replicasOf(old) == nil {
		return nil
	}
	var patch struct {
		Metadata struct {
			UID             types.UID `json:"uid"`
			ResourceVersion string    `json:"resourceVersion"`
		} `json:"metadata"`
		Spec struct {
			Replicas *int32 `json:"replicas"`
		} `json:"spec"`
	}
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&patch); err != nil || patch.Spec.Replicas == nil {
		return nil
	}
	out := old.DeepCopyObject().(Object)
	setReplicas(out, *patch.Spec.Replicas)
	out.SetUID(cmp.Or(patch.Metadata.UID, old.GetUID()))
	out.SetResourceVersion(cmp.Or(patch.Metadata.ResourceVersion, old.GetResourceVersion()))
	return out
}

// decode reads an object of the kind.
func (k *kind) decode(data []byte) (Object, error) {
	if !k.typed {
		return decodeLoose(data)
	}
	out, err := cluster.Scheme().New(k.GroupVersionKind)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("read the fields of %s: %v", k.Kind, err))
	}
	out.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return out.(client.Object), nil
}

// Delete removes an object, or marks it when something has to happen first.
func (s *speaker) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	var o client.DeleteOptions
	o.ApplyOptions(opts)
	w := s.write("", "", o.DryRun)
	return s.do(ctx, "delete", obj, w, func(k *kind) (Object, error) {
		return nil, s.c.remove(k, k.key(obj), &o, w)
	})
}

func (k *kind) key(obj client.Object) types.NamespacedName {
	if !k.namespaced {
		return types.NamespacedName{Name: obj.GetName()}
	}
	return client.ObjectKeyFromObject(obj)
}

// do makes one write with its faults, and fills obj with the reply if it arrives.
func (s *speaker) do(ctx context.Context, verb string, obj client.Object, w write, act func(*kind) (Object, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k, err := s.c.kindIn(obj)
	if err != nil {
		return err
	}
	f := s.fault(Op{
		Verb: verb, Kind: k.GroupVersionKind, Subresource: w.subresource,
		Namespace: obj.GetNamespace(), Name: obj.GetName(), DryRun: w.dryRun,
	})
	if f.Before != nil {
		return f.Before
	}
	s.c.mu.Lock()
	done, err := act(k)
	s.c.mu.Unlock()
	if f.After != nil {
		return f.After
	}
	if err != nil || done == nil {
		return err
	}
	return fill(obj, k.lent(done, obj), k)
}

// Status writes the status subresource.
func (s *speaker) Status() client.SubResourceWriter { return statusWriter{s} }

type statusWriter struct{ s *speaker }

// Create is not what a status can do.
func (statusWriter) Create(context.Context, client.Object, client.Object, ...client.SubResourceCreateOption) error {
	return errors.New("a status is not created on its own")
}

// Apply is not served in memory.
func (statusWriter) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	return errors.New("server-side apply is not served in memory")
}

// Update replaces the status, and nothing else.
func (w statusWriter) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	var o client.SubResourceUpdateOptions
	o.ApplyOptions(opts)
	return w.s.update(ctx, obj, w.s.write(o.FieldManager, "status", o.DryRun))
}

// Patch changes the status, and nothing else.
func (w statusWriter) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	var o client.SubResourcePatchOptions
	o.ApplyOptions(opts)
	return w.s.patch(ctx, obj, patch, w.s.write(o.FieldManager, "status", o.DryRun))
}
