package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/catalog"
	"crossfade.dev/internal/landing/source"
)

// Parse compiles a policy document that stands in file at path, and returns
// everything in it that the vendor would refuse (errors) or that is likely not
// meant so (warnings). A policy with errors is returned too, and is Broken.
//
// The rules are those of the Organizations User Guide, "SCP syntax" and "RCP
// syntax", and of the IAM User Guide, "Grammar of the IAM JSON policy language".
func Parse(name string, t Type, file string, n *source.Node, path string) (*Policy, source.Findings) {
	p := &parser{file: file, policy: &Policy{Name: name, Type: t}, catalog: catalog.Default()}
	p.policy.at = source.Place{File: file, Line: n.Line, Column: n.Column, Path: path}
	p.document(n, path)
	text := n.JSON()
	p.policy.text, p.policy.Size = string(text), utf8.RuneCount(text)
	if len(p.found.Errors()) > 0 {
		p.policy.Broken = true
		p.policy.Statements = brokenStatements(name, p.policy.at)
	}
	return p.policy, p.found
}

// brokenStatements stand in for a policy of which nothing is known.
func brokenStatements(name string, at source.Place) []*Statement {
	return []*Statement{
		{Policy: name, Place: at, Effect: Deny, broken: true, text: "broken deny " + name},
		{Policy: name, Place: at, Effect: Allow, broken: true, text: "broken allow " + name},
	}
}

type parser struct {
	file    string
	policy  *Policy
	catalog *catalog.Catalog
	found   source.Findings
}

func (p *parser) wrong(n *source.Node, path, code, format string, args ...any) {
	p.found.Add(p.file, n, path, "policy/"+code, "expected "+fmt.Sprintf(format, args...))
}

func (p *parser) warn(n *source.Node, path, code, format string, args ...any) {
	p.found.Warn(p.file, n, path, "policy/"+code, fmt.Sprintf(format, args...))
}

func (p *parser) document(n *source.Node, path string) {
	if n.Kind != source.Map {
		p.wrong(n, path, "document", "a policy document with Version and Statement")
		return
	}
	p.fields(n, path, "Version", "Id", "Statement")
	version := n.Get("Version")
	if version == nil {
		p.wrong(bare(n), source.Field(path, "Version"), "version", "the field Version with the value 2012-10-17")
	} else if version.Kind != source.String || version.Text != "2012-10-17" {
		p.wrong(version, source.Field(path, "Version"), "version", "2012-10-17")
	}
	statements := n.Get("Statement")
	where := source.Field(path, "Statement")
	switch {
	case statements == nil:
		p.wrong(bare(n), where, "statement", "the field Statement")
	case statements.Kind == source.Map:
		p.statement(statements, where)
	case statements.Kind == source.List && len(statements.Items) > 0:
		for i, item := range statements.Items {
			p.statement(item, source.Item(where, i))
		}
	default:
		p.wrong(statements, where, "statement", "a statement or a list of statements")
	}
}

// bare is a node that only says where n stands.
func bare(n *source.Node) *source.Node { return &source.Node{Line: n.Line, Column: n.Column} }

// fields refuses fields that are not among names.
func (p *parser) fields(n *source.Node, path string, names ...string) {
next:
	for _, f := range n.Fields {
		for _, name := range names {
			if f.Name == name {
				continue next
			}
		}
		at := &source.Node{Kind: source.String, Text: f.Name, Line: f.Line, Column: f.Column}
		p.wrong(at, source.Field(path, f.Name), "element", "one of %s", strings.Join(names, ", "))
	}
}

