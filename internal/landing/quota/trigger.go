package quota

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
)

// checkTrigger compares how fast the load can grow with how fast a trigger adds
// capacity. The load stands at the threshold when the trigger fires, and fills the
// running capacity after (100 - threshold) points; what serves later than that is
// too late. Reactions are taken to follow each other, so a trigger keeps up only if
// each adds at least what the load grows by in the same time.
func (w *Watch) checkTrigger(i int) []finding.Finding {
	t := w.Spec.Triggers[i]
	about := func(id string, severity finding.Severity, field, observed, why, fix string) finding.Finding {
		f := w.finding(id, severity, []any{"spec", "triggers", i, field}, observed, why, fix)
		f.Part = t.Name
		return f
	}
	if field, lack := missing(t); lack != "" {
		return []finding.Finding{about(TriggerUnproved, finding.Unknown, field, "trigger "+t.Name+" on "+t.Metric+": not known: "+lack,
			"without it nobody can say whether it is fast enough", "measure it and write it into the document")}
	}
	threshold, reaction, parts := *t.ThresholdPercent, time.Duration(0), []string{}
	for _, part := range t.Reaction {
		reaction += part.Takes.Duration
		parts = append(parts, seconds(part.Takes.Duration)+" "+part.Name)
	}
	rate := t.LoadGrowth.Points / t.LoadGrowth.Within.Seconds() // points a second
	fills := (100 - threshold) / rate                           // seconds
	grows := rate * reaction.Seconds()
	var found []finding.Finding
	if reaction.Seconds() > fills {
		fix := fmt.Sprintf("fire at %s %% or below, or react within %s s", number(100-grows), number(fills))
		if grows >= 100 {
			fix = fmt.Sprintf("no threshold is low enough: react within %s s, or have the capacity ready before the load comes", number(fills))
		}
		found = append(found, about(TooSlow, finding.Fail, "reaction",
			fmt.Sprintf("load can grow from %s %% to 100 %% in %s s, the trigger needs %s (%s)", number(threshold), number(fills), seconds(reaction), strings.Join(parts, " + ")),
			fmt.Sprintf("%s s long there is more load than capacity", number(reaction.Seconds()-fills)), fix))
	}
	if t.AddsPercent != nil && grows > *t.AddsPercent {
		found = append(found, about(FallsBehind, finding.Fail, "addsPercent",
			fmt.Sprintf("load can grow by %s points in the %s of one reaction, which adds %s", number(grows), seconds(reaction), number(*t.AddsPercent)),
			"while load grows, each reaction leaves less room than the one before", fmt.Sprintf("add at least %s %% at once, or react faster", number(grows))))
	}
	return found
}

// missing returns the field of the first fact that a trigger lacks, and its name.
func missing(t landing.ScaleTrigger) (field, fact string) {
	switch {
	case t.ThresholdPercent == nil:
		return "thresholdPercent", "at which load it fires (thresholdPercent)"
	case len(t.Reaction) == 0:
		return "reaction", "how long it takes until new capacity serves (reaction)"
	case t.LoadGrowth == nil:
		return "loadGrowth", "how fast the load can grow (loadGrowth)"
	}
	return "", ""
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
}
