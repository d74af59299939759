package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"unicode/utf8"
)

// ParseJSON returns the value that a JSON file holds, or nil and what is wrong.
// Even a value that is returned may have findings: fields given twice.
func ParseJSON(file string, data []byte) (*Node, Findings) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	p := &jsonParser{file: file, data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	for i, b := range data {
		if b == '\n' {
			p.breaks = append(p.breaks, i)
		}
	}
	root, err := p.value("$", 0)
	if err == nil {
		if _, err = p.decoder.Token(); err == nil {
			err = fmt.Errorf("one value and nothing after it")
		} else if errors.Is(err, io.EOF) {
			return root, p.found
		}
	}
	p.fail(err)
	return nil, p.found
}

type jsonParser struct {
	file    string
	data    []byte
	breaks  []int // offsets of the line breaks
	decoder *json.Decoder
	found   Findings
}

// errDeep stops the parser where it has already said why.
var errDeep = errors.New("too deep")

// fail records the error that stopped the parser.
func (p *jsonParser) fail(err error) {
	if errors.Is(err, errDeep) {
		return
	}
	offset, want := int(p.decoder.InputOffset()), err.Error()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = p.skip(max(int(syntax.Offset)-1, 0))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		offset, want = len(p.data), "the file ends too early"
	}
	at := &Node{}
	at.Line, at.Column = p.position(offset)
	p.found = append(p.found, Finding{Place: Place{File: p.file, Line: at.Line, Column: at.Column}, Code: "source/json", Severity: Error, Want: "expected JSON: " + want})
}

// position returns the line and the column, in characters, of an offset.
func (p *jsonParser) position(offset int) (line, column int) {
	offset = min(offset, len(p.data))
	line = sort.SearchInts(p.breaks, offset)
	start := 0
	if line > 0 {
		start = p.breaks[line-1] + 1
	}
	return line + 1, utf8.RuneCount(p.data[start:offset]) + 1
}

// skip returns the offset of the next token at or after offset.
func (p *jsonParser) skip(offset int) int {
	for offset < len(p.data) && bytes.IndexByte([]byte(" \t\r\n,:"), p.data[offset]) >= 0 {
		offset++
	}
	return offset
}

// token returns the next token and a node that begins where it begins.
func (p *jsonParser) token() (json.Token, *Node, error) {
	offset := p.skip(int(p.decoder.InputOffset()))
	token, err := p.decoder.Token()
	n := &Node{}
	n.Line, n.Column = p.position(offset)
	return token, n, err
}

func (p *jsonParser) value(path string, depth int) (*Node, error) {
	token, n, err := p.token()
	if err != nil {
		return nil, err
	}
	if depth > deepest {
		p.found.Add(p.file, n, path, "source/depth", fmt.Sprintf("expected values to nest at most %d deep", deepest))
		return nil, errDeep
	}
	switch t := token.(type) {
	case string:
		n.Kind, n.Text = String, t
	case json.Number:
		n.Kind, n.Text = Number, t.String()
	case bool:
		n.Kind, n.Text = Bool, fmt.Sprint(t)
	case json.Delim:
		if t == '[' {
			n.Kind = List
			return n, p.list(n, path, depth)
		}
		n.Kind = Map
		return n, p.object(n, path, depth)
	}
	return n, nil
}

func (p *jsonParser) list(n *Node, path string, depth int) error {
	for p.decoder.More() {
		item, err := p.value(Item(path, len(n.Items)), depth+1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	_, err := p.decoder.Token()
	return err
}

func (p *jsonParser) object(n *Node, path string, depth int) error {
	seen := map[string]bool{}
	for p.decoder.More() {
		token, at, err := p.token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // the decoder allows nothing else as a key
		value, err := p.value(Field(path, name), depth+1)
		if err != nil {
			return err
		}
		if seen[name] {
			at.Kind, at.Text = String, name
			p.found.Add(p.file, at, Field(path, name), "source/duplicate", "expected each field once")
			continue
		}
		seen[name] = true
		n.Fields = append(n.Fields, NodeField{Name: name, Value: value, Line: at.Line, Column: at.Column})
	}
	_, err := p.decoder.Token()
	return err
}
