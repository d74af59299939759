// Package ledger is the durable record of a migration: what was found (Before),
// what was created and what is intended. It lives in Ledger objects in the hub and,
// where the migration names a bucket, a second time as a journal there, so that the
// way back does not need the hub.
//
// A page is the entries of one record and part: a map from key to value. It is kept
// as chunks that never change once they are written, and one head that lists them.
// A change writes a small chunk with the entries that differ, and then the head:
// the head is the only write that counts, it is conditional on what was read, and so
// a page is always wholly old or wholly new, whatever the process dies of. Small
// chunks are folded into larger ones as they gather; what no head lists any more is
// swept up later.
//
// What a function has acknowledged by returning nil is durable in the hub and then
// in the journal, and can be read by any later process. After an error a change may
// have happened or not; call again.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"time"

	"gocloud.dev/blob"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// ErrMissing says that a part of a page is gone, from the hub and, if there is one,
// from the journal. It is never taken for an empty page.
var ErrMissing = errors.New("a part of the ledger is missing")

// ErrSuperseded says that the journal is kept by another hub now: a rollback went
// on without this one, and what it says may no longer be true.
var ErrSuperseded = errors.New("the journal belongs to another hub")

// ErrWentBack says that a page was read in an older state than this process has
// seen already.
var ErrWentBack = errors.New("the ledger was read in an older state")

// A Ledger keeps the record of migrations. Its methods and the functions that take
// it may be called from several goroutines; those of one page wait for each other.
type Ledger struct {
	hub     cluster.API
	journal *journal // nil without a bucket

	mu    sync.Mutex
	pages map[pageID]*page
}

// New opens the ledger in the hub; bucket is the journal, or nil. The hub should
// answer reads from its API server: a cache would cost repetitions.
func New(hub cluster.API, bucket *blob.Bucket) *Ledger {
	l := &Ledger{hub: hub, pages: map[pageID]*page{}}
	if bucket != nil {
		l.journal = newJournal(hub, bucket)
	}
	return l
}

// Load returns the entries of a page; the caller keeps the map. A page that was
// never written is empty. The error wraps ErrMissing if any of it is gone.
func Load[T any](ctx context.Context, l *Ledger, m *v1.Migration, record v1.Record, part string) (map[string]T, error) {
	return load[T](ctx, l.page(m, record, part), true)
}

// LoadOnce is Load of a page that is not read again soon: less memory is kept for it.
func LoadOnce[T any](ctx context.Context, l *Ledger, m *v1.Migration, record v1.Record, part string) (map[string]T, error) {
	return load[T](ctx, l.page(m, record, part), false)
}

func load[T any](ctx context.Context, p *page, again bool) (map[string]T, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.rest()
	if err := p.look(ctx); err != nil {
		return nil, fmt.Errorf("read the ledger's %s: %w", p.pageID, err)
	}
	return decode[T](p, again)
}

// Save makes entries the whole content of a page. It costs one read if nothing
// differs, and otherwise writes what differs: two objects in the hub, two files in
// the journal.
func Save[T any](ctx context.Context, l *Ledger, m *v1.Migration, record v1.Record, part string, entries map[string]T) error {
	raw, err := encode(entries)
	if err != nil {
		return err
	}
	return l.change(ctx, m, record, part, func(have index) content {
		differing := have.differing(raw)
		for key := range have {
			if _, stays := raw[key]; !stays {
				differing[key] = gone
			}
		}
		return differing
	})
}

// Add adds or replaces the entries in changed, and removes those named in without.
// Other entries of the page stay.
func Add[T any](ctx context.Context, l *Ledger, m *v1.Migration, record v1.Record, part string, changed map[string]T, without ...string) error {
	raw, err := encode(changed)
	if err != nil {
		return err
	}
	return l.change(ctx, m, record, part, func(have index) content {
		differing := have.differing(raw)
		for _, key := range without {
			if _, stands := have[key]; stands {
				differing[key] = gone
			}
		}
		return differing
	})
}

