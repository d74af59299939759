package referee

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A lane asks one target one kind of request, as one client, at times fixed before
// the load began. A lane that keeps its connection asks one request at a time, on
// that connection; any other opens one for each request and waits for none.
type lane struct {
	*load
	id       string
	target   *Target
	client   *client
	kind     Kind
	keeps    bool
	first    time.Duration // after the load's start
	interval time.Duration
	timeout  time.Duration

	where  breakdown
	writes *writes // of the kind write
	player *player // of the kind player
}

func (l *load) newLane(target *Target, client *client, kind Kind, keeps bool) *lane {
	lane := &lane{load: l, target: target, client: client, kind: kind, keeps: keeps, timeout: l.config.Timeout}
	switch kind {
	case KindSlow:
		lane.timeout = l.config.SlowTimeout
	case KindWrite:
		lane.writes = &writes{}
	}
	lane.where = l.tally.breakdown(target.Name, client.name, kind)
	return lane
}

// A connection is what a lane sends on, if it has one.
type connection struct {
	wire    wire
	address string
	used    bool // has carried a request before
}

func (c *connection) drop() {
	if c.wire != nil {
		c.wire.close()
	}
	*c = connection{}
}

func (l *lane) run() {
	var kept connection
	defer kept.drop()
	for n := int64(0); ; n++ {
		due := l.start.Add(l.first + time.Duration(n)*l.interval)
		free := time.Now()
		l.await(&kept, due)
		if !l.due(due) {
			return
		}
		// Waiting for the estate's answer to the request before is no slip.
		slip := time.Since(due)
		if free.After(due) {
			slip = time.Since(free)
		}
		if l.keeps {
			l.turn(&kept, n, due, slip)
			continue
		}
		l.underWay.Go(func() {
			var own connection
			defer own.drop()
			l.turn(&own, n, due, slip)
		})
	}
}

// await waits for a due time, or for the stop. A kept connection that the server
// closes meanwhile is let go of: nothing was written on it.
func (l *lane) await(kept *connection, due time.Time) {
	if kept.wire != nil && !kept.wire.idle(l.stopping, due) {
		kept.drop()
		l.tally.closedIdle.Add(1)
	}
	sleepUntil(l.stopping, due)
}

func (l *lane) turn(c *connection, n int64, due time.Time, slip time.Duration) {
	id := fmt.Sprintf("%s-%d", l.id, n)
	switch l.kind {
	case KindWrite:
		s := l.send(c, l.writeRequest(id), due, slip)
		l.writes.note(n, &s)
	case KindPlayer:
		l.play(c, id, due, slip)
	case KindSlow:
		l.send(c, request{id: id, method: http.MethodGet, path: withDelay(l.target.Path), expect: l.target.ExpectStatus}, due, slip)
	default:
		l.send(c, request{id: id, method: http.MethodGet, path: l.target.Path, expect: l.target.ExpectStatus}, due, slip)
	}
}

func withDelay(path string) string {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + "delay=" + slowDelay.String()
}

// A sample is what became of one request.
type sample struct {
	lane    *lane
	id      string
	due     time.Time
	ended   time.Time
	slip    time.Duration
	reused  bool   // went out on a connection that had carried a request before
	address string // resolved, with the port; empty if that failed
	sent    bool   // bytes may have reached the other side
	answer  answer
	fault   *fault
	invalid Invalid
}

// Invalid says why a sample says nothing about the estate; empty if it does.
type Invalid string

// The reasons.
const (
	InvalidLate  Invalid = "late"        // woke up late; nothing was sent
	InvalidStill Invalid = "stood still" // the referee stood still while it was under way
	InvalidSpent Invalid = "resources"   // out of ports, files or memory
)

// send makes one request and counts it, exactly once, whatever becomes of it.
func (l *lane) send(c *connection, r request, due time.Time, slip time.Duration) sample {
	l.tally.sent.Add(1)
	s := sample{lane: l, id: r.id, due: due, slip: slip}
	r.last = !l.keeps
	if slip > l.config.MaxSlip {
		s.invalid = InvalidLate
	} else {
		l.attempt(c, r, &s)
	}
	s.ended = time.Now()
	s.invalid = l.judge(&s)
	l.tally.finish(&s, l.periods.at(due))
	return s
}

func (l *lane) attempt(c *connection, r request, s *sample) {
	deadline := s.due.Add(l.timeout)
	if !time.Now().Before(deadline) {
		s.fault = &fault{ClassTimeout, fmt.Errorf("its time ran out while the request before it was under way on its connection")}
		return
	}
	if c.wire == nil {
		w, address, f := l.dialWire(deadline)
		s.address, s.fault = address, f
		if f != nil {
			return
		}
		*c = connection{wire: w, address: address}
	}
	s.address, s.reused = c.address, c.used
	c.used = true
	if l.kind == KindTCP {
		return
	}
	s.sent = true
	s.answer, s.fault = c.wire.exchange(r, deadline)
	if s.fault != nil || c.wire.spent() {
		c.drop()
	}
	if s.fault != nil || l.target.Scheme == TCP {
		return
	}
	if !r.expect.contains(s.answer.status) {
		s.fault = faultOf(ClassStatus, fmt.Errorf("answered %d", s.answer.status))
	} else if r.check != nil {
		s.fault = r.check(s.answer)
	}
}

// judge says whether a sample counts. The estate cannot be blamed, nor praised, for
// a time in which the referee stood still; but no standstill makes a server refuse
// or answer wrongly.
func (l *lane) judge(s *sample) Invalid {
	switch {
	case s.invalid != "":
		return s.invalid
	case s.fault != nil && ownFault(s.fault.err):
		return InvalidSpent
	case (s.fault == nil || s.fault.timedOut()) && l.pulse.StoodStill(s.due, s.ended):
		return InvalidStill
	default:
		return ""
	}
}
