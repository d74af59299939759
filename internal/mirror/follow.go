package mirror

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// A following is the mirror's view of one kind.
type following struct {
	kind cluster.Kind
	rule Rule
	// served is true while both sides serve the kind; lost is true while the
	// writer's side does not, though it did.
	served, lost bool
	// spoken are the versions in which the side that follows serves the kind.
	spoken []string
	// apart says why there is no version in which both sides serve the kind.
	apart string
	// trouble is why the last pass did not get through the kind.
	trouble string

	twins map[types.NamespacedName]*twin
	// open holds the names of twins that are not level.
	open map[types.NamespacedName]struct{}
	// wanted is how many twins have an origin that the mirror copies.
	wanted int
	// unapplied is true once copies of the kind could not be made by server-side apply
	// alone.
	unapplied atomic.Bool
	// bodies counts the origins that were kept since the last writes.
	bodies int

	from, to hearing
}

// A hearing is how far one side of a kind was heard.
type hearing struct {
	round   int32  // counts complete passes over the kind
	version string // the newest resourceVersion that the side has shown, also to the ledger
	behind  int    // answers in a row that were older than that
	synced  bool   // the first complete pass has ended
}

// A twin is one object on both sides.
type twin struct {
	name     types.NamespacedName
	from, to look
	entry    Entry
	app      string
	wanted   bool // it has an origin that the mirror copies
	// observed is true if the copy's controller has to see first what is there.
	observed bool
	// ruled is what the rules say of the origin; it is not changed, but replaced.
	ruled *ruled
	// Rounds of the hearings in which it was last told of.
	fromRound, toRound int32

	fate fate
	why  string
	// since is when it was first seen not to be level.
	since time.Time
	// body is the origin, while a write waits for it; fetched is the same, just read.
	body, fetched *unstructured.Unstructured
	mapped        bool // body's ownerReferences point to copies
	// remake is true if the copy has to be deleted and made again.
	remake bool
	// kept is true if Undo must leave the copy.
	kept bool
	// obstacle is why the last write failed; it is not changed, but replaced.
	obstacle *obstacle
}

// What rules say of an object, if anything.
type ruled struct {
	// except says why the object is not mirrored, acts why it needs a rule first, misfit
	// why the rule's patch can't be applied.
	except, acts, misfit string
}

// Most objects have no more to say than this.
var (
	unruled    = &ruled{}
	unhindered = &obstacle{}
)

func (m *Mirror) kind(group, kind string) *following {
	key := objectOf(group, kind, "", "").groupKind()
	f := m.kinds[key]
	if f == nil {
		gvk := schema.GroupVersionKind{Group: group, Kind: kind}
		f = &following{
			kind: cluster.Kind{GroupVersionKind: gvk}, rule: m.ruleFor(gvk.GroupKind()),
			twins: map[types.NamespacedName]*twin{}, open: map[types.NamespacedName]struct{}{},
		}
		m.kinds[key] = f
		m.order = append(m.order, f)
		slices.SortStableFunc(m.order, func(a, b *following) int {
			return cmp.Or(cmp.Compare(a.rule.Rank, b.rule.Rank), cmp.Compare(a.kind.Group, b.kind.Group), cmp.Compare(a.kind.Kind, b.kind.Kind))
		})
	}
	return f
}

func (f *following) twin(name types.NamespacedName) *twin {
	t := f.twins[name]
	if t == nil {
		t = &twin{name: name, ruled: unruled, obstacle: unhindered}
		f.twins[name] = t
		f.open[name] = struct{}{}
	}
	return t
}

func (f *following) object(name types.NamespacedName) Object {
	return objectOf(f.kind.Group, f.kind.Kind, name.Namespace, name.Name)
}

func (f *following) sortedOpen() []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(f.open), compareNames)
}

