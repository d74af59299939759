package bridge

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// patience is how many writes one side may leave unanswered in a pass (throttled,
// timed out, connection lost) before the pass leaves that side's other services
// for the next one.
const patience = 5

// errLeft stands for the writes that a pass did not try because of patience.
var errLeft = errors.New("the API server does not take our writes: left for the next pass")

// errOldRead says that the other side was read in an older state than before.
var errOldRead = errors.New("the read is older than one already acted on")

// A crossing is one pass over some services, both ways.
type crossing struct {
	pass           uint64
	ways           Ways
	source, target view
	keys           []Key
	// unanswered counts by side what patience bounds.
	unanswered [2]atomic.Int32
}

// A memo is how one place was left by the pass that last looked at it.
type memo struct {
	pass   uint64
	inputs uint64
	outcome
	since time.Time // of err
}

// An outcome is what a pass found and did at one place.
type outcome struct {
	served  bool // there is traffic to lead across
	blocked *Finding
	notes   []Finding
	writes  int
	err     error // the place is behind
}

func (b *Bridge) begin() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passes++
	return b.passes
}

// cross brings every place of the crossing to what it should be, and reports.
func (b *Bridge) cross(ctx context.Context, c *crossing) (Report, error) {
	var places []place
	for _, side := range []v1.Side{v1.Source, v1.Target} {
		for _, key := range c.keys {
			places = append(places, place{side, key})
		}
	}
	memos := make([]memo, len(places))
	err := forEach(len(places), b.config.Workers, func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		memos[i], err = b.settle(ctx, c, c.factsOf(places[i]))
		return err
	})
	return reportOf(places, memos), err
}

// forEach calls do for 0 to n-1, at most workers at once, until one of the calls
// fails; it returns that error. With one worker it starts no goroutine.
func forEach(n, workers int, do func(int) error) error {
	var next atomic.Int64
	var once sync.Once
	var first error
	var failed atomic.Bool
	work := func() {
		for i := next.Add(1) - 1; i < int64(n) && !failed.Load(); i = next.Add(1) - 1 {
			if err := do(int(i)); err != nil {
				once.Do(func() { first = err })
				failed.Store(true)
			}
		}
	}
	var group sync.WaitGroup
	for range min(workers, n) - 1 {
		group.Go(work)
	}
	work()
	group.Wait()
	return first
}

func (c *crossing) factsOf(p place) facts {
	here, there := c.source, c.target
	if p.side == v1.Target {
		here, there = there, here
	}
	return facts{
		place: p,
		here:  here.services[p.key], there: there.services[p.key],
		theirs: there.own[p.key], ours: here.ours[p.key], others: here.others[p.key],
	}
}

// settle brings one place to what it should be, unless nothing changed since it was
// last found so, or a later pass has been there. Its error ends the pass.
func (b *Bridge) settle(ctx context.Context, c *crossing, f facts) (memo, error) {
	on := c.ways.From(f.side)
	inputs := f.fingerprint(on)
	last := b.recall(f.place)
	if last.pass > c.pass || last.pass > 0 && last.err == nil && last.inputs == inputs {
		last.writes = 0
		return last, nil
	}
	now := memo{pass: c.pass, inputs: inputs}
	if b.wentBack(f.theirs) {
		now.outcome = outcome{served: last.served, blocked: last.blocked, notes: last.notes, err: errOldRead}
	} else {
		now.outcome = b.act(ctx, c, f, on)
	}
	if now.err != nil {
		now.since = b.config.Clock.Now()
		if last.err != nil {
			now.since = last.since
		}
	}
	b.remember(f, now)
	if errors.Is(now.err, cluster.ErrFenced) || ctx.Err() != nil {
		return now, now.err
	}
	return now, nil
}

// act decides what should stand at a place and writes what differs.
func (b *Bridge) act(ctx context.Context, c *crossing, f facts, on bool) outcome {
	var out outcome
	var want []*discoveryv1.EndpointSlice
	if on {
		var nothing bool
		if out.blocked, nothing = f.blocked(); out.blocked == nil && !nothing {
			out.served, out.notes = true, f.notes()
			want = wanted(f.here, f.theirs, f.ours)
		}
	}
	tired := &c.unanswered[0]
	if f.side == v1.Target {
		tired = &c.unanswered[1]
	}
	if on && b.concerns(f.key.Namespace, f.key.Name) && takesAway(want, f.ours) {
		if out.err = b.confirm(ctx, f); out.err != nil {
			return out
		}
	}
	for _, change := range changes(want, f.ours) {
		if tired.Load() >= patience {
			out.err = errLeft
			return out
		}
		if err := write(ctx, b.api(f.side), change); err != nil {
			if !refused(err) {
				tired.Add(1)
			}
			out.err = err
			return out
		}
		out.writes++
	}
	return out
}

