package probe

import (
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"time"

	"crossfade.dev/internal/judge"
)

// asking is what is asked under one key, and what became of it.
type asking struct {
	prober *Prober

	mu        sync.Mutex
	at        time.Time // when it was last asked for
	resting   bool
	names     []Name
	perSecond int
	tracks    map[string]*track
	book      book
}

func newAsking(p *Prober) *asking { return &asking{prober: p, tracks: map[string]*track{}} }

// set lets the lanes of names that are no longer asked, or that are entered
// elsewhere, run out, and begins those of names that are new.
func (a *asking) set(names []Name, perSecond int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = time.Now()
	if !a.resting && perSecond == a.perSecond && slices.Equal(names, a.names) {
		return
	}
	wanted := make(map[string]Name, len(names))
	for _, n := range names {
		wanted[n.String()] = n
	}
	for key, t := range a.tracks {
		if n, still := wanted[key]; !still {
			a.end(t)
			a.book.free(t.index)
			delete(a.tracks, key)
		} else if a.resting || n != t.name || perSecond != a.perSecond {
			a.end(t)
			a.tracks[key] = a.begin(n, perSecond, t)
		}
	}
	for key, n := range wanted {
		if a.tracks[key] == nil {
			a.tracks[key] = a.begin(n, perSecond, nil)
		}
	}
	a.names, a.perSecond, a.resting = names, perSecond, false
}

// rest lets the lanes run out if nobody has asked for a while. What is known is
// kept, and set goes on from there.
func (a *asking) rest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.resting || time.Since(a.at) < patience {
		return
	}
	a.resting = true
	for _, t := range a.tracks {
		a.end(t)
	}
}

// begin starts a name's lanes. It takes over what is known of the name from its
// last track, if there was one.
func (a *asking) begin(n Name, perSecond int, last *track) *track {
	t := &track{asking: a, name: n, pending: map[slot]*pair{}, interval: time.Second / time.Duration(perSecond)}
	t.freshEvery = max(1, int64(freshPeriod/t.interval))
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(n.String()))
	spread := time.Duration((hash.Sum64() ^ a.prober.options.Seed*0x9e3779b97f4a7c15) % uint64(t.interval))
	t.first = time.Now().Add(spread)
	if last == nil {
		t.index = a.book.take()
	} else {
		t.index, t.before = last.index, last.before
		t.joined = last.joined && n == last.name
	}
	go newLane(t, source).run()
	go newLane(t, target).run()
	return t
}

func (a *asking) end(t *track) {
	t.ended = true
	for s := range t.pending {
		a.book.at(s.second).open--
		delete(t.pending, s)
	}
}

func (a *asking) evidence(since time.Time) judge.Estate {
	// What was scheduled within the second of since is not all after it.
	from := since.Unix()
	if since.Nanosecond() > 0 {
		from++
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// A slot that is late by more than MaxSlip is invalid, so nothing else is added
	// to a second after that, but what was begun in it.
	through := time.Now().Add(-a.prober.options.MaxSlip).Unix()
	sum := a.book.sum(from, through)
	sum.estate.Names = make(map[string]judge.Evidence, len(a.tracks))
	for key, t := range a.tracks {
		e := sum.cells[t.index]
		e.Before, e.Last = t.before.now, t.last
		sum.estate.Names[key] = e
	}
	return sum.estate
}

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

// A track is one name that is asked. Its asking's mutex guards what is not set once.
type track struct {
	asking     *asking
	name       Name
	index      int // in the book
	first      time.Time
	interval   time.Duration
	freshEvery int64 // slots

	ended   bool
	pending map[slot]*pair
	alike   int // pairs in a row, until joined
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

func (t *track) due(n int64) time.Time { return t.first.Add(time.Duration(n) * t.interval) }

// slots returns the slots of a number: every so often there are two.
func (t *track) slots(n int64) (kept slot, fresh slot, both bool) {
	kept = slot{number: n, second: t.due(n).Unix()}
	fresh = kept
	fresh.fresh = true
	return kept, fresh, n%t.freshEvery == 0
}

// begin notes that a slot is under way. It returns false if the track has ended.
func (t *track) begin(s slot) bool {
	t.asking.mu.Lock()
	defer t.asking.mu.Unlock()
	return t.pair(s) != nil
}

func (t *track) pair(s slot) *pair {
	if t.ended || t.asking.prober.ctx.Err() != nil {
		return nil
	}
	p := t.pending[s]
	if p == nil {
		p = &pair{}
		t.pending[s] = p
		t.asking.book.at(s.second).open++
	}
	return p
}

// end notes how one half of a slot ended, and counts the pair if it was the second.
func (t *track) end(s slot, side int, h half) {
	t.asking.mu.Lock()
	defer t.asking.mu.Unlock()
	p := t.pair(s)
	if p == nil {
		return
	}
	t.asking.prober.tally.count(h)
	p.halves[side], p.ended[side] = h, true
	if !p.ended[source] || !p.ended[target] {
		return
	}
	delete(t.pending, s)
	into := t.asking.book.at(s.second)
	into.open--
	t.count(into.cell(t.index), p.halves[source], p.halves[target], s.fresh)
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
	t.before.note([2]half{a, b}, timed, t.asking.prober.options.BurnIn)
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

// before makes a name's Before. The quantiles are of use long before the burn-in
// has ended; they are taken anew each time the sample has doubled, until then.
type before struct {
	now       judge.Before
	pairs     int64
	failed    [2]int64
	latencies [2][]time.Duration
	timed     bool // there are quantiles to compare with
	frozen    bool
}

// note takes in a pair, as long as the burn-in goes on.
func (b *before) note(halves [2]half, timed bool, burnIn int) {
	if b.frozen {
		return
	}
	b.pairs++
	for i, h := range halves {
		if h.class.Failed() {
			b.failed[i]++
		}
		if timed {
			b.latencies[i] = append(b.latencies[i], h.latency)
		}
	}
	enough := max(1, burnIn/5)
	if n := int(b.pairs); n < burnIn && (n%enough != 0 || !powerOfTwo(n/enough)) {
		return
	}
	b.now.Pairs, b.now.Failed = b.pairs, b.failed
	if len(b.latencies[source])*2 >= enough {
		b.timed = true
		b.now.Latency = [2][judge.Levels]time.Duration{judge.Quantiles(b.latencies[source]), judge.Quantiles(b.latencies[target])}
	}
	if b.frozen = int(b.pairs) >= burnIn; b.frozen {
		b.latencies = [2][]time.Duration{}
	}
}

func powerOfTwo(n int) bool { return math.Mod(math.Log2(float64(n)), 1) == 0 }
