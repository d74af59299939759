package source

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Decode fills out, a pointer to a kind's struct, from a document, and returns
// everything in it that does not fit: fields that the kind does not have, values
// of another type, and required fields that are not there. A field is required
// if its JSON tag has no omitempty.
func Decode(d *Document, out any) Findings {
	c := decoder{file: d.File}
	c.into(d.Root, "$", reflect.ValueOf(out).Elem())
	return c.found
}

type decoder struct {
	file  string
	found Findings
}

func (c *decoder) wrong(n *Node, path, want string) {
	c.found.Add(c.file, n, path, "source/type", "expected "+want)
}

var (
	jsonDecoded = reflect.TypeFor[json.Unmarshaler]()
	textDecoded = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// into sets v, which is addressable, from n.
func (c *decoder) into(n *Node, path string, v reflect.Value) {
	t := v.Type()
	switch {
	case n.Kind == Null: // as if it were not there
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		c.into(n, path, v.Elem())
	case reflect.PointerTo(t).Implements(jsonDecoded) || reflect.PointerTo(t).Implements(textDecoded):
		if err := json.Unmarshal(n.JSON(), v.Addr().Interface()); err != nil {
			c.wrong(n, path, strings.TrimPrefix(t.Name()+": "+err.Error(), ": "))
		}
	default:
		c.plain(n, path, v)
	}
}

func (c *decoder) plain(n *Node, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if n.Kind != String {
			c.wrong(n, path, "a string")
			return
		}
		v.SetString(n.Text)
	case reflect.Bool:
		if n.Kind != Bool {
			c.wrong(n, path, "true or false")
			return
		}
		v.SetBool(n.Text == "true")
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Text, 10, v.Type().Bits())
		if n.Kind != Number || err != nil {
			c.wrong(n, path, "a whole number")
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Text, 64)
		if n.Kind != Number || err != nil {
			c.wrong(n, path, "a number")
			return
		}
		v.SetFloat(f)
	case reflect.Slice:
		c.list(n, path, v)
	case reflect.Map:
		c.table(n, path, v)
	case reflect.Struct:
		c.object(n, path, v)
	default:
		panic("source: a kind has a field of type " + v.Type().String())
	}
}

func (c *decoder) list(n *Node, path string, v reflect.Value) {
	if n.Kind != List {
		c.wrong(n, path, "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items)))
	for i, item := range n.Items {
		c.into(item, Item(path, i), v.Index(i))
	}
}

func (c *decoder) table(n *Node, path string, v reflect.Value) {
	if n.Kind != Map {
		c.wrong(n, path, "an object")
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Fields)))
	for _, f := range n.Fields {
		value := reflect.New(v.Type().Elem()).Elem()
		c.into(f.Value, Field(path, f.Name), value)
		v.SetMapIndex(reflect.ValueOf(f.Name).Convert(v.Type().Key()), value)
	}
}

func (c *decoder) object(n *Node, path string, v reflect.Value) {
	if n.Kind != Map {
		c.wrong(n, path, "an object")
		return
	}
	known := fieldsOf(v.Type())
	for _, f := range n.Fields {
		field, ok := known.byName[f.Name]
		if !ok {
			at := &Node{Kind: String, Text: f.Name, Line: f.Line, Column: f.Column}
			c.found.Add(c.file, at, Field(path, f.Name), "source/unknown-field", "expected one of "+strings.Join(known.names, ", "))
			continue
		}
		c.into(f.Value, Field(path, f.Name), v.FieldByIndex(field.index))
	}
	for _, name := range known.names {
		if known.byName[name].required && n.Get(name) == nil {
			at := &Node{Line: n.Line, Column: n.Column}
			c.found.Add(c.file, at, Field(path, name), "source/required", fmt.Sprintf("expected the field %s, which is required", name))
		}
	}
}

// fields are those of one struct by their names in JSON.
type fields struct {
	names  []string // sorted
	byName map[string]field
}

type field struct {
	index    []int
	required bool
}

func fieldsOf(t reflect.Type) fields {
	known := fields{byName: map[string]field{}}
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if !ok || name == "" || name == "-" { // an embedded struct: its fields are visible too
			continue
		}
		known.names = append(known.names, name)
		known.byName[name] = field{index: f.Index, required: !strings.Contains(options, "omitempty")}
	}
	slices.Sort(known.names)
	return known
}
