package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	v1 "crossfade.dev/api/v1alpha1"
)

// maxChunk bounds a chunk's data, in compressed bytes: an etcd request may have
// 1.5 MiB, in base64 and with metadata.
const maxChunk = 256 << 10

// A pageID names a page.
type pageID struct {
	Namespace string    `json:"namespace"`
	Migration string    `json:"migration"`
	Record    v1.Record `json:"record"`
	Part      string    `json:"part"`
}

func (id pageID) String() string {
	return fmt.Sprintf("%s of %s (migration %s/%s)", id.Record, id.Part, id.Namespace, id.Migration)
}

// label is a short name of the page that is valid as a label, a part of an object's
// name and a part of a file name.
func (id pageID) label() string {
	sum := sha256.Sum256([]byte(id.Migration + "\x00" + string(id.Record) + "\x00" + id.Part))
	return strings.ToLower(string(id.Record)) + "-" + hex.EncodeToString(sum[:6])
}

// A head lists the chunks of a page. Later chunks cover earlier ones.
type head struct {
	pageID
	// Sequence counts the page's changes, from 0 for the empty page.
	Sequence uint64 `json:"sequence"`
	// Next is the number of the next chunk. Numbers are never used again once a
	// head has listed them.
	Next   int32   `json:"next"`
	Chunks []chunk `json:"chunks,omitempty"`
}

// A chunk is a piece of a page that never changes.
type chunk struct {
	Number int32 `json:"number"`
	// Digest is the SHA-256 of the chunk's data, in hexadecimal.
	Digest  string `json:"digest"`
	Entries int    `json:"entries"`
	// Bytes is the size of the data.
	Bytes int `json:"bytes"`
}

// name is unique to number and content: two processes that die before their heads
// are written may have used one number twice.
func (c chunk) name() string { return fmt.Sprintf("%d-%s", c.Number, c.Digest[:16]) }

// content is what a chunk says: values by key, and null for keys that it removes.
type content = map[string]json.RawMessage

// A sum stands for an entry's value: a page knows what it holds by them.
type sum [16]byte

// sumOf is the first half of the SHA-256 of a value.
func sumOf(value []byte) sum {
	whole := sha256.Sum256(value)
	return sum(whole[:])
}

// An index is the keys of a page with the sums of their values. No value has the sum
// of a key that is missing.
type index map[string]sum

// cover notes what a later chunk says.
func (x index) cover(c content) {
	for key, value := range c {
		if isGone(value) {
			delete(x, key)
		} else {
			x[key] = sumOf(value)
		}
	}
}

// covered is how many keys there will be after a change.
func (x index) covered(change content) int {
	n := len(x)
	for key, value := range change {
		_, stands := x[key]
		switch {
		case isGone(value) && stands:
			n--
		case !isGone(value) && !stands:
			n++
		}
	}
	return n
}

// differing are those of the wanted entries that a page does not have, or not so.
func (x index) differing(want content) content {
	out := content{}
	for key, value := range want {
		if x[key] != sumOf(value) {
			out[key] = value
		}
	}
	return out
}

func isGone(value json.RawMessage) bool { return string(value) == string(gone) }

// fold decides what to write for a change, after which the page has so many entries:
// the content of the new chunks, and how many of the page's chunks stay before them.
// Chunks of the page are folded into the change while they are not more than twice
// as large, so that a page has few small chunks and every entry is rewritten a few
// times at most; large chunks stay. Once half of what chunks hold is covered by
// later ones, all is written anew.
func fold(have []chunk, read func(int) (content, error), change content, after int) (stay int, written content, err error) {
	written = maps.Clone(change)
	merge := func(i int) error {
		older, err := read(i)
		if err != nil {
			return err
		}
		for key, value := range older {
			if _, later := written[key]; !later {
				written[key] = value
			}
		}
		return nil
	}
	for stay = len(have); stay > 0 && have[stay-1].Entries <= 2*len(written) && have[stay-1].Bytes < maxChunk/2; stay-- {
		if err := merge(stay - 1); err != nil {
			return 0, nil, err
		}
	}
	held := len(written)
	for _, c := range have[:stay] {
		held += c.Entries
	}
	if stay > 0 && held <= 2*after+64 {
		return stay, written, nil
	}
	for ; stay > 0; stay-- {
		if err := merge(stay - 1); err != nil {
			return 0, nil, err
		}
	}
	// Nothing is left for a removal to cover.
	maps.DeleteFunc(written, func(_ string, value json.RawMessage) bool { return isGone(value) })
	return 0, written, nil
}

// A sealed chunk is ready to be written.
type sealed struct {
	chunk
	content content
	data    []byte
}

// seal writes a content as one chunk, or as many as keep each within maxChunk. A
// single entry may be larger; the API server then has the last word.
func seal(c content, next int32) ([]sealed, error) {
	if len(c) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write a chunk as JSON: %w", err)
	}
	data := encoder.EncodeAll(text, nil)
	if len(data) > maxChunk && len(c) > 1 {
		keys := slices.Sorted(maps.Keys(c))
		first, second := content{}, content{}
		for i, key := range keys {
			if i < len(keys)/2 {
				first[key] = c[key]
			} else {
				second[key] = c[key]
			}
		}
		left, err := seal(first, next)
		if err != nil {
			return nil, err
		}
		right, err := seal(second, next+int32(len(left)))
		return append(left, right...), err
	}
	sum := sha256.Sum256(data)
	return []sealed{{
		chunk:   chunk{Number: next, Digest: hex.EncodeToString(sum[:]), Entries: len(c), Bytes: len(data)},
		content: c, data: data,
	}}, nil
}

// open reads a chunk's data and checks that it is what the head listed.
func (c chunk) open(data []byte) (content, error) {
	sum := sha256.Sum256(data)
	if hex.EncodeToString(sum[:]) != c.Digest {
		return nil, fmt.Errorf("chunk %s: its data has another digest: %w", c.name(), ErrMissing)
	}
	text, err := decoder.DecodeAll(data, nil)
	if err != nil {
		return nil, fmt.Errorf("chunk %s: %w", c.name(), err)
	}
	var out content
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("chunk %s: %w", c.name(), err)
	}
	return out, nil
}

var (
	encoder = must(zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)))
	decoder = must(zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1<<30)))
)

func must[T any](made T, err error) T {
	if err != nil {
		panic(err) // the options are constants
	}
	return made
}
