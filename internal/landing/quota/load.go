package quota

import (
	"slices"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/source"
)

// Load returns the quotas that documents describe, in order of their names, and
// everything that is wrong with them. Documents of other kinds are left alone.
// unread is what source.Read found: a file that could not be read may hold quotas,
// so it stands among the watches as a broken one.
func Load(documents []*source.Document, unread source.Findings) ([]*Watch, source.Findings) {
	l := &loader{seen: map[string]string{}}
	for _, d := range documents {
		if d.Kind == Kind && l.version(d) {
			l.watch(d)
		}
	}
	for _, w := range finding.Unread(unread) {
		object := &landing.QuotaWatch{}
		object.Name = w.File
		l.watches = append(l.watches, &Watch{QuotaWatch: object, Place: w, Broken: true})
	}
	slices.SortStableFunc(l.watches, func(a, b *Watch) int { return strings.Compare(a.Name, b.Name) })
	return l.watches, l.found
}

type loader struct {
	watches []*Watch
	seen    map[string]string
	found   source.Findings
}

// version reports whether a document is of the group and version that Load reads.
func (l *loader) version(d *source.Document) bool {
	group, _, _ := strings.Cut(d.APIVersion, "/")
	if group != landing.GroupVersion.Group {
		return false
	}
	if d.APIVersion != landing.GroupVersion.String() {
		n, path := d.Locate("apiVersion")
		l.found.Add(d.File, n, path, "quota/version", "expected "+landing.GroupVersion.String())
	}
	return true
}

func (l *loader) watch(d *source.Document) {
	w := &Watch{QuotaWatch: &landing.QuotaWatch{}, Place: d.Place(), document: d}
	c := &checker{d: d, found: source.Decode(d, w.QuotaWatch)}
	w.Name = d.Name
	if first, ok := l.seen[d.Name]; ok {
		c.wrong("duplicate", "expected names of QuotaWatches to be different: "+first+" has this one too", "metadata", "name")
	}
	l.seen[d.Name] = d.File
	if d.APIVersion != landing.GroupVersion.String() {
		w.Broken = true
	}
	c.spec(w.Spec)
	w.Broken = w.Broken || len(c.found.Errors()) > 0
	l.watches = append(l.watches, w)
	l.found = append(l.found, c.found...)
}

// most is how large a quota or its use may be: far more than any, and small enough
// for exact arithmetic.
const most = 1e15

// A checker finds what is wrong with the values of one document.
type checker struct {
	d     *source.Document
	found source.Findings
}

func (c *checker) wrong(code, want string, steps ...any) {
	n, path := c.d.Locate(steps...)
	c.found.Add(c.d.File, n, path, "quota/"+code, want)
}

func (c *checker) spec(s landing.QuotaWatchSpec) {
	if s.Value != nil && (*s.Value <= 0 || *s.Value > most) {
		c.wrong("value", "expected a number above 0, at most 1e15", "spec", "value")
	}
	if s.MarginDays != nil && (*s.MarginDays < 0 || *s.MarginDays > mostDays) {
		c.wrong("margin", "expected 0 to 3650 days", "spec", "marginDays")
	}
	if s.Fixed && s.Increase != nil {
		c.wrong("increase", "expected no time for a raise of a quota that is fixed", "spec", "increase")
	}
	c.samples(s.Samples)
	c.events(s.Events)
	if s.Increase != nil {
		c.leadTime(*s.Increase)
	}
	names := map[string]bool{}
	for i, t := range s.Triggers {
		if names[t.Name] {
			c.wrong("duplicate", "expected names of triggers to be different", "spec", "triggers", i, "name")
		}
		names[t.Name] = true
		c.trigger(i, t)
	}
	c.found = append(c.found, finding.CheckWaivers(c.d, "LZ-QUOTA-", s.Waivers, "spec")...)
	for i, w := range s.Waivers {
		if w.Trigger != "" && !names[w.Trigger] {
			c.wrong("waiver", "expected the name of a trigger of this quota", "spec", "waivers", i, "trigger")
		}
	}
}

func (c *checker) samples(samples []landing.UseSample) {
	days := map[landing.Day]bool{}
	for i, s := range samples {
		if s.Used < 0 || s.Used > most {
			c.wrong("sample", "expected a number from 0 to 1e15", "spec", "samples", i, "used")
		}
		if days[s.On] && s.On != "" {
			c.wrong("duplicate", "expected one sample for each day", "spec", "samples", i, "on")
		}
		days[s.On] = true
	}
}

func (c *checker) events(events []landing.PlannedEvent) {
	names := map[string]bool{}
	for i, e := range events {
		if names[e.Name] {
			c.wrong("duplicate", "expected names of events to be different", "spec", "events", i, "name")
		}
		names[e.Name] = true
		if e.Multiplier < 1 || e.Multiplier > 1e6 {
			c.wrong("multiplier", "expected a number from 1 to 1e6", "spec", "events", i, "multiplier")
		}
		if e.From != "" && e.To != "" && e.To < e.From {
			c.wrong("event", "expected a day not before "+string(e.From), "spec", "events", i, "to")
		}
	}
}

func (c *checker) leadTime(t landing.LeadTime) {
	if (t.BusinessDays == nil) == (t.CalendarDays == nil) {
		c.wrong("increase", "expected exactly one of businessDays and calendarDays", "spec", "increase")
	}
	for name, days := range map[string]*int{"businessDays": t.BusinessDays, "calendarDays": t.CalendarDays} {
		if days != nil && (*days < 0 || *days > mostDays) {
			c.wrong("increase", "expected 0 to 3650 days", "spec", "increase", name)
		}
	}
	if t.BusinessDays == nil && len(t.Holidays) > 0 {
		c.wrong("increase", "expected holidays only with businessDays", "spec", "increase", "holidays")
	}
	if len(t.Holidays) > mostDays {
		c.wrong("increase", "expected at most 3650 holidays", "spec", "increase", "holidays")
	}
}

func (c *checker) trigger(i int, t landing.ScaleTrigger) {
	if p := t.ThresholdPercent; p != nil && (*p <= 0 || *p >= 100) {
		c.wrong("threshold", "expected a percentage above 0 and under 100", "spec", "triggers", i, "thresholdPercent")
	}
	if p := t.AddsPercent; p != nil && *p <= 0 {
		c.wrong("adds", "expected a percentage above 0", "spec", "triggers", i, "addsPercent")
	}
	for j, part := range t.Reaction {
		if part.Takes.Duration < 0 {
			c.wrong("reaction", "expected a duration like 60s, not below 0", "spec", "triggers", i, "reaction", j, "takes")
		}
	}
	if g := t.LoadGrowth; g != nil {
		if g.Points <= 0 {
			c.wrong("growth", "expected percentage points above 0", "spec", "triggers", i, "loadGrowth", "points")
		}
		if g.Within.Duration <= 0 {
			c.wrong("growth", "expected a duration above 0, like 90s", "spec", "triggers", i, "loadGrowth", "within")
		}
	}
}
