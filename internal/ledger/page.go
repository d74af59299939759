package ledger

import (
	"context"
	"fmt"
	"slices"
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

	mu     sync.Mutex
	stored *v1.Ledger // the head's object as the hub holds it; nil if there is none
	head   head
	chunks []held // the head's, in their order
	index  index  // what the chunks amount to
	// decoded is the entries as they were read last, a map to decoded[T]; nil if their
	// type can't be shared, or they are not read again.
	decoded any
	// journalled is true if the journal has this head and all its chunks.
	journalled bool

	newest  uint64 // the highest sequence ever seen
	changes int    // since the last sweep
}

// A held chunk is kept as it is stored, which takes the least memory.
type held struct {
	data []byte
	// content is what data says; nil if it has to be read from it.
	content content
}

// small is how many entries a chunk may have that is also kept as it was read: it is
// likely to be folded into the next one.
const small = 256

// read is what a chunk of the page says.
func (p *page) read(i int) (content, error) {
	if p.chunks[i].content == nil {
		read, err := p.head.Chunks[i].open(p.chunks[i].data)
		if err != nil {
			return nil, err
		}
		p.chunks[i].content = read
	}
	return p.chunks[i].content, nil
}

// rest drops what is large and can be read again.
func (p *page) rest() {
	for i := range p.chunks {
		if p.head.Chunks[i].Entries > small {
			p.chunks[i].content = nil
		}
	}
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
	had := map[chunk]held{}
	for i, c := range p.chunks {
		had[p.head.Chunks[i]] = c
	}
	chunks, all := make([]held, len(now.Chunks)), index{}
	for i, c := range now.Chunks {
		known, ok := had[c]
		var err error
		switch {
		case !ok:
			known, err = p.readChunk(ctx, c)
		case known.content == nil:
			known.content, err = c.open(known.data)
		}
		if err != nil {
			return err
		}
		chunks[i] = known
		all.cover(known.content)
	}
	p.stored, p.head, p.chunks, p.index = stored, now, chunks, all
	p.newest = now.Sequence
	p.journalled = false
	return nil
}

// change writes what differing says, given what the page holds. With nothing to
// write it still looks: acknowledging is a statement about the hub, not the cache.
func (p *page) change(ctx context.Context, differing func(index) content) error {
	if err := p.look(ctx); err != nil {
		return err
	}
	change := differing(p.index)
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
	after := p.index.covered(change)
	stay, written, err := fold(p.head.Chunks, p.read, change, after)
	if err != nil {
		return err
	}
	fresh, err := seal(written, p.head.Next)
	if err != nil {
		return err
	}
	next := head{pageID: p.pageID, Sequence: p.head.Sequence + 1, Next: p.head.Next + int32(len(fresh))}
	next.Chunks = append(next.Chunks, p.head.Chunks[:stay]...)
	chunks := slices.Clone(p.chunks[:stay])
	for _, s := range fresh {
		if err := p.writeChunk(ctx, s.chunk, s.data); err != nil {
			return err
		}
		next.Chunks = append(next.Chunks, s.chunk)
		chunks = append(chunks, held{s.data, s.content})
	}
	if err := p.writeHead(ctx, next, after); err != nil {
		return err
	}
	p.chunks, p.newest = chunks, next.Sequence
	p.index.cover(change)
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
