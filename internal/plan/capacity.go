package plan

import (
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	v1 "crossfade.dev/api/v1alpha1"
)

// A Balance is how one workload's capacity stands on the two sides.
type Balance struct {
	// Wanted is how many replicas the team wants in all.
	Wanted int32
	// Goal is what either side is to run in the end. Together it is Wanted, or more
	// where pods are warmed.
	Goal Scale
	// MaxTotalPercent bounds both sides together, in percent of Wanted.
	MaxTotalPercent int32
	// GivenUp is true once the target has had its time to bring pods up: those that are
	// not ready are no longer waited for.
	GivenUp bool

	Source, Target Capacity
}

// Capacity is one side of a Balance.
type Capacity struct {
	// Spec is how many replicas the side is told to run.
	Spec int32
	// Ready is how many are ready, as the side's own controller last said.
	Ready int32
	// Settled is how many of the ready ones have been reachable from both sides
	// for as long as the migration asks.
	Settled int32
	// Current is whether Ready and Settled speak of the Spec as it is now.
	Current bool
}

// serving is what the side can be counted on for: pods above Spec are on their
// way out.
func (c Capacity) serving() int32 { return min(c.Spec, c.Settled) }

// Bound is how many replicas both sides may have together: wanted × percent,
// rounded up, and always room for one more than wanted.
func Bound(wanted, maxTotalPercent int32) int32 {
	return max((wanted*maxTotalPercent+99)/100, wanted+1)
}

// Scale is what the two sides should be told to run next.
type Scale struct {
	Source, Target int32
}

// NextScale makes before it breaks: the receiving side grows within the bound,
// and the giving side gives up only what the total can spare. It reports level
// when both sides stand at the goal, are served by it, and nothing is on its way.
func NextScale(b Balance) (next Scale, level bool) {
	next = Scale{Source: b.Source.Spec, Target: b.Target.Spec}
	goal := b.Goal

	room := Bound(b.Wanted, b.MaxTotalPercent) - next.Source - next.Target
	next.Source += grow(b.Source.Spec, goal.Source, &room)
	next.Target += grow(b.Target.Spec, goal.Target, &room)

	if !b.Source.Current || !b.Target.Current {
		return next, false
	}
	told := b.Target
	if b.GivenUp { // what never was ready keeps no room, from the next step on, from what will be
		told.Spec = min(told.Spec, max(goal.Target, told.Ready))
		next.Target = min(next.Target, max(goal.Target, told.Spec))
	}
	spare := b.Source.serving() + b.Target.serving() - b.Wanted
	next.Source -= shrink(b.Source, goal.Source, &spare)
	next.Target -= shrink(told, goal.Target, &spare)

	level = next == goal && b.Source.Spec == goal.Source && b.Target.Spec == goal.Target &&
		b.Source.serving() >= goal.Source && b.Target.serving() >= goal.Target
	return next, level
}

// grow returns by how many replicas a side may grow towards its goal.
func grow(spec, goal int32, room *int32) int32 {
	step := max(0, min(goal-spec, *room))
	*room -= step
	return step
}

// shrink returns how many replicas a side may give up. Pods that are not ready are
// no reason to give any up: they may be ready again before the write arrives.
func shrink(c Capacity, goal int32, spare *int32) int32 {
	step := max(0, min(c.Spec-goal, *spare))
	*spare -= step
	return step
}

// Split is the goal at which percent of wanted replicas stand in the target.
func Split(wanted, percent int32) Scale {
	target := (wanted*percent + 50) / 100
	return Scale{Source: wanted - target, Target: target}
}

// Warm is the goal at which the source keeps all, and some pods stand by in the
// target, as many as the bound has room for.
func Warm(wanted, pods, maxTotalPercent int32) Scale {
	return Scale{Source: wanted, Target: min(pods, wanted, Bound(wanted, maxTotalPercent)-wanted)}
}

// Percent is the part of the moving workloads' wanted capacity that serves from
// the target, in percent, rounded down.
func Percent(balances []Balance) int32 {
	var wanted, target int64
	for _, b := range balances {
		wanted += int64(b.Wanted)
		target += int64(min(b.Target.Ready, b.Target.Spec, b.Wanted))
	}
	if wanted == 0 {
		return 0
	}
	return int32(target * 100 / wanted)
}

// Floor is the least replicas that a side's autoscaler may go down to while the
// side runs part of the wanted replicas: the same part of the team's own minimum,
// and at least one, because zero would switch the autoscaler off.
func Floor(minimum, wanted, part int32) int32 {
	if wanted <= 0 {
		return max(1, minimum)
	}
	return max(1, (minimum*part+wanted-1)/wanted)
}

