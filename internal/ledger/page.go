package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	v1 "crossfade.dev/api/v1alpha1"
)

// sweepAfter is how many changes leave their covered chunks behind before they are
// swept up.
const sweepAfter = 32

// A page is what this process knows of one page. It is only a cache of the hub:
// every use asks for the head first.
type page struct {
	pageID
	ledger *Ledger

	mu       sync.Mutex
	stored   *v1.Ledger // the head's object as the hub holds it; nil if there is none
	head     head
	contents []content // of the head's chunks, in their order
	entries  content   // what the chunks amount to
	// decoded is the entries as they were read last, a map to decoded[T]; nil if their
	// type can't be shared.
	decoded any
	// journalled is true if the journal has this head and all its chunks.
	journalled bool

	newest  uint64 // the highest sequence ever seen
	changes int    // since the last sweep
}

// look brings the page to the state of the hub, and the journal to that of the
// page: an entry that an earlier process wrote into the hub alone must not be acted
// upon before it is safe.
func (p *page) look(ctx context.Context) error {
	stored, now, err := p.readHead(ctx)
	if err != nil {
		return err
	}
	if stored == nil {
		if p.newest > 0 {
			return fmt.Errorf("the head, last seen at change %d, is gone: %w", p.newest, ErrMissing)
		}
		if err := p.neverWritten(ctx); err != nil {
			return err
		}
	}
	if now.Sequence < p.newest {
		return fmt.Errorf("change %d, after change %d was seen: %w", now.Sequence, p.newest, ErrWentBack)
	}
	if !same(p.stored, stored) {
		if err := p.take(ctx, stored, now); err != nil {
			return err
		}
	}
	return p.level(ctx)
}

// same is true if both are the same state of the head's object.
func same(a, b *v1.Ledger) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.UID == b.UID && a.ResourceVersion == b.ResourceVersion
}

// take reads the chunks that a head lists, those that are not known already.
func (p *page) take(ctx context.Context, stored *v1.Ledger, now head) error {
	had := map[chunk]content{}
	for i, c := range p.contents {
		had[p.head.Chunks[i]] = c
	}
	contents := make([]content, len(now.Chunks))
	for i, c := range now.Chunks {
		if known, ok := had[c]; ok {
			contents[i] = known
			continue
		}
		read, err := p.readChunk(ctx, c)
		if err != nil {
			return err
		}
		contents[i] = read
	}
	p.stored, p.head, p.contents = stored, now, contents
	p.entries = apply(contents...)
	p.newest = now.Sequence
	p.journalled = false
	return nil
}

// change writes what differing says, given what the page holds. With nothing to
// write it still looks: acknowledging is a statement about the hub, not the cache.
func (p *page) change(ctx context.Context, differing func(map[string]json.RawMessage) map[string]json.RawMessage) error {
	if err := p.look(ctx); err != nil {
		return err
	}
	change := differing(p.entries)
	if len(change) == 0 {
		return nil
	}
	if p.stored == nil {
		// A head without chunks comes before the first chunk, so that a chunk without
		// a head is a loss and not a beginning.
		if err := p.writeHead(ctx, head{pageID: p.pageID}, 0); err != nil {
			return err
		}
	}
	after := maps.Clone(p.entries)
	cover(after, change)
	stay, written := fold(p.head.Chunks, p.contents, change, after)
	fresh, err := seal(written, p.head.Next)
	if err != nil {
		return err
	}
	next := head{pageID: p.pageID, Sequence: p.head.Sequence + 1, Next: p.head.Next + int32(len(fresh))}
	next.Chunks = append(next.Chunks, p.head.Chunks[:stay]...)
	contents := append([]content(nil), p.contents[:stay]...)
	for _, s := range fresh {
		if err := p.writeChunk(ctx, s.chunk, s.data); err != nil {
			return err
		}
		next.Chunks = append(next.Chunks, s.chunk)
		contents = append(contents, s.content)
	}
	if err := p.writeHead(ctx, next, len(after)); err != nil {
		return err
	}
	p.contents, p.entries, p.newest = contents, after, next.Sequence
	if err := p.journalChange(ctx, fresh); err != nil {
		return err
	}
	return p.sweepSometimes(ctx)
}

// journalChange writes a change that the hub holds into the journal, which has
// everything before it.
func (p *page) journalChange(ctx context.Context, fresh []sealed) error {
	if p.ledger.journal == nil {
		return nil
	}
	p.journalled = false
	if err := p.ledger.journal.write(ctx, p.head, fresh); err != nil {
		return err
	}
	p.journalled = true
	return nil
}

// level completes the journal.
func (p *page) level(ctx context.Context) error {
	if p.ledger.journal == nil || p.journalled {
		return nil
	}
	if err := p.ledger.journal.complete(ctx, p.head, p.chunkData); err != nil {
		return err
	}
	p.journalled = true
	return nil
}

// neverWritten returns an error if there is a trace of a page that has no head.
func (p *page) neverWritten(ctx context.Context) error {
	chunks, err := p.listChunks(ctx)
	if err != nil {
		return err
	}
	if len(chunks) > 0 {
		return fmt.Errorf("the head is gone, %d chunks are not: %w", len(chunks), ErrMissing)
	}
	if j := p.ledger.journal; j != nil {
		written, err := j.holds(ctx, p.pageID)
		if err != nil {
			return err
		}
		if written {
			return fmt.Errorf("the hub does not hold what the journal does: %w", ErrMissing)
		}
	}
	return nil
}

// sweepSometimes removes what no head lists any more, every sweepAfter changes and
// at the first change of a process, which may have died before a head was written.
func (p *page) sweepSometimes(ctx context.Context) error {
	p.changes++
	if p.changes%sweepAfter != 1 {
		return nil
	}
	if err := p.sweep(ctx); err != nil {
		return err
	}
	if j := p.ledger.journal; j != nil {
		return j.sweep(ctx, p.head)
	}
	return nil
}
