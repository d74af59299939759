package mirror

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
)

// Decided is what people have decided about single objects.
type Decided struct {
	// Choices are looked through in their order; the first that matches counts.
	Choices []Choice
	// Turned is true on the way from the target to the source. A patch is for what
	// stands in the target: on the way back what it touches is left to either side.
	Turned bool
}

// A Choice is a rule of the migration for some objects of a kind, or of a group.
type Choice struct {
	Group, Kind string
	// Namespaces and Selector limit it; empty matches everything.
	Namespaces []string
	Selector   labels.Selector
	Mode       v1.MirrorMode
	// Status is true if the status is copied as well.
	Status bool
	// Finalizers are those that the copies keep.
	Finalizers []string

	patch jsonpatch.Patch
	// touches are the places that the patch changes.
	touches []pointer
}

// Choices reads the rules of a migration. An error names the rule, the field and the
// value.
func Choices(rules []v1.MirrorRule) ([]Choice, error) {
	var choices []Choice
	for i := range rules {
		c, err := choiceOf(&rules[i])
		if err != nil {
			return nil, fmt.Errorf("rules[%d] (%s): %w", i, schema.GroupKind{Group: rules[i].Group, Kind: rules[i].Kind}, err)
		}
		choices = append(choices, c)
	}
	return choices, nil
}

func choiceOf(rule *v1.MirrorRule) (Choice, error) {
	c := Choice{
		Group: rule.Group, Kind: rule.Kind, Namespaces: rule.Namespaces, Mode: rule.Mode,
		Status: rule.Status, Finalizers: rule.Finalizers,
	}
	if why := builtIn(schema.GroupKind{Group: rule.Group, Kind: rule.Kind}).Never; why != "" && rule.Mode != v1.Exclude {
		return c, fmt.Errorf("mode %q: no rule can move objects of this kind: %s", rule.Mode, why)
	}
	if rule.Selector != nil {
		selector, err := metav1.LabelSelectorAsSelector(rule.Selector)
		if err != nil {
			return c, fmt.Errorf("selector: %w", err)
		}
		c.Selector = selector
	}
	if strings.TrimSpace(rule.Patch) == "" {
		return c, nil
	}
	text, err := yaml.YAMLToJSON([]byte(rule.Patch))
	if err != nil {
		return c, fmt.Errorf("patch: not YAML or JSON: %w", err)
	}
	if c.patch, err = jsonpatch.DecodePatch(text); err != nil {
		return c, fmt.Errorf("patch: not a list of operations (RFC 6902): %w", err)
	}
	for i, operation := range c.patch {
		if err := c.touch(operation); err != nil {
			return c, fmt.Errorf("patch[%d]: %w", i, err)
		}
	}
	return c, nil
}

// touch notes the place that an operation changes, if it may.
func (c *Choice) touch(operation jsonpatch.Operation) error {
	path, err := operation.Path()
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	place, err := parsePointer(path)
	if err != nil {
		return err
	}
	switch kind := operation.Kind(); kind {
	case "test":
		return nil
	case "add", "replace", "remove":
	default:
		return fmt.Errorf("op %q: want add, replace, remove or test", kind)
	}
	switch {
	case slices.Contains([]string{"apiVersion", "kind", "status"}, place[0]),
		place[0] == "metadata" && (len(place) < 3 || place[1] != "labels" && place[1] != "annotations"):
		return fmt.Errorf("path %q: of metadata only single labels and annotations can be patched, and neither apiVersion, kind nor status", path)
	case slices.Contains(place, "-"):
		return fmt.Errorf("path %q: name the place in the list by its number", path)
	case place[0] == "metadata" && place[1] == "labels" && c.selects(place[2]):
		return fmt.Errorf("path %q: the selector asks for this label, and would not match the copy", path)
	}
	c.touches = append(c.touches, place)
	return nil
}

// selects is true if the selector looks at a label.
func (c *Choice) selects(label string) bool {
	if c.Selector == nil {
		return false
	}
	requirements, _ := c.Selector.Requirements()
	return slices.ContainsFunc(requirements, func(r labels.Requirement) bool { return r.Key() == label })
}

func (c *Choice) matches(obj *unstructured.Unstructured) bool {
	return (len(c.Namespaces) == 0 || slices.Contains(c.Namespaces, obj.GetNamespace())) &&
		(c.Selector == nil || c.Selector.Matches(labels.Set(obj.GetLabels())))
}

// sleeps is true if the copies stand still, and what the patch touches is left to
// either side.
func (c *Choice) sleeps() bool { return c.Mode == v1.Parked || c.Mode == v1.Observed }

