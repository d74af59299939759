package referee

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// The paces of what does not go by Config.Rate.
const (
	playlistPeriod = 500 * time.Millisecond
	slowDelay      = 2 * time.Second
	// A slow lane asks once in slowPeriod, longer than its request lasts, so that it
	// never waits for itself. With slowOverlap lanes a name is asked every 500 ms.
	slowPeriod  = 2500 * time.Millisecond
	slowOverlap = 5
	// A paced lane asks at most once in laneInterval, as a person would: an estate of
	// few names has several lanes of each sort, so that no kept connection is asked
	// faster than an estate in good health answers.
	laneInterval = time.Second
	// maxSlow bounds the slow requests under way at once over all names, on average.
	maxSlow = 400
)

// schedule lays out every lane and its times. The same seed, targets and resolvers
// give the same lanes.
func (l *load) schedule(random *rand.Rand) []*lane {
	var paced, players []*lane
	for i := range l.config.Targets {
		target := &l.config.Targets[i]
		for _, client := range l.clients {
			paced = append(paced, l.pacedLanes(target, client)...)
			if target.ask(KindPlayer) {
				players = append(players, l.playerLane(target, client, random))
			}
		}
	}
	once := paced
	for len(once) > 0 && len(paced) < int(l.config.Rate*laneInterval.Seconds()) {
		for _, lane := range once {
			paced = append(paced, l.newLane(lane.target, lane.client, lane.kind, lane.keeps))
		}
	}
	random.Shuffle(len(paced), func(i, j int) { paced[i], paced[j] = paced[j], paced[i] })
	for i, lane := range paced {
		lane.first = seconds(float64(i) / l.config.Rate)
		lane.interval = seconds(float64(len(paced)) / l.config.Rate)
	}
	lanes := slices.Concat(paced, players, l.slowLanes())
	for i, lane := range lanes {
		lane.id = fmt.Sprintf("%s-%d", l.runID, i)
	}
	return lanes
}

// pacedLanes are those that share Config.Rate: for each kind one that opens a
// connection for each request and one that keeps its own.
func (l *load) pacedLanes(target *Target, client *client) []*lane {
	var lanes []*lane
	for _, kind := range target.Kinds {
		switch kind {
		case KindGet, KindWrite, KindRedis:
			lanes = append(lanes, l.newLane(target, client, kind, false), l.newLane(target, client, kind, true))
		case KindTCP: // carries no request for which a connection could be kept
			lanes = append(lanes, l.newLane(target, client, kind, false))
		}
	}
	return lanes
}

func (l *load) playerLane(target *Target, client *client, random *rand.Rand) *lane {
	lane := l.newLane(target, client, KindPlayer, true)
	lane.first, lane.interval = time.Duration(random.Int64N(int64(playlistPeriod))), playlistPeriod
	lane.player = &player{broadcast: l.streams[target.Name]}
	return lane
}

// slowLanes spreads the slow requests evenly in time, round-robin over the names,
// the clients and both ways with connections.
func (l *load) slowLanes() []*lane {
	var slow []*Target
	for i := range l.config.Targets {
		if l.config.Targets[i].ask(KindSlow) {
			slow = append(slow, &l.config.Targets[i])
		}
	}
	if len(slow) == 0 {
		return nil
	}
	rounds := min(max(maxSlow/len(slow), 1), slowOverlap)
	total := rounds * len(slow)
	interval := max(slowPeriod, time.Duration(total)*slowDelay/maxSlow)
	var lanes []*lane
	for round := range rounds {
		for i, target := range slow {
			n := round + i
			lane := l.newLane(target, l.clients[n%len(l.clients)], KindSlow, n/len(l.clients)%2 == 1)
			lane.first = time.Duration(len(lanes)) * interval / time.Duration(total)
			lane.interval = interval
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

// scheduled is how many requests the schedule held from the start until the time
// given: the sum that sent must equal, found without counting anything.
func (l *load) scheduled(until time.Time) int64 {
	var total int64
	for _, lane := range l.lanes {
		if offset := until.Sub(l.start) - lane.first; offset >= 0 {
			total += int64(offset/lane.interval) + 1
		}
	}
	return total
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
