package review

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

// A front is the front matter of a MADR document (MADR 4.0.0, template/adr-template.md:
// status, date, decision-makers, consulted, informed; deciders before 4.0), and what
// is added here to it.
type front struct {
	Status         string      `json:"status"`
	Date           landing.Day `json:"date,omitempty"`
	DecisionMakers people      `json:"decision-makers,omitempty"`
	Deciders       people      `json:"deciders,omitempty"`
	Consulted      people      `json:"consulted,omitempty"`
	Informed       people      `json:"informed,omitempty"`

	Door      landing.Door       `json:"door,omitempty"`
	Approvers []landing.Approver `json:"approvers,omitempty"`
	Reversal  *landing.Reversal  `json:"reversal,omitempty"`
	Expires   landing.Day        `json:"expires,omitempty"`
	Waivers   []landing.Waiver   `json:"waivers,omitempty"`
}

// people is a list of names, or a text in which commas stand between them.
type people []string

func (p *people) UnmarshalJSON(data []byte) error {
	var list []string
	if json.Unmarshal(data, &list) == nil {
		*p = list
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	*p = nil
	for _, name := range strings.Split(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			*p = append(*p, name)
		}
	}
	return nil
}

var madrField = regexp.MustCompile(`(?m)^(status|door|decision-makers)[ \t]*:`)

// IsMADR reports whether a file is a Markdown file whose front matter has the field
// status, door or decision-makers, whatever else may be wrong with it.
func IsMADR(f source.File) bool {
	p, ok := cut(f.Data)
	return ok && strings.HasSuffix(f.Name, ".md") && madrField.Match(p.head)
}

// A page is a Markdown file with front matter.
type page struct {
	// head has the line before the front matter empty, so that its lines keep their
	// numbers.
	head, body []byte
	// ended holds when the front matter has its last line.
	ended bool
}

// cut returns the parts of a Markdown file; false if it has no front matter.
func cut(data []byte) (page, bool) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	if !marks(first) {
		return page{}, false
	}
	head := []byte("\n")
	for len(rest) > 0 {
		line, next, _ := bytes.Cut(rest, []byte("\n"))
		if marks(line) {
			return page{head, next, true}, true
		}
		head = append(append(head, line...), '\n')
		rest = next
	}
	return page{head: head}, true
}

// marks reports whether a line begins or ends front matter.
func marks(line []byte) bool { return string(bytes.TrimRight(line, " \t\r")) == "---" }

// ParseMADR reads a MADR document. Its name is that of the file without .md, its
// title the first heading. The decision is never nil; findings of severity Error mean
// that it cannot be taken at its word. Front matter may have fields of other tools,
// so unknown ones are warnings.
func ParseMADR(f source.File) (*Decision, source.Findings) {
	d := &Decision{Decision: &landing.Decision{}, Place: source.Place{File: f.Name, Line: 1, Column: 1}, inFront: true}
	d.Name = strings.TrimSuffix(path.Base(f.Name), ".md")
	p, ok := cut(f.Data)
	if !ok || !p.ended {
		var found source.Findings
		found.Add(f.Name, &source.Node{Line: 1, Column: 1}, "", "madr/front-matter", "expected front matter between two lines ---")
		return d, found
	}
	roots, found := source.ParseYAML(f.Name, p.head)
	if len(roots) != 1 || roots[0].Kind != source.Map {
		if len(found.Errors()) == 0 {
			found.Add(f.Name, &source.Node{Line: 1, Column: 1}, "$", "madr/front-matter", "expected one object in the front matter, with status and door")
		}
		return d, found
	}
	d.document = &source.Document{File: f.Name, Kind: KindDecision, Name: d.Name, Root: roots[0]}
	var fields front
	for _, wrong := range source.Decode(d.document, &fields) {
		if wrong.Code == "source/unknown-field" && strings.Count(wrong.Path, ".") == 1 {
			wrong.Severity = source.Warning
		}
		found = append(found, wrong)
	}
	status, by, _ := strings.Cut(strings.TrimSpace(fields.Status), " ")
	d.Spec = landing.DecisionSpec{
		Status: landing.DecisionStatus(strings.ToLower(status)), SupersededBy: strings.TrimSpace(strings.TrimPrefix(by, "by")),
		Date: fields.Date, Door: fields.Door, DecisionMakers: append(fields.DecisionMakers, fields.Deciders...),
		Approvers: fields.Approvers, Reversal: fields.Reversal, Expires: fields.Expires, Waivers: fields.Waivers,
	}
	found = append(found, checkDecision(d.document, d.Spec)...)
	if by != "" && d.Spec.Status != landing.Superseded {
		n, where := d.document.Locate("status")
		found.Add(f.Name, n, where, "madr/status", "expected one word, or superseded by and the decision")
	}
	d.Spec.Title = d.headings(p.body, bytes.Count(p.head, []byte("\n"))+1, &found)
	return d, found
}

// headings returns the title, and warns of the parts that MADR asks of every
// document and that are not there. before is how many lines stand before body.
func (d *Decision) headings(body []byte, before int, found *source.Findings) (title string) {
	wanted := map[string]bool{"Context and Problem Statement": false, "Considered Options": false, "Decision Outcome": false}
	fenced := false
	for line := range strings.Lines(string(body)) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced:
		case strings.HasPrefix(line, "# ") && title == "":
			title = strings.TrimSpace(line[2:])
		case strings.HasPrefix(line, "## "):
			wanted[strings.TrimSpace(line[3:])] = true
		}
	}
	at := &source.Node{Line: before + 1, Column: 1}
	if title == "" {
		found.Add(d.Place.File, at, "", "madr/title", "expected a heading that begins with #")
	}
	for _, name := range []string{"Context and Problem Statement", "Considered Options", "Decision Outcome"} {
		if !wanted[name] {
			found.Warn(d.Place.File, at, "", "madr/section", "expected a section ## "+name)
		}
	}
	return title
}
