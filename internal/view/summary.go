package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// A Summary is everything that people are shown of one migration.
type Summary struct {
	Name      string       `json:"name"`
	Namespace string       `json:"namespace"`
	Source    string       `json:"source"`
	Target    string       `json:"target"`
	Direction v1.Direction `json:"direction"`
	// BackTo is the last stage that stays in force; empty unless Direction is Back.
	BackTo   v1.Stage `json:"backTo,omitempty"`
	Standing Standing `json:"standing"`
	// Stages are the six, in order.
	Stages []Stage `json:"stages"`
	// Capacity and Entry are percent of the target.
	Capacity int32   `json:"capacity"`
	Entry    int32   `json:"entry"`
	Writer   v1.Side `json:"writer,omitempty"`
	Endpoint v1.Side `json:"endpoint,omitempty"`
	// Wait is what the migration waits for; nil if it has ended.
	Wait *Wait `json:"wait,omitempty"`
	// Gates are those of the stage under way, what holds it first.
	Gates    []Gate          `json:"gates,omitempty"`
	Apps     Apps            `json:"apps"`
	Mirror   v1.MirrorStatus `json:"mirror"`
	Freezes  []Freeze        `json:"freezes,omitempty"`
	Frozen   Frozen          `json:"frozen"`
	Rollback v1.RollbackCost `json:"rollback"`
	Hold     *v1.Hold        `json:"hold,omitempty"`
	RetireBy string          `json:"retireBy,omitempty"`
	Timeline []Span          `json:"timeline,omitempty"`
}

// A Stage is one of the six with its state.
type Stage struct {
	Name  v1.Stage   `json:"name"`
	State StageState `json:"state"`
}

// A StageState is how a stage stands.
type StageState string

// The states of a stage.
const (
	StageAhead   StageState = "Ahead"
	StageWorking StageState = "Working"
	StageWaiting StageState = "Waiting"
	StageFailed  StageState = "Failed"
	StageDone    StageState = "Done"
	StageUndoing StageState = "Undoing"
	StageUndone  StageState = "Undone"
)

