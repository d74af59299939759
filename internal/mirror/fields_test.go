package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// A fieldSchema is what an API server's OpenAPI v3 document says of one field.
type fieldSchema struct {
	Ref        string                  `json:"$ref"`
	AllOf      []*fieldSchema          `json:"allOf"`
	OneOf      []*fieldSchema          `json:"oneOf"`
	Type       string                  `json:"type"`
	Format     string                  `json:"format"`
	Properties map[string]*fieldSchema `json:"properties"`
	Required   []string                `json:"required"`
	Items      *fieldSchema            `json:"items"`
	Values     *fieldSchema            `json:"additionalProperties"`
	Enum       []any                   `json:"enum"`
	Kinds      []struct{ Group, Version, Kind string }
}

func (s *fieldSchema) UnmarshalJSON(data []byte) error {
	type plain fieldSchema
	var kinds struct {
		Kinds []struct{ Group, Version, Kind string } `json:"x-kubernetes-group-version-kind"`
	}
	if string(data) == "true" || string(data) == "false" {
		return nil
	}
	if err := json.Unmarshal(data, &kinds); err != nil {
		return err
	}
	err := json.Unmarshal(data, (*plain)(s))
	s.Kinds = kinds.Kinds
	return err
}

// schemas are the definitions of one group and version, by name.
type schemas map[string]*fieldSchema

func readSchemas(ctx context.Context, config *rest.Config, group, version string) (schemas, error) {
	path := "/openapi/v3/apis/" + group + "/" + version
	if group == "" {
		path = "/openapi/v3/api/" + version
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	data, err := clients.RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var document struct{ Components struct{ Schemas schemas } }
	err = json.Unmarshal(data, &document)
	return document.Components.Schemas, err
}

// of finds the definition of a kind.
func (all schemas) of(kind cluster.Kind) *fieldSchema {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, k := range all[name].Kinds {
			if k.Group == kind.Group && k.Version == kind.Version && k.Kind == kind.Kind {
				return all[name]
			}
		}
	}
	return nil
}

// A step leads from a field to one within it: by name, or to an item of a list or
// map (name is "[]" or "{}" then).
type step struct {
	name string
	in   *fieldSchema
	ref  string // what the step leads to, if it has a name
}

// A field is the way to it from the object's root.
type field []step

func (f field) String() string {
	var out strings.Builder
	for _, s := range f {
		if s.name != "[]" && s.name != "{}" && out.Len() > 0 {
			out.WriteString(".")
		}
		out.WriteString(s.name)
	}
	return out.String()
}

func (f field) then(name string, s *fieldSchema, ref string) field {
	return append(slices.Clone(f), step{name, s, ref})
}

// An explorer finds out which fields of a kind can be set, by asking the API server
// with dry runs. Fields that can't be set together are spread over several items of a
// list, or over several objects.
type explorer struct {
	ctx     context.Context
	api     client.Client
	kind    cluster.Kind
	schemas schemas
	base    *unstructured.Unstructured // what further objects begin with
	// templates are pod templates that were explored before: they are taken as a whole.
	templates []any

	objects []*unstructured.Unstructured
	unique  int
	asked   int
	fields  map[string]bool // whether it was set in one of the objects
	refused map[string]string
	later   []field
	places  map[string]spot // where a field was set
}

// A spot is a place in one of the objects.
type spot struct {
	object int
	path   []any // names and positions
}

func (p spot) within(steps ...any) spot {
	return spot{p.object, slices.Concat(p.path, steps)}
}

func explore(ctx context.Context, api client.Client, kind cluster.Kind, all schemas, bases []*unstructured.Unstructured, templates []any) *explorer {
	e := &explorer{
		ctx: ctx, api: api, kind: kind, schemas: all, base: bases[0], templates: templates,
		fields: map[string]bool{}, refused: map[string]string{}, places: map[string]spot{},
	}
	root := all.of(kind)
	for i, base := range bases {
		e.objects = append(e.objects, base.DeepCopy())
		e.walk(spot{object: i}, root, nil)
	}
	for len(e.later) > 0 {
		f := e.later[0]
		e.later = e.later[1:]
		e.elsewhere(f)
	}
	e.setTemplates()
	return e
}

// resolve follows references.
func (e *explorer) resolve(s *fieldSchema) (*fieldSchema, string) {
	ref := ""
	for s != nil {
		switch {
		case s.Ref != "":
			ref = s.Ref[strings.LastIndex(s.Ref, "/")+1:]
			s = e.schemas[ref]
		case len(s.AllOf) == 1 && s.Properties == nil:
			s = s.AllOf[0]
		default:
			return s, ref
		}
	}
	return &fieldSchema{}, ref
}

