package policy

import (
	"strings"
	"unicode/utf8"

	"crossfade.dev/internal/landing/source"
)

// conditions compiles a Condition element: operators, each with context keys, each
// with values. All of them must hold.
func (p *parser) conditions(n *source.Node, path string) []condition {
	if n.Kind != source.Map {
		p.wrong(n, path, "condition", "an object of condition operators")
		return nil
	}
	var list []condition
	for _, f := range n.Fields {
		where := source.Field(path, f.Name)
		at := &source.Node{Kind: source.String, Text: f.Name, Line: f.Line, Column: f.Column}
		c, ok := parseOperator(f.Name)
		switch {
		case !ok:
			p.wrong(at, where, "operator", "a condition operator, for example StringEquals, ForAnyValue:StringLike or BoolIfExists")
			continue
		case f.Value.Kind != source.Map || len(f.Value.Fields) == 0:
			p.wrong(f.Value, where, "condition", "an object of context keys")
			continue
		}
		for _, k := range f.Value.Fields {
			list = append(list, p.condition(c, k, source.Field(where, k.Name)))
		}
	}
	return list
}

// parseOperator parses the name of a condition operator with its qualifiers.
func parseOperator(name string) (condition, bool) {
	c := condition{name: name}
	rest, found := strings.CutPrefix(name, "ForAllValues:")
	c.every = found
	if !found {
		rest, c.some = strings.CutPrefix(name, "ForAnyValue:")
	}
	rest, c.ifExists = strings.CutSuffix(rest, "IfExists")
	var ok bool
	c.operator, ok = operators[rest]
	if ok && c.operator.comparison == null && (c.ifExists || c.every || c.some) {
		return c, false
	}
	return c, ok
}

// condition compiles one context key of an operator.
func (p *parser) condition(c condition, k source.NodeField, path string) condition {
	c.key = newKey(k.Name)
	c.place = source.Place{File: p.file, Line: k.Line, Column: k.Column, Path: path}
	c.label = "Condition " + c.name + " " + k.Name
	at := &source.Node{Kind: source.String, Text: k.Name, Line: k.Line, Column: k.Column}
	if !strings.Contains(k.Name, ":") || strings.ContainsAny(k.Name, reserved) || !utf8.ValidString(k.Name) {
		p.wrong(at, path, "key", "a context key, for example aws:RequestedRegion")
	}
	if p.catalog.ManyValued(c.key.name) && !c.every && !c.some && c.operator.comparison != null {
		p.warn(at, path, "many-values", "%s may have several values in a request: the vendor asks for ForAnyValue or ForAllValues", k.Name)
	}
	items, one := k.Value.Items, false
	if k.Value.Kind != source.List {
		items, one = []*source.Node{k.Value}, true
	}
	if len(items) == 0 {
		p.wrong(k.Value, path, "value", "at least one value")
	}
	for i, item := range items {
		where := source.Item(path, i)
		if one {
			where = path
		}
		if v, ok := p.value(&c, item, where); ok {
			c.values = append(c.values, v)
		}
	}
	return c
}

func (p *parser) value(c *condition, n *source.Node, path string) (value, bool) {
	if n.Kind != source.String && n.Kind != source.Number && n.Kind != source.Bool {
		p.wrong(n, path, "value", "a string, a number or a boolean")
		return value{}, false
	}
	if strings.ContainsAny(n.Text, reserved) || !utf8.ValidString(n.Text) {
		p.wrong(n, path, "value", "text without control characters")
		return value{}, false
	}
	v, err := compileValue(c.operator.comparison, n.Text)
	if err != nil {
		p.wrong(n, path, "value", "%v, for %s", err, c.name)
		return value{}, false
	}
	if c.operator.comparison == likeARN && v.template == nil && v.arn == nil {
		p.warn(n, path, "arn", "%s compares the six parts of an ARN one by one; what a text with fewer means is unknown", c.name)
	}
	return v, true
}
