package mirror

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/object"
)

// A Difference is one object in which two sets differ.
type Difference struct {
	Object Object
	// App is what Config.App says of the object; only Differences fills it in.
	App string
	// Text says what is wrong with the whole object; empty if Fields differ.
	Text   string
	Fields []object.FieldDiff
}

func (d Difference) String() string {
	if d.Text != "" {
		return fmt.Sprintf("%s: %s", d.Object, d.Text)
	}
	return fmt.Sprintf("%s: %s", d.Object, d.Fields[0])
}

// Options say what Compare compares.
type Options struct {
	// Decided is what people have decided about single objects.
	Decided
	// Strict compares the fields of the engine as well.
	Strict bool
}

// Compare lists the objects in which a and b differ for a team, ordered by object: as
// the rules have it, without what either cluster or the engine has for itself. Objects
// that are not mirrored are left out. Values of Secrets are not shown.
func Compare(a, b []unstructured.Unstructured, opts Options) []Difference {
	inA, inB := byObject(a, opts), byObject(b, opts)
	var found []Difference
	for name, one := range inA {
		other, both := inB[name]
		if !both {
			found = append(found, Difference{Object: name, Text: "it is missing"})
			continue
		}
		rule := opts.rule(one)
		if fields := object.Diff(rule.normal(one), rule.normal(other)); len(fields) > 0 {
			found = append(found, Difference{Object: name, Fields: fields})
		}
	}
	for name := range inB {
		if _, both := inA[name]; !both {
			found = append(found, Difference{Object: name, Text: "it is not expected"})
		}
	}
	slices.SortFunc(found, func(a, b Difference) int { return compareObjects(a.Object, b.Object) })
	return found
}

func (o Options) rule(obj *unstructured.Unstructured) Rule {
	rule := o.ruleFor(obj.GroupVersionKind().GroupKind())
	if o.Strict {
		rule.Engine = nil
	}
	return rule
}

func byObject(objects []unstructured.Unstructured, opts Options) map[Object]*unstructured.Unstructured {
	out := map[Object]*unstructured.Unstructured{}
	for i := range objects {
		obj := &objects[i]
		rule := opts.rule(obj)
		if rule.Never == "" && rule.excepted(obj) == "" {
			out[objectOf(obj.GroupVersionKind().Group, obj.GetKind(), obj.GetNamespace(), obj.GetName())] = obj
		}
	}
	return out
}

// Differences compares the two sides in full, by lists of their own, and shows every
// object that is not level: one whose copy is missing, or is not what the API server
// made of its origin as it is now; and every copy whose origin is gone. It writes
// nothing. Objects of kinds that are Held for want of a rule are left out.
func (m *Mirror) Differences(ctx context.Context) ([]Difference, error) {
	if err := m.load(ctx); err != nil {
		return nil, err
	}
	if err := m.discover(ctx); err != nil {
		return nil, err
	}
	var found []Difference
	for _, f := range m.order {
		if f.rule.idle() {
			continue
		}
		reason, text := f.stopped()
		if reason == v1.ObjectHeld {
			more, err := m.unserved(ctx, f, text)
			if err != nil {
				return nil, fmt.Errorf("mirror: list %s: %w", f.kind.Kind, err)
			}
			found = append(found, more...)
			continue
		}
		if reason != "" {
			found = append(found, Difference{Object: objectOf(f.kind.Group, f.kind.Kind, "", ""), Text: text})
			continue
		}
		if !f.served {
			continue
		}
		more, err := m.differences(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("mirror: compare %s: %w", f.kind.Kind, err)
		}
		found = append(found, more...)
	}
	slices.SortFunc(found, func(a, b Difference) int { return compareObjects(a.Object, b.Object) })
	return found, nil
}

