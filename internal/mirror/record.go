package mirror

import (
	"context"
	"maps"

	"k8s.io/apimachinery/pkg/types"
)

// A Record is the mirror's part of the ledger, one for each side that it writes to.
// Both functions are called by one goroutine at a time.
type Record struct {
	// Load returns every entry, by Object.String. An entry that is Gone may be
	// missing. The caller keeps the map.
	Load func(ctx context.Context) (map[string]Entry, error)
	// Save adds or replaces entries. They are durable when it returns nil; after an
	// error any of them may be.
	Save func(ctx context.Context, changed map[string]Entry) error
}

// An Entry is what the ledger keeps of one copy. It is written before the copy is,
// and again when the outcome is known.
type Entry struct {
	// UID is the copy's; empty as long as the outcome of its creation is unknown.
	UID types.UID `json:"uid,omitempty"`
	// From is the UID of what it is a copy of.
	From types.UID `json:"from,omitempty"`
	// Version is the resourceVersion of what was copied, At that of the copy when it
	// was written.
	Version string `json:"v,omitempty"`
	At      string `json:"a,omitempty"`
	// Wrote is the digest of what the mirror wanted the copy to be, Owners of who
	// owns which field, Carried the field of the status that was carried over.
	Wrote   string `json:"w,omitempty"`
	Owners  string `json:"o,omitempty"`
	Carried string `json:"c,omitempty"`
	// Got is the digest of what the API server returned: defaults and webhooks
	// included. The copy is level as long as it has this digest and its origin has
	// Wrote's.
	Got string `json:"g,omitempty"`
	// Next is the digest of a write that may be under way.
	Next string `json:"n,omitempty"`
	// Found is true if the object was there before the mirror: it is never deleted, but
	// where the mirror has turned and its team deletes what was copied from it.
	Found bool `json:"found,omitempty"`
	// Going is true once the copy's deletion was decided, Gone when it is over: then
	// nothing of the entry is needed any longer.
	Going bool `json:"going,omitempty"`
	Gone  bool `json:"gone,omitempty"`
}

// save makes what changed durable, together with what earlier passes could not.
func (m *Mirror) save(ctx context.Context) error {
	if len(m.unsaved) == 0 {
		return nil
	}
	if err := m.waitFor(ForLedger, func() error { return m.Record.Save(ctx, maps.Clone(m.unsaved)) }); err != nil {
		return err
	}
	clear(m.unsaved)
	return nil
}
