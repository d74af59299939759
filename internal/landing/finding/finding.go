// Package finding is how the parts of a landing zone say what would go wrong: what
// was seen, on which object, why it matters and how it is mended.
//
// What is wrong with the input itself is a source.Finding. What could not be proved
// because something is missing is a finding here, of severity Unknown: it holds a
// gate as much as a failure does.
package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

// A Severity says what a finding means for the gate that asked.
type Severity string

const (
	// Fail means that something is proved to go wrong.
	Fail Severity = "fail"
	// Unknown means that a fact is missing, which Observed names.
	Unknown Severity = "unknown"
	// Warning means that something is likely not meant so. It holds no gate.
	Warning Severity = "warning"
	// Note is what people should know. It holds no gate.
	Note Severity = "note"
)

// A Finding is one thing that people should know about one object.
type Finding struct {
	// ID names the rule, for example LZ-QUOTA-001. It is stable.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Object is the kind and the name of what the finding is about.
	Object string `json:"object"`
	// Part is the trigger or the question of the object that it is about, empty if
	// it is about all of it.
	Part  string       `json:"part,omitempty"`
	Place source.Place `json:"place"`
	// Observed is what was seen, or the fact that is missing; Why what follows of it;
	// Fix what to do. Each is a sentence without a full stop.
	Observed string `json:"observed"`
	Why      string `json:"why"`
	Fix      string `json:"fix"`
	// Waiver is the one that lets the finding pass, nil if none does.
	Waiver *landing.Waiver `json:"waiver,omitempty"`
}

func (f Finding) String() string {
	what := f.Object
	if f.Part != "" {
		what += " (" + f.Part + ")"
	}
	text := fmt.Sprintf("%s %s %s: %s: %s; fix: %s", f.ID, f.Severity, what, f.Observed, f.Why, f.Fix)
	if f.Waiver != nil {
		text += fmt.Sprintf(" [waived by %s until %s: %s]", f.Waiver.Owner, f.Waiver.Expires, f.Waiver.Reason)
	}
	return text
}

// Blocks reports whether a gate must not let the finding pass: it is a failure or
// unknown, and not waived.
func (f Finding) Blocks() bool {
	return f.Waiver == nil && (f.Severity == Fail || f.Severity == Unknown)
}

// Blocking returns the findings that block, in order.
func Blocking(all []Finding) []Finding {
	var blocking []Finding
	for _, f := range all {
		if f.Blocks() {
			blocking = append(blocking, f)
		}
	}
	return blocking
}

// Waive gives each finding the first waiver that names it and still counts at a
// time: its day of expiry has not begun, and it has a reason and an owner. If only
// waivers that have ended name it, Observed says so.
func Waive(all []Finding, waivers []landing.Waiver, at time.Time) {
	for i := range all {
		ended := ""
		for _, w := range waivers {
			part := cmp.Or(w.Question, w.Trigger)
			if w.Finding != all[i].ID || part != "" && part != all[i].Part {
				continue
			}
			if counts(w, at) {
				all[i].Waiver, ended = &w, ""
				break
			}
			ended = fmt.Sprintf("; the waiver of %s ended on %s", w.Owner, w.Expires)
		}
		all[i].Observed += ended
	}
}

// counts reports whether a waiver lets anything pass at a time.
func counts(w landing.Waiver, at time.Time) bool {
	return w.Reason != "" && w.Owner != "" && w.Expires != "" && at.Before(w.Expires.Start())
}

// Sort orders findings by object, part and id.
func Sort(all []Finding) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Part, b.Part), cmp.Compare(a.ID, b.ID))
	})
}

// CheckWaivers returns what is wrong with the list waivers below steps in a document:
// each waiver has a reason, an owner and an expiry, and names a finding whose id
// begins with prefix.
func CheckWaivers(d *source.Document, prefix string, waivers []landing.Waiver, steps ...any) source.Findings {
	var found source.Findings
	for i, w := range waivers {
		locate := func(field string) (*source.Node, string) {
			return d.Locate(append(slices.Clone(steps), "waivers", i, field)...)
		}
		for _, field := range []struct{ name, value string }{{"reason", w.Reason}, {"owner", w.Owner}} {
			if n, path := locate(field.name); n.Kind == source.String && strings.TrimSpace(field.value) == "" {
				found.Add(d.File, n, path, "waiver/"+field.name, "expected a "+field.name+" that people can read")
			}
		}
		if n, path := locate("finding"); n.Kind == source.String && !strings.HasPrefix(w.Finding, prefix) {
			found.Add(d.File, n, path, "waiver/finding", "expected the id of a finding that begins with "+prefix)
		}
	}
	return found
}

// Unread returns one place for each file of which source.Read could not read all.
func Unread(found source.Findings) []source.Place {
	var places []source.Place
	for _, f := range found.Errors() {
		if !slices.ContainsFunc(places, func(p source.Place) bool { return p.File == f.File }) {
			places = append(places, f.Place)
		}
	}
	return places
}
