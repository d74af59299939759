// Package quota says which limits of a provider would run out before they could be
// raised, and which triggers scale slower than the load can grow. It is pure: what
// is known is read from documents, and the time is given.
//
// Use is extrapolated from dated samples by a robust line (see Trend) whose steepest
// plausible slope counts, and multiplied by what is planned. What the samples do not
// say is unknown, and the finding names the fact that is missing.
package quota

import (
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/source"
)

// Kind is the kind of document that Load reads.
const Kind = "QuotaWatch"

// The findings of this package.
const (
	// RunsOut: by growth the quota is used up before a raise asked for today, plus
	// the margin. A failure.
	RunsOut = "LZ-QUOTA-001"
	// EventExceeds: the same, because of a planned event. A failure.
	EventExceeds = "LZ-QUOTA-002"
	// Unproved: a fact is missing without which nobody knows. Unknown.
	Unproved = "LZ-QUOTA-003"
	// AskBy: the quota runs out within a year, and there is time. A note.
	AskBy = "LZ-QUOTA-004"
	// TooSlow: the load can fill the running capacity before a trigger's first
	// reaction serves. A failure.
	TooSlow = "LZ-QUOTA-005"
	// FallsBehind: a trigger adds less than the load can grow in the same time. A
	// failure.
	FallsBehind = "LZ-QUOTA-006"
	// TriggerUnproved: a fact about a trigger is missing. Unknown.
	TriggerUnproved = "LZ-QUOTA-007"
)

// A Watch is one quota as it was written down.
type Watch struct {
	*landing.QuotaWatch
	Place source.Place
	// Broken holds when the document has errors: nothing is concluded from it.
	Broken bool

	document *source.Document // nil if not even that could be read
}

// An Answer is what is known of one quota at a time.
type Answer struct {
	Watch *Watch `json:"-"`
	Name  string `json:"name"`
	// Used is the newest sample, nil if there is none, and SampledOn its day.
	Used      *float64    `json:"used,omitempty"`
	SampledOn landing.Day `json:"sampledOn,omitempty"`
	// Trend is how the use grows, nil if the samples do not say.
	Trend *Trend `json:"trend,omitempty"`
	// Exhausted is the earliest plausible time at which the quota is used up, by the
	// steepest slope of the trend and the events; Expected is the same by the middle
	// one. nil means not within ten years, or unknown: Unknown tells which.
	Exhausted *time.Time `json:"exhausted,omitempty"`
	Expected  *time.Time `json:"expected,omitempty"`
	// Event is the planned event that uses the quota up, empty if growth does.
	Event string `json:"event,omitempty"`
	// Granted is when a raise asked for now is there, AskBy the last time to ask for
	// one. nil if unknown, or if the quota is fixed.
	Granted *time.Time `json:"granted,omitempty"`
	AskBy   *time.Time `json:"askBy,omitempty"`
	// Alarm holds when Exhausted minus the lead time is under the margin.
	Alarm bool `json:"alarm"`
	// Unknown names the facts that are missing, empty if none is.
	Unknown []string `json:"unknown,omitempty"`
}

// A Report is what is known of every quota.
type Report struct {
	At       time.Time         `json:"at"`
	Answers  []Answer          `json:"answers"`
	Findings []finding.Finding `json:"findings"`
}

// Check answers for every quota at a time. Findings are complete: waived ones, notes
// and warnings are among them. finding.Blocking tells which must not pass: quotas that
// would run out, triggers that are too slow, and what nobody knows of either.
func Check(watches []*Watch, at time.Time) Report {
	r := Report{At: at}
	for _, w := range watches {
		answer, found := w.check(at)
		finding.Waive(found, w.Spec.Waivers, at)
		r.Answers = append(r.Answers, answer)
		r.Findings = append(r.Findings, found...)
	}
	finding.Sort(r.Findings)
	return r
}

// object is how findings name a watch.
func (w *Watch) object() string { return Kind + "/" + w.Name }

func (w *Watch) finding(id string, severity finding.Severity, steps []any, observed, why, fix string) finding.Finding {
	place := w.Place
	if w.document != nil {
		place = w.document.Place(steps...)
	}
	return finding.Finding{ID: id, Severity: severity, Object: w.object(), Place: place, Observed: observed, Why: why, Fix: fix}
}

// what is how sentences name the quota.
func (w *Watch) what() string {
	if w.Spec.Service == "" || w.Spec.Quota == "" {
		return "quota " + w.Name
	}
	text := w.Spec.Service + " " + w.Spec.Quota
	if w.Spec.Account != "" {
		text += " of " + w.Spec.Account
	}
	if w.Spec.Region != "" {
		text += " in " + w.Spec.Region
	}
	return text
}
