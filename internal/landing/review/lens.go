package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"crossfade.dev/internal/landing/source"
)

// SchemaVersion is the version of lenses that ParseLens reads.
const SchemaVersion = "2021-11-01"

// The limits of the lens format specification, and of the size of a custom lens
// (API reference, ImportLens: "A custom lens cannot exceed 500 KB in size").
const (
	mostPillars   = 10
	mostQuestions = 20 // of a pillar
	mostChoices   = 15 // of a question
	mostRules     = 3  // of a question: one for each level of risk
	mostContents  = 5  // of each type of additional resource of a choice
	shortestID    = 3
	longestID     = 128
	longestName   = 128
	longestText   = 2048
	largestLens   = 500_000 // bytes
	idLetters     = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
)

// A Risk is the level of risk of a question or a pillar; the words are those of the
// API of the Well-Architected Tool (data type Risk), and UNKNOWN.
type Risk string

const (
	// High, Medium and None are what risk rules say.
	High   Risk = "HIGH"
	Medium Risk = "MEDIUM"
	None   Risk = "NONE"
	// Unanswered means that no choice was made.
	Unanswered Risk = "UNANSWERED"
	// NotApplicable means that the question does not concern the workload.
	NotApplicable Risk = "NOT_APPLICABLE"
	// Unknown means that errors in the lens or the answer leave it open.
	Unknown Risk = "UNKNOWN"
)

// A Lens is a custom lens.
type Lens struct {
	File        string
	Name        string
	Description string
	Pillars     []Pillar
}

// A Pillar is a group of questions.
type Pillar struct {
	ID, Name  string
	Questions []Question
}

// A Question is one question and how the choices made decide on its risk.
type Question struct {
	ID, Title, Description string
	Help                   *Content
	Choices                []Choice
	// Rules are in order: the first that holds decides.
	Rules []Rule
	// Broken holds when errors leave the risk open.
	Broken bool
	Place  source.Place
}

// A Choice is one answer to a question, of which several may hold.
type Choice struct {
	ID, Title string
	// NoneOfThese holds for a choice whose id ends in _no: it stands for no other.
	NoneOfThese bool
	Help, Plan  *Content
	Additional  []Resource
}

// A Content is text to read, and where there is more.
type Content struct {
	DisplayText string `json:"displayText"`
	URL         string `json:"url"`
}

// A Resource is more to read: HELPFUL_RESOURCE or IMPROVEMENT_PLAN.
type Resource struct {
	Type     string
	Contents []Content
}

// A Rule is one risk rule.
type Rule struct {
	Condition Condition
	Risk      Risk
}

// Question returns a question by its id, nil if the lens has none.
func (l *Lens) Question(id string) *Question {
	for i := range l.Pillars {
		for j := range l.Pillars[i].Questions {
			if q := &l.Pillars[i].Questions[j]; q.ID == id {
				return q
			}
		}
	}
	return nil
}

// ParseLens reads a custom lens, and returns everything that the tool's
// specification does not allow, with codes that begin with lens/. The lens is nil if
// it is not JSON or not of the schema; otherwise what errors leave open is Broken.
func ParseLens(file string, data []byte) (*Lens, source.Findings) {
	root, found := source.ParseJSON(file, data)
	if root == nil {
		return nil, found
	}
	p := &lensParser{file: file, found: found, questions: map[string]bool{}}
	if len(data) > largestLens {
		p.wrong(bare(root), "$", "size", fmt.Sprintf("expected at most %d bytes, not %d", largestLens, len(data)))
	}
	if root.Kind != source.Map {
		p.wrong(root, "$", "type", "expected an object")
		return nil, p.found
	}
	p.known(root, "$", "schemaVersion", "name", "description", "pillars")
	if version, ok := p.text(root, "$", "schemaVersion", 0, longestName); ok && version != SchemaVersion {
		p.wrong(root.Get("schemaVersion"), "$.schemaVersion", "schema-version", "expected "+SchemaVersion)
		return nil, p.found
	}
	l := &Lens{File: file}
	l.Name, _ = p.text(root, "$", "name", 1, longestName)
	l.Description, _ = p.text(root, "$", "description", 0, longestText)
	ids := map[string]bool{}
	for i, n := range p.list(root, "$", "pillars", 1, mostPillars) {
		l.Pillars = append(l.Pillars, p.pillar(n, source.Item("$.pillars", i), ids))
	}
	return l, p.found
}

