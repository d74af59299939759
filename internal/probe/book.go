package probe

import (
	"slices"

	"crossfade.dev/internal/judge"
)

// A book keeps what was counted, in spans of time: each of the last two minutes
// second by second, the two hours before them minute by minute, and all that is
// older in one. Most seconds of most names are alike, so a cell is a short list of
// what occurred in it at all.
type book struct {
	spans []*span // in the order of time
	marks []int64 // seconds that no span may reach across
	// The spans before coarse are minutes or more, those from it on are seconds.
	coarse int
	size   int // of cells
	spare  []int
}

const (
	seconds = 120
	minutes = 120
	// mostMarks is how many moments are kept exactly.
	mostMarks = 16
)

// A span is what was counted from one second to another, which is excluded.
type span struct {
	from, to int64
	cells    []cell
	settled  bool
	estate   judge.Estate // without Names
}

// A cell is what was counted of one name in one span.
type cell []counter

type counter struct {
	what what
	n    uint32
}

// what is what a counter counts.
type what uint8

// Pairs on kept and on new connections come by the classes of both halves. Slow
// answers are counted by level: pairs until their second is settled, seconds from
// then on.
const (
	keptPairs  what = 0
	freshPairs      = keptPairs + classes*classes
	timedPairs      = freshPairs + classes*classes
	invalid         = timedPairs + 1
	unlike          = timedPairs + 2
	onlyTarget      = timedPairs + 3 // slower than the source's P99, in pairs
	onlySource      = timedPairs + 4
	// What follows is counted in pairs until it is settled.
	ownSource  = timedPairs + 5 // slower than its own P99
	ownTarget  = timedPairs + 6
	slowTarget = timedPairs + 7
	slowSource = slowTarget + judge.Levels
)

// classes is how many classes of answers there are.
const classes = what(len(judge.Pairs{}))

func pairOf(base what, source, target judge.Class) what {
	return base + what(source)*classes + what(target)
}

func (c *cell) add(w what, n uint32) {
	for i := range *c {
		if (*c)[i].what == w {
			(*c)[i].n += n
			return
		}
	}
	*c = append(*c, counter{w, n})
}

func (c cell) of(w what) uint32 {
	for _, k := range c {
		if k.what == w {
			return k.n
		}
	}
	return 0
}

// take returns the number of a cell for another name.
func (b *book) take() int {
	if n := len(b.spare); n > 0 {
		index := b.spare[n-1]
		b.spare = b.spare[:n-1]
		return index
	}
	b.size++
	return b.size - 1
}

// free forgets what was counted in the cells of that number.
func (b *book) free(index int) {
	for _, s := range b.spans {
		if index < len(s.cells) {
			s.cells[index] = nil
		}
	}
	b.spare = append(b.spare, index)
}

func (s *span) cell(index int) *cell {
	if index >= len(s.cells) {
		s.cells = append(s.cells, make([]cell, index+1-len(s.cells))...)
	}
	return &s.cells[index]
}

// at returns the span that a second is in.
func (b *book) at(second int64) *span {
	b.thin()
	i := len(b.spans)
	for i > 0 && b.spans[i-1].from > second {
		i--
	}
	if i > 0 && second < b.spans[i-1].to {
		return b.spans[i-1]
	}
	if i < b.coarse {
		return b.spans[max(i-1, 0)] // too late for a second of its own
	}
	s := &span{from: second, to: second + 1, cells: make([]cell, b.size)}
	b.spans = slices.Insert(b.spans, i, s)
	return s
}

// thin merges what has grown old.
func (b *book) thin() {
	for len(b.spans)-b.coarse > seconds {
		b.spans[b.coarse].settle()
		b.coarse++
		if last := b.coarse - 2; last >= 0 && b.spans[last].from/60 == b.spans[last+1].from/60 {
			b.merge(last)
		}
	}
	for first := 0; b.coarse > minutes+mostMarks && first+1 < b.coarse; first++ {
		b.merge(first)
	}
}

