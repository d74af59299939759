package object

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// fieldsOf are the fields of a typed object as runtime.DefaultUnstructuredConverter has
// them, several times as fast: maps are as large as what is in them, not as the type.
func fieldsOf(obj runtime.Object) (map[string]any, error) {
	v := reflect.ValueOf(obj)
	if v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() == reflect.Struct {
		fields := map[string]any{}
		err := planOf(v.Elem().Type()).into(fields, v.Elem())
		if !errors.Is(err, errUnplanned) {
			return fields, err
		}
	}
	return runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
}

// errUnplanned says that a type is left to the converter.
var errUnplanned = errors.New("the type is written by the converter alone")

// A plan is how values of one type are written.
type plan struct {
	entry  *value.TypeReflectCacheEntry
	own    bool // the type writes itself
	fields []fieldPlan
}

type fieldPlan struct {
	index     int
	name      string
	inline    bool
	omitEmpty bool
	omitZero  func(reflect.Value) bool
}

var plans sync.Map // reflect.Type to *plan

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	entry := value.TypeReflectEntryOf(t)
	p := &plan{entry: entry, own: entry.CanConvertToUnstructured()}
	if t.Kind() == reflect.Struct && !p.own {
		for i := range t.NumField() {
			if f, ok := planField(t.Field(i), i); ok {
				p.fields = append(p.fields, f)
			}
		}
	}
	kept, _ := plans.LoadOrStore(t, p)
	return kept.(*plan)
}

// planField reads a field's tag; false if the field is not written.
func planField(f reflect.StructField, index int) (fieldPlan, bool) {
	words := strings.Split(f.Tag.Get("json"), ",")
	out := fieldPlan{index: index, name: words[0], omitEmpty: slices.Contains(words[1:], "omitempty")}
	if slices.Contains(words[1:], "omitzero") {
		out.omitZero = value.OmitZeroFunc(f.Type)
	}
	if out.name == "" {
		out.inline = f.Anonymous || slices.Contains(words[1:], "inline")
		out.name = f.Name
	}
	return out, out.name != "-" && f.IsExported()
}

// into writes the fields of a struct.
func (p *plan) into(fields map[string]any, v reflect.Value) error {
	if p.own {
		return errUnplanned
	}
	for i := range p.fields {
		f := &p.fields[i]
		at := v.Field(f.index)
		if f.omitEmpty && empty(at) || f.omitZero != nil && f.omitZero(at) {
			continue
		}
		if f.inline {
			if at.Kind() != reflect.Struct {
				return errUnplanned
			}
			if err := planOf(at.Type()).into(fields, at); err != nil {
				return err
			}
			continue
		}
		written, err := write(at)
		if err != nil {
			return err
		}
		fields[f.name] = written
	}
	return nil
}

func write(v reflect.Value) (any, error) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil, nil
		}
	}
	p := planOf(v.Type())
	if p.own {
		return p.entry.ToUnstructured(v)
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > math.MaxInt64 {
			return nil, fmt.Errorf("unsigned value %d does not fit into int64", v.Uint())
		}
		return int64(v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return v.Float(), nil
	case reflect.Pointer, reflect.Interface:
		return write(v.Elem())
	case reflect.Struct:
		fields := map[string]any{}
		return fields, p.into(fields, v)
	case reflect.Slice:
		return writeList(v)
	case reflect.Map:
		return writeMap(v)
	}
	return nil, errUnplanned
}

func writeList(v reflect.Value) (any, error) {
	if v.IsNil() {
		return nil, nil
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return base64.StdEncoding.EncodeToString(v.Bytes()), nil
	}
	list := make([]any, v.Len())
	for i := range list {
		var err error
		if list[i], err = write(v.Index(i)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func writeMap(v reflect.Value) (any, error) {
	if v.IsNil() {
		return nil, nil
	}
	if v.Type().Key().Kind() != reflect.String {
		return nil, errUnplanned
	}
	fields := make(map[string]any, v.Len())
	if pairs, ok := v.Interface().(map[string]string); ok {
		for key, text := range pairs {
			fields[key] = text
		}
		return fields, nil
	}
	for each := v.MapRange(); each.Next(); {
		written, err := write(each.Value())
		if err != nil {
			return nil, err
		}
		fields[each.Key().String()] = written
	}
	return fields, nil
}

// empty is what omitempty leaves out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Struct:
		return false
	case reflect.Array, reflect.String, reflect.Map, reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}
