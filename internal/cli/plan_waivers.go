package cli

import (
	"fmt"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
)

// idleWaivers tells of each waiver that lets nothing pass: one that has ended, and one
// that names neither a gate nor a finding, which may be a slip of the pen.
func idleWaivers(all []v1.Waiver, now time.Time) []string {
	var out []string
	for i, w := range all {
		field := fmt.Sprintf("spec.waivers[%d]", i)
		_, isGate := theHandbook().gate(w.Gate)
		_, isFinding := finding.EntryOf(w.Gate)
		switch {
		case !isGate && !isFinding && w.Gate != plan.Fuse:
			out = append(out, fmt.Sprintf("%s names %q, which is neither a gate nor a finding: crossfade explain lists them", field, w.Gate))
		case !now.Before(w.Expires.Time):
			out = append(out, fmt.Sprintf("%s (%s, of %s) ended %s and lets nothing pass any more", field, w.Gate, w.Owner, w.Expires.UTC().Format(time.RFC3339)))
		}
	}
	return out
}
