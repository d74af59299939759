package migration

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/plan"
)

// Parts of the ledger that hold plan.Standing by workload: of its replicas, and of
// the minimum of its autoscaler.
const (
	capacityPart = "capacity"
	floorPart    = "floor"
)

// standings is what every workload is told, as the ledger keeps it.
type standings struct {
	replicas, minimum map[string]plan.Standing
	saved             [2]map[string]plan.Standing
}

func (e *Engine) openStandings(ctx context.Context, v *visit) (*standings, error) {
	replicas, err := ledger.Load[plan.Standing](ctx, v.ledger, v.m, v1.Intended, capacityPart)
	if err != nil {
		return nil, fmt.Errorf("read what workloads were told: %w", err)
	}
	minimum, err := ledger.Load[plan.Standing](ctx, v.ledger, v.m, v1.Intended, floorPart)
	if err != nil {
		return nil, fmt.Errorf("read what autoscalers were told: %w", err)
	}
	return &standings{replicas, minimum, [2]map[string]plan.Standing{maps.Clone(replicas), maps.Clone(minimum)}}, nil
}

// save makes durable what was told or observed, if anything was.
func (b *standings) save(ctx context.Context, v *visit) error {
	for i, part := range []struct {
		name string
		now  map[string]plan.Standing
	}{{capacityPart, b.replicas}, {floorPart, b.minimum}} {
		if maps.Equal(part.now, b.saved[i]) {
			continue
		}
		if err := ledger.Save(ctx, v.ledger, v.m, v1.Intended, part.name, part.now); err != nil {
			return fmt.Errorf("record what is intended: %w", err)
		}
	}
	return nil
}

// concerns tells whether a workload's capacity is the engine's: it moves, or it was
// led over before it was decided that it stays.
func (b *standings) concerns(w plan.Workload) bool {
	_, led := b.replicas[w.ID()]
	return plan.Moving(w) || led && w.Kind == "Deployment"
}

// settle forgets a workload that stays once all of it is back in the source, and
// tells whether it is.
func (b *standings) settle(l load) bool {
	id := l.workload.ID()
	if ptr.Deref(l.target.Spec.Replicas, 1) > 0 || ptr.Deref(l.source.Spec.Replicas, 1) < b.replicas[id].Wanted {
		return false
	}
	delete(b.replicas, id)
	delete(b.minimum, id)
	return true
}

// tellQuarantined tells of workloads that were left behind in this pass.
func (e *Engine) tellQuarantined(v *visit, book *standings) {
	for _, id := range slices.Sorted(maps.Keys(book.replicas)) {
		if book.replicas[id].QuarantinedIn == "" || book.saved[0][id].QuarantinedIn != "" {
			continue
		}
		why := fmt.Sprintf("did not come up in %s within %d minutes", v.target.name, v.m.Spec.Shift.ReadyMinutes)
		if v.m.Spec.Direction == v1.Back {
			why = "is not ready in " + v.target.name
		}
		e.Tell(v.m, v1.Quarantined, fmt.Sprintf("%s %s: it goes back to %s", id, why, v.source.name))
	}
}

// pardon ends every quarantine: a stage that was undone tries all apps anew.
func (e *Engine) pardon(ctx context.Context, v *visit) error {
	book, err := e.openStandings(ctx, v)
	if err != nil {
		return err
	}
	for id, standing := range book.replicas {
		if standing.QuarantinedIn != "" {
			standing.QuarantinedIn = ""
			book.replicas[id] = standing.Arrive()
		}
	}
	return book.save(ctx, v)
}

// observe takes up what teams changed meanwhile, and returns how the workload
// stands.
func (b *standings) observe(l load, writer v1.Side) plan.Standing {
	id := l.workload.ID()
	source, target := replicasOf(l.source), replicasOf(l.target)
	standing, known := b.replicas[id]
	if !known {
		standing = plan.Stand(source, target)
	}
	standing = standing.Observe(writer, source, target, l.workload.Autoscaler != "")
	b.replicas[id] = standing
	return standing
}

// floors tells what each side's autoscaler must be told for the next step.
func (b *standings) floors(v *visit, l load, next plan.Scale) (floors plan.Scale) {
	if l.sourceScaler == nil || l.targetScaler == nil {
		return plan.Scale{}
	}
	id := l.workload.ID()
	here, there := minimumOf(l.sourceScaler), minimumOf(l.targetScaler)
	standing, known := b.minimum[id]
	if !known {
		standing = plan.Stand(here, there)
	}
	standing = standing.Observe(v.m.Status.Writer, here, there, false)
	b.minimum[id] = standing

	wanted := b.replicas[id].Wanted
	if floor := plan.Floor(standing.Wanted, wanted, next.Source); next.Source > 0 && floor != here.Value {
		floors.Source = floor
	}
	if floor := plan.Floor(standing.Wanted, wanted, next.Target); next.Target > 0 && floor != there.Value {
		floors.Target = floor
	}
	return floors
}

