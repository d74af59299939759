package delay

import (
	"encoding/json"
	"testing"
	"time"
)

func TestRangeIsReadAndWritten(t *testing.T) {
	for _, text := range []string{"5s-30s", "2s", "0s-500ms"} {
		r, err := Parse(text)
		if err != nil || r.String() != text {
			t.Errorf("Parse(%q) = %v, %v", text, r, err)
		}
		data, err := json.Marshal(r)
		var back Range
		if err != nil || json.Unmarshal(data, &back) != nil || back != r {
			t.Errorf("%s through JSON: %s, %v", text, data, back)
		}
	}
	for _, bad := range []string{"", "5", "5s-", "-5s", "30s-5s", "1s-2s-3s"} {
		if r, err := Parse(bad); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", bad, r)
		}
	}
}

func TestDelaysBelongToTheirPurpose(t *testing.T) {
	r := Range{Min: time.Second, Max: 10 * time.Second}
	a := r.For(7, "a")
	r.For(7, "b")
	if again := r.For(7, "a"); again != a {
		t.Errorf("the same purpose drew %v and %v", a, again)
	}
	if other := r.For(8, "a"); other == a {
		t.Errorf("another seed drew %v too", a)
	}
	random := Random(1, "many")
	for range 1000 {
		if d := r.Draw(random); d < r.Min || d > r.Max {
			t.Fatalf("%v is outside %v", d, r)
		}
	}
}
