// Package manifest reads Kubernetes objects out of files: manifests as people write
// them, and what kubectl get prints as YAML or JSON. It asks no cluster.
//
// A dump of a whole cluster is one document with tens of thousands of items, so lists
// are cut into their items first, and the items are decoded by as many workers as
// there are processors.
package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"crossfade.dev/internal/plan"
)

// A Reading is what files hold.
type Reading struct {
	Objects plan.Objects
	// Count is how many objects were read, those included that are not kept because
	// others make them again: pods of workloads, endpoints, events.
	Count int
	// Unknown counts, by kind, the objects of kinds that are kept as they are
	// because nothing here knows them by type.
	Unknown map[schema.GroupVersionKind]int
	// Served counts, by kind, the objects of every kind, in the version in which
	// they are written.
	Served map[schema.GroupVersionKind]int
	// Serves holds the kinds that discovery documents among the files name, as a cluster
	// answered them; nil without any.
	Serves map[schema.GroupVersionKind]bool
	// Places tell where an object that was kept begins, by its kind, a space and its
	// namespace/name; and, by group and kind alone, the first of a kind.
	Places map[string]Place
	// Files are those that were read, in their order.
	Files []string
}

// A Place is a line, counted from 1, of a file.
type Place struct {
	File string
	Line int
}

// A ParseError says where a file cannot be read as a Kubernetes object.
type ParseError struct {
	File string
	// Document counts from 1, and so does Line.
	Document, Line int
	Err            error
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("%s: document %d, line %d: %s", e.File, e.Document, e.Line, strings.Join(strings.Fields(e.Err.Error()), " "))
}

func (e *ParseError) Unwrap() error { return e.Err }

// mostErrors is how many parse errors one error holds.
const mostErrors = 20

// Read reads a file, or every .yaml, .yml and .json file in a folder and below it,
// hidden ones left out. If anything does not parse, the error joins a *ParseError for
// each such place (the first 20), and nothing is returned: half an estate would look
// like a whole one.
func Read(path string) (Reading, error) {
	files, err := Files(path)
	if err != nil {
		return Reading{}, err
	}
	var pieces []piece
	var wrong []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return Reading{}, err
		}
		found, err := cut(file, text)
		pieces = append(pieces, found...)
		wrong = append(wrong, err)
	}
	reading, err := decodeAll(pieces)
	if err := firstOf(append(wrong, err)); err != nil {
		return Reading{}, err
	}
	reading.Files = files
	if reading.Count == 0 {
		return Reading{}, fmt.Errorf("%s holds no Kubernetes object", path)
	}
	return reading, nil
}

// Parse reads one text as Read reads a file of that name.
func Parse(name string, text []byte) (Reading, error) {
	pieces, err := cut(name, text)
	if err != nil {
		return Reading{}, err
	}
	return decodeAll(pieces)
}

func firstOf(all []error) error {
	var flat []error
	for _, err := range all {
		var joined interface{ Unwrap() []error }
		switch {
		case err == nil:
		case errors.As(err, &joined):
			flat = append(flat, joined.Unwrap()...)
		default:
			flat = append(flat, err)
		}
	}
	slices.SortStableFunc(flat, func(a, b error) int {
		var x, y *ParseError
		if !errors.As(a, &x) || !errors.As(b, &y) {
			return 0
		}
		return cmp.Or(strings.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line))
	})
	if len(flat) > mostErrors {
		flat = append(flat[:mostErrors], fmt.Errorf("and %d more", len(flat)-mostErrors))
	}
	if len(flat) == 0 {
		return nil
	}
	return parseErrors(flat)
}

// parseErrors are several errors, which one sentence can hold.
type parseErrors []error

func (e parseErrors) Error() string {
	said := make([]string, len(e))
	for i, err := range e {
		said[i] = err.Error()
	}
	return strings.Join(said, "; ")
}

func (e parseErrors) Unwrap() []error { return e }

// Files returns path itself if it is a file, else every .yaml, .yml and .json file in
// that folder and below it, hidden ones left out. It is an error if there is none.
func Files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file or folder", path)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		hidden := at != path && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil:
			return err
		case d.IsDir() && hidden:
			return fs.SkipDir
		case !d.IsDir() && !hidden && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(at)):
			files = append(files, at)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: no .yaml, .yml or .json file in it", path)
	}
	return files, err
}

// decodeAll decodes pieces side by side and puts them together in their order.
func decodeAll(pieces []piece) (Reading, error) {
	decoded := make([]decoded, len(pieces))
	var group sync.WaitGroup
	next := make(chan int, 64)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := range next {
				decoded[i] = pieces[i].decode()
			}
		})
	}
	for i := range pieces {
		next <- i
	}
	close(next)
	group.Wait()

	r := Reading{Unknown: map[schema.GroupVersionKind]int{}, Served: map[schema.GroupVersionKind]int{}, Places: map[string]Place{}}
	var wrong []error
	for i, d := range decoded {
		if d.err != nil {
			wrong = append(wrong, d.err)
		}
		for _, k := range d.serves {
			if r.Serves == nil {
				r.Serves = map[schema.GroupVersionKind]bool{}
			}
			r.Serves[k] = true
		}
		for _, one := range d.objects {
			r.take(one)
			r.placed(one, pieces[i])
		}
	}
	return r, firstOf(wrong)
}

func (r *Reading) take(one object) {
	r.Count++
	r.Served[one.kind]++
	if one.obj == nil {
		return
	}
	if !one.known {
		r.Unknown[one.kind]++
	}
	r.Objects.Add(one.obj)
}

// placed notes where an object begins. Of two with one name, the first counts.
func (r *Reading) placed(one object, p piece) {
	if one.obj == nil {
		return
	}
	name := one.obj.GetName()
	if ns := one.obj.GetNamespace(); ns != "" {
		name = ns + "/" + name
	}
	place := Place{p.file, p.begins()}
	for _, key := range []string{one.kind.Kind + " " + name, one.kind.GroupKind().String()} {
		if _, has := r.Places[key]; !has {
			r.Places[key] = place
		}
	}
}

// KindsOf lists kinds by group, version and kind.
func KindsOf(counts map[schema.GroupVersionKind]int) []schema.GroupVersionKind {
	var out []schema.GroupVersionKind
	for k := range counts {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b schema.GroupVersionKind) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Version, b.Version), strings.Compare(a.Kind, b.Kind))
	})
	return out
}
