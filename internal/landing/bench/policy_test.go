package bench

import (
	"strings"
	"testing"

	"crossfade.dev/internal/landing/policy"
)

func TestPolicy(t *testing.T) {
	var out strings.Builder
	if err := Policy(&out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	for line := range strings.Lines(out.String()) {
		if len(strings.Fields(line)) != 3 {
			t.Errorf("%q is not a name, a value and a unit", line)
		}
	}
}

func arrange(b *testing.B) (*policy.State, []policy.Request) {
	s, err := Load(Zone(500, 40, false))
	if err != nil {
		b.Fatal(err)
	}
	return s, Calls(s)
}

func BenchmarkDecide(b *testing.B) {
	s, calls := arrange(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Decide(&calls[i%len(calls)])
	}
}

func BenchmarkExplain(b *testing.B) {
	s, calls := arrange(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Explain(&calls[i%len(calls)])
	}
}
