package plan

import (
	"fmt"
	"slices"

	v1 "crossfade.dev/api/v1alpha1"
)

// A Way is one direction of the bridge to one range of addresses, as it was measured.
type Way struct {
	// From and To name clusters; Range is what of To was asked: pods, nodes, or an
	// address that somebody declared.
	From  string `json:"from"`
	To    string `json:"to"`
	Range string `json:"range"`
	// Verdict is Passed if a connection was made, Failed if none was in After, and Held
	// if it could not be tried.
	Verdict v1.Verdict `json:"verdict"`
	// Address is what was tried, from a node of From; empty if nothing was.
	Address string `json:"address,omitempty"`
	// Seconds is how long it took until it was known.
	Seconds float64 `json:"seconds"`
	// Observed says what was seen where no connection was made.
	Observed string `json:"observed,omitempty"`
}

// The ranges that the bridge is about. Clients of one side reach pods of the other;
// node addresses stand for what runs on the host's network, such as many ingresses.
const (
	PodRange  = "pods"
	NodeRange = "nodes"
)

// String tells a way in one sentence.
func (w Way) String() string {
	where := fmt.Sprintf("%s to %s of %s", w.From, w.Range, w.To)
	if w.Address != "" && w.Address != w.Range {
		where += " (" + w.Address + ")"
	}
	switch w.Verdict {
	case v1.Passed:
		return fmt.Sprintf("%s: connected after %.1f s", where, w.Seconds)
	case v1.Failed:
		return fmt.Sprintf("%s: no connection in %.1f s: %s", where, w.Seconds, w.Observed)
	default:
		return where + ": unknown: " + w.Observed
	}
}

// ReachGates tell whether the bridge can lead both ways. Pods decide; node ranges are
// shown, because a filter before a node's own ports says nothing about its pods. No
// ways mean that nobody measured, and there is no gate.
func ReachGates(ways []Way) []v1.Gate {
	if len(ways) == 0 {
		return nil
	}
	const limit = "pods of either side are reached from the other"
	var broken, unknown []string
	for _, w := range ways {
		switch {
		case w.Range == NodeRange || w.Verdict == v1.Passed:
		case w.Verdict == v1.Failed:
			broken = append(broken, w.String())
		default:
			unknown = append(unknown, w.String())
		}
	}
	switch {
	case len(broken) > 0:
		return []v1.Gate{failed(GateNetworks, v1.NetworkUnreached, list(broken), limit)}
	case len(unknown) > 0:
		return []v1.Gate{held(GateNetworks, v1.NetworkUnreached, list(unknown), limit)}
	}
	return []v1.Gate{passed(GateNetworks, limit)}
}

// Unreached tells of each way that decides and was measured to lead nowhere.
func Unreached(ways []Way) []string {
	var out []string
	for _, w := range Unopened(ways) {
		if w.Verdict == v1.Failed {
			out = append(out, w.String())
		}
	}
	return out
}

// Unopened are the ways that decide and on which no connection is known to be made.
func Unopened(ways []Way) []Way {
	return slices.DeleteFunc(slices.Clone(ways), func(w Way) bool { return w.Range == NodeRange || w.Verdict == v1.Passed })
}
