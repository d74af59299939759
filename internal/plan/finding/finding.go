// Package finding tells what would hurt in a move: for each kind of trouble an id, how
// bad it is, why it hurts and what to do, and for each object that has it what was
// observed. It is pure: it is given what was read of both clusters.
//
// What was not read is unknown, and a rule that would need it says nothing: that
// something could not be seen is a finding of its own (CF-ACC-002).
package finding

import (
	"cmp"
	_ "embed" // catalogue.yaml
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// A Severity is how bad a finding is.
type Severity string

// The severities, worst first. What blocks holds Preflight until it is mended or
// waived by its id.
const (
	Blocks Severity = "blocks"
	Warns  Severity = "warns"
	Notes  Severity = "notes"
)

var order = []Severity{Blocks, Warns, Notes}

// An Entry is the text of one kind of finding.
type Entry struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Severity Severity `json:"severity"`
	Why      string   `json:"why"`
	Fix      string   `json:"fix"`
}

// A Found is one object that has a finding.
type Found struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Object is kind namespace/name, or whatever else has the finding.
	Object   string `json:"object"`
	Observed string `json:"observed"`
}

//go:embed catalogue.yaml
var catalogueText []byte

var catalogue = sync.OnceValue(func() []Entry {
	var all []Entry
	if err := yaml.UnmarshalStrict(catalogueText, &all); err != nil {
		panic(fmt.Errorf("catalogue.yaml: %w", err))
	}
	return all
})

// Catalogue lists every kind of finding, in the order in which they are documented.
func Catalogue() []Entry { return catalogue() }

// EntryOf is the text of a finding; ok is false if there is none of that id.
func EntryOf(id string) (e Entry, ok bool) {
	i := slices.IndexFunc(catalogue(), func(e Entry) bool { return strings.EqualFold(e.ID, id) })
	if i < 0 {
		return Entry{}, false
	}
	return catalogue()[i], true
}

// Facts is what findings are looked for in.
type Facts struct {
	Source Side
	// Target is nil if it was not looked at: then what depends on it is not told.
	Target *Side
	// Estate is the source's inventory.
	Estate plan.Estate
	// InEstate tells which namespaces move.
	InEstate func(namespace string) bool
	// MaxTotalPercent bounds both sides' capacity together; 0 means 125.
	MaxTotalPercent int32
	// Lacking are rights that the engine's account does not have.
	Lacking []Right
	// Names is nil if the migration has no zone, or it was not asked.
	Names *Names
	// Unreached are ways between the sides that were measured and lead nowhere, a
	// sentence each.
	Unreached []string
}

// A Side is one cluster as it was read.
type Side struct {
	Name    string
	Objects plan.Objects
	// Present counts objects by kind, in the version in which they are written.
	Present map[schema.GroupVersionKind]int
	// Serves holds the kinds that the cluster serves; nil means unknown.
	Serves map[schema.GroupVersionKind]bool
	// InPart is true of files: a kind of which they hold nothing may have been left out.
	InPart bool
	// Address is the host, without port, by which the API server is reached; CA the
	// authority that signed its certificate, as PEM. Both may be empty.
	Address string
	CA      []byte
	// Issuer is whose tokens the API server signs; empty means unknown.
	Issuer string
	// Unseen is what could not be read.
	Unseen []Unseen
	// Level is the priority level into which our requests fall; empty means unknown.
	Level string
}

// Unseen is something that could not be read, and why.
type Unseen struct {
	Verb     string `json:"verb"`
	Resource string `json:"resource"`
	Why      string `json:"why"`
}

// A Right is one that an account lacks.
type Right struct{ Side, Verb, Resource string }

// Names is what findings about names are looked for in.
type Names struct {
	Zone   string
	Signed bool
	// TTLs are, for people, the record sets on the path with a TTL above the one
	// that the migration lowers to.
	Long []string
}

// A rule looks for one kind of finding.
type rule struct {
	id  string
	see func(l *look)
}

// A look is one rule at work.
type look struct {
	*Facts
	ix    *index
	entry Entry
	found []Found
}

// say reports an object with the severity of the catalogue.
func (l *look) say(object, format string, args ...any) {
	l.sayAs(l.entry.Severity, object, format, args...)
}

// sayAs reports an object with less than the worst severity.
func (l *look) sayAs(s Severity, object, format string, args ...any) {
	l.found = append(l.found, Found{l.entry.ID, s, object, fmt.Sprintf(format, args...)})
}

// sayOf reports a workload: as bad as the catalogue says if it moves, as a warning if
// nobody has decided yet.
func (l *look) sayOf(w plan.Workload, format string, args ...any) {
	s := l.entry.Severity
	if s == Blocks && w.Decide != v1.DecideMove {
		s = Warns
	}
	l.sayAs(s, nameOf(w), format, args...)
}

func nameOf(w plan.Workload) string { return w.Kind + " " + w.Namespace + "/" + w.Name }

// moving calls do with every workload that moves or may yet be decided to.
func (l *look) moving(do func(w plan.Workload)) {
	for _, app := range l.Estate.Apps {
		for _, w := range app.Workloads {
			if w.Decide != v1.DecideStay {
				do(w)
			}
		}
	}
}

// Find looks for everything there is a rule for. The result is ordered: worst first,
// then by id and object.
func Find(f Facts) []Found {
	if f.InEstate == nil {
		f.InEstate = func(string) bool { return true }
	}
	f.MaxTotalPercent = cmp.Or(f.MaxTotalPercent, 125)
	ix := newIndex(&f)
	found := make([][]Found, len(rules))
	var group sync.WaitGroup
	for i, r := range rules {
		group.Go(func() {
			entry, _ := EntryOf(r.id)
			l := &look{Facts: &f, ix: ix, entry: entry}
			r.see(l)
			found[i] = l.found
		})
	}
	group.Wait()
	all := slices.Concat(found...)
	slices.SortStableFunc(all, func(a, b Found) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Severity), slices.Index(order, b.Severity)),
			strings.Compare(a.ID, b.ID), strings.Compare(a.Object, b.Object), strings.Compare(a.Observed, b.Observed))
	})
	return slices.Compact(all)
}

var rules = slices.Concat(apiRules, placeRules, reachRules, roomRules, runRules, secretRules, accessRules)
