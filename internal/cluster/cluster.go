// Package cluster is the engine's way to one cluster's Kubernetes API: who the
// cluster is, what it serves, and writes that cannot go astray.
//
// API is what the engine sees. Connect makes a real one: every connection is asked
// for the cluster's UID before it is used, and every write passes a Fence, a lease
// in that cluster. Package memory has one in memory, and package clustertest proves
// that both behave alike.
package cluster

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// An API reads and writes the objects of one cluster. It is the part of
// client.WithWatch that the engine needs; a real cluster and the in-memory one
// behave alike, as package clustertest proves.
//
// Objects may be typed, unstructured or PartialObjectMetadata. Reads may lag
// behind writes, and even go back, when they are answered by a cache or by another
// of several API servers: only the conditions of a write are sure to be compared
// with what is there. With client.UnsafeDisableDeepCopy, what Get and List return
// is shared and must not be changed. Errors are those of
// k8s.io/apimachinery/pkg/api/errors, or wrap one of this package's, or come from
// the connection.
//
// A write returns an error wrapping ErrFenced, and changes nothing, when this
// process may no longer write to the cluster. After any other error that is not a
// definite refusal by the server the outcome of a write is unknown: read again.
type API interface {
	client.Reader

	// Create makes an object. Update replaces the object that has the UID and the
	// resourceVersion of obj, both of which must be set: it is a conflict if either
	// is another. Patch changes one object; the patch must carry an optimistic lock
	// or concern fields that only the engine owns. A patch that carries another UID
	// than the object has is invalid, which is no conflict. A server-side apply makes
	// the object if there is none; with a resourceVersion it is a conflict if there is
	// one with another. The in-memory cluster serves none (415). All three fill obj with
	// what the server returned, and leave it alone on an error.
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
	Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error
	Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error

	// Delete removes an object, or marks it while finalizers or a grace period hold
	// it. The options must carry its UID as a precondition.
	Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error

	// Status writes the status subresource, under the same conditions as Update.
	Status() client.SubResourceWriter

	// Watch tells what happens to a kind after the resourceVersion in opts (as
	// ListOptions.Raw); without one, first what is there. The error, or the event of
	// type Error, is apierrors.IsResourceExpired when that is too long ago.
	Watch(ctx context.Context, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error)

	// As returns the same API asked in another person's name, on connections of
	// its own. Its writes are not fenced, nor held to be conditional, and should be
	// dry runs: it exists to prove what that person may do.
	As(user string, groups ...string) API
}

// ErrFenced says that another engine may hold the cluster, so nothing was written.
var ErrFenced = errors.New("another engine holds the cluster")

// ErrReplaced says that a connection leads to another cluster than it was pinned
// to: the UID of its kube-system namespace is a different one.
var ErrReplaced = errors.New("the connection leads to another cluster")
