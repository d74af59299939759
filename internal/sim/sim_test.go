package sim

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
)

var (
	seed  = flag.Uint64("seed", 0, "run this seed alone, and log everything")
	apps  = flag.Int("apps", 0, "with -seed, the size of the estate")
	first = flag.Uint64("first", 1, "the first seed to run")
	count = flag.Uint64("seeds", 200, "how many small estates to run")
	large = flag.Uint64("large", 5, "how many large estates to run, of about a quarter of a minute of one core each")
)

// broke lists the seeds that once broke a promise: they stay.
var broke = []Options{{Seed: 112}, {Seed: 183}}

// TestSimulation leads estates of 3 to 30 apps, and some of 1,600, to where their
// plans end. A seed that breaks a promise is shown by
// go test ./internal/sim -seed N [-apps 1600].
func TestSimulation(t *testing.T) {
	if *seed != 0 {
		run(t, Options{Seed: *seed, Apps: *apps, Log: func(line string) { t.Log(line) }})
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))         // a run's garbage is short-lived
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(5 << 29)) // bytes: large estates fill more than that otherwise
	var small []Options
	for s := range *count {
		small = append(small, Options{Seed: *first + s})
	}
	q := &queue{small: append(small, broke...)}
	for s := range *large {
		q.large = append(q.large, Options{Seed: *first + s, Apps: 1600})
	}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for o, done, more := q.next(); more; o, done, more = q.next() {
				t.Run(fmt.Sprintf("%d-%d", o.Seed, o.Apps), func(t *testing.T) { run(t, o) })
				done()
			}
		})
	}
	workers.Wait()
}

// A queue holds the runs that are to be made. Large estates run one after the other as
// long as there is something else to do: they need much memory.
type queue struct {
	mu           sync.Mutex
	large, small []Options
	busy         int // large ones that run
}

// next takes a run, and says whether there was one; done is called when it has ended.
func (q *queue) next() (o Options, done func(), more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.large) > 0 && (q.busy == 0 || len(q.small) == 0) {
		o, q.large = q.large[0], q.large[1:]
		q.busy++
		return o, func() { q.mu.Lock(); q.busy--; q.mu.Unlock() }, true
	}
	if len(q.small) == 0 {
		return o, nil, false
	}
	o, q.small = q.small[0], q.small[1:]
	return o, func() {}, true
}

func TestASeedReplaysExactly(t *testing.T) {
	for s := uint64(1); s <= 3; s++ {
		one, _ := Run(t.Context(), Options{Seed: s})
		other, _ := Run(t.Context(), Options{Seed: s})
		if one != other {
			t.Errorf("seed %d: once %+v, then %+v", s, one, other)
		}
	}
}

func run(t *testing.T, o Options) {
	t.Helper()
	result, err := Run(t.Context(), o)
	t.Logf("seed %d: %d apps, %d passes, %s, %s, digest %x: %s", o.Seed, result.Apps, result.Passes, result.Simulated, result.Tally, result.Digest, result.Plan)
	if err != nil {
		t.Error(err)
	}
}