// children are the fields of what stands at f that a team may set.
func (e *explorer) children(s *fieldSchema, f field) []field {
	var out []field
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		child, ref := e.resolve(s.Properties[name])
		switch {
		case len(f) == 0 && slices.Contains([]string{"apiVersion", "kind", "metadata", "status"}, name),
			name == "status" && len(f) > 0 && strings.HasSuffix(f[len(f)-1].ref, "PersistentVolumeClaim"),
			strings.HasSuffix(f.ref(), "ObjectMeta") && !slices.Contains([]string{"annotations", "labels", "name", "generateName", "finalizers"}, name),
			f.meets(ref), strings.HasSuffix(f.String(), "openAPIV3Schema") && name != "properties":
			continue
		}
		out = append(out, f.then(name, child, ref))
	}
	return out
}

func (f field) ref() string {
	if len(f) == 0 {
		return ""
	}
	return f[len(f)-1].ref
}

// meets is true if the way to f leads through what ref names: it would have no end.
// Schemas of custom resources are looked at in one of their properties.
func (f field) meets(ref string) bool {
	if strings.HasSuffix(f.String(), "openAPIV3Schema.properties") {
		return false
	}
	return ref != "" && slices.ContainsFunc(f, func(s step) bool { return s.ref == ref })
}

func (e *explorer) isTemplate(f field) bool {
	return strings.HasSuffix(f.ref(), "PodTemplateSpec") && len(e.templates) > 0
}

// walk sets what can be set within what stands at a place.
func (e *explorer) walk(at spot, s *fieldSchema, f field) {
	if e.isTemplate(f) {
		return
	}
	switch value := valueAt(e.objects[at.object].Object, at.path).(type) {
	case []any:
		if len(value) > 0 && s.Items != nil {
			item, ref := e.resolve(s.Items)
			if f.meets(ref) {
				return
			}
			in := f.then("[]", item, ref)
			e.places[in.String()] = at.within(0)
			e.walk(at.within(0), item, in)
			for i := range value[1:] {
				e.note(at.within(i+1), item, in)
			}
		}
	case map[string]any:
		if s.Values != nil && s.Properties == nil {
			item, ref := e.resolve(s.Values)
			if f.meets(ref) {
				return
			}
			for _, key := range slices.Sorted(maps.Keys(value))[:min(1, len(value))] {
				in := f.then("{}", item, ref)
				e.places[in.String()] = at.within(key)
				e.walk(at.within(key), item, in)
			}
			return
		}
		e.walkFields(at, s, f)
	}
}

// note walks through those fields that are set in a further item of a list.
func (e *explorer) note(at spot, s *fieldSchema, f field) {
	switch value := valueAt(e.objects[at.object].Object, at.path).(type) {
	case []any:
		for i := range value {
			item, ref := e.resolve(s.Items)
			e.note(at.within(i), item, f.then("[]", item, ref))
		}
	case map[string]any:
		for _, child := range e.children(s, f) {
			last := child[len(child)-1]
			if here := at.within(last.name); valueAt(e.objects[at.object].Object, here.path) != nil {
				e.succeeded(child, here)
				e.note(here, last.in, child)
			}
		}
	}
}

func (e *explorer) walkFields(at spot, s *fieldSchema, f field) {
	var open []field
	for _, child := range e.children(s, f) {
		name := child[len(child)-1].name
		if _, known := e.fields[child.String()]; !known {
			e.fields[child.String()] = false
		}
		if valueAt(e.objects[at.object].Object, at.within(name).path) != nil {
			e.succeeded(child, at.within(name))
		} else if !e.fields[child.String()] {
			open = append(open, child)
		}
	}
	e.together(at, open)
	for _, child := range e.children(s, f) {
		last := child[len(child)-1]
		where, set := e.places[child.String()]
		if here := at.within(last.name); valueAt(e.objects[at.object].Object, here.path) != nil {
			where = here
		}
		if set {
			e.walk(where, last.in, child)
		}
	}
}

func (e *explorer) succeeded(f field, at spot) {
	if !e.fields[f.String()] {
		e.fields[f.String()], e.places[f.String()] = true, at
		delete(e.refused, f.String())
	}
}

// together sets as many of the fields as possible at once, and those that do not go
// together with the others one by one.
func (e *explorer) together(at spot, open []field) {
	if len(open) == 0 {
		return
	}
	if len(open) == 1 {
		f := open[0]
		for _, value := range e.candidates(f) {
			if e.try(at.object, func(obj map[string]any) []any { return putAt(obj, at.within(f[len(f)-1].name).path, value) }, f) {
				return
			}
		}
		e.later = append(e.later, f)
		return
	}
	changed := e.objects[at.object].DeepCopy()
	for _, f := range open {
		if values := e.candidates(f); len(values) > 0 {
			putAt(changed.Object, at.within(f[len(f)-1].name).path, values[0])
		}
	}
	if back, err := e.ask(changed); err == nil {
		for _, f := range open {
			where := at.within(f[len(f)-1].name)
			if valueAt(back.Object, where.path) == nil {
				dropAt(changed.Object, where.path)
				e.refused[f.String()] = dropped
			} else {
				e.succeeded(f, where)
			}
		}
		e.objects[at.object] = changed
		return
	}
	e.together(at, open[:len(open)/2])
	e.together(at, open[len(open)/2:])
}