type lensParser struct {
	file      string
	found     source.Findings
	questions map[string]bool
}

func bare(n *source.Node) *source.Node { return &source.Node{Line: n.Line, Column: n.Column} }

func (p *lensParser) wrong(n *source.Node, path, code, want string) {
	p.found.Add(p.file, n, path, "lens/"+code, want)
}

// known warns of fields that the specification does not have.
func (p *lensParser) known(n *source.Node, path string, names ...string) {
	for _, f := range n.Fields {
		if !slices.Contains(names, f.Name) {
			at := &source.Node{Kind: source.String, Text: f.Name, Line: f.Line, Column: f.Column}
			p.found.Warn(p.file, at, source.Field(path, f.Name), "lens/unknown-field", "expected one of "+strings.Join(names, ", "))
		}
	}
}

// text returns a field that is a string of at least fewest characters, and may be
// absent if fewest is 0; false if there is none or it is wrong.
func (p *lensParser) text(n *source.Node, path, name string, fewest, most int) (string, bool) {
	v, at := n.Get(name), source.Field(path, name)
	switch {
	case v == nil && (fewest > 0 || name == "schemaVersion"):
		p.wrong(bare(n), at, "required", "expected "+name)
		return "", false
	case v == nil:
		return "", false
	case v.Kind != source.String:
		p.wrong(v, at, "type", "expected a string")
		return "", false
	}
	if length := utf8.RuneCountInString(v.Text); length < fewest || length > most {
		p.wrong(v, at, "length", fmt.Sprintf("expected %d to %d characters, not %d", fewest, most, length))
		return v.Text, false
	}
	return v.Text, true
}

// list returns the items of a field that is a list of fewest to most objects.
func (p *lensParser) list(n *source.Node, path, name string, fewest, most int) []*source.Node {
	v, at := n.Get(name), source.Field(path, name)
	if v == nil {
		if fewest > 0 {
			p.wrong(bare(n), at, "required", "expected "+name)
		}
		return nil
	}
	if v.Kind != source.List {
		p.wrong(v, at, "type", "expected a list")
		return nil
	}
	if len(v.Items) < fewest || len(v.Items) > most {
		p.wrong(v, at, "count", fmt.Sprintf("expected %d to %d %s, not %d", fewest, most, name, len(v.Items)))
	}
	return v.Items
}

// object reports whether n is an object, and says so if not.
func (p *lensParser) object(n *source.Node, path string) bool {
	if n.Kind != source.Map {
		p.wrong(n, path, "type", "expected an object")
	}
	return n.Kind == source.Map
}

// id returns the id of an object, which seen must not have yet.
func (p *lensParser) id(n *source.Node, path string, seen map[string]bool, what string) string {
	id, ok := p.text(n, path, "id", shortestID, longestID)
	if !ok {
		return id
	}
	at := source.Field(path, "id")
	switch {
	case strings.Trim(id, idLetters) != "":
		p.wrong(n.Get("id"), at, "id", "expected only letters, digits and underscores")
	case id == "default":
		p.wrong(n.Get("id"), at, "id", "expected an id that is not the word default, which risk rules use")
	case seen[id]:
		p.wrong(n.Get("id"), at, "duplicate", "expected ids of "+what+" to be different")
	}
	seen[id] = true
	return id
}

func (p *lensParser) pillar(n *source.Node, path string, ids map[string]bool) Pillar {
	var out Pillar
	if !p.object(n, path) {
		return out
	}
	p.known(n, path, "id", "name", "questions")
	out.ID = p.id(n, path, ids, "pillars")
	out.Name, _ = p.text(n, path, "name", 1, longestName)
	for i, q := range p.list(n, path, "questions", 1, mostQuestions) {
		out.Questions = append(out.Questions, p.question(q, source.Item(source.Field(path, "questions"), i)))
	}
	return out
}

