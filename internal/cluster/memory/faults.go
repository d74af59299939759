package memory

import (
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// An Op is one request to the API.
type Op struct {
	Cluster string
	// Seq counts the cluster's requests from 1.
	Seq uint64
	// Verb is create, update, patch, delete, get, list, watch, or discover for what
	// cluster.Facts asks.
	Verb        string
	Kind        schema.GroupVersionKind
	Subresource string
	Namespace   string
	Name        string
	User        string
	DryRun      bool
	// Bare is true of a read that asks for metadata only, which no cache answers.
	Bare bool
}

// Write is true when the request may change something.
func (o Op) Write() bool {
	switch o.Verb {
	case "get", "list", "watch", "discover":
		return false
	}
	return !o.DryRun
}

// Faults decides, request by request, what goes wrong. It is called without the
// cluster's lock, so that it may look at the cluster or change it (a foreign edit
// between the engine's read and its write). It hears of its own requests too.
type Faults func(Op) Fault

// A Fault is what goes wrong with one request; the zero Fault is nothing.
type Fault struct {
	// Before is returned instead of doing anything.
	Before error
	// After is returned instead of the reply, once everything was done.
	After error
	// Stale makes a read see its kind as it was this many changes ago.
	Stale int
}

// Throttled is a server that refuses for now: nothing was done.
func Throttled() Fault { return Fault{Before: apierrors.NewTooManyRequests("too many requests", 1)} }

// TimedOut is a server that gave up: nothing was done, though the caller can't know.
func TimedOut(op Op) Fault {
	return Fault{Before: apierrors.NewTimeoutError(fmt.Sprintf("%s %s: no answer in time", op.Verb, op.Kind.Kind), 0)}
}

// Conflicted is a write that somebody else overtook.
func Conflicted(op Op) Fault {
	return Fault{Before: apierrors.NewConflict(schema.GroupResource{Group: op.Kind.Group, Resource: op.Kind.Kind}, op.Name,
		fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))}
}

// Lost is a reply that got lost: what was asked for was done.
func Lost(op Op) Fault {
	return Fault{After: &apierrors.StatusError{ErrStatus: apierrors.NewGenericServerResponse(http.StatusGatewayTimeout,
		op.Verb, schema.GroupResource{Group: op.Kind.Group, Resource: op.Kind.Kind}, op.Name, "connection reset", 0, true).ErrStatus}}
}

// SetFaults replaces the hook from the next request on.
func (c *Cluster) SetFaults(f Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = f
}

// fault asks the hook about one request.
func (s *speaker) fault(op Op) Fault {
	s.c.mu.Lock()
	s.c.requests++
	op.Cluster, op.User, op.Seq = s.c.options.Name, s.user, s.c.requests
	hook := s.c.faults
	s.c.mu.Unlock()
	if hook == nil {
		return Fault{}
	}
	return hook(op)
}
