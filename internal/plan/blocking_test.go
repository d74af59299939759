package plan

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

func TestABlockingFindingHoldsUntilItIsWaivedByItsID(t *testing.T) {
	now := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	facts := PreflightFacts{
		Source: SiteFacts{UID: "a", Version: "v1.33.1"}, Target: SiteFacts{UID: "b", Version: "v1.36.3"}, Apps: 1,
		Blocking: []Blocking{{ID: "CF-NODE-003", Title: "no node", Objects: 3, First: "Deployment shop/a: wants disk=ssd"}},
	}
	waiver := v1.Waiver{Gate: "CF-NODE-003", Reason: "nodes come tonight", Owner: "kim", Expires: metav1.NewTime(now.Add(time.Hour))}
	tests := []struct {
		name    string
		waivers []v1.Waiver
		at      time.Time
		waived  string
		ended   string
	}{
		{"no waiver", nil, now, "", ""},
		{"waived", []v1.Waiver{waiver}, now, "kim until 2026-11-21T21:00:00Z: nodes come tonight", ""},
		{"the waiver has expired", []v1.Waiver{waiver}, now.Add(2 * time.Hour), "", "; the waiver of kim ended 2026-11-21T21:00:00Z"},
		{"another finding is waived", []v1.Waiver{{Gate: "CF-NODE-004", Owner: "kim", Expires: waiver.Expires}}, now, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gates := Waive(PreflightGates(facts), tt.waivers, tt.at)
			last := gates[len(gates)-1]
			if last.Name != "CF-NODE-003" || last.Verdict != v1.Held || last.Reason != v1.FindingBlocks || last.Waived != tt.waived {
				t.Errorf("gate = %+v, want it held and waived by %q", last, tt.waived)
			}
			if last.Observed != "Deployment shop/a: wants disk=ssd (and 2 more)"+tt.ended {
				t.Errorf("observed %q", last.Observed)
			}
		})
	}
}
