// Package dryrun lets an engine work without changing anything. It stands between
// the engine and what lies outside it, one type for each: Cluster for an API server,
// Zones for a DNS service, Bucket for object storage. Each catches every write, tells
// it to the Recorder, and answers later reads as if the write had happened. Step lets
// an engine over them make the passes of one step.
//
// An API server is asked, by a dry run of its own, what it would make of a write, so
// that defaults, admission and validation are its own. What it cannot be asked, since
// it depends on a write that was only caught, is told from memory.
package dryrun

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"

	"crossfade.dev/internal/object"
)

// A Place is where a write goes.
type Place string

// The places. Hub and Journal hold nothing but the engine's own record.
const (
	Hub        Place = "hub"
	Journal    Place = "journal"
	Source     Place = "source"
	Target     Place = "target"
	OldZone    Place = "old zone"
	NewZone    Place = "new zone"
	ParentZone Place = "parent zone"
	Archive    Place = "archive"
	Rehearsal  Place = "rehearsal"
)

// Record tells whether the place holds nothing but the engine's own record.
func (p Place) Record() bool { return p == Hub || p == Journal }

// A Verb is what a write does.
type Verb string

// The verbs. Restore is what a rehearsal does with an archive.
const (
	Create  Verb = "create"
	Update  Verb = "update"
	Patch   Verb = "patch"
	Delete  Verb = "delete"
	Restore Verb = "restore"
)

// A Write is one write that was caught. Values of Secrets are not in it: their lengths
// stand in their place.
type Write struct {
	Place Place
	Verb  Verb
	// Kind is an object's, a record set's type, or what else is written: File, Archive.
	Kind, Namespace, Name string
	// Subresource is what of the object is written, if it is not the object itself.
	Subresource string
	// Object is what is sent by a creation or an update, Patch what is by a patch.
	Object *unstructured.Unstructured
	Patch  json.RawMessage
	// Fields are those that change, ordered by path.
	Fields []object.FieldDiff
	// Before and After are a record set's data, or the size of a file; empty if there is none.
	Before, After string
	// Refused is the sentence by which the API server refuses the write.
	Refused string
	// Unasked is the sentence by which the API server would not be asked: what it makes
	// of the write is told from memory.
	Unasked string
}

// A Recorder is told of every write that was caught. Its methods may be called from
// several goroutines at once. Clock is set before the first call.
type Recorder struct {
	Clock clock.PassiveClock

	mu     sync.Mutex
	writes []Write
}

// Note adds a write.
func (r *Recorder) Note(w Write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes = append(r.writes, w)
}

// Writes are all that were noted, in their order.
func (r *Recorder) Writes() []Write { return r.since(0) }

func (r *Recorder) since(n int) []Write {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.writes[n:])
}

// now is the time as an API server keeps it.
func (r *Recorder) now() time.Time { return r.Clock.Now().Truncate(time.Second) }

func (r *Recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.writes)
}
