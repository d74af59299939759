package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// A Sleeper is an object under a rule of the mode Parked: on one side it is at work, on
// the other it is parked. The mirror leaves to either side what tells the two apart.
type Sleeper struct {
	Object Object
	live   *unstructured.Unstructured
	choice *Choice
	parked map[string]json.RawMessage
}

// Parks is true if there is a rule of the mode Parked.
func (d Decided) Parks() bool { return slices.ContainsFunc(d.Choices, Choice.parks) }

func (c Choice) parks() bool { return c.Mode == v1.Parked && len(c.touches) > 0 }

// Sleepers are the objects of a cluster that a rule parks, in the namespaces of the
// estate.
func (d Decided) Sleepers(ctx context.Context, api cluster.API, kinds []cluster.Kind, in func(namespace string) bool) (map[Object]*Sleeper, error) {
	found := map[Object]*Sleeper{}
	for _, kind := range kinds {
		rule := d.ruleFor(kind.GroupKind())
		if !slices.ContainsFunc(rule.choices, Choice.parks) || !slices.Contains(kind.Verbs, "list") {
			continue
		}
		_, err := list(ctx, api, kind, "", func(obj client.Object, _ bool) error {
			if obj.GetNamespace() != "" && !in(obj.GetNamespace()) {
				return nil
			}
			fields, err := fieldsOf(kind.GroupVersionKind, obj)
			if err != nil {
				return err
			}
			s, err := rule.sleeper(fields)
			if s != nil {
				found[s.Object] = s
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look for what is parked: %w", err)
		}
	}
	return found, nil
}

// sleeper is obj if a rule parks it, else nil.
func (r *Rule) sleeper(obj *unstructured.Unstructured) (*Sleeper, error) {
	c := r.choice(obj)
	if c == nil || !c.parks() || r.excepted(obj) != "" {
		return nil, nil
	}
	patched, err := r.patched(obj)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", obj.GetKind(), obj.GetNamespace(), obj.GetName(), err)
	}
	name := objectOf(obj.GroupVersionKind().Group, obj.GetKind(), obj.GetNamespace(), obj.GetName())
	s := &Sleeper{Object: name, live: obj, choice: c}
	s.parked, err = c.values(patched)
	return s, err
}

// values are what stands at the places that the patch touches, by JSON pointer; a place
// where nothing stands is missing.
func (c *Choice) values(obj *unstructured.Unstructured) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for _, place := range c.touches {
		value, found := place.get(obj.Object)
		if !found {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		out[place.String()] = text
	}
	return out, nil
}

// Values are what tells whether the object is at work; see Write.
func (s *Sleeper) Values() (map[string]json.RawMessage, error) { return s.choice.values(s.live) }

// Parked is true if the object is as the rule's patch makes it.
func (s *Sleeper) Parked() (bool, error) {
	is, err := s.Values()
	return reflect.DeepEqual(is, s.parked), err
}

// Park makes the object what the rule's patch makes it, if it still is what was seen.
func (s *Sleeper) Park(ctx context.Context, api cluster.API) error {
	return s.Write(ctx, api, s.parked)
}

// Write gives the object values that it, or its copy on the other side, had. It does
// nothing if it has them, and fails if somebody changed the object since it was seen.
func (s *Sleeper) Write(ctx context.Context, api cluster.API, values map[string]json.RawMessage) error {
	out := s.live.DeepCopy()
	for _, place := range s.choice.touches {
		text, stands := values[place.String()]
		if !stands {
			place.remove(out.Object)
			continue
		}
		var value any
		if err := utiljson.Unmarshal(text, &value); err != nil {
			return fmt.Errorf("%s: value of %s: %w", s.Object, place, err)
		}
		place.set(out.Object, runtime.DeepCopyJSONValue(value))
	}
	if reflect.DeepEqual(out.Object, s.live.Object) {
		return nil
	}
	if err := api.Update(ctx, out, client.FieldOwner(cluster.FieldManager)); err != nil {
		return fmt.Errorf("%s: %w", s.Object, err)
	}
	s.live = out
	return nil
}

// String writes the pointer as RFC 6901 has it.
func (p pointer) String() string {
	text := ""
	for _, step := range p {
		text += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
	}
	return text
}