// A Standing is the durable record of one workload's capacity, kept in the
// ledger: what is wanted, and what each side was told last and before that. A
// replica count that is neither was set by someone else.
type Standing struct {
	Wanted int32 `json:"wanted"`
	Source Told  `json:"source"`
	Target Told  `json:"target"`
	// Asked is when the target was last told to run more.
	Asked time.Time `json:"asked,omitzero"`
	// QuarantinedIn is the stage in which the target did not bring the workload up in
	// time: it stays in the source until another stage tries again.
	QuarantinedIn v1.Stage `json:"quarantinedIn,omitempty"`
}

// Try takes up what became of the pods that the target was told to run: a workload
// that has not brought them up in patience is quarantined for the rest of the
// stage.
func (s Standing) Try(stage v1.Stage, target Capacity, now time.Time, patience time.Duration) Standing {
	if s.QuarantinedIn != "" && s.QuarantinedIn != stage {
		s.QuarantinedIn, s.Asked = "", time.Time{}
	}
	late := !s.Asked.IsZero() && now.Sub(s.Asked) > patience
	if late && target.Ready < target.Spec {
		s.QuarantinedIn = stage
	}
	return s
}

// Arrive notes that the workload stands where it should: what was asked of the
// target was done.
func (s Standing) Arrive() Standing {
	s.Asked = time.Time{}
	return s
}

// Stand is the standing of a workload that nobody was told anything about.
func Stand(source, target Count) Standing {
	return Standing{Wanted: max(source.Value, target.Value), Source: source.told(), Target: target.told()}
}

// A Count is a workload's replicas, or its autoscaler's minimum, as one side's API
// server told it.
type Count struct {
	Value int32
	// Generation is that of the object's spec, 0 for kinds that have none; Version is
	// its resourceVersion.
	Generation int64
	Version    string
	// Ours is true if the engine was the last to set it.
	Ours bool
}

func (c Count) told() Told {
	return Told{Was: c.Value, Is: c.Value, Generation: c.Generation, Version: c.Version}
}

// Told is what one side was told to run: before the last write, and by it. Both are
// the same once the side was seen to have been told.
type Told struct {
	Was int32 `json:"was"`
	Is  int32 `json:"is"`
	// Generation and Version are those of the object as it was when this was noted.
	Generation int64  `json:"gen,omitempty"`
	Version    string `json:"version,omitempty"`
}

// Outdated is true of a count that was read in an older state than was seen before.
func (t Told) Outdated(c Count) bool {
	order, err := resourceversion.CompareResourceVersion(c.Version, t.Version)
	return err == nil && order < 0
}

// see takes up a count. It is foreign if someone else has set it: it is neither what
// the side was told, nor what it had before and still has because the write did not
// arrive. Of one that was set to the very count of a write under way, only the owner
// of the field tells whose it is; to an autoscaler it is the floor that it was told,
// and nothing else is wanted.
func (t Told) see(c Count, autoscaled bool) (seen Told, foreign bool) {
	switch {
	case c.Value == t.Is && t.Was == t.Is:
		return t, false
	case c.Value == t.Is:
		return c.told(), !c.Ours && !autoscaled
	case c.Value == t.Was && (c.Ours || autoscaled || c.Generation <= t.Generation+1):
		// One more change of the spec can't be both ours and a return; an autoscaler that
		// returned decides again soon.
		return t, false
	}
	return c.told(), true
}

// Tell is the record once a side that has a count is told another one.
func (t Told) Tell(c Count, next int32) Told {
	if next == c.Value {
		return t
	}
	return Told{Was: c.Value, Is: next, Generation: c.Generation, Version: c.Version}
}

// Observe takes up what teams changed meanwhile: a count on the writer's side
// that the engine did not write is what the team now wants. Where an autoscaler
// speaks for one side only, the other side's part is added.
func (s Standing) Observe(writer v1.Side, source, target Count, autoscaled bool) Standing {
	var foreign bool
	if s.Source, foreign = s.Source.see(source, autoscaled); foreign {
		s.Wanted = wantedBy(writer == v1.Source, autoscaled, source.Value, target.Value, s.Wanted)
	}
	if s.Target, foreign = s.Target.see(target, autoscaled); foreign {
		s.Wanted = wantedBy(writer == v1.Target, autoscaled, target.Value, source.Value, s.Wanted)
	}
	return s
}

// ObserveAlone is Observe when the target is lost, with what it was told counted as gone:
// whoever scales the source says what is wanted. An autoscaler there speaks for the part
// that the source was told to run, so what the target had of the rest is added.
func (s Standing) ObserveAlone(source Count, autoscaled bool) Standing {
	rest := max(0, s.Wanted-s.Source.Is)
	var foreign bool
	if s.Source, foreign = s.Source.see(source, autoscaled); foreign {
		s.Wanted = source.Value
		if autoscaled {
			s.Wanted += rest
		}
	}
	return s
}

func wantedBy(writes, autoscaled bool, here, there, wanted int32) int32 {
	switch {
	case autoscaled:
		return here + there
	case writes:
		return here
	default:
		return wanted
	}
}
