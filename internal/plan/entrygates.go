package plan

import v1 "crossfade.dev/api/v1alpha1"

// EntryGates tell whether every public name of the source is entered at the target
// too: what cannot be asked on both sides cannot be compared, and must not be led
// over. Missing says, for people, which names are not.
func EntryGates(missing []string) []v1.Gate {
	if len(missing) > 0 {
		return []v1.Gate{held(GateEntry, v1.EntryMissing, "the target has no address for "+list(missing), "an address for every name")}
	}
	return []v1.Gate{passed(GateEntry, "every public name has an address in the target")}
}
