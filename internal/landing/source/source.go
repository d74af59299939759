// Package source reads the files in which a landing zone is written down, and
// keeps where every value stands, so that whatever is wrong can be said with its
// file, line, path, value, and what was expected instead.
//
// A bad document never hides what is wrong in another one: reading goes on, and
// everything found is returned together.
package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A File is one file of the folder, by its path relative to the folder.
type File struct {
	Name string
	Data []byte
}

// A Document is one object of a file.
type Document struct {
	// File is the name of the file that holds the document.
	File string
	// APIVersion, Kind and Name (metadata.name) say what the document is. Read
	// returns no document without all three.
	APIVersion, Kind, Name string
	Root                   *Node
}

// A Place is where something stands.
type Place struct {
	File string `json:"file"`
	// Line and Column count from 1; Line 0 means that only the file is known.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path is the JSON path of the value, for example $.spec.policy.Statement[0].
	Path string `json:"path,omitempty"`
}

func (p Place) String() string {
	text := p.File
	if p.Line > 0 {
		text += fmt.Sprintf(":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" {
		text += ": " + p.Path
	}
	return text
}

// Field returns the path of a field of the value at path.
func Field(path, name string) string {
	if name != "" && strings.Trim(name, letters) == "" {
		return path + "." + name
	}
	return fmt.Sprintf("%s[%q]", path, name)
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// Item returns the path of an item of the list at path.
func Item(path string, index int) string { return fmt.Sprintf("%s[%d]", path, index) }

// A Severity says what a finding means for the answer.
type Severity string

const (
	// Error means that the input cannot be taken at its word.
	Error Severity = "error"
	// Warning means that the input is taken as written, and is likely not meant so.
	Warning Severity = "warning"
)

// A Finding is one thing that is wrong with the input.
type Finding struct {
	Place
	// Code names the rule that was broken, for example policy/effect. It is stable.
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	// Value is what stands there, shortened.
	Value string `json:"value,omitempty"`
	// Want is what was expected.
	Want string `json:"want"`
}

func (f Finding) String() string {
	text := f.Place.String() + ": "
	if f.Severity == Warning {
		text += "warning: "
	}
	if f.Value != "" {
		text += f.Value + ": "
	}
	return text + f.Want + " [" + f.Code + "]"
}

// Findings are what is wrong, in the order of the input.
type Findings []Finding

// Add appends one error about the value n, which stands in file at path.
//
// Where a value is of another type than it should be, that is all that is said of it.
func (f *Findings) Add(file string, n *Node, path, code, want string) {
	for _, known := range *f {
		if known.Code == "source/type" && known.File == file && known.Path == path && n != nil && known.Line == n.Line {
			return
		}
	}
	f.add(file, n, path, code, want, Error)
}

// Warn appends one warning.
func (f *Findings) Warn(file string, n *Node, path, code, want string) {
	f.add(file, n, path, code, want, Warning)
}

func (f *Findings) add(file string, n *Node, path, code, want string, severity Severity) {
	finding := Finding{Place: Place{File: file, Path: path}, Code: code, Severity: severity, Want: want}
	if n != nil {
		finding.Line, finding.Column, finding.Value = n.Line, n.Column, n.Brief()
	}
	*f = append(*f, finding)
}

// Errors returns the findings that are errors.
func (f Findings) Errors() Findings {
	var errors Findings
	for _, finding := range f {
		if finding.Severity == Error {
			errors = append(errors, finding)
		}
	}
	return errors
}

// Sort orders findings by file, line, column and path.
func (f Findings) Sort() {
	slices.SortStableFunc(f, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
}

// Read returns the documents of every YAML file (.yaml, .yml), in order. Other
// files are left alone: a guardrail may name them.
func Read(files []File) ([]*Document, Findings) {
	var documents []*Document
	var found Findings
	for _, file := range files {
		if !IsYAML(file.Name) {
			continue
		}
		roots, wrong := ParseYAML(file.Name, file.Data)
		found = append(found, wrong...)
		for _, root := range roots {
			if d := identify(file.Name, root, &found); d != nil {
				documents = append(documents, d)
			}
		}
	}
	return documents, found
}

// IsYAML reports whether a file's name says that it holds documents.
func IsYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// identify returns what a document says it is, or nil.
func identify(file string, root *Node, found *Findings) *Document {
	if root.Kind != Map {
		found.Add(file, root, "$", "source/object", "expected an object with apiVersion, kind and metadata")
		return nil
	}
	d := &Document{File: file, Root: root}
	complete := true
	for _, part := range []struct {
		to   *string
		path []string
	}{{&d.APIVersion, []string{"apiVersion"}}, {&d.Kind, []string{"kind"}}, {&d.Name, []string{"metadata", "name"}}} {
		n := root.Get(part.path...)
		if n == nil || n.Kind != String || n.Text == "" {
			at := n
			if at == nil {
				at = &Node{Line: root.Line, Column: root.Column}
			}
			found.Add(file, at, "$."+strings.Join(part.path, "."), "source/identity", "expected "+strings.Join(part.path, ".")+", a name")
			complete = false
			continue
		}
		*part.to = n.Text
	}
	if !complete {
		return nil
	}
	return d
}
