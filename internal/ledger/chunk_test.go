package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func some(from, to int, value string) content {
	out := content{}
	for i := from; i < to; i++ {
		out[fmt.Sprintf("key-%04d", i)] = json.RawMessage(value)
	}
	return out
}

func TestFold(t *testing.T) {
	small := func(n int) chunk { return chunk{Entries: n, Bytes: 10 * n} }
	large := func(n int) chunk { return chunk{Entries: n, Bytes: maxChunk} }
	tests := []struct {
		name     string
		have     []chunk
		contents []content
		change   content
		stay     int
		written  int
	}{
		{"the first change", nil, nil, some(0, 3, `1`), 0, 3},
		{"a large chunk before it stays", []chunk{small(100)}, []content{some(0, 100, `1`)}, some(0, 1, `2`), 1, 1},
		{"small chunks are folded in", []chunk{small(100), small(4), small(2)}, []content{some(0, 100, `1`), some(0, 4, `2`), some(10, 12, `2`)}, some(20, 21, `3`), 1, 7},
		{"a chunk of many bytes stays, whatever its entries", []chunk{large(1)}, []content{some(0, 1, `1`)}, some(5, 9, `2`), 1, 4},
		{"a removal stays as long as something is below it", []chunk{small(100)}, []content{some(0, 100, `1`)}, some(0, 2, `null`), 1, 2},
		{"nothing is left to remove", []chunk{small(2)}, []content{some(0, 2, `1`)}, some(0, 1, `null`), 0, 1},
		{"half of it is covered: all is written anew",
			[]chunk{large(300), large(300)}, []content{some(0, 300, `1`), some(0, 300, `2`)}, some(0, 100, `3`), 0, 300},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before, after := apply(test.contents...), apply(append(slices.Clone(test.contents), test.change)...)
			if now := before.covered(test.change); now != len(after) {
				t.Errorf("%d entries are to be there after it, want %d", now, len(after))
			}
			read := func(i int) (content, error) { return test.contents[i], nil }
			stay, written, err := fold(test.have, read, test.change, len(after))
			if err != nil {
				t.Fatal(err)
			}
			if stay != test.stay || len(written) != test.written {
				t.Errorf("%d chunks stay and %d entries are written, want %d and %d", stay, len(written), test.stay, test.written)
			}
			got := apply(append(slices.Clone(test.contents[:stay]), written)...)
			if !maps.Equal(got, after) {
				t.Errorf("the page amounts to %d entries, want %d", len(got), len(after))
			}
		})
	}
}

// apply is what chunks with these contents, oldest first, amount to.
func apply(contents ...content) index {
	all := index{}
	for _, c := range contents {
		all.cover(c)
	}
	return all
}

// TestSealedChunksAreSmallAndWhole seals contents that compress badly or well.
func TestSealedChunksAreSmallAndWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := content{}
		for i := range rapid.IntRange(0, 400).Draw(t, "entries") {
			text := strings.Repeat("x", rapid.IntRange(0, 20).Draw(t, "padding"))
			if rapid.Bool().Draw(t, "noise") {
				for range 100 {
					text += fmt.Sprintf("%016x", rapid.Uint64().Draw(t, "word"))
				}
			}
			c[fmt.Sprint(i)], _ = json.Marshal(text)
		}
		chunks, err := seal(c, 7)
		if err != nil {
			t.Fatal(err)
		}
		all := content{}
		for i, s := range chunks {
			if s.Number != 7+int32(i) || s.Bytes != len(s.data) || len(s.data) > maxChunk {
				t.Fatalf("chunk %d is number %d, %d bytes", i, s.Number, len(s.data))
			}
			read, err := s.open(s.data)
			if err != nil || len(read) != s.Entries {
				t.Fatal(err)
			}
			maps.Copy(all, read)
		}
		if !maps.EqualFunc(all, c, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Fatalf("%d entries were sealed, %d opened", len(c), len(all))
		}
	})
}

func TestAChangedChunkIsNotBelieved(t *testing.T) {
	chunks, err := seal(some(0, 3, `1`), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range chunks[0].data {
		changed := append([]byte(nil), chunks[0].data...)
		changed[i] ^= 1
		if _, err := chunks[0].open(changed); err == nil {
			t.Fatalf("byte %d was changed, and nobody noticed", i)
		}
	}
}

func TestSeam(t *testing.T) {
	whole := seam([]byte(`{"a":1}`))
	if text, err := unseam(whole); err != nil || string(text) != `{"a":1}` {
		t.Errorf("got %s, %v", text, err)
	}
	for n := range whole {
		if text, err := unseam(whole[:n]); err == nil {
			t.Errorf("cut at %d: got %s", n, text)
		}
	}
}
