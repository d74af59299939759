package object

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A FieldDiff is one field in which two objects differ.
type FieldDiff struct {
	// Path is written as kubectl explain does, with list positions in brackets and
	// names that hold a dot in quotes: spec.template.spec.containers[0].image.
	Path string
	// A and B are the values as JSON, cut at 120 bytes; empty means absent. Values
	// of Secrets are replaced by their length: a digest would confirm a guess.
	A, B string
}

func (d FieldDiff) String() string {
	return fmt.Sprintf("%s: %s -> %s", d.Path, orAbsent(d.A), orAbsent(d.B))
}

func orAbsent(value string) string {
	if value == "" {
		return "absent"
	}
	return value
}

// Diff lists the fields in which a and b differ, ordered by path. It takes objects
// as they are: pass Canonical forms to compare what teams see.
func Diff(a, b *unstructured.Unstructured) []FieldDiff {
	d := differ{secret: a.GetKind() == "Secret" || b.GetKind() == "Secret"}
	d.value("", a.Object, b.Object)
	return d.found
}

type differ struct {
	secret bool
	found  []FieldDiff
}

func (d *differ) value(path string, a, b any) {
	if reflect.DeepEqual(a, b) || sameNumber(a, b) {
		return
	}
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			d.fields(path, a, b)
			return
		}
	case []any:
		if b, ok := b.([]any); ok && len(a) == len(b) {
			for i := range a {
				d.value(path+"["+strconv.Itoa(i)+"]", a[i], b[i])
			}
			return
		}
	}
	d.found = append(d.found, FieldDiff{Path: path, A: d.show(path, a), B: d.show(path, b)})
}

func (d *differ) fields(path string, a, b map[string]any) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		d.value(join(path, key), a[key], b[key])
	}
}

func join(path, key string) string {
	if strings.ContainsAny(key, `.["`) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// sameNumber is true for an integer and a float of the same value: which of them a
// decoder makes of 1 is its own business.
func sameNumber(a, b any) bool {
	x, okX := number(a)
	y, okY := number(b)
	return okX && okY && x == y
}

func number(value any) (float64, bool) {
	switch value := value.(type) {
	case int64:
		return float64(value), true
	case float64:
		return value, true
	}
	return 0, false
}

const shown = 120

func (d *differ) show(path string, value any) string {
	if value == nil {
		return ""
	}
	if d.secret && !open(path) {
		return veil(value)
	}
	text := string(encode(value))
	if len(text) <= shown {
		return text
	}
	cut := shown
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// open is true for the fields of a Secret that give nothing away. Annotations do:
// kubectl keeps the last applied data there.
func open(path string) bool {
	for _, prefix := range []string{"apiVersion", "kind", "type", "immutable", "metadata.name", "metadata.labels", "metadata.ownerReferences", "metadata.finalizers"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

func veil(value any) string {
	return fmt.Sprintf("(%d bytes)", len(encode(value)))
}

func encode(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return []byte(fmt.Sprint(value))
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// Veiled is obj as it may be shown: of a Secret, lengths stand in the place of values,
// as in Diff; of a Ledger, whose data is packed, too.
func Veiled(obj *unstructured.Unstructured) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: VeiledFields(obj.GetKind(), obj.Object)}
}

// VeiledFields are some fields of an object of the kind, such as a patch names, as they
// may be shown.
func VeiledFields(kind string, fields map[string]any) map[string]any {
	switch kind {
	case "Secret":
		out, _ := veiled("", fields).(map[string]any)
		return out
	case "Ledger":
		spec, _ := fields["spec"].(map[string]any)
		if spec["data"] == nil {
			return fields
		}
		out, spec := maps.Clone(fields), maps.Clone(spec)
		spec["data"] = veil(spec["data"])
		out["spec"] = spec
		return out
	}
	return fields
}

// veiled is a value at a path of a Secret.
func veiled(path string, value any) any {
	if open(path) || value == nil {
		return value
	}
	below, isMap := value.(map[string]any)
	if !isMap {
		return veil(value)
	}
	out := make(map[string]any, len(below))
	for key, v := range below {
		out[key] = veiled(join(path, key), v)
	}
	return out
}
