package migration

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/mirror"
)

// wakingPart is the part of the ledger with what the engine hands over of objects that
// a rule parks.
const wakingPart = "parked"

// A waking is one such object, noted before anything of it is written.
type waking struct {
	// To is the side on which it is to be at work.
	To v1.Side `json:"to"`
	// Values are what it is at work with.
	Values map[string]json.RawMessage `json:"values,omitempty"`
	// Woken is true once it has them there; from then on they are its team's.
	Woken bool `json:"woken,omitempty"`
}

// A handing is the hand-over of all that rules park, from one side to the other.
type handing struct {
	from, to *site
	// turning is true while teams still write to from.
	turning     bool
	here, there map[mirror.Object]*mirror.Sleeper // on from and on to
	notes       map[string]waking
}

// wake hands over what rules of the mode Parked hold still on the one side: everything
// is parked where it is at work before anything is woken on the other side, so that no
// object is ever at work on both. What it was at work with is noted first, and goes
// along.
func (e *Engine) wake(ctx context.Context, v *visit, to v1.Side) (Progress, error) {
	h, err := e.handing(ctx, v, to)
	if err != nil || h == nil {
		return Done(), err
	}
	if err := h.note(ctx, v); err != nil {
		return Progress{}, err
	}
	parked, err := h.park(ctx)
	if err != nil {
		return Progress{}, fmt.Errorf("park on %s: %w", h.from.name, err)
	}
	if parked > 0 {
		return Again(v1.WriterMoving, "%d objects were parked on %s", parked, h.from.name), nil
	}
	woken, err := h.wake(ctx, v)
	if err != nil {
		return Progress{}, fmt.Errorf("wake on %s: %w", h.to.name, err)
	}
	if woken > 0 {
		return Again(v1.WriterMoving, "%d objects woke on %s", woken, h.to.name), nil
	}
	return Done(), nil
}

// handing looks at both sides; it is nil if nothing is parked by a rule.
func (e *Engine) handing(ctx context.Context, v *visit, to v1.Side) (*handing, error) {
	choices, err := mirror.Choices(v.m.Spec.Rules)
	if err != nil {
		return nil, err
	}
	decided := mirror.Decided{Choices: choices}
	if !decided.Parks() {
		return nil, nil
	}
	h := &handing{from: v.on(to.Other()), to: v.on(to), turning: v.m.Status.Writer != to}
	for s, into := range map[*site]*map[mirror.Object]*mirror.Sleeper{h.from: &h.here, h.to: &h.there} {
		if s.lost {
			continue
		}
		kinds, err := s.facts.Kinds(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask %s for its kinds: %w", s.name, err)
		}
		if *into, err = decided.Sleepers(ctx, s.api, kinds, Scope(v.m)); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	h.notes, err = ledger.Load[waking](ctx, v.ledger, v.m, v1.Intended, wakingPart)
	return h, err
}

// note makes durable what is handed over, and with which values. What was never handed
// over is only taken along while the writer turns: else its copy is parked as it was
// made.
func (h *handing) note(ctx context.Context, v *visit) error {
	fresh := map[string]waking{}
	for name := range h.there {
		key, side := name.String(), h.to.side
		n, known := h.notes[key]
		here := h.here[name]
		switch {
		case n.To == side, !known && !h.turning, here == nil && !h.from.lost:
			continue
		case here != nil && (!known || n.Woken):
			values, err := here.Values()
			if err != nil {
				return err
			}
			n.Values = values
		case !known:
			continue // its side is lost, and nobody knows what it was at work with
		}
		fresh[key] = waking{To: side, Values: n.Values}
	}
	return h.keep(ctx, v, fresh)
}

func (h *handing) keep(ctx context.Context, v *visit, changed map[string]waking) error {
	if len(changed) == 0 {
		return nil
	}
	maps.Copy(h.notes, changed)
	return wrap("note what is parked", ledger.Add(ctx, v.ledger, v.m, v1.Intended, wakingPart, changed))
}

// handed are the objects that are handed over to this side, in the order of their names.
func (h *handing) handed() []mirror.Object {
	return slices.DeleteFunc(slices.SortedFunc(maps.Keys(h.there), func(a, b mirror.Object) int { return cmp.Compare(a.String(), b.String()) }),
		func(name mirror.Object) bool { return h.notes[name.String()].To != h.to.side })
}

// park parks what is at work on the side that is left, and returns how many there were.
func (h *handing) park(ctx context.Context) (parked int, err error) {
	for _, name := range h.handed() {
		here := h.here[name]
		if here == nil {
			continue
		}
		if is, err := here.Parked(); is || err != nil {
			if err != nil {
				return parked, err
			}
			continue
		}
		if err := here.Park(ctx, h.from.api); err != nil {
			return parked, err
		}
		parked++
	}
	return parked, nil
}

// wake wakes what has not been, and returns how many there were.
func (h *handing) wake(ctx context.Context, v *visit) (int, error) {
	woken := map[string]waking{}
	for _, name := range h.handed() {
		n := h.notes[name.String()]
		if n.Woken {
			continue
		}
		if err := h.there[name].Write(ctx, h.to.api, n.Values); err != nil {
			return 0, err
		}
		n.Woken = true
		woken[name.String()] = n
	}
	return len(woken), h.keep(ctx, v, woken)
}