func (p *parser) statement(n *source.Node, path string) {
	s := &Statement{Policy: p.policy.Name, Index: len(p.policy.Statements), text: string(n.JSON()),
		Place: source.Place{File: p.file, Line: n.Line, Column: n.Column, Path: path}}
	p.policy.Statements = append(p.policy.Statements, s)
	if n.Kind != source.Map {
		p.wrong(n, path, "statement", "a statement with Effect, Action and Resource")
		return
	}
	elements := []string{"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
	if p.policy.Type == landing.ResourceControl {
		elements = []string{"Sid", "Effect", "Principal", "Action", "Resource", "NotResource", "Condition"}
		p.principal(n, path)
	}
	p.fields(n, path, elements...)
	p.sid(s, n, path)
	p.effect(s, n, path)
	if list, inverted, where := p.either(n, path, "Action", "NotAction"); list != nil {
		s.actions = newActionSet(p.actions(list, where), inverted)
	}
	if list, inverted, where := p.either(n, path, "Resource", "NotResource"); list != nil {
		s.resources, s.notIn = p.resources(list, where), inverted
	}
	if c := n.Get("Condition"); c != nil {
		s.conditions = p.conditions(c, source.Field(path, "Condition"))
	}
}

func (p *parser) principal(n *source.Node, path string) {
	where := source.Field(path, "Principal")
	principal := n.Get("Principal")
	if principal == nil {
		p.wrong(bare(n), where, "principal", `the field Principal with the value "*"`)
	} else if principal.Kind != source.String || principal.Text != "*" {
		p.wrong(principal, where, "principal", `"*": conditions say which principals are meant`)
	}
}

const lettersAndDigits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func (p *parser) sid(s *Statement, n *source.Node, path string) {
	sid := n.Get("Sid")
	if sid == nil {
		return
	}
	where := source.Field(path, "Sid")
	if sid.Kind != source.String {
		p.wrong(sid, where, "sid", "a string")
		return
	}
	s.Sid = sid.Text
	if strings.Trim(sid.Text, lettersAndDigits) != "" {
		p.warn(sid, where, "sid", "a Sid is made of letters and digits")
	}
	for _, other := range p.policy.Statements[:s.Index] {
		if other.Sid == s.Sid && s.Sid != "" {
			p.warn(sid, where, "sid", "another statement of the policy has the same Sid")
			break
		}
	}
}

func (p *parser) effect(s *Statement, n *source.Node, path string) {
	where := source.Field(path, "Effect")
	effect := n.Get("Effect")
	switch {
	case effect == nil:
		p.wrong(bare(n), where, "effect", "the field Effect")
	case p.policy.Type == landing.ResourceControl:
		s.Effect = Deny
		if effect.Kind != source.String || effect.Text != "Deny" {
			p.wrong(effect, where, "effect", "Deny: only RCPFullAWSAccess allows")
		}
	case effect.Kind == source.String && effect.Text == "Allow":
		s.Effect = Allow
	case effect.Kind == source.String && effect.Text == "Deny":
		s.Effect = Deny
	default:
		p.wrong(effect, where, "effect", "Allow or Deny")
	}
}

// either returns the one of two elements that is there, and where.
func (p *parser) either(n *source.Node, path, plain, inverted string) (list *source.Node, not bool, where string) {
	a, b := n.Get(plain), n.Get(inverted)
	switch {
	case a != nil && b != nil:
		p.wrong(bare(b), source.Field(path, inverted), "element", "either %s or %s, not both", plain, inverted)
	case a != nil:
		return a, false, source.Field(path, plain)
	case b != nil:
		return b, true, source.Field(path, inverted)
	default:
		p.wrong(bare(n), source.Field(path, plain), "element", "%s or %s", plain, inverted)
	}
	return nil, false, ""
}

// texts calls yield with each text of an element that is a string or a list of
// strings.
func (p *parser) texts(n *source.Node, path, code string, yield func(n *source.Node, where, text string)) {
	items, one := n.Items, false
	if n.Kind != source.List {
		items, one = []*source.Node{n}, true
	}
	if len(items) == 0 {
		p.wrong(n, path, code, "at least one")
	}
	for i, item := range items {
		where := source.Item(path, i)
		if one {
			where = path
		}
		switch {
		case item.Kind != source.String:
			p.wrong(item, where, code, "a string")
		case strings.ContainsAny(item.Text, reserved) || !utf8.ValidString(item.Text):
			p.wrong(item, where, code, "text without control characters")
		default:
			yield(item, where, item.Text)
		}
	}
}

// actions returns the actions of an element.
func (p *parser) actions(n *source.Node, path string) []string {
	var list []string
	p.texts(n, path, "action", func(n *source.Node, where, text string) {
		list = append(list, text)
		p.action(n, where, text)
	})
	return list
}

func (p *parser) action(n *source.Node, where, text string) {
	if text == "*" {
		if p.policy.Type == landing.ResourceControl {
			p.wrong(n, where, "action", "an action of a service, for example s3:*")
		}
		return
	}
	service, name, ok := strings.Cut(text, ":")
	if !ok || service == "" || name == "" || strings.ContainsAny(text, " ${}\"'/") {
		p.wrong(n, where, "action", "* or a service and an action, for example s3:GetObject")
		return
	}
	service = strings.ToLower(service)
	switch {
	case strings.ContainsAny(service, "*?"):
		p.wrong(n, where, "action", "the service by its name: only the name of the action may have wildcards")
	case !p.catalog.HasService(service):
		p.warn(n, where, "unknown-service", "the catalogue of %s knows no service %s", p.catalog.Version, service)
	case p.policy.Type == landing.ResourceControl && !p.catalog.UnderResourceControl(service):
		p.warn(n, where, "no-effect", "resource control policies do not apply to %s", service)
	case !strings.ContainsAny(name, "*?"):
		if _, known := p.catalog.Find(text); !known {
			p.warn(n, where, "unknown-action", "the catalogue of %s knows no such action", p.catalog.Version)
		}
	}
}

func (p *parser) resources(n *source.Node, path string) []resource {
	var list []resource
	p.texts(n, path, "resource", func(n *source.Node, where, text string) {
		r, err := compileResource(text)
		if err != nil {
			p.wrong(n, where, "resource", "%v", err)
			return
		}
		list = append(list, r)
	})
	return list
}
