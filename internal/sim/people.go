package sim

import "math/rand/v2"

// people are the teams, and the others who change things meanwhile.
type people struct {
	w      *world
	chance *rand.Rand
}

func newPeople(w *world) *people { return &people{w: w, chance: stream(w.o.Seed, "people")} }

func (p *people) act(*world) {}

// busy is true while somebody has still to put something back before a leg may end.
func (p *people) busy(bool) bool { return false }
