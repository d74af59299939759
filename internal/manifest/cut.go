package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
)

// A piece is the text of one object, or of one document that was not worth cutting.
type piece struct {
	file           string
	document, line int
	text           []byte
	yaml           bool
	// whole, for an item of a YAML list, is the document that it was cut from, with
	// the line where that begins: an item that needs the rest of it (an anchor) does
	// not parse alone.
	whole *piece
}

func (p piece) refuse(line int, format string, args ...any) error {
	return &ParseError{File: p.file, Document: p.document, Line: line, Err: fmt.Errorf(format, args...)}
}

// refuseYAML is the error for text that is no YAML. The library counts lines from the
// beginning of what it was given, so its own number is taken out.
func (p piece) refuseYAML(err error) error {
	line := lineIn(err)
	if at := bytes.Index(p.text, []byte("{{")); at >= 0 && !errorLine.MatchString(err.Error()) {
		line = lineAt(p.text, at) // "invalid map key": braces within braces are a map as a key
	}
	lines := bytes.Split(p.text, []byte("\n"))
	if line <= len(lines) && bytes.Contains(lines[line-1], []byte("{{")) {
		return p.refuse(p.line+line-1, "it is a template, not yet a manifest: render it first (helm template), and read what that prints")
	}
	return p.refuse(p.line+line-1, "it is not YAML: %s", yamlPrefix.ReplaceAllString(err.Error(), ""))
}

// begins is the line of the first text of a piece that is neither empty nor a comment.
func (p piece) begins() int {
	line := p.line
	if !p.yaml {
		return line
	}
	for l := range bytes.Lines(p.text) {
		if l = bytes.TrimSpace(l); len(l) > 0 && l[0] != '#' {
			return line
		}
		line++
	}
	return p.line
}

// yamlPrefix is what the YAML library writes before what is wrong.
var yamlPrefix = regexp.MustCompile(`^(error converting YAML to JSON: )?(yaml: )?(line \d+: )?`)

// cut cuts a file into pieces.
func cut(file string, text []byte) ([]piece, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	start := bytes.TrimLeft(text, " \t\r\n")
	if len(start) == 0 {
		return nil, nil
	}
	if start[0] == '{' || start[0] == '[' {
		if pieces, err := cutJSON(file, text); err == nil || start[0] == '[' || !isFlow(start) {
			return pieces, err
		}
	}
	var pieces []piece
	for i, d := range documents(text) {
		p := piece{file: file, document: i + 1, line: d.line, text: d.text, yaml: true}
		pieces = append(pieces, items(p)...)
	}
	return pieces, nil
}

// isFlow tells YAML in flow style from JSON: its first key has no quotes.
func isFlow(start []byte) bool {
	rest := bytes.TrimLeft(start[1:], " \t\r\n")
	return len(rest) > 0 && rest[0] != '"' && rest[0] != '}'
}

// A document is one of a YAML file, with the line that it begins at.
type document struct {
	line int
	text []byte
}

// documents cuts at lines that begin with "---"; empty documents count for the
// numbering only where people would count them: between separators that hold text.
func documents(text []byte) []document {
	var out []document
	begin, line, beginLine := 0, 1, 1
	add := func(end int) {
		if part := text[begin:end]; len(bytes.TrimSpace(stripComments(part))) > 0 {
			out = append(out, document{beginLine, part})
		}
	}
	for at := 0; at < len(text); line++ {
		end := bytes.IndexByte(text[at:], '\n')
		next := at + end + 1
		if end < 0 {
			next = len(text)
		}
		if l := text[at:next]; bytes.HasPrefix(l, []byte("---")) && (len(l) == 3 || l[3] == '\n' || l[3] == '\r' || l[3] == ' ') {
			add(at)
			begin, beginLine = next, line+1
		}
		at = next
	}
	add(len(text))
	return out
}

// stripComments leaves out lines that hold nothing but a comment.
func stripComments(text []byte) []byte {
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("#")) {
		return text
	}
	var out []byte
	for l := range bytes.Lines(text) {
		if !bytes.HasPrefix(bytes.TrimLeft(l, " \t"), []byte("#")) {
			out = append(out, l...)
		}
	}
	return out
}

// items cuts a document that is a list, in block style, into its items: everything
// below a line "items:" that begins with the dash of the first item. Anything else
// stays whole.
func items(p piece) []piece {
	at := bytes.Index(p.text, []byte("\nitems:\n")) + 1
	if at == 0 && !bytes.HasPrefix(p.text, []byte("items:\n")) {
		return []piece{p}
	}
	if !listKind(p.text) {
		return []piece{p}
	}
	at += len("items:\n")
	first := bytes.TrimLeft(p.text[at:], " ")
	dash := p.text[at : len(p.text)-len(first)+2]
	if !bytes.HasPrefix(first, []byte("- ")) {
		return []piece{p}
	}
	line := p.line + bytes.Count(p.text[:at], []byte("\n"))
	var out []piece
	begin, beginLine := -1, 0
	add := func(end int) {
		if begin < 0 {
			return
		}
		text := bytes.Clone(p.text[begin:end])
		text[len(dash)-2] = ' '
		out = append(out, piece{file: p.file, document: p.document, line: beginLine, text: text, yaml: true, whole: &p})
		begin = -1
	}
	for ; at < len(p.text); line++ {
		end := bytes.IndexByte(p.text[at:], '\n')
		next := at + end + 1
		if end < 0 {
			next = len(p.text)
		}
		l := p.text[at:next]
		switch {
		case bytes.HasPrefix(l, dash):
			add(at)
			begin, beginLine = at, line
		case len(l) > 0 && l[0] != ' ' && l[0] != '\n' && l[0] != '#' && l[0] != '\r' && l[0] != '-':
			add(at)
		}
		at = next
	}
	add(len(p.text))
	return out
}

