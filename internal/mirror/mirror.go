// Package mirror keeps a live copy of the estate's objects: what teams write on one
// side stands on the other within moments, in dependency order, with its field
// owners, and without anything that would act there.
//
// A Mirror goes one way, from the side that teams write to (From) to the other (To);
// at Release a new one goes the other way with the same ledger. Each Sync is one
// pass: it takes what the feeds heard, decides for every object that is not level
// (decide.go, a pure function), writes, and reports. The rules by kind are data
// (rules.go). Nothing is kept in memory that a restart would miss: the ledger holds,
// for each copy, its UID, the digest of what was wanted and the digest of what the
// API server returned. A copy is level while both still hold; a copy that somebody
// else changed is drift, and never overwritten.
//
// Memory holds digests, and bodies only of what is being written.
package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// A Policy says what drift means.
type Policy string

// The policies. Neither overwrites what somebody else changed.
const (
	// HoldDrift counts a copy that somebody changed as differing.
	HoldDrift Policy = "Hold"
	// AdoptDrift counts it as level until its origin changes.
	AdoptDrift Policy = "Adopt"
)

// A Side is one cluster as the mirror uses it.
type Side struct {
	API  cluster.API
	Feed Feed
	// Kinds lists what the cluster serves. It returns an error when it does not know
	// all of it.
	Kinds func(context.Context) ([]cluster.Kind, error)
}

// Config is set once.
type Config struct {
	// From is the side that teams write to, To the one that follows.
	From, To Side
	// Record is the ledger's record of what was written to To. Back is the record of
	// what was once written to From, if the mirror has been the other way round: it
	// tells which objects of To are the origins of From's.
	Record Record
	Back   *Record
	// Since, if it is set, is when teams came to write to From, on From's clock. What
	// is older there and in neither record was there before the estate was, and is not
	// copied.
	Since time.Time
	// Decided is what people have decided about single objects.
	Decided
	// Namespaces tells which namespaces belong to the estate.
	Namespaces func(name string) bool
	// App names the app of an object by its labels; see Lag. Nil means that Lag only
	// knows namespaces.
	App   func(namespace string, labels map[string]string) string
	Drift Policy
	// FuseWaived is true while a person has let more deletions pass than the fuse does.
	FuseWaived func() bool
	// Workers bounds the requests in flight. 1 makes a pass deterministic, and keeps
	// it in the caller's goroutine.
	Workers int
	Clock   clock.PassiveClock
}

// A Mirror copies one way. Its methods must not be called at the same time, Lag
// excepted.
type Mirror struct {
	Config
	pace   *pace
	kinds  map[string]*following // by Object.groupKind
	order  []*following          // by rank, then name
	passes int
	loaded bool
	synced bool
	// discovered is when it was last asked what the clusters serve.
	discovered time.Time
	origins    map[string]Entry // of the other direction, by key
	unsaved    map[string]Entry
	fuse       fuse
	waited     map[WaitedFor]time.Duration
	// strangers names an object in each namespace of To that the mirror did not make,
	// as of the pass strangersIn.
	strangers   map[string]string
	strangersIn int
	lags        lags
	// texts are those that many objects have in common.
	texts map[string]string
}

// New returns a mirror that has not seen anything yet.
func New(c Config) *Mirror {
	c.Drift = cmp.Or(c.Drift, HoldDrift)
	c.Workers = max(c.Workers, 1)
	if c.FuseWaived == nil {
		c.FuseWaived = func() bool { return false }
	}
	if c.App == nil {
		c.App = func(string, map[string]string) string { return "" }
	}
	return &Mirror{
		Config: c, pace: newPace(c.Workers, c.Clock),
		kinds: map[string]*following{}, unsaved: map[string]Entry{}, waited: map[WaitedFor]time.Duration{}, texts: map[string]string{},
	}
}

