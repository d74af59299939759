package review

import (
	"path"
	"slices"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/source"
)

// Load returns the reviews and decisions of a folder, and everything that is wrong
// with them and with the lenses they name. Documents of other kinds are left alone;
// of files, lenses are read and Markdown files that look like MADR documents (see
// ParseMADR). unread is what source.Read found.
//
// There are always records, however much is wrong: what errors leave open is Unknown
// in the findings.
func Load(documents []*source.Document, files []source.File, unread source.Findings) (Records, source.Findings) {
	l := &loader{files: map[string]source.File{}, lenses: map[string]*Lens{}, seen: map[string]string{}}
	l.records.Unread = finding.Unread(unread)
	for _, f := range files {
		l.files[path.Clean(f.Name)] = f
	}
	for _, d := range documents {
		group, _, _ := strings.Cut(d.APIVersion, "/")
		switch {
		case group != landing.GroupVersion.Group:
		case d.Kind == KindReview:
			l.review(d)
		case d.Kind == KindDecision:
			l.decision(d)
		}
	}
	for _, f := range files {
		if IsMADR(f) {
			l.madr(f)
		}
	}
	slices.SortStableFunc(l.records.Reviews, func(a, b *Review) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(l.records.Decisions, func(a, b *Decision) int { return strings.Compare(a.Name, b.Name) })
	return l.records, l.found
}

type loader struct {
	records Records
	files   map[string]source.File
	lenses  map[string]*Lens // nil for one that cannot be read
	seen    map[string]string
	found   source.Findings
}

// identity returns what is wrong with a document before its spec is looked at.
func (l *loader) identity(d *source.Document) source.Findings {
	var found source.Findings
	if d.APIVersion != landing.GroupVersion.String() {
		n, where := d.Locate("apiVersion")
		found.Add(d.File, n, where, "review/version", "expected "+landing.GroupVersion.String())
	}
	key := d.Kind + "/" + d.Name
	if first, ok := l.seen[key]; ok {
		n, where := d.Locate("metadata", "name")
		found.Add(d.File, n, where, "review/duplicate", "expected names of "+d.Kind+"s to be different: "+first+" has this one too")
	}
	l.seen[key] = d.File
	return found
}

func (l *loader) review(d *source.Document) {
	r := &Review{Review: &landing.Review{}, Place: d.Place(), document: d}
	c := &answerCheck{d: d, found: append(l.identity(d), source.Decode(d, r.Review)...)}
	r.Name = d.Name
	r.Lens = l.lens(d, r.Spec.Lens)
	c.answers(r.Lens, r.Spec.Answers, "spec", "answers")
	names := map[string]bool{}
	for i, m := range r.Spec.Milestones {
		if names[m.Name] {
			c.wrong("duplicate", "expected names of milestones to be different", "spec", "milestones", i, "name")
		}
		names[m.Name] = true
		c.answers(r.Lens, m.Answers, "spec", "milestones", i, "answers")
	}
	c.found = append(c.found, waiversOf(d, r.Spec.Waivers, r.Lens)...)
	r.Broken = len(c.found.Errors()) > 0
	l.found = append(l.found, c.found...)
	l.records.Reviews = append(l.records.Reviews, r)
}

// lens returns the lens of a review, nil if it cannot be read. What is wrong with
// it is said once, however many reviews name it.
func (l *loader) lens(d *source.Document, file string) *Lens {
	if file == "" {
		return nil
	}
	name := path.Join(path.Dir(d.File), file)
	if lens, ok := l.lenses[name]; ok {
		return lens
	}
	f, ok := l.files[name]
	if !ok {
		n, where := d.Locate("spec", "lens")
		l.found.Add(d.File, n, where, "review/lens", "expected a file "+name)
		return nil
	}
	lens, wrong := ParseLens(f.Name, f.Data)
	l.lenses[name] = lens
	l.found = append(l.found, wrong...)
	return lens
}

// An answerCheck finds what is wrong with the answers of one review.
type answerCheck struct {
	d     *source.Document
	found source.Findings
}

func (c *answerCheck) wrong(code, want string, steps ...any) {
	n, where := c.d.Locate(steps...)
	c.found.Add(c.d.File, n, where, "review/"+code, want)
}

func (c *answerCheck) answers(lens *Lens, answers []landing.Answer, steps ...any) {
	seen := map[string]bool{}
	for i, a := range answers {
		at := func(more ...any) []any { return append(append(slices.Clone(steps), i), more...) }
		if seen[a.Question] {
			c.wrong("duplicate", "expected one answer to each question", at("question")...)
		}
		seen[a.Question] = true
		if a.NotApplicable != "" && len(a.Choices) > 0 {
			c.wrong("answer", "expected exactly one of choices and notApplicable", at()...)
		}
		if n, _ := c.d.Locate(at("notApplicable")...); n.Kind == source.String && strings.TrimSpace(a.NotApplicable) == "" {
			c.wrong("not-applicable", "expected the reason why the question does not apply", at("notApplicable")...)
		}
		if lens == nil {
			continue
		}
		q := lens.Question(a.Question)
		if q == nil {
			c.wrong("question", "expected the id of a question of "+lens.File, at("question")...)
			continue
		}
		if want, k := q.badAnswer(a.Choices); want != "" && k >= 0 {
			c.wrong("choice", want, at("choices", k)...)
		} else if want != "" {
			c.wrong("choice", want, at("choices")...)
		}
	}
}

func (l *loader) decision(doc *source.Document) {
	d := &Decision{Decision: &landing.Decision{}, Place: doc.Place(), document: doc}
	found := append(l.identity(doc), source.Decode(doc, d.Decision)...)
	d.Name = doc.Name
	found = append(found, checkDecision(doc, d.Spec, "spec")...)
	l.addDecision(d, found)
}

func (l *loader) madr(f source.File) {
	d, found := ParseMADR(f)
	found = append(found, l.identity(&source.Document{File: f.Name, APIVersion: landing.GroupVersion.String(), Kind: KindDecision, Name: d.Name,
		Root: &source.Node{Line: 1, Column: 1}})...)
	l.addDecision(d, found)
}

func (l *loader) addDecision(d *Decision, found source.Findings) {
	if r := d.Spec.Reversal; r != nil {
		test, _, _ := strings.Cut(r.Test, "#")
		_, d.TestFound = l.files[path.Join(path.Dir(d.Place.File), test)]
		d.TestFound = d.TestFound || strings.HasPrefix(test, "https://") || strings.HasPrefix(test, "http://")
	}
	d.Broken = len(found.Errors()) > 0
	l.found = append(l.found, found...)
	l.records.Decisions = append(l.records.Decisions, d)
}

// checkDecision returns what is wrong with the values of a decision, which stand
// below steps.
func checkDecision(doc *source.Document, s landing.DecisionSpec, steps ...any) source.Findings {
	found := finding.CheckWaivers(doc, "LZ-DECISION-", s.Waivers, steps...)
	wrong := func(code, want string, more ...any) {
		n, where := doc.Locate(append(slices.Clone(steps), more...)...)
		found.Add(doc.File, n, where, "decision/"+code, want)
	}
	statuses := []landing.DecisionStatus{landing.Proposed, landing.Accepted, landing.Rejected, landing.Deprecated, landing.Superseded}
	if !slices.Contains(statuses, s.Status) {
		wrong("status", "expected proposed, accepted, rejected, deprecated or superseded", "status")
	}
	if s.Door != "" && s.Door != landing.OneWay && s.Door != landing.TwoWay {
		wrong("door", "expected one-way or two-way", "door")
	}
	names := map[string]bool{}
	for i, a := range s.Approvers {
		if strings.TrimSpace(a.Name) == "" || names[a.Name] {
			wrong("approver", "expected each approver by name, once", "approvers", i, "name")
		}
		names[a.Name] = true
	}
	if r := s.Reversal; r != nil && r.Result != "" && r.Result != landing.TestPassed && r.Result != landing.TestFailed {
		wrong("result", "expected passed or failed", "reversal", "result")
	}
	return found
}