// choice finds what people have decided about obj; nil if nothing.
func (r *Rule) choice(obj *unstructured.Unstructured) *Choice {
	for i := range r.choices {
		if r.choices[i].matches(obj) {
			return &r.choices[i]
		}
	}
	return nil
}

// patched is what the other side should get for obj: obj itself if no patch is for it.
func (r *Rule) patched(obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	c := r.choice(obj)
	if c == nil || len(c.patch) == 0 || r.turned && !c.sleeps() {
		return obj, nil
	}
	text, err := json.Marshal(obj.Object)
	if err != nil {
		return nil, fmt.Errorf("patch %s: %w", obj.GetName(), err)
	}
	options := jsonpatch.NewApplyOptions()
	options.AllowMissingPathOnRemove, options.EnsurePathExistsOnAdd = true, true
	if text, err = c.patch.ApplyWithOptions(text, options); err != nil {
		return nil, fmt.Errorf("the rule's patch does not fit: %w", err)
	}
	out := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(text, &out.Object); err != nil {
		return nil, fmt.Errorf("patch %s: %w", obj.GetName(), err)
	}
	return out, nil
}

// eithers lists the places of obj that a patch touches and that each side has for
// itself.
func (r *Rule) eithers(obj *unstructured.Unstructured) []pointer {
	if c := r.choice(obj); c != nil && (r.turned || c.sleeps()) {
		return c.touches
	}
	return nil
}

// observed is true if obj's controller has to say first that it sees what is there.
func (r *Rule) observed(obj *unstructured.Unstructured) bool {
	c := r.choice(obj)
	return c != nil && c.Mode == v1.Observed && !r.turned
}

// saysReady is true if the condition Ready of obj is True.
func saysReady(obj *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(c any) bool {
		condition, _ := c.(map[string]any)
		return condition["type"] == "Ready" && condition["status"] == string(metav1.ConditionTrue)
	})
}

// status is the status that is to be copied; nil if none is.
func (r *Rule) status(obj *unstructured.Unstructured) map[string]any {
	if c := r.choice(obj); c == nil || !c.Status {
		return nil
	}
	status, _, _ := unstructured.NestedMap(obj.Object, "status")
	return status
}

// finalizers are those of obj that its copy keeps.
func (r *Rule) finalizers(obj *unstructured.Unstructured) []string {
	c := r.choice(obj)
	if c == nil {
		return nil
	}
	return slices.DeleteFunc(obj.GetFinalizers(), func(f string) bool { return !slices.Contains(c.Finalizers, f) })
}

// A pointer is a place in an object (JSON pointer, RFC 6901), step by step.
type pointer []string

func parsePointer(text string) (pointer, error) {
	if !strings.HasPrefix(text, "/") || len(text) < 2 {
		return nil, fmt.Errorf("path %q: want a JSON pointer such as /spec/suspend", text)
	}
	var p pointer
	for step := range strings.SplitSeq(text[1:], "/") {
		p = append(p, strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
	}
	return p, nil
}

// get returns what stands at the place.
func (p pointer) get(in any) (value any, found bool) {
	for _, step := range p {
		switch parent := in.(type) {
		case map[string]any:
			if in, found = parent[step]; !found {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(parent) {
				return nil, false
			}
			in = parent[i]
		default:
			return nil, false
		}
	}
	return in, true
}

// set makes value stand at the place. Objects on the way are made; a list that is too
// short is left as it is.
func (p pointer) set(in map[string]any, value any) {
	last := len(p) - 1
	if parent, found := p[:last].get(in); found {
		switch parent := parent.(type) {
		case map[string]any:
			parent[p[last]] = value
		case []any:
			if i, err := strconv.Atoi(p[last]); err == nil && i >= 0 && i < len(parent) {
				parent[i] = value
			}
		}
		return
	}
	p[:last].set(in, map[string]any{p[last]: value})
}

// remove takes away what stands at the place, and the objects on the way that are
// empty then. An item of a list becomes null, so that the others keep their places.
func (p pointer) remove(in map[string]any) {
	last := len(p) - 1
	parent, found := p[:last].get(in)
	if !found {
		return
	}
	switch parent := parent.(type) {
	case map[string]any:
		delete(parent, p[last])
		if len(parent) == 0 && last > 1 {
			p[:last].remove(in)
		}
	case []any:
		if i, err := strconv.Atoi(p[last]); err == nil && i >= 0 && i < len(parent) {
			parent[i] = nil
		}
	}
}

// keepPlaces makes the places of out what they are in live.
func keepPlaces(out, live *unstructured.Unstructured, places []pointer) {
	for _, p := range places {
		if value, found := p.get(live.Object); found {
			p.set(out.Object, runtime.DeepCopyJSONValue(value))
		} else {
			p.remove(out.Object)
		}
	}
}