// merge makes one of a span and the one after it, unless a mark lies between them.
func (b *book) merge(first int) {
	into, from := b.spans[first], b.spans[first+1]
	for _, m := range b.marks {
		if into.from < m && m <= from.from {
			return
		}
	}
	for index, c := range from.cells {
		for _, k := range c {
			into.cell(index).add(k.what, k.n)
		}
	}
	into.estate.Merge(from.estate)
	into.to = from.to
	b.spans = slices.Delete(b.spans, first+1, first+2)
	b.coarse--
}

// sums is what was counted over several spans.
type sums struct {
	cells  []judge.Evidence
	estate judge.Estate
}

// sum adds up what was counted from one second on.
func (b *book) sum(from int64) sums {
	b.mark(from)
	out := sums{cells: make([]judge.Evidence, b.size)}
	for _, s := range b.spans {
		if s.from < from {
			continue
		}
		for index, c := range s.cells {
			c.tell(&out.cells[index])
		}
		out.estate.Merge(s.estate)
	}
	return out
}

// settle settles the seconds before end.
func (b *book) settle(end int64) {
	for i := len(b.spans); i > b.coarse && !b.spans[i-1].settled; i-- {
		if b.spans[i-1].to <= end {
			b.spans[i-1].settle()
		}
	}
}

func (b *book) mark(second int64) {
	if slices.Contains(b.marks, second) {
		return
	}
	if len(b.marks) == mostMarks {
		b.marks = slices.Delete(b.marks, 0, 1)
	}
	b.marks = append(b.marks, second)
}

// settle turns slow pairs into slow seconds, once nothing more is counted.
func (s *span) settle() {
	if s.settled {
		return
	}
	s.settled = true
	var slow [judge.Levels]judge.Discord
	var timed, own [2]int64
	for index, c := range s.cells {
		timed[0] += int64(c.of(timedPairs))
		own[source] += int64(c.of(ownSource))
		own[target] += int64(c.of(ownTarget))
		var settled cell
		for _, k := range c {
			if k.what < ownSource {
				settled = append(settled, k)
			}
		}
		for l := range slow {
			pairs := judge.Discord{Target: int64(c.of(slowTarget + what(l))), Source: int64(c.of(slowSource + what(l)))}
			slow[l].Add(pairs)
			if l == judge.P99 && pairs.Target > 0 {
				settled.add(onlyTarget, uint32(pairs.Target))
			}
			if l == judge.P99 && pairs.Source > 0 {
				settled.add(onlySource, uint32(pairs.Source))
			}
			one := judge.Second(pairs, int64(c.of(timedPairs)))
			if one.Target > 0 {
				settled.add(slowTarget+what(l), 1)
			}
			if one.Source > 0 {
				settled.add(slowSource+what(l), 1)
			}
		}
		s.cells[index] = settled
	}
	if timed[0] == 0 {
		return
	}
	s.estate.Seconds = 1
	for l := range slow {
		s.estate.Slow[l] = judge.Second(slow[l], timed[0])
	}
	for side := range own {
		if 2*own[side] > timed[0] {
			s.estate.SlowSeconds[side] = 1
		}
	}
}

// tell adds what a settled cell counts to evidence.
func (c cell) tell(e *judge.Evidence) {
	for _, k := range c {
		n := int64(k.n)
		switch w := k.what; {
		case w < freshPairs:
			e.Kept[w/classes][w%classes] += n
		case w < timedPairs:
			e.Fresh[(w-freshPairs)/classes][(w-freshPairs)%classes] += n
		case w == timedPairs:
			e.Timed += n
		case w == invalid:
			e.Invalid += n
		case w == unlike:
			e.Unlike += n
		case w == onlyTarget:
			e.SlowPairs.Target += n
		case w == onlySource:
			e.SlowPairs.Source += n
		case w >= slowSource:
			e.Slow[w-slowSource].Source += n
		case w >= slowTarget:
			e.Slow[w-slowTarget].Target += n
		}
	}
}
