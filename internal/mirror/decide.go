package mirror

import (
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A fate is what is to be done about one object.
type fate uint8

const (
	nothing fate = iota // it is nobody's business
	level               // the copy says what its origin says
	create              // make the copy
	replace             // write the origin's state over the copy
	sign                // write who owns the copy's fields, or the carried status
	take                // note the copy as it stands: it is what was wanted
	ask                 // find out whether the object is what was wanted
	remove              // delete the copy
	forget              // drop the entry
	wait                // somebody else is at work; look again
	hold                // a person has to decide
	drift               // somebody else changed the copy
)

// A look is what is known of one object on one side.
type look struct {
	uid     types.UID // empty: it is not there
	version string    // resourceVersion
	digest  string    // of the normal form
	owners  string    // of the managers; only known on the writer's side
	carried string    // the status field that the rule carries over
	leaving bool      // it is being deleted
	bare    bool      // it is one that clusters make by themselves, and nobody changed it
	unready bool      // its controller does not say Ready
	born    int64     // in seconds since 1970; only known on the writer's side
	// outline changes whenever anything but the status does; 0 if that can't be told
	// without reading the object.
	outline uint64
}

func (l look) there() bool { return l.uid != "" }

// same tells whether obj is what was looked at already, its status excepted; if so, the
// look is as new as obj.
func (l *look) same(obj client.Object, outline uint64) bool {
	if outline == 0 || outline != l.outline || obj.GetUID() != l.uid {
		return false
	}
	l.version = obj.GetResourceVersion()
	return true
}

// facts are all that decide needs.
type facts struct {
	from, to look
	entry    Entry
	// origin is true if to is what from was once copied from: the mirror has turned. If
	// from is gone, it was the copy that the ledger speaks of, of a kind that yields.
	origin bool
	// settled is true if to was level with from by the record of the other direction.
	settled bool
	// remake is true if the copy can't be changed to what is wanted, but made again.
	remake bool
	// foreign is true if from is older than the estate is on the writer's side, and
	// no copy.
	foreign bool
}

// decide says what is to be done about one object, and in a sentence why, where a
// person has to know. It never lets an object be overwritten or deleted that is not
// the mirror's, or that somebody else has changed since.
func decide(f facts) (fate, string) {
	switch {
	case !f.from.there() && !f.known():
		return nothing, ""
	case !f.from.there():
		return decideAbsent(f)
	case f.from.leaving || f.to.there() && f.to.leaving:
		return wait, "it is being deleted"
	case !f.to.there():
		return decideMissing(f)
	case !f.known():
		return decideStranger(f)
	case f.entry.UID == "":
		return decideUnknown(f)
	case f.entry.UID != f.to.uid:
		return decideReplaced(f)
	}
	return decideCopy(f)
}

// known is true if the ledger has an entry that still means something.
func (f facts) known() bool { return f.entry != (Entry{}) && !f.entry.Gone }

// decideAbsent: the writer's side has no such object, the ledger has.
func decideAbsent(f facts) (fate, string) {
	e := f.entry
	switch {
	case !f.to.there():
		return forget, ""
	case f.to.leaving:
		return wait, "it is being deleted"
	case e.Found && !f.origin:
		return hold, "it is gone from the writer's side, but was here before the mirror: if it should go, somebody has to delete it whom spec.freeze.exempt names"
	case e.UID == "" && f.to.digest == e.Next:
		return take, ""
	case e.UID == "":
		return hold, "it is gone from the writer's side, and this one is not what the mirror wrote"
	case e.UID != f.to.uid:
		return forget, ""
	case f.to.digest != e.Got && f.to.digest != e.Next && f.to.digest != e.Wrote:
		return drift, "it is gone from the writer's side, but somebody changed it here since"
	}
	return remove, ""
}

// decideMissing: the writer's side has it, the other one does not.
func decideMissing(f facts) (fate, string) {
	switch {
	case f.foreign && !f.known():
		return nothing, ""
	case f.known() && f.entry.UID != "" && !f.entry.Going:
		return drift, "somebody deleted it here"
	}
	return create, ""
}

// decideStranger: it stands on both sides, and the ledger does not know it.
func decideStranger(f facts) (fate, string) {
	same := f.from.digest == f.to.digest
	switch {
	case f.origin && (same || f.settled):
		return take, ""
	case same:
		return level, ""
	case f.to.bare, f.origin:
		return replace, ""
	}
	return hold, "another object of this name was here before the mirror, and differs"
}

// decideUnknown: a creation was begun, and its outcome was never seen. What was seen may
// be the copy of an earlier time, in an old answer.
func decideUnknown(facts) (fate, string) {
	return ask, "an object of this name was made while the mirror made its own"
}

// decideReplaced: it is not the object that the ledger speaks of.
func decideReplaced(f facts) (fate, string) {
	switch {
	case f.to.digest == f.from.digest:
		return forget, "" // it is what is wanted, but not ours
	case f.entry.Found && f.to.bare:
		return replace, ""
	case f.entry.Going:
		return hold, "another object of this name was made while the mirror's was being deleted"
	}
	return drift, "somebody deleted it here and made another"
}

// decideCopy: both sides have it, and the copy is the ledger's.
func decideCopy(f facts) (fate, string) {
	e := f.entry
	if f.to.digest != e.Got {
		if f.to.digest == e.Next || f.to.digest == f.from.digest {
			return take, ""
		}
		return drift, "somebody changed it here"
	}
	switch {
	case e.Wrote != f.from.digest && f.remake:
		return remove, "it can't be changed in place and is made again"
	case e.Wrote != f.from.digest:
		return replace, ""
	case e.Owners != f.from.owners || e.Carried != f.from.carried:
		return sign, ""
	case e.Next != "" || e.Going:
		return take, "" // what was begun is not needed any longer
	}
	return level, ""
}
