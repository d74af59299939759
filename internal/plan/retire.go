package plan

import (
	"fmt"

	v1 "crossfade.dev/api/v1alpha1"
)

// RetireFacts is what still needs the source.
type RetireFacts struct {
	Estate Estate
	// Quarantined is how many apps were left behind in it.
	Quarantined int32
	// Serving are, for people, the workloads that it still runs, or that the target
	// does not run in full.
	Serving []string
	// Entry is how much of the names leads to the target, in percent; Leading are,
	// for people, those that lead to the source.
	Entry   int32
	Leading []string
}

// RetireGates tell whether the source may be let go.
func RetireGates(f RetireFacts) []v1.Gate {
	return append([]v1.Gate{stayingGate(f.Estate), servedGate(f), ledGate(f)}, QuarantineGates(f.Quarantined, 0)...)
}

func stayingGate(e Estate) v1.Gate {
	staying := e.Workloads(func(w Workload) bool { return w.Decide != v1.DecideMove })
	if len(staying) > 0 {
		return held(GateStaying, v1.DecisionNeeded,
			fmt.Sprintf("%d workloads stay in the source, first %s", len(staying), staying[0].ID()), "none")
	}
	return passed(GateStaying, "nothing stays in the source")
}

func servedGate(f RetireFacts) v1.Gate {
	if len(f.Serving) > 0 {
		return held(GateServed, v1.TargetNotReady, "the target does not serve all of "+list(f.Serving), "everything served by the target")
	}
	return passed(GateServed, "the target serves everything")
}

func ledGate(f RetireFacts) v1.Gate {
	const limit = "every name leads to the target"
	switch {
	case len(f.Leading) > 0:
		return held(GateEntry, v1.EntryMoving, "to the source still leads "+list(f.Leading), limit)
	case f.Entry < 100:
		return held(GateEntry, v1.EntryMoving, fmt.Sprintf("%d %% of the names lead to the target", f.Entry), limit)
	default:
		return passed(GateEntry, limit)
	}
}