// confirm returns nil if what was read for a place is what stands in both clusters.
// It asks the API servers themselves: a cache, or a server that is behind, may have
// answered from before the endpoints came to be, and no memory of this process tells
// so after a restart. Metadata is never answered by a cluster.Cache.
func (b *Bridge) confirm(ctx context.Context, f facts) error {
	for _, side := range []v1.Side{v1.Source, v1.Target} {
		read := f.there
		if side == f.side {
			read = f.here
		}
		service := &metav1.PartialObjectMetadata{}
		service.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
		if err := b.api(side).Get(ctx, f.key, service); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("read service %s in the %s again: %w", f.key, side, err)
		} else if (read == nil) != (err != nil) {
			return errOldRead
		}
	}
	side := f.side.Other()
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(discoveryv1.SchemeGroupVersion.WithKind("EndpointSliceList"))
	err := b.api(side).List(ctx, &list, client.InNamespace(f.key.Namespace), client.MatchingLabels{
		discoveryv1.LabelServiceName: f.key.Name, discoveryv1.LabelManagedBy: controllerManagedBy,
	})
	if err != nil {
		return fmt.Errorf("list endpoint slices of service %s in the %s again: %w", f.key, side, err)
	}
	versions := map[types.UID]string{}
	for _, slice := range list.Items {
		versions[slice.UID] = slice.ResourceVersion
	}
	for _, slice := range f.theirs {
		if versions[slice.UID] != slice.ResourceVersion {
			return errOldRead
		}
	}
	if len(versions) != len(f.theirs) {
		return errOldRead
	}
	return nil
}

func write(ctx context.Context, api cluster.API, c change) error {
	switch {
	case c.old == nil:
		if err := api.Create(ctx, c.new); err != nil {
			return fmt.Errorf("add slice %s/%s: %w", c.new.Namespace, c.new.Name, err)
		}
	case c.new != nil:
		if err := api.Update(ctx, c.new); err != nil {
			return fmt.Errorf("change slice %s/%s: %w", c.new.Namespace, c.new.Name, err)
		}
	default:
		return remove(ctx, api, c.old)
	}
	return nil
}

func remove(ctx context.Context, api cluster.API, slice *discoveryv1.EndpointSlice) error {
	as := client.Preconditions(metav1.Preconditions{UID: &slice.UID, ResourceVersion: &slice.ResourceVersion})
	if err := api.Delete(ctx, slice.DeepCopy(), as); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove slice %s/%s: %w", slice.Namespace, slice.Name, err)
	}
	return nil
}

// refused is true if the server answered about this object alone, so that the next
// object may fare better.
func refused(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) ||
		apierrors.IsInvalid(err) || apierrors.IsForbidden(err)
}

// fingerprint changes whenever something changes that a place's slices depend on.
func (f facts) fingerprint(on bool) uint64 {
	sum := uint64(1)
	if on {
		sum = 2
	}
	for _, object := range []client.Object{orNil(f.here), orNil(f.there)} {
		sum *= 31
		if object != nil {
			sum += stateOf(object)
		}
	}
	for _, list := range [][]*discoveryv1.EndpointSlice{f.theirs, f.ours, f.others} {
		sum = sum*31 + uint64(len(list))
		for _, slice := range list { // lists come in any order
			sum += stateOf(slice)
		}
	}
	return sum
}

// stateOf stands for an object in one of its states.
func stateOf(object client.Object) uint64 {
	return maphash.String(states, string(object.GetUID()))*31 + maphash.String(states, object.GetResourceVersion())
}

// states keeps fingerprints of one process comparable.
var states = maphash.MakeSeed()

func orNil[T any, P interface {
	*T
	client.Object
}](object P) client.Object {
	if object == nil {
		return nil
	}
	return object
}

func (b *Bridge) recall(p place) memo {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settled[p]
}

// remember keeps the memo of a place, unless a later pass left its own. A place
// without anything is forgotten.
func (b *Bridge) remember(f facts, now memo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.settled[f.place].pass > now.pass:
	case f.here == nil && f.there == nil && len(f.ours) == 0 && now.err == nil:
		delete(b.settled, f.place)
	default:
		b.settled[f.place] = now
	}
}

func reportOf(places []place, memos []memo) Report {
	var report Report
	served := map[Key]bool{}
	told := map[Finding]bool{}
	for i, m := range memos {
		if m.served {
			served[places[i].key] = true
		}
		report.Writes += m.writes
		if m.err != nil {
			report.Behind = append(report.Behind, Behind{Side: places[i].side, Service: places[i].key, Since: m.since, Err: m.err})
		}
		if m.blocked != nil && !told[*m.blocked] {
			told[*m.blocked] = true
			report.Blocked = append(report.Blocked, *m.blocked)
		}
		report.Notes = append(report.Notes, m.notes...)
	}
	report.Services = len(served)
	return report
}
