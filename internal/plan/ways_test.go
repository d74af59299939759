package plan

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

func TestReachGates(t *testing.T) {
	way := func(what string, verdict v1.Verdict) Way {
		return Way{From: "east", To: "west", Range: what, Address: "10.2.1.7:8080", Verdict: verdict, Seconds: 10, Observed: "i/o timeout"}
	}
	tests := []struct {
		name string
		ways []Way
		want v1.Verdict
	}{
		{"both ways", []Way{way(PodRange, v1.Passed), way(PodRange, v1.Passed)}, v1.Passed},
		{"one way is closed", []Way{way(PodRange, v1.Passed), way(PodRange, v1.Failed)}, v1.Failed},
		{"unknown is held", []Way{way(PodRange, v1.Passed), way(PodRange, v1.Held)}, v1.Held},
		{"closed is worse than unknown", []Way{way(PodRange, v1.Held), way(PodRange, v1.Failed)}, v1.Failed},
		{"a node's own ports decide nothing", []Way{way(PodRange, v1.Passed), way(NodeRange, v1.Failed)}, v1.Passed},
		{"what a person declared decides", []Way{way(PodRange, v1.Passed), way("10.2.0.1:443", v1.Failed)}, v1.Failed},
	}
	for _, tt := range tests {
		gates := ReachGates(tt.ways)
		if len(gates) != 1 || gates[0].Verdict != tt.want || gates[0].Name != GateNetworks {
			t.Errorf("%s: %+v, want %s", tt.name, gates, tt.want)
		}
	}
	if gates := ReachGates(nil); len(gates) != 0 {
		t.Errorf("nobody measured, and there is %+v", gates)
	}
	now := time.Now()
	waiver := v1.Waiver{Gate: GateNetworks, Owner: "ann", Expires: metav1.NewTime(now.Add(time.Hour))}
	if gates := Waive(ReachGates(tests[1].ways), []v1.Waiver{waiver}, now); !strings.HasPrefix(gates[0].Waived, "ann until ") {
		t.Errorf("%+v, want it waived by ann", gates)
	}
	if got := Unreached(append(tests[3].ways, way(NodeRange, v1.Failed))); len(got) != 1 || got[0] != tests[1].ways[1].String() {
		t.Errorf("unreached %q, want the one way that was tried and decides", got)
	}
	const want = "east to pods of west (10.2.1.7:8080): no connection in 10.0 s: i/o timeout"
	if got := tests[1].ways[1].String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
