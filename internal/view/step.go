package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
)

// A Step is what the next step of a migration would write, and what it waits for if
// that is nothing.
type Step struct {
	Migration string `json:"migration"`
	// Stage and Standing are where the migration would stand then.
	Stage    v1.Stage `json:"stage,omitempty"`
	Standing Standing `json:"standing"`
	Writes   []Write  `json:"writes"`
	// Wait and Gates say what the step waits for; empty if it would write anything
	// outside the engine's own record.
	Wait  *Wait  `json:"wait,omitempty"`
	Gates []Gate `json:"gates,omitempty"`
}

// A Write is one write of a step. Of Secrets, lengths stand in the place of values.
type Write struct {
	// Place is where it goes: a cluster (hub, source, target, rehearsal), a copy of the
	// zone (old zone, new zone, parent zone) or a bucket (journal, archive).
	Place string `json:"place"`
	// Record is true of a write into the engine's own record.
	Record bool   `json:"record,omitempty"`
	Verb   string `json:"verb"`
	// Kind is an object's, or a record set's type.
	Kind        string `json:"kind"`
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name"`
	Subresource string `json:"subresource,omitempty"`
	// Fields are those that change.
	Fields []FieldChange `json:"fields,omitempty"`
	// Before and After are a record set's data with its TTL, or the size of a file.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Object is what is created or written, Patch what is sent of it.
	Object json.RawMessage `json:"object,omitempty"`
	Patch  json.RawMessage `json:"patch,omitempty"`
	// Refused is what the API server says against it. Unasked is why it would not say.
	Refused string `json:"refused,omitempty"`
	Unasked string `json:"unasked,omitempty"`
}

// A FieldChange is one field with its values as JSON; empty means absent.
type FieldChange struct {
	Path   string `json:"path"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// NewStep is a step that makes these writes, and after which a migration stands so.
func NewStep(m *v1.Migration, writes []Write, now time.Time) Step {
	sum := Summarize(m, nil, nil, 0, now)
	s := Step{Migration: m.Name, Stage: m.Status.Stage, Standing: sum.Standing, Writes: append([]Write{}, writes...)}
	if s.Outside() == 0 {
		s.Wait = sum.Wait
		s.Gates = slices.DeleteFunc(sum.Gates, func(g Gate) bool { return g.Verdict == v1.Passed || g.Waived != "" })
	}
	return s
}

// Outside counts the writes outside the engine's own record.
func (s Step) Outside() (n int) {
	for _, w := range s.Writes {
		if !w.Record {
			n++
		}
	}
	return n
}

// Refused counts the writes that an API server would refuse.
func (s Step) Refused() (n int) {
	for _, w := range s.Writes {
		if w.Refused != "" {
			n++
		}
	}
	return n
}

// String names what is written as other commands do.
func (w Write) String() string {
	text := w.Kind + " " + strings.TrimPrefix(w.Namespace+"/"+w.Name, "/")
	if w.Subresource != "" {
		text += " (" + w.Subresource + ")"
	}
	return text
}

// mostAlike and mostFields are how many writes of one kind, and fields of one write,
// are shown unless all are asked for.
const (
	mostAlike  = 20
	mostFields = 3
)

// StepText is a step as people read it: writes of one place, verb and kind together, in
// the order in which the first of them is made. Those into the engine's own record come
// last, and are counted unless all are asked for.
func StepText(s Step, look Look, all bool) string {
	sheet := &sheet{Look: look}
	groups := alike(s.Writes)
	slices.SortStableFunc(groups, func(a, b []Write) int { return order(a[0].Record, b[0].Record) })
	for _, group := range groups {
		if group[0].Record && !all {
			sheet.line(look.paint(dim, "record: "+counted(group)))
			continue
		}
		for i, w := range group {
			if i == mostAlike && !all {
				sheet.line(look.paint(dim, fmt.Sprintf("… and %s more: %s %s in %s (--all)", grouped(int64(len(group)-i)), w.Verb, w.Kind, w.Place)))
				break
			}
			sheet.write(w, all)
		}
	}
	if s.Wait == nil {
		return sheet.String()
	}
	if len(s.Writes) > 0 {
		sheet.line()
	}
	sheet.paragraph("waits for", strings.Trim(string(s.Wait.Reason)+": "+s.Wait.Message, ": "))
	if s.Wait.Cause != "" {
		sheet.paragraph("why", s.Wait.Cause)
		sheet.paragraph("fix", s.Wait.Fix)
	}
	for _, g := range s.Gates {
		sheet.paragraph("gate", sheet.mark(gateMark(g.Gate), g.Name)+"  "+gateWords(g.Gate))
		if g.Fix != "" && g.Fix != s.Wait.Fix {
			sheet.paragraph("", "fix: "+g.Fix)
		}
	}
	return sheet.String()
}

// alike are the writes by place, verb and kind, each ordered by name.
func alike(writes []Write) [][]Write {
	type key struct{ place, verb, kind, sub string }
	at := map[key]int{}
	var groups [][]Write
	for _, w := range writes {
		k := key{w.Place, w.Verb, w.Kind, w.Subresource}
		i, known := at[k]
		if !known {
			i = len(groups)
			at[k], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], w)
	}
	for _, group := range groups {
		slices.SortStableFunc(group, func(a, b Write) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
	}
	return groups
}

// counted is a group of writes in one line.
func counted(group []Write) string {
	w := group[0]
	what := w.String()
	if len(group) > 1 {
		what = grouped(int64(len(group))) + " " + w.Kind
		if w.Subresource != "" {
			what += " (" + w.Subresource + ")"
		}
	}
	return fmt.Sprintf("%s %s in %s", w.Verb, what, w.Place)
}

// write is a line for one write, and one more for what the API server says against it.
func (s *sheet) write(w Write, all bool) {
	tone := plain
	if w.Record {
		tone = dim
	}
	line := s.paint(tone, fmt.Sprintf("%s %s in %s", w.Verb, w, w.Place))
	if what := changeWords(w, all); what != "" {
		line += "  " + what
	}
	if all && s.Width > 0 { // whoever asks for everything reads lines as long as they are
		s.WriteString(line + "\n")
	} else {
		s.line(line)
	}
	if w.Refused != "" {
		s.line("  ", s.mark(mark{"✗", alarm}, "refused: "+w.Refused))
	}
	if w.Unasked != "" {
		s.line("  ", s.paint(dim, "the API server could not be asked: "+w.Unasked))
	}
}

// changeWords say what a write changes.
func changeWords(w Write, all bool) string {
	switch {
	case w.Before != "" && w.After != "":
		return w.Before + " -> " + w.After
	case w.Before != "" || w.After != "":
		return w.Before + w.After
	}
	var parts []string
	fields := slices.Clone(w.Fields)
	if !all { // who owns a field changes with it
		fields = slices.DeleteFunc(fields, func(f FieldChange) bool { return f.Path == "metadata.managedFields" && len(w.Fields) > 1 })
	}
	for i, f := range fields {
		switch {
		case i == mostFields && !all:
			parts = append(parts, "… and "+Count(len(fields)-i, "more field"))
			return strings.Join(parts, ", ")
		case f.Before == "" && f.After == "":
			parts = append(parts, f.Path)
		default:
			parts = append(parts, fmt.Sprintf("%s %s -> %s", f.Path, cmp.Or(f.Before, "absent"), cmp.Or(f.After, "absent")))
		}
	}
	return strings.Join(parts, ", ")
}

// order puts what is not so before what is.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