// try asks whether one of the objects may be changed so, and does it. change returns
// where the field then stands.
func (e *explorer) try(i int, change func(map[string]any) []any, f field) bool {
	changed := e.objects[i].DeepCopy()
	path := change(changed.Object)
	back, err := e.ask(changed)
	if err != nil {
		e.refused[f.String()] = err.Error()
		return false
	}
	if valueAt(back.Object, path) == nil {
		e.refused[f.String()] = dropped
		return false
	}
	e.objects[i] = changed
	e.succeeded(f, spot{i, path})
	return true
}

func (e *explorer) ask(obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	e.asked++
	obj = obj.DeepCopy()
	err := e.api.Create(e.ctx, obj, client.DryRunAll, client.FieldOwner("helm"))
	return obj, err
}

const dropped = "the API server drops it"

// mostQuestions is how often it is asked about a field that can't be set where its
// siblings are.
const mostQuestions = 14

// elsewhere sets a field that could not be set where its siblings are: there after
// all, now that they are set; in another item of the lists that it is in; or in
// another object, of its own if need be.
func (e *explorer) elsewhere(f field) {
	if e.fields[f.String()] || e.refused[f.String()] == dropped {
		return
	}
	parent := e.places[f[:len(f)-1].String()]
	patience := e.asked + mostQuestions
	for _, value := range e.candidates(f) {
		done := slices.ContainsFunc(e.ways(f, parent, value), func(change func(map[string]any) []any) bool {
			return e.asked < patience && e.try(parent.object, change, f)
		})
		merge := func(obj map[string]any) []any { return e.merge(obj, nil, f, value) }
		for _, i := range []int{0, len(e.objects) - 1} {
			done = done || i != parent.object && e.asked < patience && e.try(i, merge, f)
		}
		if !done && e.asked < patience {
			e.objects = append(e.objects, e.another())
			if done = e.try(len(e.objects)-1, merge, f); !done {
				e.objects = e.objects[:len(e.objects)-1]
			}
		}
		if done {
			e.walk(e.places[f.String()], f[len(f)-1].in, f)
			return
		}
	}
}

// another is the base object under another name.
func (e *explorer) another() *unstructured.Unstructured {
	obj := e.base.DeepCopy()
	obj.SetName(fmt.Sprintf("%s-%d", e.base.GetName(), len(e.objects)))
	switch e.kind.Kind {
	case "PersistentVolume":
		dropAt(obj.Object, []any{"spec", "hostPath"}) // a volume has one source
	case "Ingress":
		dropAt(obj.Object, []any{"spec", "defaultBackend", "service"})
	case "CustomResourceDefinition":
		group := fmt.Sprintf("every%d.example.com", len(e.objects))
		obj.SetName("everythings." + group)
		putAt(obj.Object, []any{"spec", "group"}, group)
	}
	return obj
}

// ways are the changes that set a field within the object that its parent stands in.
func (e *explorer) ways(f field, parent spot, value any) []func(map[string]any) []any {
	name := f[len(f)-1].name
	out := []func(map[string]any) []any{
		func(obj map[string]any) []any { return putAt(obj, parent.within(name).path, value) },
	}
	// From the innermost list outwards: the items that are there, then a new one.
	for i := len(parent.path) - 1; i >= 0; i-- {
		rest := f[i+1:]
		if f[i].name == "{}" {
			entries, _ := valueAt(e.objects[parent.object].Object, parent.path[:i]).(map[string]any)
			for _, key := range slices.Sorted(maps.Keys(entries)) {
				out = append(out, func(obj map[string]any) []any {
					at := slices.Concat(parent.path[:i], []any{key})
					inner, _ := valueAt(obj, at).(map[string]any)
					return slices.Concat(at, e.merge(inner, f[:i+1], rest, value))
				})
			}
			continue
		}
		if _, isItem := parent.path[i].(int); !isItem {
			continue
		}
		items, _ := valueAt(e.objects[parent.object].Object, parent.path[:i]).([]any)
		for j := range items {
			if j == parent.path[i] || j > 0 && j < len(items)-2 {
				continue
			}
			out = append(out, func(obj map[string]any) []any {
				at := slices.Concat(parent.path[:i], []any{j})
				inner, _ := valueAt(obj, at).(map[string]any)
				return slices.Concat(at, e.merge(inner, f[:i+1], rest, value))
			})
		}
		out = append(out, func(obj map[string]any) []any {
			list, _ := valueAt(obj, parent.path[:i]).([]any)
			item, _ := e.least(f[i].in, f[:i+1]).(map[string]any)
			path := e.merge(item, f[:i+1], rest, value)
			putAt(obj, parent.path[:i], append(list, item))
			return slices.Concat(parent.path[:i], []any{len(list)}, path)
		})
	}
	return out
}

