package probe

import (
	"slices"
	"sync"
	"time"

	"crossfade.dev/internal/judge"
)

// asking is what is asked under one key, and what became of it. The lanes count in
// their tracks, from where it is collected second by second.
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
	a.collect()
	wanted := make(map[string]Name, len(names))
	for _, n := range names {
		wanted[n.String()] = n
	}
	for key, t := range a.tracks {
		if n, still := wanted[key]; !still {
			t.stop()
			a.book.free(t.index)
			delete(a.tracks, key)
		} else if a.resting || n != t.name || perSecond != a.perSecond {
			t.stop()
			a.tracks[key] = t.again(n, perSecond)
			a.tracks[key].start()
		}
	}
	for key, n := range wanted {
		if a.tracks[key] == nil {
			a.tracks[key] = newTrack(a.prober, n, perSecond, a.book.take())
			a.tracks[key].start()
		}
	}
	a.names, a.perSecond, a.resting = names, perSecond, false
}

// tend collects what was counted, and lets the lanes run out if nobody has asked
// for a while. What is known is kept, and set goes on from there.
func (a *asking) tend() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.collect()
	if a.resting || time.Since(a.at) < patience {
		return
	}
	a.resting = true
	for _, t := range a.tracks {
		t.stop()
	}
}

// collect puts into the book what was counted in the seconds that have ended. It
// goes no further than to the first second of which a pair is still under way, for
// whatever name: answers that are slow or do not come must not be missing from what
// is looked at.
func (a *asking) collect() {
	// A slot that is begun later than this is not timed, so nothing that is compared
	// second by second is missing.
	end := time.Now().Add(-a.prober.options.MaxSlip).Unix()
	for _, t := range a.tracks {
		end = t.underWay(end)
	}
	for _, t := range a.tracks {
		for _, r := range t.collect(end) {
			c := a.book.at(r.second).cell(t.index)
			for _, k := range r.cell {
				c.add(k.what, k.n)
			}
		}
	}
	a.book.settle(end)
}

func (a *asking) evidence(since time.Time) judge.Estate {
	// What was scheduled within the second of since is not all after it.
	from := since.Unix()
	if since.Nanosecond() > 0 {
		from++
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.collect()
	sum := a.book.sum(from)
	sum.estate.Names = make(map[string]judge.Evidence, len(a.tracks))
	for key, t := range a.tracks {
		e := sum.cells[t.index]
		t.tell(&e)
		sum.estate.Names[key] = e
	}
	return sum.estate
}
