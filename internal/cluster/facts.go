package cluster

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// FieldManager is the field manager of the engine's own writes.
const FieldManager = "crossfade"

// Facts are what a cluster tells about itself. A real connection and the
// in-memory cluster both have them.
type Facts interface {
	// UID is the UID of the cluster's kube-system namespace.
	UID() types.UID
	// Version asks for the API server's version, for example v1.36.3.
	Version(ctx context.Context) (string, error)
	// Kinds lists every kind that the cluster serves, each once, in the version
	// that the cluster prefers, ordered by group and kind. It returns an error
	// when any part of discovery is unknown: a partial answer would look like
	// kinds that are gone.
	Kinds(ctx context.Context) ([]Kind, error)
	// Ready returns nil when the API server says that it is ready to serve.
	Ready(ctx context.Context) error
}

// A Kind is one kind of object that a cluster serves.
type Kind struct {
	schema.GroupVersionKind
	// Versions are all in which the kind is served, in the group's own order of
	// preference: the first is Version.
	Versions []string
	// Resource is the kind's name in paths, for example "deployments".
	Resource   string
	Namespaced bool
	// Status is true when the kind has a status subresource.
	Status bool
	// Verbs are what may be done to it, for example "list".
	Verbs []string
}