// Before saves those entries of found whose keys the page Before of part does not
// hold yet, and returns the whole page: for each key the value that was found
// first, whatever is found later. Saved is true if it saved any; the caller then
// does not act in the same step, so that the way back is always older than the way
// forward.
func Before[T any](ctx context.Context, l *Ledger, m *v1.Migration, part string, found map[string]T) (before map[string]T, saved bool, err error) {
	raw, err := encode(found)
	if err != nil {
		return nil, false, err
	}
	p := l.page(m, v1.Before, part)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.rest()
	err = p.change(ctx, func(have index) content {
		fresh := map[string]json.RawMessage{}
		for key, value := range raw {
			if _, known := have[key]; !known {
				fresh[key] = value
			}
		}
		saved = len(fresh) > 0
		return fresh
	})
	if err != nil {
		return nil, false, fmt.Errorf("save what was found in the ledger's %s: %w", p.pageID, err)
	}
	before, err = decode[T](p, true)
	return before, saved, err
}

func (l *Ledger) change(ctx context.Context, m *v1.Migration, record v1.Record, part string, differing func(index) content) error {
	p := l.page(m, record, part)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.rest()
	if err := p.change(ctx, differing); err != nil {
		return fmt.Errorf("write the ledger's %s: %w", p.pageID, err)
	}
	return nil
}

func (l *Ledger) page(m *v1.Migration, record v1.Record, part string) *page {
	id := pageID{Namespace: m.Namespace, Migration: m.Name, Record: record, Part: part}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pages[id] == nil {
		l.pages[id] = &page{pageID: id, ledger: l, head: head{pageID: id}, index: index{}}
	}
	return l.pages[id]
}

// gone stands for a removed entry in a chunk that covers older ones.
var gone = json.RawMessage("null")

func encode[T any](entries map[string]T) (map[string]json.RawMessage, error) {
	raw := make(map[string]json.RawMessage, len(entries))
	for key, entry := range entries {
		text, err := json.Marshal(entry)
		if err != nil {
			return nil, fmt.Errorf("write ledger entry %s as JSON: %w", key, err)
		}
		if string(text) == string(gone) {
			return nil, fmt.Errorf("ledger entry %s: nothing is not an entry", key)
		}
		raw[key] = text
	}
	return raw, nil
}

// decode reads the page's entries. What was read before, and is the same still, is
// only copied; what is read now is kept if it is read again.
func decode[T any](p *page, again bool) (map[string]T, error) {
	known, _ := p.decoded.(map[string]decoded[T])
	out, missing := make(map[string]T, len(p.index)), map[string]sum{}
	for key, is := range p.index {
		if entry, ok := known[key]; ok && entry.sum == is {
			out[key] = entry.value
		} else {
			missing[key] = is
		}
	}
	switch again = again && flat(reflect.TypeFor[T]()); {
	case again && known == nil:
		known = make(map[string]decoded[T], len(p.index))
	case len(known) > 2*len(p.index):
		maps.DeleteFunc(known, func(key string, _ decoded[T]) bool { _, stands := p.index[key]; return !stands })
	}
	for i := len(p.chunks) - 1; i >= 0 && len(missing) > 0; i-- {
		have, err := p.read(i)
		if err != nil {
			return nil, err
		}
		for key, is := range missing {
			raw, ok := have[key]
			if !ok {
				continue
			}
			entry := decoded[T]{sum: is}
			if err := json.Unmarshal(raw, &entry.value); err != nil {
				return nil, fmt.Errorf("read ledger entry %s of %s: %w", key, p.pageID, err)
			}
			delete(missing, key) // an older chunk has an older value
			if out[key] = entry.value; again {
				known[key] = entry
			}
		}
	}
	if p.decoded = nil; again {
		p.decoded = known
	}
	return out, nil
}

// decoded is one entry as it was read.
type decoded[T any] struct {
	sum   sum
	value T
}

// flat is true of types whose values share nothing once they are copied.
func flat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return true
		}
		for i := range t.NumField() {
			if !flat(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Array:
		return flat(t.Elem())
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return false
	}
	return true
}
