package migration

import (
	"testing"

	"crossfade.dev/internal/zone"
)

func TestACopyThatIsWrittenOverIsKnownWhicheverIsFound(t *testing.T) {
	set := func(address string) zone.RecordSet {
		return zone.RecordSet{Key: zone.Key{Name: "web.example.test", Type: "A"}, TTL: 10, Data: []string{address}}
	}
	first, edited := set("192.0.2.1"), set("192.0.2.9")
	copies := copied{created: map[string]zone.RecordSet{}, intended: map[string]zone.RecordSet{}}
	// It is copied; then a person edits the old copy, and takes it back right after the
	// edit was carried over, before anybody noted that it was.
	for _, step := range []struct{ want, have []zone.RecordSet }{
		{[]zone.RecordSet{first}, nil},
		{[]zone.RecordSet{edited}, []zone.RecordSet{first}},
		{[]zone.RecordSet{first}, []zone.RecordSet{edited}},
	} {
		swaps, foreign, _ := copySwaps(step.want, step.have, copies)
		if len(swaps) != 1 || len(foreign) > 0 {
			t.Fatalf("want %v, have %v: %d swaps, foreign %v", step.want, step.have, len(swaps), foreign)
		}
	}
	if _, foreign, _ := copySwaps([]zone.RecordSet{first}, []zone.RecordSet{set("203.0.113.5")}, copies); len(foreign) != 1 {
		t.Errorf("what somebody else put there counts as ours: %v", foreign)
	}
}
