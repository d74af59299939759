package bench

import (
	"strings"
	"testing"

	"crossfade.dev/internal/landing/wan"
)

func TestSegments(t *testing.T) {
	var out strings.Builder
	if err := Segments(&out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	for line := range strings.Lines(out.String()) {
		if len(strings.Fields(line)) != 3 {
			t.Errorf("%q is not a name, a value and a unit", line)
		}
	}
}

func BenchmarkFlows(b *testing.B) {
	n, err := LoadCore(CoreNetwork(segments, attachments, false))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n.Flows()
	}
}

func BenchmarkCompare(b *testing.B) {
	before, err := LoadCore(CoreNetwork(segments, attachments, false))
	if err != nil {
		b.Fatal(err)
	}
	after, err := LoadCore(CoreNetwork(segments, attachments, true))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		wan.Compare(before, after)
	}
}
