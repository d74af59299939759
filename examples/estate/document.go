package estate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/scheme"
	strictjson "sigs.k8s.io/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// A document is one YAML document of a file.
type document struct {
	file   string
	number int // in the file, from 1
	line   int // of its first line in the file, from 1
	text   []byte
}

// A place is where an object was read.
type place struct {
	file           string
	document, line int
}

func (p place) String() string {
	return fmt.Sprintf("%s, document %d, line %d", p.file, p.document, p.line)
}

type placed struct {
	object *unstructured.Unstructured
	place  place
}

// readFile reads the objects of one file; Lists are taken apart.
func readFile(file string, text []byte) ([]placed, error) {
	var found []placed
	for _, d := range documents(file, text) {
		content, err := d.json()
		if err != nil {
			return nil, err
		}
		if content == nil {
			continue // nothing but comments
		}
		inDocument, err := d.objects(content, nil)
		if err != nil {
			return nil, err
		}
		found = append(found, inDocument...)
	}
	return found, nil
}

// documents cuts a file at its `---` lines.
func documents(file string, text []byte) []document {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var all []document
	open := document{file: file, number: 1, line: 1}
	for i, line := range bytes.SplitAfter(text, []byte("\n")) {
		bare := bytes.TrimRight(line, " \t\r\n")
		if !bytes.Equal(bare, []byte("---")) && !bytes.HasPrefix(bare, []byte("--- ")) {
			open.text = append(open.text, line...)
			continue
		}
		if len(bytes.TrimSpace(open.text)) > 0 {
			all = append(all, open)
			open.number++
		}
		open = document{file: file, number: open.number, line: i + 1}
		open.text = append(open.text, "   "...) // keeps columns, and what follows on the line
		open.text = append(open.text, line[3:]...)
	}
	if len(bytes.TrimSpace(open.text)) > 0 {
		all = append(all, open)
	}
	return all
}

// json returns the document as JSON, or nil if it is empty.
func (d document) json() ([]byte, error) {
	content, err := sigsyaml.YAMLToJSONStrict(d.text)
	if err != nil {
		return nil, d.refuseYAML(err)
	}
	if bytes.Equal(content, []byte("null")) {
		return nil, nil
	}
	return content, nil
}

// refuseYAML says where a document is no YAML: it reads the document once more at
// its place in the file, so that the parser counts the file's lines.
func (d document) refuseYAML(err error) error {
	var content any
	inFile := append(bytes.Repeat([]byte("\n"), d.line-1), d.text...)
	if again := yaml.Unmarshal(inFile, &content); again != nil {
		err = again
	}
	var several *yaml.TypeError
	if errors.As(err, &several) {
		err = errors.New(several.Errors[0])
	}
	return fmt.Errorf("%s, document %d (from line %d): %w", d.file, d.number, d.line, err)
}

// objects reads content, which is what stands at path in the document.
func (d document) objects(content []byte, path []string) ([]placed, error) {
	var head struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Items      []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(content, &head); err != nil {
		return nil, d.refuse(path, "it is no object of Kubernetes: %v", err)
	}
	switch {
	case head.APIVersion == "":
		return nil, d.refuse(path, "apiVersion is missing")
	case head.Kind == "":
		return nil, d.refuse(path, "kind is missing")
	case strings.HasPrefix(head.APIVersion, "kustomize.config.k8s.io/"):
		return nil, d.refuse(path, "it is a kustomization: render it with `kubectl kustomize` first")
	case head.Items == nil || !strings.HasSuffix(head.Kind, "List"):
		found, err := d.object(content, path)
		return []placed{found}, err
	}
	var all []placed
	for i, item := range head.Items {
		found, err := d.objects(item, append(path[:len(path):len(path)], "items", strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (d document) object(content []byte, path []string) (placed, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(content); err != nil {
		return placed{}, d.refuse(path, "%v", err)
	}
	what := fmt.Sprintf("%s %q", u.GetKind(), u.GetName())
	if u.GetName() == "" {
		return placed{}, d.refuse(path, "metadata.name of the %s is missing", u.GetKind())
	}
	if namespace := u.GetNamespace(); namespace != "" {
		if wrong := validation.IsDNS1123Label(namespace); len(wrong) > 0 {
			return placed{}, d.refuse(append(path, "metadata", "namespace"), "metadata.namespace of %s is %q: %s", what, namespace, wrong[0])
		}
	}
	if err := d.check(u, content, path, what); err != nil {
		return placed{}, err
	}
	return placed{u, d.place(path)}, nil
}

// check reads an object of a kind of Kubernetes' own into its type, as strictly as
// kubectl does.
func (d document) check(u *unstructured.Unstructured, content []byte, path []string, what string) error {
	object, err := scheme.Scheme.New(u.GroupVersionKind())
	if err != nil {
		return nil // a custom kind: only the cluster knows what it looks like
	}
	doubtful, err := strictjson.UnmarshalStrict(content, object)
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return d.refuse(append(path, fields(wrongType.Field)...), "%s of %s is a %s", wrongType.Field, what, wrongType.Value)
	}
	if err != nil {
		return d.refuse(path, "%s: %v", what, err)
	}
	if len(doubtful) == 0 {
		return nil
	}
	var field strictjson.FieldError
	if errors.As(doubtful[0], &field) {
		return d.refuse(append(path, fields(field.FieldPath())...), "%s: %v", what, field)
	}
	return d.refuse(path, "%s: %v", what, doubtful[0])
}

func (d document) refuse(path []string, format string, args ...any) error {
	return fmt.Errorf("%s: %s", d.place(path), fmt.Sprintf(format, args...))
}

// place finds the line of path, or of what is nearest above it.
func (d document) place(path []string) place {
	at := place{d.file, d.number, d.line}
	var root yaml.Node
	if yaml.Unmarshal(d.text, &root) != nil || len(root.Content) == 0 {
		return at
	}
	node, line := root.Content[0], root.Content[0].Line
	for _, step := range path {
		key, value := child(node, step)
		if value == nil {
			break
		}
		node, line = value, key.Line
	}
	at.line = d.line + line - 1
	return at
}

// child returns a member of a mapping with its key, or an element of a sequence.
func child(node *yaml.Node, step string) (key, value *yaml.Node) {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	}
	return nil, nil
}

// fields splits a path like spec.containers[0].image into its steps.
func fields(path string) []string {
	path = strings.NewReplacer("[", ".", "]", "", `"`, "").Replace(path)
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' })
}
