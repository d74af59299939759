package referee

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
)

// A tally is everything that is counted. What was begun (sent, fetches) is counted
// apart from how it ended, so that one can be checked against the other.
type tally struct {
	sent, fetches               atomic.Int64
	closedIdle, readBackRetries atomic.Int64

	mu          sync.Mutex
	all         Counts
	names       map[string]*nameTally
	clients     map[string]*Counts
	kinds       map[Kind]*kindTally
	connections [2]Counts // new, reused
	periods     map[string]*periodTally
	classes     map[Class]int64
	invalid     map[Invalid]int64
	slip        *ddsketch.DDSketch
	writes      Writes
	segmentSum  Segments
	failures    []Failure
	omitted     int64
	window      int
}

type nameTally struct {
	Counts
	served  []Served // by network, in order of appearance
	last    []uint8  // ring of indexes into served
	next    int      // where the next answer goes in last
	unnamed int64
}

type kindTally struct {
	Counts
	latency *ddsketch.DDSketch
}

type periodTally struct {
	Counts
	latency [2]*ddsketch.DDSketch // new, reused; without the kind slow
}

// A breakdown is where the samples of a lane are counted besides the total.
type breakdown struct {
	name   *nameTally
	client *Counts
	kind   *kindTally
}

func newTally(config Config) *tally {
	return &tally{
		names: map[string]*nameTally{}, clients: map[string]*Counts{}, kinds: map[Kind]*kindTally{},
		periods: map[string]*periodTally{}, classes: map[Class]int64{}, invalid: map[Invalid]int64{},
		slip: newSketch(), window: config.Window,
	}
}

// newSketch holds milliseconds with a relative error of 1 % (DDSketch, arXiv
// 1908.10693).
func newSketch() *ddsketch.DDSketch {
	sketch, err := ddsketch.NewDefaultDDSketch(0.01)
	if err != nil {
		panic(err) // only for an accuracy outside 0 to 1
	}
	return sketch
}

func (t *tally) breakdown(name, client string, kind Kind) breakdown {
	t.mu.Lock()
	defer t.mu.Unlock()
	return breakdown{
		name:   entry(t.names, name, func() *nameTally { return &nameTally{} }),
		client: entry(t.clients, client, func() *Counts { return &Counts{} }),
		kind:   entry(t.kinds, kind, func() *kindTally { return &kindTally{latency: newSketch()} }),
	}
}

func entry[K comparable, V any](m map[K]*V, key K, fresh func() *V) *V {
	if m[key] == nil {
		m[key] = fresh()
	}
	return m[key]
}

func newPeriodTally() *periodTally {
	return &periodTally{latency: [2]*ddsketch.DDSketch{newSketch(), newSketch()}}
}

// finish counts the end of one request.
func (t *tally) finish(s *sample, period string) {
	network := networkOf(s.answer.podIP)
	latency := millis(s.ended.Sub(s.due))
	conn := 0
	if s.reused {
		conn = 1
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	during := entry(t.periods, period, newPeriodTally)
	where := s.lane.where
	for _, counts := range []*Counts{&t.all, &where.name.Counts, where.client, &where.kind.Counts, &t.connections[conn], &during.Counts} {
		counts.add(s)
	}
	add(t.slip, millis(s.slip))
	if s.answer.status != 0 {
		where.name.serve(network, s.ended)
	}
	switch {
	case s.invalid != "":
		t.invalid[s.invalid]++
	case s.fault != nil:
		t.classes[s.fault.class]++
		t.keep(s)
	default:
		add(where.kind.latency, latency)
		if s.lane.kind != KindSlow {
			add(during.latency[conn], latency)
		}
	}
}

func (t *tally) keep(s *sample) {
	if len(t.failures) == maxFailures {
		t.omitted++
		return
	}
	t.failures = append(t.failures, Failure{
		At: s.due, AfterMillis: millis(s.ended.Sub(s.due)), Name: s.lane.target.Name, Kind: s.lane.kind,
		Client: s.lane.client.name, Reused: s.reused, Address: s.address, PodIP: s.answer.podIP,
		RequestID: s.id, Class: s.fault.class, Text: s.fault.err.Error(),
	})
}

func (c *Counts) add(s *sample) {
	c.Requests++
	switch {
	case s.invalid != "":
		c.Invalid++
	case s.fault != nil:
		c.Failed++
	default:
		c.OK++
	}
}

// serve counts an answer for the network that it came from; an answer without a
// pod's address is unnamed.
func (n *nameTally) serve(network string, at time.Time) {
	if network == "" {
		n.unnamed++
		return
	}
	i := 0
	for i < len(n.served) && n.served[i].Network != network {
		i++
	}
	if i > math.MaxUint8 {
		n.unnamed++ // the ring holds bytes, and an estate has a few networks
		return
	}
	if i == len(n.served) {
		n.served = append(n.served, Served{Network: network})
	}
	n.served[i].Answers++
	n.served[i].LastAt = at
	if len(n.last) < maxWindow {
		n.last = append(n.last, uint8(i))
	} else {
		n.last[n.next] = uint8(i)
	}
	n.next = (n.next + 1) % maxWindow
}

// servedBy returns the networks with their counts within the last answers.
func (n *nameTally) servedBy(last int) []Served {
	served := append([]Served(nil), n.served...)
	for i := range min(last, len(n.last)) {
		served[n.last[(n.next-1-i+2*maxWindow)%maxWindow]].Last++
	}
	return served
}

// networkOf returns the /16 (for IPv6 the /48) of a pod's address.
func networkOf(podIP string) string {
	ip, err := netip.ParseAddr(podIP)
	if err != nil {
		return ""
	}
	bits := 16
	if ip.Is6() {
		bits = 48
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// readBack counts one write that was looked for after the load.
func (t *tally) readBack(state writeState, count int64, found WriteFault, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes.Sent++
	if state == writeApplied {
		t.writes.Acknowledged++
	}
	switch {
	case err != nil:
		t.writes.NotReadBack++
		found.What, found.Text = "not read back", err.Error()
	case count > 1:
		t.writes.Doubled++
		found.What = "doubled"
	case count < 1 && state == writeApplied:
		t.writes.Lost++
		found.What = "lost"
	default:
		return
	}
	if len(t.writes.Faults) < maxFailures {
		t.writes.Faults = append(t.writes.Faults, found)
	}
}

func (t *tally) segments(seen Segments) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.segmentSum.add(seen)
}

func add(sketch *ddsketch.DDSketch, value float64) {
	if err := sketch.Add(max(value, 0)); err != nil {
		panic(err) // only for NaN, infinities and years
	}
}

// millis keeps microseconds.
func millis(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}
