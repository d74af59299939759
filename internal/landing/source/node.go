package source

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// A Kind is what a value is.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
)

func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// A Node is one value and where it begins.
type Node struct {
	Kind Kind
	// Text is the value of a scalar: a string without quotes, a number as written,
	// true or false.
	Text         string
	Items        []*Node
	Fields       []NodeField
	Line, Column int
}

// A NodeField is one field of an object.
type NodeField struct {
	Name         string
	Value        *Node
	Line, Column int
}

// Get follows field names and returns nil where one is not there.
func (n *Node) Get(names ...string) *Node {
	for _, name := range names {
		if n == nil {
			return nil
		}
		var next *Node
		for _, f := range n.Fields {
			if f.Name == name {
				next = f.Value
				break
			}
		}
		n = next
	}
	return n
}

// Brief returns the value as people are shown it: a scalar quoted and cut, a list
// or an object by what it is.
func (n *Node) Brief() string {
	switch n.Kind {
	case String:
		text := n.Text
		if len(text) > 60 {
			cut := 57
			for cut > 0 && !utf8.RuneStart(text[cut]) {
				cut--
			}
			text = text[:cut] + "..."
		}
		return strconv.Quote(text)
	case Bool, Number:
		return n.Text
	case List:
		return "a list of " + strconv.Itoa(len(n.Items))
	case Map:
		return "an object"
	}
	return ""
}

// JSON returns the value as JSON without white space, its fields in the order in
// which they were written.
func (n *Node) JSON() []byte {
	var out bytes.Buffer
	n.write(&out)
	return out.Bytes()
}

func (n *Node) write(out *bytes.Buffer) {
	switch n.Kind {
	case Null:
		out.WriteString("null")
	case Bool, Number:
		out.WriteString(n.Text)
	case String:
		quote(out, n.Text)
	case List:
		out.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				out.WriteByte(',')
			}
			item.write(out)
		}
		out.WriteByte(']')
	case Map:
		out.WriteByte('{')
		for i, f := range n.Fields {
			if i > 0 {
				out.WriteByte(',')
			}
			quote(out, f.Name)
			out.WriteByte(':')
			f.Value.write(out)
		}
		out.WriteByte('}')
	}
}

func quote(out *bytes.Buffer, text string) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text)    // a string always encodes
	out.Truncate(out.Len() - 1) // Encode ends with a newline
}