func (p *lensParser) question(n *source.Node, path string) Question {
	q := Question{Place: source.Place{File: p.file, Line: n.Line, Column: n.Column, Path: path}}
	before := len(p.found.Errors())
	if p.object(n, path) {
		p.known(n, path, "id", "title", "description", "helpfulResource", "choices", "riskRules")
		q.ID = p.id(n, path, p.questions, "questions")
		q.Title, _ = p.text(n, path, "title", 1, longestName)
		q.Description, _ = p.text(n, path, "description", 0, longestText)
		q.Help = p.content(n.Get("helpfulResource"), source.Field(path, "helpfulResource"), false)
		ids := map[string]bool{}
		for i, c := range p.list(n, path, "choices", 1, mostChoices) {
			q.Choices = append(q.Choices, p.choice(c, source.Item(source.Field(path, "choices"), i), ids))
		}
		p.rules(n, path, &q, ids)
	}
	q.Broken = len(p.found.Errors()) > before
	if !q.Broken {
		p.reach(n, path, q)
	}
	q.ID = cmp.Or(q.ID, path)
	return q
}

func (p *lensParser) choice(n *source.Node, path string, ids map[string]bool) Choice {
	var c Choice
	if !p.object(n, path) {
		return c
	}
	p.known(n, path, "id", "title", "description", "helpfulResource", "improvementPlan", "additionalResources")
	c.ID = p.id(n, path, ids, "a question's choices")
	c.NoneOfThese = strings.HasSuffix(c.ID, "_no")
	c.Title, _ = p.text(n, path, "title", 1, longestName)
	c.Help = p.content(n.Get("helpfulResource"), source.Field(path, "helpfulResource"), false)
	plan := n.Get("improvementPlan")
	if plan == nil && !c.NoneOfThese {
		p.wrong(bare(n), source.Field(path, "improvementPlan"), "improvement-plan", "expected an improvementPlan, which only a choice whose id ends in _no may lack")
	}
	c.Plan = p.content(plan, source.Field(path, "improvementPlan"), true)
	counts := map[string]int{}
	for i, r := range p.list(n, path, "additionalResources", 0, 2) {
		c.Additional = append(c.Additional, p.resource(r, source.Item(source.Field(path, "additionalResources"), i), counts))
	}
	return c
}

// content returns a text with a URL, nil if there is none.
func (p *lensParser) content(n *source.Node, path string, needsText bool) *Content {
	if n == nil || !p.object(n, path) {
		return nil
	}
	p.known(n, path, "displayText", "url")
	fewest := 0
	if needsText || n.Get("url") != nil {
		fewest = 1
	}
	c := &Content{}
	c.DisplayText, _ = p.text(n, path, "displayText", fewest, longestText)
	url, ok := p.text(n, path, "url", 0, longestText)
	if ok && !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		p.wrong(n.Get("url"), source.Field(path, "url"), "url", "expected a URL that begins with http:// or https://")
	}
	c.URL = url
	return c
}

func (p *lensParser) resource(n *source.Node, path string, counts map[string]int) Resource {
	var r Resource
	if !p.object(n, path) {
		return r
	}
	p.known(n, path, "type", "content")
	kind, ok := p.text(n, path, "type", 1, longestName)
	r.Type = kind
	if ok && kind != "HELPFUL_RESOURCE" && kind != "IMPROVEMENT_PLAN" {
		p.wrong(n.Get("type"), source.Field(path, "type"), "resource-type", "expected HELPFUL_RESOURCE or IMPROVEMENT_PLAN")
	}
	if counts[kind]++; ok && counts[kind] == 2 {
		p.wrong(n.Get("type"), source.Field(path, "type"), "resource-type", "expected each type of additional resource once")
	}
	for i, content := range p.list(n, path, "content", 1, mostContents) {
		if c := p.content(content, source.Item(source.Field(path, "content"), i), false); c != nil {
			r.Contents = append(r.Contents, *c)
		}
	}
	return r
}