// unserved lists the objects of a kind that the side that follows does not serve.
func (m *Mirror) unserved(ctx context.Context, f *following, text string) ([]Difference, error) {
	origins, err := m.looks(ctx, f, m.From, f.rule.patched)
	var found []Difference
	for name, from := range origins {
		found = append(found, Difference{Object: f.object(name), App: from.app, Text: text})
	}
	return found, err
}

// differences compares one kind. Objects are dropped as soon as their digests are
// known, and read again where they have to be shown.
func (m *Mirror) differences(ctx context.Context, f *following) ([]Difference, error) {
	there, err := m.looks(ctx, f, m.To, asItIs)
	if err != nil {
		return nil, err
	}
	origins, err := m.looks(ctx, f, m.From, f.rule.patched)
	if err != nil {
		return nil, err
	}
	var found []Difference
	for name, from := range origins {
		to, entry := there[name], m.entry(f, name)
		switch {
		case to.digest == from.digest, to.digest == entry.Got && from.digest == entry.Wrote && to.uid == entry.UID:
		case !to.there() && entry == (Entry{}) && m.foreign(f.object(name), from.look):
		case !to.there():
			found = append(found, Difference{Object: f.object(name), App: from.app, Text: "it is missing"})
		default:
			shown, err := m.show(ctx, f, name)
			if err != nil {
				return nil, err
			}
			shown.App = from.app
			found = append(found, shown)
		}
	}
	for name, to := range there {
		entry := m.entry(f, name)
		_, origin := m.origin(f, name, "", to.uid, entry)
		if _, wanted := origins[name]; !wanted && entry.UID == to.uid && (!entry.Found || origin) {
			found = append(found, Difference{Object: f.object(name), App: to.app, Text: "its origin is gone"})
		}
	}
	return found, nil
}

func (m *Mirror) entry(f *following, name types.NamespacedName) Entry {
	if t := f.twins[name]; t != nil {
		return t.entry
	}
	return Entry{}
}

// A form is what an object is compared as.
type form func(*unstructured.Unstructured) (*unstructured.Unstructured, error)

func asItIs(obj *unstructured.Unstructured) (*unstructured.Unstructured, error) { return obj, nil }

// A listed object is one of a side, and its app.
type listed struct {
	app string
	look
}

// looks lists one side of a kind.
func (m *Mirror) looks(ctx context.Context, f *following, side Side, as form) (map[types.NamespacedName]listed, error) {
	out := map[types.NamespacedName]listed{}
	_, err := list(ctx, side.API, f.kind, "", func(obj client.Object, _ bool) error {
		name := client.ObjectKeyFromObject(obj)
		if !m.mirrored(f, name) {
			return nil
		}
		fields, err := f.rule.glance(f.kind.GroupVersionKind, obj)
		if err != nil || f.rule.excepted(fields) != "" || f.rule.acts(fields) != "" {
			return err
		}
		if fields, err = as(fields); err != nil {
			return err
		}
		out[name] = listed{m.App(obj.GetNamespace(), obj.GetLabels()), look{uid: obj.GetUID(), digest: f.rule.spend(fields), born: obj.GetCreationTimestamp().Unix()}}
		return nil
	})
	return out, err
}

// show reads both sides of an object and says in which fields they differ.
func (m *Mirror) show(ctx context.Context, f *following, name types.NamespacedName) (Difference, error) {
	d := Difference{Object: f.object(name)}
	var sides [2]*unstructured.Unstructured
	forms := []form{f.rule.patched, asItIs}
	for i, side := range []Side{m.From, m.To} {
		obj := &unstructured.Unstructured{}
		obj.SetGroupVersionKind(f.kind.GroupVersionKind)
		if err := side.API.Get(ctx, name, obj); err != nil {
			return d, err
		}
		if patched, err := forms[i](obj); err == nil {
			obj = patched
		}
		sides[i] = f.rule.normal(obj)
	}
	if d.Fields = object.Diff(sides[0], sides[1]); len(d.Fields) == 0 {
		d.Text = "it changed while it was compared"
	}
	return d, nil
}
