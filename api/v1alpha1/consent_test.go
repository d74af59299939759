package v1alpha1

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestConsentDoesNotOutliveARollback(t *testing.T) {
	noon := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }
	ran := func(s Stage, d Direction, minutes float64) StageTime {
		return StageTime{Stage: s, Direction: d, Started: metav1.NewMicroTime(at(minutes))}
	}
	onward := []StageTime{ran(Preflight, Forward, 0), ran(Shifting, Forward, 1)}
	back := append(onward, ran(Shifting, Back, 10.004), ran(Snapshot, Back, 12))
	again := append(back, ran(Snapshot, Forward, 20), ran(Shifting, Forward, 25))
	tests := []struct {
		name     string
		timeline []StageTime
		given    time.Time
		want     bool
	}{
		{"never dated, never led back", onward, time.Time{}, true},
		{"given ahead", onward, at(-60), true},
		{"never dated, led back since", back, time.Time{}, false},
		{"given before it was led back", back, at(9), false},
		{"given in the second in which it was led back", back, at(10), true},
		{"given on the way back", back, at(11), true},
		{"given before, and it goes forward again", again, at(9), false},
		{"given since it goes forward again", again, at(21), true},
	}
	for _, test := range tests {
		m := &Migration{}
		m.Status.Timeline = test.timeline
		m.Spec.Approved = []Approval{{Stage: Shifting, By: "ann", At: metav1.NewTime(test.given)}}
		m.Spec.Retire = &Retire{By: "ann", At: metav1.NewTime(test.given)}
		if m.Approves(Shifting) != test.want || m.Retires() != test.want || m.Approves(Cutover) {
			t.Errorf("%s: approved %v, retired %v, want %v", test.name, m.Approves(Shifting), m.Retires(), test.want)
		}
	}
}
