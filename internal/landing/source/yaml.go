package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// deepest is how far values may nest: far more than any kind needs.
const deepest = 64

// ParseYAML returns the documents of a YAML file. A document that cannot be
// parsed does not hide the ones beside it.
func ParseYAML(file string, data []byte) ([]*Node, Findings) {
	var roots []*Node
	var found Findings
	for _, part := range split(data) {
		root, err := parsePart(part.text)
		switch {
		case err != nil:
			line, what := yamlError(err)
			found = append(found, Finding{Place: Place{File: file, Line: part.line + max(line, 1), Column: 1},
				Code: "source/yaml", Severity: Error, Want: "expected YAML: " + what})
		case root != nil:
			c := converter{file: file, line: part.line, found: &found}
			if n := c.node(root, "$", 0); n != nil {
				roots = append(roots, n)
			}
		}
	}
	return roots, found
}

// A part is one document of a stream and how many lines stand before it.
type part struct {
	text []byte
	line int
}

// split cuts a stream at its document markers.
func split(data []byte) []part {
	var parts []part
	start, startLine, line := 0, 0, 0
	for at := 0; at < len(data); line++ {
		end := bytes.IndexByte(data[at:], '\n')
		next := len(data)
		if end >= 0 {
			next = at + end + 1
		}
		if text := bytes.TrimRight(data[at:next], " \t\r\n"); bytes.Equal(text, []byte("---")) {
			parts = append(parts, part{data[start:at], startLine})
			start, startLine = next, line+1
		}
		at = next
	}
	return append(parts, part{data[start:], startLine})
}

// parsePart returns the content of one document, nil if there is none.
func parsePart(text []byte) (root *yaml.Node, err error) {
	defer func() { // the YAML library panics on some broken input
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("%v", p)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var more yaml.Node
	if err := decoder.Decode(&more); err == nil {
		return nil, fmt.Errorf("line %d: a second document needs a line of its own with ---", more.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(document.Content) == 0 || document.Content[0].ShortTag() == "!!null" {
		return nil, nil
	}
	return document.Content[0], nil
}

var errorLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

// unclosed is what the library says of a list or an object that does not go on as it
// should; it names the line where that begins.
var unclosed = regexp.MustCompile(`^did not find expected ('|key)`)

// yamlError returns the line that an error of the YAML library speaks of (0 if
// none) and the rest of its text.
func yamlError(err error) (line int, what string) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	match := errorLine.FindStringSubmatch(text)
	if match == nil {
		return 0, text
	}
	line, _ = strconv.Atoi(match[1])
	if line > 0 && unclosed.MatchString(match[2]) {
		line++ // the library counts the lines of these from 0
	}
	return line, match[2]
}

// A converter makes nodes of a YAML tree.
type converter struct {
	file  string
	line  int // lines before the document
	found *Findings
}

func (c *converter) node(y *yaml.Node, path string, depth int) *Node {
	n := &Node{Line: c.line + y.Line, Column: y.Column}
	if depth > deepest {
		c.found.Add(c.file, n, path, "source/depth", fmt.Sprintf("expected values to nest at most %d deep", deepest))
		return nil
	}
	switch y.Kind {
	case yaml.ScalarNode:
		c.scalar(y, n, path)
	case yaml.SequenceNode:
		n.Kind = List
		for i, item := range y.Content {
			if v := c.node(item, Item(path, i), depth+1); v != nil {
				n.Items = append(n.Items, v)
			}
		}
	case yaml.MappingNode:
		n.Kind = Map
		c.fields(y, n, path, depth)
	default:
		c.found.Add(c.file, n, path, "source/alias", "expected the value itself, not an alias of another one")
		return nil
	}
	return n
}

func (c *converter) scalar(y *yaml.Node, n *Node, path string) {
	n.Text = y.Value
	switch y.ShortTag() {
	case "!!null":
		n.Kind, n.Text = Null, ""
	case "!!bool":
		n.Kind, n.Text = Bool, strings.ToLower(y.Value)
		if n.Text != "true" && n.Text != "false" {
			c.found.Add(c.file, n, path, "source/boolean", "expected true or false")
			n.Kind, n.Text = Null, ""
		}
	case "!!int", "!!float":
		n.Kind = Number
		if !json.Valid([]byte(y.Value)) { // hexadecimal, underscores, leading zeros: what was meant is the text
			n.Kind = String
		}
	default:
		n.Kind = String
	}
}

func (c *converter) fields(y *yaml.Node, n *Node, path string, depth int) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		at := &Node{Kind: String, Text: key.Value, Line: c.line + key.Line, Column: key.Column}
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			c.found.Add(c.file, at, path, "source/key", "expected a plain field name")
			continue
		case seen[key.Value]:
			c.found.Add(c.file, at, Field(path, key.Value), "source/duplicate", "expected each field once")
			continue
		}
		seen[key.Value] = true
		if v := c.node(value, Field(path, key.Value), depth+1); v != nil {
			n.Fields = append(n.Fields, NodeField{Name: key.Value, Value: v, Line: at.Line, Column: at.Column})
		}
	}
}