// A Report says how far the mirror is.
type Report struct {
	// Objects is how many objects the mirror follows; Differing how many of them are
	// not level.
	Objects, Differing int
	// Written is how many objects this pass wrote or deleted.
	Written int
	// Held lists what waits for a person, or is not copied without a rule; Drift lists
	// copies that somebody else changed. Both are ordered by object.
	Held  []Held
	Drift []Drift
	// Busy lists, for a few of the differing objects, what they wait for.
	Busy []Held
	// Again is how long To asks not to be written to; zero if it does not.
	Again time.Duration
	// InFlight is how many requests the mirror lets be under way at once just now, up
	// to Config.Workers.
	InFlight float64
	// Waited is for how long, since the mirror began, its passes have waited for whom.
	Waited map[WaitedFor]time.Duration
}

// WaitedFor names what a pass may wait for.
type WaitedFor string

// What a pass waits for.
const (
	ForWriter   WaitedFor = "writer"   // the answers of the writer's side
	ForFollower WaitedFor = "follower" // those of the side that follows
	ForLedger   WaitedFor = "ledger"   // what is noted to be durable
)

// A Held object is not copied, or not deleted, until a person has decided.
type Held struct {
	Object Object
	Reason v1.Reason
	Text   string
}

func (h Held) String() string { return fmt.Sprintf("%s: %s", h.Object, h.Text) }

// A Drift is a copy that somebody else changed.
type Drift struct {
	Object Object
	Text   string
	// Adopted is true if the policy counts it as level.
	Adopted bool
}

// Level is true if nothing differs and nothing is held for another reason than that
// its kind needs a rule.
func (r Report) Level() bool {
	return r.Differing == 0 && !slices.ContainsFunc(r.Held, func(h Held) bool { return h.Reason != v1.DecisionNeeded })
}

// Sync makes one pass. It may be cut short anywhere: the next one, of this Mirror or
// of another with the same ledger, goes on. An error means that the pass did not get
// to its end; what it wrote is in the ledger.
func (m *Mirror) Sync(ctx context.Context) (Report, error) {
	pass := &pass{m: m}
	m.passes++
	if err := m.load(ctx); err != nil {
		return Report{}, err
	}
	if err := m.discover(ctx); err != nil {
		return Report{}, err
	}
	err := pass.follow(ctx)
	if err == nil {
		err = pass.removeAll(ctx)
	}
	err = errors.Join(err, m.save(ctx))
	if err != nil {
		return Report{}, fmt.Errorf("mirror: %w", err)
	}
	m.synced = m.synced || !pass.troubled
	return pass.report(), nil
}

// waitFor counts the time that do takes.
func (m *Mirror) waitFor(whom WaitedFor, do func() error) error {
	began := m.Clock.Now()
	err := do()
	m.waited[whom] += m.Clock.Since(began)
	return err
}

// load reads the ledger, once.
func (m *Mirror) load(ctx context.Context) error {
	if m.loaded {
		return nil
	}
	entries, err := m.Record.Load(ctx)
	if err != nil {
		return fmt.Errorf("mirror: read the ledger: %w", err)
	}
	if m.Back != nil {
		if m.origins, err = m.Back.Load(ctx); err != nil {
			return fmt.Errorf("mirror: read the ledger of the other direction: %w", err)
		}
	}
	for key, entry := range entries {
		name, err := ParseObject(key)
		if err != nil {
			return fmt.Errorf("mirror: read the ledger: %w", err)
		}
		if entry.Gone {
			continue
		}
		f := m.kind(name.Group, name.Kind)
		f.twin(types.NamespacedName{Namespace: name.Namespace, Name: name.Name}).entry = entry
		f.from.version, f.to.version = later(f.from.version, entry.Version), later(f.to.version, entry.At)
	}
	m.loaded = true
	return nil
}

// A pass is one Sync.
type pass struct {
	m       *Mirror
	written int
	// troubled is true if a kind could not be followed to its end.
	troubled bool
}

// follow takes the kinds in the order of their ranks. A kind that a server refuses to
// list does not keep the others from being followed.
func (p *pass) follow(ctx context.Context) error {
	for _, f := range slices.Clone(p.m.order) {
		if f.lost {
			continue
		}
		err := p.hear(ctx, f)
		if reason, _ := f.stopped(); err == nil && reason == "" {
			err = p.settle(ctx, f)
		}
		f.trouble = ""
		switch {
		case err == nil:
		case answered(err):
			f.trouble, p.troubled = err.Error(), true
			if apierrors.IsTooManyRequests(err) {
				p.m.pace.slower(err)
			}
		default:
			return fmt.Errorf("follow %s: %w", f.kind.Kind, err)
		}
	}
	return nil
}

