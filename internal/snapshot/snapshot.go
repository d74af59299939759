// Package snapshot keeps the objects of a cluster in object storage, and proves
// that the archive can bring them back: by restoring it into an API server that is
// empty of the estate and comparing what then stands there.
//
// An archive is a folder: one file for each kind, of JSON lines compressed with
// zstd (RFC 8878), and manifest.json with counts and digests. The manifest is
// written last; without it there is no archive. Objects are kept in their Portable
// form (package object). What an API server or a controller makes by itself is not
// kept, and neither is what would act as soon as it existed (bare Pods, Jobs); the
// manifest names it. Secrets are encrypted to the recipients (age-encryption.org);
// without recipients their data is left out, and the manifest says so.
//
// Files are read and written as streams: memory does not grow with the estate,
// apart from a name and two digests or UIDs for each object.
package snapshot

import (
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"crossfade.dev/internal/cluster"
)

// A Cluster is what an archive is taken from or restored into.
type Cluster interface {
	cluster.API
	cluster.Facts
}

// Errors by which a caller can tell what to do.
var (
	// ErrNoArchive says that there is no manifest: the archive was never finished.
	ErrNoArchive = errors.New("there is no archive of this name")
	// ErrDamaged says that a file is not what the manifest says.
	ErrDamaged = errors.New("the archive is damaged")
	// ErrOwnSource says that an archive was to be restored into the cluster that it
	// was taken from.
	ErrOwnSource = errors.New("the archive was taken from this very cluster")
	// ErrOccupied says that something stands already where an object was to be
	// restored, and is not the same.
	ErrOccupied = errors.New("the cluster is not empty of the estate")
)

// format names the layout of archives.
const format = "crossfade.dev/archive/v1"

// A Manifest says what an archive holds.
type Manifest struct {
	Format string `json:"format"`
	// Name is the archive's folder in the bucket.
	Name string `json:"name"`
	// Cluster and Version tell the cluster that the archive was taken from: the UID
	// of its kube-system namespace, and its API server's version.
	Cluster types.UID `json:"cluster"`
	Version string    `json:"version"`
	// Began and Ended are when the first kind was read and the last was written.
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Objects counts all of them.
	Objects int    `json:"objects"`
	Files   []File `json:"files"`
	// Secrets says what became of the Secrets' data.
	Secrets Secrecy   `json:"secrets"`
	LeftOut []LeftOut `json:"leftOut,omitempty"`
}

// Secrecy is what became of the Secrets' data.
type Secrecy string

// Without recipients nothing is encrypted, so the data stays away.
const (
	Encrypted   Secrecy = "Encrypted"
	DataLeftOut Secrecy = "DataLeftOut"
)

// A File holds the objects of one kind, in the version in which they were read.
type File struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
	// Name is the file's name in the archive's folder.
	Name    string `json:"name"`
	Objects int    `json:"objects"`
	// Bytes and SHA256 are those of the file as it is stored.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// ResourceVersion is the state of the kind that the file shows.
	ResourceVersion string `json:"resourceVersion"`
}

func (f File) gvk() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: f.Group, Version: f.Version, Kind: f.Kind}
}

// LeftOut says what of the scope is not in the archive though nothing will make it
// again.
type LeftOut struct {
	Kind    string `json:"kind"`
	Objects int    `json:"objects"`
	// Examples are some of them, as namespace/name.
	Examples []string `json:"examples"`
	Reason   string   `json:"reason"`
}

// A Ref names an object.
type Ref struct {
	schema.GroupKind
	types.NamespacedName
}

func (r Ref) String() string {
	name := r.Name
	if r.Namespace != "" {
		name = r.Namespace + "/" + r.Name
	}
	return r.GroupKind.String() + " " + name
}

func refOf(obj *unstructured.Unstructured) Ref {
	return Ref{obj.GroupVersionKind().GroupKind(), types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}}
}

// A line is one object in a file.
type line struct {
	// UID is the object's in its own cluster: owners are named by it.
	UID    types.UID      `json:"uid"`
	Object map[string]any `json:"object"`
}
