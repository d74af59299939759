package probe

import (
	"hash/fnv"
	"sync"
	"time"

	"crossfade.dev/internal/judge"
)

// freshPeriod is how often a name is asked on a new connection, too.
const freshPeriod = 5 * time.Second

// joinedAfter is how many pairs of a name have to be alike, one after the other,
// before it is compared: until then its entry is being set up, and no user enters
// there.
const joinedAfter = 5

// The sides of a pair.
const (
	source = iota
	target
)

// A track is one name that is asked: when, by which lanes, and what they counted.
type track struct {
	prober     *Prober
	name       Name
	index      int // in the book
	first      time.Time
	interval   time.Duration
	freshEvery int64 // slots

	mu      sync.Mutex
	stopped bool
	pending map[slot]*pair
	recent  []recent // in the order of time
	alike   int      // pairs in a row, until joined
	joined  bool
	last    [2]judge.Class
	before  before
}

// A slot is when a pair is due. Kept and new connections have one each.
type slot struct {
	number int64
	second int64
	fresh  bool
}

type pair struct {
	halves [2]half
	ended  [2]bool
}

// recent is what was counted in a second that has not been collected.
type recent struct {
	second int64
	open   int // pairs that have begun and not ended
	cell   cell
}

// newTrack begins at a moment within the first interval that only the name and the
// seed determine, so that names are not all asked at once.
func newTrack(p *Prober, n Name, perSecond, index int) *track {
	t := &track{prober: p, name: n, index: index, pending: map[slot]*pair{}, interval: time.Second / time.Duration(perSecond)}
	t.freshEvery = max(1, int64(freshPeriod/t.interval))
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(n.String()))
	spread := (hash.Sum64() ^ p.options.Seed*0x9e3779b97f4a7c15) % uint64(t.interval)
	t.first = time.Now().Add(time.Duration(spread))
	return t
}

// again returns a track that goes on from what is known of the name.
func (t *track) again(n Name, perSecond int) *track {
	next := newTrack(t.prober, n, perSecond, t.index)
	t.mu.Lock()
	defer t.mu.Unlock()
	next.before, next.recent, next.last = t.before, t.recent, t.last
	next.joined = t.joined && n == t.name
	return next
}

func (t *track) start() {
	go newLane(t, source).run()
	go newLane(t, target).run()
}

// stop lets the lanes run out. What they have under way is not counted any more.
func (t *track) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	clear(t.pending)
	for i := range t.recent {
		t.recent[i].open = 0
	}
}

func (t *track) due(n int64) time.Time { return t.first.Add(time.Duration(n) * t.interval) }

// slots returns the slots of a number: every so often there are two.
func (t *track) slots(n int64) (kept slot, fresh slot, both bool) {
	kept = slot{number: n, second: t.due(n).Unix()}
	fresh = kept
	fresh.fresh = true
	return kept, fresh, n%t.freshEvery == 0
}

// begin notes that a slot is under way. It returns false if the track has stopped.
func (t *track) begin(s slot) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pair(s) != nil
}

func (t *track) pair(s slot) *pair {
	if t.stopped || t.prober.ctx.Err() != nil {
		return nil
	}
	p := t.pending[s]
	if p == nil {
		p = &pair{}
		t.pending[s] = p
		t.at(s.second).open++
	}
	return p
}

// at returns what is counted of a second.
func (t *track) at(second int64) *recent {
	i := len(t.recent)
	for i > 0 && t.recent[i-1].second > second {
		i--
	}
	if i == 0 || t.recent[i-1].second < second {
		t.recent = append(t.recent, recent{})
		copy(t.recent[i+1:], t.recent[i:])
		t.recent[i] = recent{second: second}
		i++
	}
	return &t.recent[i-1]
}

// end notes how one half of a slot ended, and counts the pair if it was the second.
func (t *track) end(s slot, side int, h half) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pair(s)
	if p == nil {
		return
	}
	t.prober.tally.count(h)
	p.halves[side], p.ended[side] = h, true
	if !p.ended[source] || !p.ended[target] {
		return
	}
	delete(t.pending, s)
	into := t.at(s.second)
	into.open--
	t.count(&into.cell, p.halves[source], p.halves[target], s.fresh)
}

// underWay returns the first second of which a pair is under way, or end if that is
// earlier.
func (t *track) underWay(end int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.recent {
		if r.open > 0 {
			return min(end, r.second)
		}
	}
	return end
}

// collect hands over what was counted in the seconds before end.
func (t *track) collect(end int64) []recent {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.recent) && t.recent[n].second < end && t.recent[n].open == 0 {
		n++
	}
	done := t.recent[:n:n]
	t.recent = append([]recent(nil), t.recent[n:]...)
	return done
}

// tell adds to evidence what is not of any period.
func (t *track) tell(e *judge.Evidence) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.Before, e.Last = t.before.now, t.last
}

// count counts a pair.
func (t *track) count(c *cell, a, b half, fresh bool) {
	if a.invalid || b.invalid {
		c.add(invalid, 1)
		return
	}
	t.last = [2]judge.Class{a.class, b.class}
	if !t.joined {
		c.add(unlike, 1)
		t.join(judge.Alike(a.class, b.class), fresh)
		return
	}
	if fresh {
		c.add(pairOf(freshPairs, a.class, b.class), 1)
		return
	}
	c.add(pairOf(keptPairs, a.class, b.class), 1)
	timed := !a.untimed && !b.untimed && !a.class.Failed() && !b.class.Failed()
	if timed && t.before.timed {
		c.add(timedPairs, 1)
		t.compare(c, a.latency, b.latency)
	}
	t.before.note([2]half{a, b}, timed, t.prober.options.BurnIn)
}

func (t *track) join(alike, fresh bool) {
	switch {
	case fresh:
	case !alike:
		t.alike = 0
	default:
		t.alike++
		t.joined = t.alike >= joinedAfter
	}
}

// compare counts which side alone was slower than the source was Before, and which
// was slower than it was itself.
func (t *track) compare(c *cell, a, b time.Duration) {
	for l, q := range t.before.now.Latency[source] {
		limit := judge.Slow(q)
		switch {
		case b > limit && a <= limit:
			c.add(slowTarget+what(l), 1)
		case a > limit && b <= limit:
			c.add(slowSource+what(l), 1)
		}
	}
	if a > judge.Slow(t.before.now.Latency[source][judge.P99]) {
		c.add(ownSource, 1)
	}
	if b > judge.Slow(t.before.now.Latency[target][judge.P99]) {
		c.add(ownTarget, 1)
	}
}
