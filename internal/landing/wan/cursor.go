package wan

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"crossfade.dev/internal/landing/source"
)

// A cursor stands at one value of a document, or where one is missing, and collects
// what is wrong there. Reading goes on after everything that is wrong.
type cursor struct {
	*parser
	node *source.Node // nil: not there
	path string
	// above is the nearest value that is there, for what is missing.
	above *source.Node
}

type parser struct {
	file  string
	found source.Findings
}

// wrong records an error about the value.
func (c cursor) wrong(code, format string, args ...any) {
	c.found.Add(c.file, c.at(), c.path, "wan/"+code, "expected "+fmt.Sprintf(format, args...))
}

// warn records a warning about the value.
func (c cursor) warn(code, format string, args ...any) {
	c.found.Warn(c.file, c.at(), c.path, "wan/"+code, fmt.Sprintf(format, args...))
}

// at is the value, or a node without a value where it would stand.
func (c cursor) at() *source.Node {
	if c.node != nil {
		return c.node
	}
	return &source.Node{Line: c.above.Line, Column: c.above.Column}
}

func (c cursor) place() source.Place {
	n := c.at()
	return source.Place{File: c.file, Line: n.Line, Column: n.Column, Path: c.path}
}

// there reports whether a value other than null stands at the cursor.
func (c cursor) there() bool { return c.node != nil && c.node.Kind != source.Null }

func (c cursor) field(name string) cursor {
	next := cursor{parser: c.parser, path: source.Field(c.path, name), above: c.at()}
	if c.node != nil {
		next.node = c.node.Get(name)
	}
	return next
}

// object reports whether an object stands here, and records the fields that it
// should not have.
func (c cursor) object(what string, names ...string) bool {
	if !c.there() {
		c.wrong("required", "%s", what)
		return false
	}
	if c.node.Kind != source.Map {
		c.wrong("type", "%s, an object", what)
		return false
	}
	for _, f := range c.node.Fields {
		if !slices.Contains(names, f.Name) {
			at := cursor{parser: c.parser, path: source.Field(c.path, f.Name), above: c.node,
				node: &source.Node{Kind: source.String, Text: f.Name, Line: f.Line, Column: f.Column}}
			at.wrong("unknown-field", "one of %s", strings.Join(names, ", "))
		}
	}
	return true
}

// items returns the items of a list; one that is not there has none.
func (c cursor) items(what string) []cursor {
	if !c.there() {
		return nil
	}
	if c.node.Kind != source.List {
		c.wrong("type", "a list of %s", what)
		return nil
	}
	out := make([]cursor, len(c.node.Items))
	for i, item := range c.node.Items {
		out[i] = cursor{parser: c.parser, node: item, path: source.Item(c.path, i), above: c.node}
	}
	return out
}

// some is items of a list that must have at least one.
func (c cursor) some(what string) []cursor {
	items := c.items(what)
	if !c.there() || c.node.Kind == source.List && len(items) == 0 {
		c.wrong("required", "at least one of %s", what)
	}
	return items
}

// text returns a string that must be there.
func (c cursor) text(what string) string {
	if !c.there() {
		c.wrong("required", "%s", what)
		return ""
	}
	if c.node.Kind != source.String {
		c.wrong("type", "%s, in quotes", what)
		return ""
	}
	return c.node.Text
}

// described reads a description, if one is there. Nobody asks what it says.
func (c cursor) described(name string) {
	if d := c.field(name); d.there() {
		d.text("a description")
	}
}

// one returns a string that must be one of some.
func (c cursor) one(code string, of ...string) string {
	text := c.text("one of " + strings.Join(of, ", "))
	if text != "" && !slices.Contains(of, text) {
		c.wrong(code, "one of %s", strings.Join(of, ", "))
	}
	return text
}

func (c cursor) boolean(otherwise bool) bool {
	if !c.there() {
		return otherwise
	}
	if c.node.Kind != source.Bool {
		c.wrong("type", "true or false")
		return otherwise
	}
	return c.node.Text == "true"
}

// number returns a whole number that must be there and within bounds.
func (c cursor) number(code string, least, most int64) int64 {
	what := fmt.Sprintf("a whole number from %d to %d", least, most)
	if !c.there() {
		c.wrong("required", "%s", what)
		return 0
	}
	n, err := strconv.ParseInt(c.node.Text, 10, 64)
	if c.node.Kind != source.Number || err != nil {
		c.wrong("type", "%s", what)
		return 0
	}
	if n < least || n > most {
		c.wrong(code, "%s", what)
	}
	return n
}

// prefix returns an address range in CIDR notation that must be there; what is set
// of it beyond its length is an error.
func (c cursor) prefix() netip.Prefix {
	text := c.text("an address range like 10.1.0.0/16 or 2001:db8::/56")
	if text == "" {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		c.wrong("cidr", "an address range like 10.1.0.0/16 or 2001:db8::/56")
		return netip.Prefix{}
	}
	if p.Masked() != p {
		c.wrong("cidr", "%s: no bits after the first %d", p.Masked(), p.Bits())
		return netip.Prefix{}
	}
	return p
}

// texts returns the strings of a list, each of which must be different.
func (c cursor) texts(what string, items []cursor) []string {
	var out []string
	for _, item := range items {
		text := item.text(what)
		if text == "" {
			continue
		}
		if slices.Contains(out, text) {
			item.wrong("twice", "each of %s once", what)
			continue
		}
		out = append(out, text)
	}
	return out
}

// name returns a name that must be there and follow the vendor's rule for names of
// segments and network function groups: letters and digits.
func (c cursor) name(what string) string {
	text := c.text("the name of " + what)
	if text != "" && (!alphanumeric(text) || len(text) > 64) {
		c.wrong("name", "a name of at most 64 letters and digits")
	}
	return text
}

func alphanumeric(text string) bool {
	for _, r := range text {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return false
		}
	}
	return text != ""
}
