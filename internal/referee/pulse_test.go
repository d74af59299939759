package referee

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestStandstillTaintsWhatWasUnderWay(t *testing.T) {
	p := newPulse(50 * time.Millisecond)
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
		if got := p.stoodStill(at(test.from), at(test.now)); got != test.want {
			t.Errorf("%s: stood still from %d to %d ms: %v, want %v", test.name, test.from, test.now, got, test.want)
		}
	}
}

// Only what a standstill can cause is excused by one.
func TestStandstillDoesNotExcuseWrongAnswers(t *testing.T) {
	now := time.Now()
	l := &lane{load: &load{pulse: newPulse(time.Millisecond)}}
	l.pulse.began = now.Add(-time.Hour) // no beat since
	for _, test := range []struct {
		fault *fault
		want  Invalid
	}{
		{nil, InvalidStill},
		{faultOf(ClassRead, os.ErrDeadlineExceeded), InvalidStill},
		{&fault{ClassTimeout, os.ErrDeadlineExceeded}, InvalidStill},
		{faultOf(ClassDNS, os.ErrDeadlineExceeded), InvalidStill},
		{&fault{ClassStatus, errors.New("answered 503")}, ""},
		{&fault{ClassRead, errors.New("answered 503")}, ""},
		{&fault{ClassConnect, errors.New("answered 503")}, ""},
	} {
		if got := l.judge(&sample{due: now.Add(-time.Second), ended: now, fault: test.fault}); got != test.want {
			t.Errorf("%+v is judged %q, want %q", test.fault, got, test.want)
		}
	}
	if got := l.judge(&sample{invalid: InvalidLate, fault: nil}); got != InvalidLate {
		t.Errorf("a late sample is judged %q", got)
	}
}
