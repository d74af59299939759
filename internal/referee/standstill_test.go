package referee

import (
	"errors"
	"os"
	"testing"
	"time"

	"crossfade.dev/internal/pulse"
)

// Only what a standstill can cause is excused by one.
func TestStandstillDoesNotExcuseWrongAnswers(t *testing.T) {
	now := time.Now()
	// No beat since an hour ago.
	l := &lane{load: &load{pulse: pulse.New(time.Millisecond, pulsePeriod, now.Add(-time.Hour))}}
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