// A Wait is what the stage under way waits for.
type Wait struct {
	Stage   v1.Stage  `json:"stage,omitempty"`
	Reason  v1.Reason `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Cause   string    `json:"cause,omitempty"`
	Fix     string    `json:"fix,omitempty"`
	// Until is when a wait of known length is over.
	Until *time.Time `json:"until,omitempty"`
}

// A Gate is a gate with what would end it.
type Gate struct {
	v1.Gate `json:",inline"`
	Fix     string `json:"fix,omitempty"`
}

// A Freeze is one cluster that refuses teams' changes.
type Freeze struct {
	Cluster string  `json:"cluster"`
	Side    v1.Side `json:"side"`
	// Since is when a refusal was first seen; nil if none was seen yet.
	Since   *time.Time `json:"since,omitempty"`
	Contact string     `json:"contact,omitempty"`
	Exempt  []string   `json:"exempt,omitempty"`
}

// Frozen is how teams fare: whether their changes are refused on both sides right
// now, and for how long they were.
type Frozen struct {
	Now     bool  `json:"now"`
	Seconds int32 `json:"seconds"`
}

// A Span is a stage's time in one direction.
type Span struct {
	Stage     v1.Stage     `json:"stage"`
	Direction v1.Direction `json:"direction"`
	Started   time.Time    `json:"started"`
	// Finished is nil while the stage is under way; Seconds counts up to now then.
	Finished *time.Time `json:"finished,omitempty"`
	Seconds  float64    `json:"seconds"`
}

// Summarize makes the summary of m. Of moves and freezes it takes those of m; of
// its apps it shows at most mostApps, the worst first, or all if that is negative.
func Summarize(m *v1.Migration, moves []v1.Move, freezes []v1.Freeze, mostApps int, now time.Time) Summary {
	s := Summary{
		Name: m.Name, Namespace: m.Namespace, Source: m.Spec.Source, Target: m.Spec.Target,
		Direction: cmp.Or(m.Spec.Direction, v1.Forward), Standing: StandingOf(m),
		Capacity: m.Status.Capacity, Entry: m.Status.Entry, Writer: m.Status.Writer, Endpoint: m.Status.Endpoint,
		Mirror: m.Status.Mirror, Rollback: m.Status.Rollback, Hold: m.Spec.Hold,
		Frozen: Frozen{Now: meta.IsStatusConditionTrue(m.Status.Conditions, v1.Frozen), Seconds: m.Status.FrozenSeconds},
	}
	if s.Direction == v1.Back {
		s.BackTo = m.Spec.BackTo
	}
	if m.Spec.Retire != nil {
		s.RetireBy = m.Spec.Retire.By
	}
	s.Stages = stagesOf(m, s.Standing)
	s.Wait = waitOf(m, s.Standing, now)
	s.Gates = gatesOf(m.Status.Gates)
	s.Apps = appsOf(m, moves, mostApps)
	s.Freezes = freezesOf(m, freezes)
	for _, t := range m.Status.Timeline {
		s.Timeline = append(s.Timeline, spanOf(t, now))
	}
	return s
}

func stagesOf(m *v1.Migration, standing Standing) []Stage {
	at, more := m.Next()
	var stages []Stage
	for _, name := range v1.Stages {
		state := settledState(meta.FindStatusCondition(m.Status.Conditions, name.Finished()))
		if more && name == at {
			state = stateUnderWay(standing, m.Spec.Direction, m.Begun(name))
		}
		stages = append(stages, Stage{name, state})
	}
	return stages
}

// settledState is the state of a stage that is not under way.
func settledState(c *metav1.Condition) StageState {
	switch {
	case c == nil:
		return StageAhead
	case c.Status == metav1.ConditionTrue:
		return StageDone
	case c.Status == metav1.ConditionFalse:
		return StageWaiting
	case c.Reason == string(v1.Undone):
		return StageUndone
	default:
		return StageAhead
	}
}

func stateUnderWay(standing Standing, direction v1.Direction, begun bool) StageState {
	switch {
	case standing == Failed:
		return StageFailed
	case standing == Waiting || standing == Asking || standing == OnHold:
		return StageWaiting
	case direction == v1.Back:
		return StageUndoing
	case !begun:
		return StageAhead
	default:
		return StageWorking
	}
}

func waitOf(m *v1.Migration, standing Standing, now time.Time) *Wait {
	if standing.Ended() {
		return nil
	}
	if standing == Unseen {
		return &Wait{Message: "the engine has not looked at it since it was last changed"}
	}
	w := &Wait{Stage: m.Status.Stage, Reason: m.Status.Reason, Message: m.Status.Message}
	e := v1.Explanations[w.Reason]
	w.Cause, w.Fix = e.Cause, strings.ReplaceAll(e.Fix, "MIGRATION", m.Name)
	if w.Reason == v1.DecisionNeeded && m.Retires() { // the gate staying; all is decided by then
		w.Cause = "What stays in the source is gone with it."
		w.Fix = "Move it by its own means, or delete it. If it is not needed any more, waive the gate staying."
	}
	if standing != Working {
		return w
	}
	for _, moment := range m.Status.Waits {
		if until := moment.Until.Time; until.After(now) && (w.Until == nil || until.After(*w.Until)) {
			w.Until = &until
		}
	}
	return w
}

// gatesOf puts what holds the stage first: Failed, Held, waived, Passed.
func gatesOf(gates []v1.Gate) []Gate {
	var out []Gate
	for _, g := range gates {
		fix := ""
		if g.Verdict != v1.Passed {
			fix = v1.Explanations[g.Reason].Fix
		}
		out = append(out, Gate{g, fix})
	}
	slices.SortStableFunc(out, func(a, b Gate) int { return cmp.Compare(gateRank(a.Gate), gateRank(b.Gate)) })
	return out
}

func gateRank(g v1.Gate) int {
	switch {
	case g.Verdict == v1.Passed:
		return 3
	case g.Waived != "":
		return 2
	case g.Verdict == v1.Held:
		return 1
	default:
		return 0
	}
}

func freezesOf(m *v1.Migration, freezes []v1.Freeze) []Freeze {
	var out []Freeze
	for _, f := range freezes {
		if f.Spec.Migration != m.Name || f.Namespace != m.Namespace {
			continue
		}
		shown := Freeze{Cluster: f.Spec.Cluster, Side: f.Spec.Side, Contact: f.Spec.Contact, Exempt: f.Spec.Exempt}
		if f.Status.Since != nil {
			shown.Since = &f.Status.Since.Time
		}
		out = append(out, shown)
	}
	slices.SortFunc(out, func(a, b Freeze) int { return strings.Compare(string(a.Side), string(b.Side)) })
	return out
}

func spanOf(t v1.StageTime, now time.Time) Span {
	s := Span{Stage: t.Stage, Direction: t.Direction, Started: t.Started.Time}
	end := now
	if t.Finished != nil {
		end = t.Finished.Time
		s.Finished = &end
	}
	s.Seconds = max(0, end.Sub(s.Started).Seconds())
	return s
}
