package pulse

import (
	"testing"
	"time"
)

func TestStandstillTaintsWhatWasUnderWay(t *testing.T) {
	p := New(50*time.Millisecond, 5*time.Millisecond, time.Now())
	at := func(millis int) time.Time { return p.began.Add(time.Duration(millis) * time.Millisecond) }
	p.note(at(5))
	p.note(at(60)) // exactly the limit and one period: still in order
	p.note(at(65))
	p.note(at(365)) // stood still for 300 ms
	p.note(at(370))
	for _, test := range []struct {
		name      string
		from, now int
		want      bool
	}{
		{"across the standstill", 60, 370, true},
		{"begun during the standstill", 200, 371, true},
		{"begun after it", 366, 372, false},
		{"now, with a pulse that is late itself", 366, 370 + 56, true},
		{"now, with a pulse that is just in time", 366, 370 + 55, false},
	} {
		if got := p.StoodStill(at(test.from), at(test.now)); got != test.want {
			t.Errorf("%s: stood still from %d to %d ms: %v, want %v", test.name, test.from, test.now, got, test.want)
		}
	}
}