// merge sets a field of into, which stands at the end of before, and what is missing
// on the way to it. It returns where the field then stands.
func (e *explorer) merge(into map[string]any, before, rest field, value any) []any {
	here := before.then(rest[0].name, rest[0].in, rest[0].ref)
	if into == nil {
		return nil
	}
	name := rest[0].name
	if name == "{}" {
		name = "every"
	}
	if len(rest) == 1 {
		into[name] = value
		return []any{name}
	}
	if rest[1].name == "[]" {
		list, _ := into[name].([]any)
		if len(rest) == 2 {
			into[name] = append(list, value)
			return []any{name, len(list)}
		}
		if len(list) == 0 {
			list = []any{e.least(rest[1].in, here.then("[]", rest[1].in, rest[1].ref))}
		}
		into[name] = list
		item, _ := list[0].(map[string]any)
		return slices.Concat([]any{name, 0}, e.merge(item, here.then("[]", rest[1].in, rest[1].ref), rest[2:], value))
	}
	inner, _ := into[name].(map[string]any)
	if inner == nil {
		inner, _ = e.least(rest[0].in, here).(map[string]any)
		into[name] = inner
	}
	return slices.Concat([]any{name}, e.merge(inner, here, rest[1:], value))
}

// setTemplates puts the explored pod templates into objects of their own.
func (e *explorer) setTemplates() {
	root := e.templatePath()
	if root == nil {
		return
	}
	for i, template := range e.templates {
		for len(e.objects) <= i {
			e.objects = append(e.objects, e.another())
		}
		name := fmt.Sprintf("template %d", i)
		e.fields[name] = false
		for _, fit := range podFits {
			changed := e.objects[i].DeepCopy()
			fitted := deepCopy(template).(map[string]any)
			putAt(fitted, []any{"metadata", "labels", "every"}, "every")
			fit(fitted)
			putAt(changed.Object, root, fitted)
			_, err := e.ask(changed)
			if err == nil {
				e.objects[i], e.fields[name] = changed, true
				break
			}
			e.refused[name] = err.Error()
		}
	}
}

func (e *explorer) templatePath() []any {
	for _, path := range [][]any{{"spec", "template"}, {"spec", "jobTemplate", "spec", "template"}} {
		if len(e.templates) > 0 && valueAt(e.base.Object, path) != nil {
			return path
		}
	}
	return nil
}

func deepCopy(value any) any {
	return (&unstructured.Unstructured{Object: map[string]any{"a": value}}).DeepCopy().Object["a"]
}

// get returns what stands at a path; nil if nothing does.
func valueAt(in any, path []any) any {
	for _, s := range path {
		switch s := s.(type) {
		case string:
			fields, _ := in.(map[string]any)
			in = fields[s]
		case int:
			items, _ := in.([]any)
			if s >= len(items) {
				return nil
			}
			in = items[s]
		}
	}
	return in
}

// put sets what stands at a path, and returns the path. Maps on the way are made.
func putAt(in any, path []any, value any) []any {
	value = deepCopy(value)
	for i, s := range path {
		last := i == len(path)-1
		switch s := s.(type) {
		case string:
			fields, ok := in.(map[string]any)
			if !ok {
				return path
			}
			if last {
				fields[s] = value
			} else if fields[s] == nil {
				fields[s] = map[string]any{}
			}
			in = fields[s]
		case int:
			items, _ := in.([]any)
			if s >= len(items) {
				return path
			}
			if last {
				items[s] = value
			}
			in = items[s]
		}
	}
	return path
}

func dropAt(in any, path []any) {
	if parent, ok := valueAt(in, path[:len(path)-1]).(map[string]any); ok {
		delete(parent, path[len(path)-1].(string))
	}
}

// count says how many fields were set of how many there are.
func (e *explorer) count() (set, all int) {
	for _, is := range e.fields {
		set += count(is)
	}
	return set, len(e.fields)
}

// log says what was set, and what could not be.
func (e *explorer) log(t *testing.T) (missed int) {
	set, all := e.count()
	t.Logf("%s: %d of %d fields, in %d objects, by %d questions", e.kind.Kind, set, all, len(e.objects), e.asked)
	for _, f := range slices.Sorted(maps.Keys(e.fields)) {
		if !e.fields[f] {
			t.Logf("    not %s: %.300s", f, e.refused[f])
		}
	}
	return all - set
}