// answered is true if the error is a server's own word, so that it may have another
// one for the next question.
func answered(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && !apierrors.IsTimeout(err)
}

// settle does what is due for every object of a kind that is not level.
func (p *pass) settle(ctx context.Context, f *following) error {
	const rounds = 3 // an outcome may show what is due next; the rest waits for the next pass
	for range rounds {
		due := p.due(f)
		if len(due) == 0 {
			break
		}
		if err := p.write(ctx, f, due); err != nil {
			return err
		}
	}
	for name := range f.open {
		f.twins[name].body = nil // whatever still waits is read again when its time has come
	}
	f.bodies = 0
	return nil
}

// due judges the twins that are not level, and returns those that need a write.
func (p *pass) due(f *following) []*twin {
	var due []*twin
	now := p.m.Clock.Now()
	for _, name := range f.sortedOpen() {
		t := f.twins[name]
		p.m.judge(f, t)
		switch t.fate {
		case create, replace, sign, take, ask, forget:
			if t.obstacle.passable(t, p.m.passes, now) {
				due = append(due, t)
			}
		}
	}
	return due
}

// shown is how many of the objects that differ a report names.
const shown = 20

func (p *pass) report() Report {
	m := p.m
	r := Report{Written: p.written, Again: m.pace.pausedFor(), InFlight: m.pace.ceiling(), Waited: maps.Clone(m.waited)}
	for _, f := range m.order {
		f.report(m, &r)
	}
	slices.SortFunc(r.Held, func(a, b Held) int { return compareObjects(a.Object, b.Object) })
	slices.SortFunc(r.Drift, func(a, b Drift) int { return compareObjects(a.Object, b.Object) })
	m.lags.set(m)
	return r
}

// report adds what there is to say of one kind.
func (f *following) report(m *Mirror, r *Report) {
	r.Objects += f.wanted
	switch reason, text := f.stopped(); reason {
	case "":
	case v1.ObjectHeld:
		f.reportUnserved(r, text)
		return
	default:
		r.Held = append(r.Held, Held{objectOf(f.kind.Group, f.kind.Kind, "", ""), reason, text})
		r.Differing += f.wanted
		return
	}
	if f.trouble != "" {
		r.Busy = append(r.Busy, Held{objectOf(f.kind.Group, f.kind.Kind, "", ""), v1.Busy, f.trouble})
		r.Differing++
	}
	if f.rule.Acts != "" || len(f.rule.ActsIf) > 0 {
		for name, t := range f.twins {
			if t.from.there() && t.ruled.except == "" && t.ruled.acts != "" {
				r.Held = append(r.Held, Held{f.object(name), v1.DecisionNeeded, t.ruled.acts})
			}
		}
	}
	for _, name := range f.sortedOpen() {
		f.reportTwin(m, f.twins[name], r)
	}
}

// reportUnserved names every object of a kind that the side that follows does not serve.
func (f *following) reportUnserved(r *Report, text string) {
	for name, t := range f.twins {
		if t.wanted {
			r.Held = append(r.Held, Held{f.object(name), v1.ObjectHeld, text})
			r.Differing++
		}
	}
}

func (f *following) reportTwin(m *Mirror, t *twin, r *Report) {
	object := f.object(t.name)
	switch {
	case t.fate == drift:
		adopted := m.Drift == AdoptDrift && t.entry.Wrote == t.from.digest
		r.Drift = append(r.Drift, Drift{object, t.why, adopted})
		r.Differing += count(!adopted)
		return
	case t.fate == hold:
		r.Held = append(r.Held, Held{object, v1.ObjectHeld, t.why})
	case t.obstacle.reason != "" && t.obstacle.reason != v1.Busy:
		r.Held = append(r.Held, Held{object, t.obstacle.reason, t.obstacle.text})
	case len(r.Busy) < shown:
		r.Busy = append(r.Busy, Held{object, v1.Busy, cmp.Or(t.obstacle.text, t.why, "not written yet")})
	}
	r.Differing++
}