// outdated tells whether a side was read in an older state than the record has seen,
// so that nothing can be told of the workload.
func (b *standings) outdated(l load) bool {
	id := l.workload.ID()
	standing, known := b.replicas[id]
	if known && (standing.Source.Outdated(replicasOf(l.source)) || standing.Target.Outdated(replicasOf(l.target))) {
		return true
	}
	standing, known = b.minimum[id]
	return known && (l.sourceScaler != nil && standing.Source.Outdated(minimumOf(l.sourceScaler)) ||
		l.targetScaler != nil && standing.Target.Outdated(minimumOf(l.targetScaler)))
}

func replicasOf(d *appsv1.Deployment) plan.Count {
	return plan.Count{
		Value: ptr.Deref(d.Spec.Replicas, 1), Generation: d.Generation, Version: d.ResourceVersion, Ours: setByUs(d, "replicas"),
	}
}

func minimumOf(h *autoscalingv2.HorizontalPodAutoscaler) plan.Count {
	return plan.Count{Value: ptr.Deref(h.Spec.MinReplicas, 1), Version: h.ResourceVersion, Ours: setByUs(h, "minReplicas")}
}

// setByUs tells whether the engine was the last to change a field of the spec: API
// servers take the field from everybody else then (managedFields).
func setByUs(obj client.Object, field string) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == cluster.FieldManager && e.Subresource == "" && e.FieldsV1 != nil &&
			bytes.Contains(e.FieldsV1.GetRawBytes(), []byte(`"f:`+field+`"`))
	})
}

// tell records a step before it is taken.
func (b *standings) tell(s step, now time.Time) {
	id := s.workload.ID()
	standing := b.replicas[id]
	if s.next.Target > s.balance.Target.Spec {
		standing.Asked = now
	}
	standing.Source = standing.Source.Tell(replicasOf(s.source), s.next.Source)
	standing.Target = standing.Target.Tell(replicasOf(s.target), s.next.Target)
	b.replicas[id] = standing

	floor := b.minimum[id]
	if s.floors.Source > 0 {
		floor.Source = floor.Source.Tell(minimumOf(s.sourceScaler), s.floors.Source)
	}
	if s.floors.Target > 0 {
		floor.Target = floor.Target.Tell(minimumOf(s.targetScaler), s.floors.Target)
	}
	if s.floors != (plan.Scale{}) {
		b.minimum[id] = floor
	}
}

// settling remembers since when pods have been ready and reachable. A restart
// forgets it, which costs one more wait and nothing else.
type settling struct {
	mu   sync.Mutex
	seen map[settlingKey]*settled
}

// A settlingKey is a workload of one migration on one side.
type settlingKey struct {
	migration             types.UID
	side                  v1.Side
	kind, namespace, name string
}

type settled struct {
	count, pending int32
	since          time.Time
	short          time.Time // since when fewer are ready than were told to run; zero if that is not known
}

func settlingKeyOf(v *visit, s *site, w plan.Workload) settlingKey {
	return settlingKey{v.m.UID, s.side, w.Kind, w.Namespace, w.Name}
}

// short tells for how long a side that was observed has had fewer pods ready than it was
// told to run.
func (s *settling) short(key settlingKey, c plan.Capacity, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.seen[key]
	switch {
	case c.Ready >= c.Spec:
		x.short = time.Time{}
		return 0
	case x.short.IsZero():
		x.short = now
	}
	return now.Sub(x.short)
}

// observe returns how many of the ready pods have been so, reachable, for wait.
func (s *settling) observe(key settlingKey, ready int32, reachable bool, now time.Time, wait time.Duration) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[settlingKey]*settled{}
	}
	x := s.seen[key]
	if x == nil {
		x = &settled{since: now}
		s.seen[key] = x
	}
	switch {
	case ready <= x.count:
		x.count, x.pending = ready, ready
	case ready != x.pending || !reachable:
		x.pending, x.since = ready, now
	}
	if ready > x.count && reachable && now.Sub(x.since) >= wait {
		x.count = ready
	}
	return x.count
}