// mirrored tells whether an object belongs to what is copied, by its name alone.
func (m *Mirror) mirrored(f *following, name types.NamespacedName) bool {
	if name.Namespace != "" {
		return m.Namespaces(name.Namespace)
	}
	if f.kind.Kind == "Namespace" && f.kind.Group == "" {
		return m.Namespaces(name.Name)
	}
	return true
}

// hear takes what the feeds know of a kind, first on the side that follows, so that
// nothing is created that is there.
func (p *pass) hear(ctx context.Context, f *following) error {
	m := p.m
	if f.served && !f.rule.idle() {
		var told Heard
		err := m.waitFor(ForFollower, func() (err error) {
			told, err = m.To.Feed.Hear(ctx, f.kind, f.to.version, func(obj client.Object, gone bool) error { return m.sawTo(f, obj, gone) })
			return err
		})
		if err != nil {
			return fmt.Errorf("on the side that follows: %w", err)
		}
		m.heard(f, &f.to, told, (*twin).sideTo)
	}
	told, err := m.From.Feed.Hear(ctx, f.kind, f.from.version, func(obj client.Object, gone bool) error {
		if err := m.sawFrom(f, obj, gone); err != nil {
			return err
		}
		if f.bodies >= batch {
			return p.settle(ctx, f)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("on the writer's side: %w", err)
	}
	m.heard(f, &f.from, told, (*twin).sideFrom)
	return nil
}

// batch is how many bodies are kept, and how many writes are noted in the ledger at
// once.
const batch = 500

func (t *twin) sideFrom() (*look, *int32) { return &t.from, &t.fromRound }
func (t *twin) sideTo() (*look, *int32)   { return &t.to, &t.toRound }

// fresh finds the twin that a feed tells of; nil if there is nothing new in it.
func (m *Mirror) fresh(f *following, h *hearing, obj client.Object, gone bool, side func(*twin) (*look, *int32)) *twin {
	name := client.ObjectKeyFromObject(obj)
	if !m.mirrored(f, name) {
		return nil
	}
	if gone && f.twins[name] == nil {
		return nil
	}
	t := f.twin(name)
	seen, round := side(t)
	*round = h.round + 1
	if gone && !seen.there() {
		seen.version = later(seen.version, obj.GetResourceVersion())
		return nil
	}
	known := seen.version == obj.GetResourceVersion() && !gone
	if known || older(obj.GetResourceVersion(), seen.version) {
		return nil
	}
	if f.rule.Rank == Definitions {
		m.discovered = time.Time{} // from now on, a side may serve other kinds
	}
	return t
}

func (m *Mirror) sawTo(f *following, obj client.Object, gone bool) error {
	t := m.fresh(f, &f.to, obj, gone, (*twin).sideTo)
	if t == nil {
		return nil
	}
	if gone {
		m.setTo(f, t, look{version: obj.GetResourceVersion()})
		return nil
	}
	outline := f.rule.outline(obj, false)
	if t.to.same(obj, outline) {
		return nil
	}
	fields, err := f.rule.glance(f.kind.GroupVersionKind, obj)
	if err != nil {
		return err
	}
	seen := f.spendTo(fields)
	seen.outline = outline
	m.setTo(f, t, seen)
	return nil
}

// lookTo is what is to be known of an object on the side that follows.
func (f *following) lookTo(obj *unstructured.Unstructured) look { return f.spendTo(obj.DeepCopy()) }

// spendTo is lookTo of an obj that nobody needs any longer.
func (f *following) spendTo(obj *unstructured.Unstructured) look {
	seen := look{
		uid: obj.GetUID(), version: obj.GetResourceVersion(),
		leaving: obj.GetDeletionTimestamp() != nil,
		unready: f.rule.observed(obj) && !saysReady(obj),
		bare:    slices.Contains(f.rule.Furnished, obj.GetName()) && f.rule.bare(obj),
	}
	seen.digest = f.rule.spend(obj)
	return seen
}

func (m *Mirror) sawFrom(f *following, obj client.Object, gone bool) error {
	t := m.fresh(f, &f.from, obj, gone, (*twin).sideFrom)
	if t == nil {
		return nil
	}
	if gone {
		m.setFrom(f, t, look{version: obj.GetResourceVersion()})
		return nil
	}
	outline := f.rule.outline(obj, true)
	if t.from.same(obj, outline) {
		return nil
	}
	fields, err := f.rule.glance(f.kind.GroupVersionKind, obj)
	if err != nil {
		return err
	}
	if err := m.look(f, t, fields, obj); err != nil {
		return err
	}
	t.from.outline = outline
	if !t.needsBody() || !f.served {
		return nil
	}
	if fields, err = fieldsOf(f.kind.GroupVersionKind, obj); err != nil {
		return err
	}
	m.keep(f, t, fields)
	return nil
}

// see notes the origin as it is, and keeps it if it has to be written.
func (m *Mirror) see(f *following, t *twin, obj *unstructured.Unstructured) error {
	if err := m.look(f, t, obj.DeepCopy(), obj); err != nil {
		return err
	}
	if t.needsBody() {
		m.keep(f, t, obj)
	}
	return nil
}

// keep makes obj, in the form in which it is copied, the body of a twin.
func (m *Mirror) keep(f *following, t *twin, obj *unstructured.Unstructured) {
	if patched, err := f.rule.patched(obj); err == nil { // else it is a misfit, and not written
		obj = patched
	}
	obj.SetManagedFields(f.understood(obj))
	t.body = obj
	f.bodies++
}

// look notes what is to be known of the origin. It spends obj; managed is the same
// object with its field managers.
func (m *Mirror) look(f *following, t *twin, obj *unstructured.Unstructured, managed client.Object) error {
	said := ruled{except: f.rule.excepted(obj), acts: f.rule.acts(obj)}
	seen := look{uid: obj.GetUID(), version: obj.GetResourceVersion()}
	if t.ruled = said.shared(); t.aside() {
		m.setFrom(f, t, seen)
		return nil
	}
	t.observed = f.rule.observed(obj)
	if patched, err := f.rule.patched(obj); err != nil {
		t.ruled = &ruled{misfit: err.Error()}
	} else {
		obj = patched
	}
	owners, err := ownership(f.understood(managed), f.rule.ignored(obj))
	if err != nil {
		return err
	}
	seen.owners = m.known(owners)
	seen.leaving, seen.born = obj.GetDeletionTimestamp() != nil, obj.GetCreationTimestamp().Unix()
	if f.rule.Carried != "" {
		seen.carried, _, _ = unstructured.NestedString(obj.Object, "status", f.rule.Carried)
	}
	if status := f.rule.status(obj); status != nil && !f.rule.inline {
		seen.carried = statusDigest(status)
	}
	t.app = m.App(obj.GetNamespace(), obj.GetLabels())
	seen.digest = f.rule.spend(obj)
	m.setFrom(f, t, seen)
	return nil
}

func (m *Mirror) setFrom(f *following, t *twin, seen look) {
	t.from, t.body, t.mapped = seen, nil, false
	m.judge(f, t)
}

func (m *Mirror) setTo(f *following, t *twin, seen look) {
	t.to = seen
	m.judge(f, t)
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// heard ends a hearing: after a complete one, what was not told of is absent.
func (m *Mirror) heard(f *following, h *hearing, told Heard, side func(*twin) (*look, *int32)) {
	if older(told.Version, h.version) {
		h.behind++
		return
	}
	h.behind = 0
	h.version = told.Version
	if !told.Complete {
		return
	}
	h.round++
	h.synced = true
	for _, t := range f.twins {
		seen, round := side(t)
		if *round == h.round || older(told.Version, seen.version) {
			continue
		}
		switch {
		case !seen.there():
			seen.version = told.Version // an answer that is older would not know
		case h == &f.from:
			m.setFrom(f, t, look{version: told.Version})
		default:
			m.setTo(f, t, look{version: told.Version})
		}
	}
}

// aside is true of an object that is not mirrored.
func (t *twin) aside() bool { return t.ruled.except != "" || t.ruled.acts != "" }

// shared is r, or what stands for all that say nothing.
func (r ruled) shared() *ruled {
	if r == *unruled {
		return unruled
	}
	return &r
}

// share keeps what the clusters and the ledger say alike once only: of a level object
// that is most of what is known.
func (t *twin) share() {
	e := &t.entry
	alike(&e.From, &t.from.uid)
	alike(&e.UID, &t.to.uid)
	alike(&e.Version, &t.from.version)
	alike(&e.At, &t.to.version)
	alike(&e.Wrote, &t.from.digest)
	alike(&e.Wrote, &e.Got)
	alike(&e.Got, &t.to.digest)
	alike(&t.from.owners, &e.Owners)
	alike(&e.Carried, &t.from.carried)
}

func alike[T ~string](kept, other *T) {
	if *kept == *other {
		*other = *kept
	}
}

// known is the one copy of a text that many objects have in common.
func (m *Mirror) known(text string) string {
	if one, is := m.texts[text]; is {
		return one
	}
	m.texts[text] = text
	return text
}

// patience is how many old answers in a row may be stale reads; after that the
// cluster was restored from a backup.
const patience = 3

// judge decides about one twin.
func (m *Mirror) judge(f *following, t *twin) {
	t.share()
	switch {
	case t.aside():
		t.fate, t.why = nothing, ""
	case !f.to.synced || !f.from.synced && !t.from.there():
		t.fate, t.why = wait, "not everything was seen yet"
	default:
		t.fate, t.why = decide(m.facts(f, t))
	}
	switch {
	case t.ruled.misfit != "" && t.from.there():
		t.fate, t.why = hold, t.ruled.misfit
	case t.fate == level && t.observed && t.to.unready:
		t.fate, t.why = wait, "its controller on the side that follows does not say Ready yet"
	}
	wanted := t.from.there() && !t.aside()
	f.wanted += count(wanted) - count(t.wanted)
	t.wanted = wanted
	switch t.fate {
	case level, nothing:
		delete(f.open, t.name)
		t.body, t.since, t.obstacle, t.remake = nil, time.Time{}, unhindered, false
		if t.fate == nothing && !t.from.there() && !t.to.there() && t.entry == (Entry{}) {
			delete(f.twins, t.name)
		}
	default:
		f.open[t.name] = struct{}{}
		if t.since.IsZero() {
			t.since = m.Clock.Now()
		}
	}
}

func (m *Mirror) facts(f *following, t *twin) facts {
	out := facts{from: t.from, to: t.to, entry: t.entry, remake: t.remake, foreign: m.foreign(f.object(t.name), t.from)}
	if was, ok := m.origin(f, t.name, t.from.uid, t.to.uid, t.entry); ok {
		out.origin = true
		out.settled = was.Got == t.from.digest && was.Wrote == t.to.digest
	}
	return out
}

// origin finds the entry of the other direction by which to is what from was copied
// from. If from is gone, it is the one that entry speaks of: its team deleted the copy
// where teams write, and what was copied from goes the same way, if its kind yields.
func (m *Mirror) origin(f *following, name types.NamespacedName, from, to types.UID, entry Entry) (was Entry, ok bool) {
	if from == "" && f.rule.yields() {
		from = entry.From
	}
	was, ok = m.origins[f.object(name).String()]
	return was, ok && from != "" && was.UID == from && was.From == to
}

// foreign is true of an object on the writer's side that was there before teams wrote
// to it, and is not a copy of the mirror when it went the other way.
func (m *Mirror) foreign(name Object, from look) bool {
	return from.born < m.Since.Unix() && m.origins[name.String()].UID != from.uid
}

// older compares resourceVersions of one cluster; what can't be compared is not older.
func older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order < 0
}

func later(a, b string) string {
	if a == "" || older(a, b) {
		return b
	}
	return a
}