// listKind tells whether a document's own kind ends in List.
func listKind(text []byte) bool {
	for _, key := range [][]byte{[]byte("\nkind: "), []byte("kind: ")} {
		at := bytes.LastIndex(text, key)
		if at < 0 || len(key) == 6 && at != 0 {
			continue
		}
		value, _, _ := bytes.Cut(text[at+len(key):], []byte("\n"))
		return bytes.HasSuffix(bytes.TrimRight(value, " \r\"'"), []byte("List"))
	}
	return false
}

// cutJSON cuts JSON documents, one after another, and lists among them into items.
func cutJSON(file string, text []byte) ([]piece, error) {
	var out []piece
	s := scanner{text: text}
	for document := 1; ; document++ {
		s.space()
		if s.at == len(text) {
			return out, nil
		}
		begin := s.at
		p := piece{file: file, document: document}
		spans, err := s.document()
		if err != nil {
			return nil, p.refuse(lineAt(text, s.at), "%v", err)
		}
		line, from := 1, 0
		for _, span := range spans {
			line += bytes.Count(text[from:span.from], []byte("\n"))
			from = span.from
			p.line, p.text = line, text[span.from:span.to]
			out = append(out, p)
		}
		if spans == nil {
			p.line, p.text = lineAt(text, begin), text[begin:s.at]
			out = append(out, p)
		}
	}
}

func lineAt(text []byte, at int) int { return 1 + bytes.Count(text[:min(at, len(text))], []byte("\n")) }

var errJSON = errors.New("it is not JSON")

// A scanner finds where values of a JSON text begin and end. It does not check what
// is in them: whoever decodes a value does.
type scanner struct {
	text []byte
	at   int
}

type span struct{ from, to int }

func (s *scanner) space() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\n' || s.text[s.at] == '\t' || s.text[s.at] == '\r') {
		s.at++
	}
}

// document passes one document. If it is a list (an array, or an object whose kind
// ends in List and which has items), the spans are its items.
func (s *scanner) document() ([]span, error) {
	if s.text[s.at] == '[' {
		return s.array()
	}
	var spans []span
	list := false
	err := s.object(func(key []byte) error {
		if string(key) == "items" && s.at < len(s.text) && s.text[s.at] == '[' {
			var err error
			spans, err = s.array()
			return err
		}
		from := s.at
		if err := s.value(); err != nil {
			return err
		}
		if string(key) == "kind" {
			list = bytes.HasSuffix(s.text[from:s.at], []byte(`List"`)) && !bytes.HasSuffix(s.text[from:s.at], []byte(`DiscoveryList"`))
		}
		return nil
	})
	if !list {
		spans = nil
	}
	return spans, err
}

// object passes an object and calls value at each of its values.
func (s *scanner) object(value func(key []byte) error) error {
	s.at++
	for {
		s.space()
		if s.at < len(s.text) && s.text[s.at] == '}' {
			s.at++
			return nil
		}
		from := s.at + 1
		if err := s.quoted(); err != nil {
			return err
		}
		key := s.text[from : s.at-1]
		s.space()
		if s.at >= len(s.text) || s.text[s.at] != ':' {
			return fmt.Errorf("%w: a colon is missing", errJSON)
		}
		s.at++
		s.space()
		if err := value(key); err != nil {
			return err
		}
		if err := s.separator('}'); err != nil {
			return err
		}
	}
}

// separator passes a comma, or stands before the closing bracket.
func (s *scanner) separator(closing byte) error {
	s.space()
	switch {
	case s.at >= len(s.text):
		return fmt.Errorf("%w: it ends too early", errJSON)
	case s.text[s.at] == ',':
		s.at++
		return nil
	case s.text[s.at] == closing:
		return nil
	default:
		return fmt.Errorf("%w: %q where a comma or a bracket should be", errJSON, s.text[s.at])
	}
}

func (s *scanner) array() ([]span, error) {
	s.at++
	spans := []span{}
	for {
		s.space()
		if s.at < len(s.text) && s.text[s.at] == ']' {
			s.at++
			return spans, nil
		}
		from := s.at
		if err := s.value(); err != nil {
			return nil, err
		}
		spans = append(spans, span{from, s.at})
		if err := s.separator(']'); err != nil {
			return nil, err
		}
	}
}

// value passes any value, by its brackets and quotes.
func (s *scanner) value() error {
	depth := 0
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '"':
			if err := s.quoted(); err != nil {
				return err
			}
			if depth == 0 {
				return nil
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return nil // after a bare word: the bracket is its parent's
			}
			if depth--; depth == 0 {
				s.at++
				return nil
			}
		case ',', '\n':
			if depth == 0 {
				return nil
			}
		}
		s.at++
	}
	if depth > 0 {
		return fmt.Errorf("%w: it ends too early", errJSON)
	}
	return nil
}

// quoted passes a string.
func (s *scanner) quoted() error {
	if s.at >= len(s.text) || s.text[s.at] != '"' {
		return fmt.Errorf("%w: a quote is missing", errJSON)
	}
	for s.at++; s.at < len(s.text); s.at++ {
		end := bytes.IndexAny(s.text[s.at:min(s.at+64, len(s.text))], "\"\\")
		if end < 0 {
			s.at += min(63, len(s.text)-s.at-1)
			continue
		}
		s.at += end
		if s.text[s.at] == '"' {
			s.at++
			return nil
		}
		s.at++ // what is escaped
	}
	return fmt.Errorf("%w: a quote is missing", errJSON)
}
