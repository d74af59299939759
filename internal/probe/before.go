package probe

import (
	"math/bits"
	"time"

	"crossfade.dev/internal/judge"
)

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

func powerOfTwo(n int) bool { return bits.OnesCount(uint(n)) == 1 }
