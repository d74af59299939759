package plan

import (
	"fmt"

	v1 "crossfade.dev/api/v1alpha1"
)

// WriteGates tell whether a team has written to a side that is closed to teams. Seen
// says, for people, what was written, by whom and when.
func WriteGates(seen []string, side string) []v1.Gate {
	if len(seen) > 0 {
		return []v1.Gate{held(GateWrites, v1.TeamWriteSeen, list(seen), "no team's write in "+side+" while it is closed")}
	}
	return []v1.Gate{passed(GateWrites, "nobody has written to "+side+" since it was closed")}
}

// PermissionGates tell whether the engine's account may do all that a migration
// needs. Missing says, for people, what it may not do, and where.
func PermissionGates(missing []string) []v1.Gate {
	if len(missing) > 0 {
		return []v1.Gate{held(GatePermissions, v1.PermissionMissing, fmt.Sprintf("the engine may not %s", list(missing)), "all of config/rbac/engine.yaml")}
	}
	return []v1.Gate{passed(GatePermissions, "the engine may do all that it needs")}
}
