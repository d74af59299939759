package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
)

const (
	// pageLabel marks every object of a page with the page's label.
	pageLabel = "crossfade.dev/ledger-page"
	// finalizer keeps a head from being deleted with a whole folder of objects: as
	// long as the head stands, chunks that are gone are missed.
	finalizer = "crossfade.dev/ledger"
	// headNumber is the number by which a head is told from chunks.
	headNumber = -1
)

// headName is the name of the head's object in the hub; chunks add theirs. Parts of
// the migration's name are enough, because the label is unique to it.
func (id pageID) headName() string {
	return strings.TrimRight(id.Migration[:min(len(id.Migration), 100)], ".-") + "-" + id.label()
}

func (p *page) chunkName(c chunk) string { return p.headName() + "-" + c.name() }

// readHead returns the head and its object, or nil and an empty head if the hub has
// none.
func (p *page) readHead(ctx context.Context) (*v1.Ledger, head, error) {
	stored := &v1.Ledger{}
	err := p.ledger.hub.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: p.headName()}, stored)
	if apierrors.IsNotFound(err) {
		return nil, head{pageID: p.pageID}, nil
	}
	if err != nil {
		return nil, head{}, fmt.Errorf("read the head: %w", err)
	}
	if same(p.stored, stored) {
		return stored, p.head, nil
	}
	text, err := decoder.DecodeAll(stored.Spec.Data, nil)
	if err != nil {
		return nil, head{}, fmt.Errorf("read the head %s: %w", stored.Name, err)
	}
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, head{}, fmt.Errorf("read the head %s: %w", stored.Name, err)
	}
	if h.pageID != p.pageID {
		return nil, head{}, fmt.Errorf("the head %s is that of %s", stored.Name, h.pageID)
	}
	return stored, h, nil
}

// writeHead makes next, which amounts to a number of entries, the head, if the hub's
// is still the one that was read. After an error the outcome may be unknown; the
// next look tells.
func (p *page) writeHead(ctx context.Context, next head, entries int) error {
	object, err := p.headObject(next, entries)
	if err != nil {
		return err
	}
	if p.stored == nil {
		err = p.ledger.hub.Create(ctx, object)
	} else {
		object.UID, object.ResourceVersion = p.stored.UID, p.stored.ResourceVersion
		object.Labels, object.Annotations = p.stored.Labels, p.stored.Annotations
		err = p.ledger.hub.Update(ctx, object)
	}
	if err != nil {
		return fmt.Errorf("write the head at change %d: %w", next.Sequence, err)
	}
	p.stored, p.head = object, next
	return nil
}

func (p *page) headObject(h head, entries int) (*v1.Ledger, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write the head as JSON: %w", err)
	}
	object := p.object(p.headName(), headNumber, entries, encoder.EncodeAll(text, nil))
	object.Finalizers = []string{finalizer}
	return object, nil
}

// writeChunk writes a chunk. One of its name has its content already.
func (p *page) writeChunk(ctx context.Context, c chunk, data []byte) error {
	object := p.object(p.chunkName(c), c.Number, c.Entries, data)
	if err := p.ledger.hub.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("write chunk %s: %w", c.name(), err)
	}
	return nil
}

// chunkData reads a chunk's data from the hub; it wraps errNoFile if it is gone.
func (p *page) chunkData(ctx context.Context, c chunk) ([]byte, error) {
	stored := &v1.Ledger{}
	err := p.ledger.hub.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: p.chunkName(c)}, stored)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("chunk %s is gone from the hub: %w", c.name(), errNoFile)
	case err != nil:
		return nil, fmt.Errorf("read chunk %s: %w", c.name(), err)
	}
	return stored.Spec.Data, nil
}

// readChunk reads a chunk that a head lists. One that the hub has lost is taken from
// the journal and put back: its digest leaves no doubt.
func (p *page) readChunk(ctx context.Context, c chunk) (held, error) {
	data, err := p.chunkData(ctx, c)
	if err == nil {
		read, err := c.open(data)
		return held{data, read}, err
	}
	if !errors.Is(err, errNoFile) {
		return held{}, err
	}
	if p.ledger.journal == nil {
		return held{}, fmt.Errorf("chunk %s of %d entries is gone from the hub: %w", c.name(), c.Entries, ErrMissing)
	}
	data, err = p.ledger.journal.chunk(ctx, p.pageID, c)
	if errors.Is(err, errNoFile) {
		return held{}, fmt.Errorf("chunk %s of %d entries is gone from the hub and the journal: %w", c.name(), c.Entries, ErrMissing)
	}
	if err != nil {
		return held{}, err
	}
	read, err := c.open(data)
	if err != nil {
		return held{}, err
	}
	return held{data, read}, p.writeChunk(ctx, c, data)
}

func (p *page) object(name string, number int32, entries int, data []byte) *v1.Ledger {
	return &v1.Ledger{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: name,
			Labels: map[string]string{pageLabel: p.label()},
		},
		Spec: v1.LedgerSpec{
			Migration: p.Migration, Record: p.Record, Part: p.Part,
			Chunk: number, Entries: int32(entries), Data: data,
		},
	}
}

// listChunks lists the metadata of the page's chunks, listed by a head or not.
func (p *page) listChunks(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(v1.GroupVersion.WithKind("LedgerList"))
	err := p.ledger.hub.List(ctx, &list, client.InNamespace(p.Namespace), client.MatchingLabels{pageLabel: p.label()})
	if err != nil {
		return nil, fmt.Errorf("list chunks: %w", err)
	}
	var chunks []metav1.PartialObjectMetadata
	for _, item := range list.Items {
		if item.Name != p.headName() {
			chunks = append(chunks, item)
		}
	}
	return chunks, nil
}

// sweep removes from the hub the chunks that the head does not list.
func (p *page) sweep(ctx context.Context) error {
	listed := map[string]bool{}
	for _, c := range p.head.Chunks {
		listed[p.chunkName(c)] = true
	}
	chunks, err := p.listChunks(ctx)
	if err != nil {
		return err
	}
	for _, item := range chunks {
		if listed[item.Name] {
			continue
		}
		if err := p.remove(ctx, &item); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) remove(ctx context.Context, item *metav1.PartialObjectMetadata) error {
	object := &v1.Ledger{ObjectMeta: metav1.ObjectMeta{Namespace: item.Namespace, Name: item.Name}}
	if err := p.ledger.hub.Delete(ctx, object, client.Preconditions{UID: &item.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove %s: %w", item.Name, err)
	}
	return nil
}
