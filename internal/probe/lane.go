package probe

import (
	"context"
	"net"
	"strconv"
	"time"

	"crossfade.dev/internal/judge"
)

// A lane asks one name on one side: slot after slot on a connection that it keeps,
// and now and then on a new one.
type lane struct {
	track   *track
	side    int
	address string
	options Options
	kept    []byte // the request on a connection that is kept
	fresh   []byte // and on one that is not
}

func newLane(t *track, side int) *lane {
	ip := t.name.Source
	if side == target {
		ip = t.name.Target
	}
	return &lane{
		track: t, side: side, address: net.JoinHostPort(ip, strconv.Itoa(int(t.name.Port))),
		options: t.prober.options, kept: t.name.encode(false), fresh: t.name.encode(true),
	}
}

func (l *lane) run() {
	var w *wire
	defer func() { w.close() }()
	for n := int64(0); ; n++ {
		due := l.track.due(n)
		w = w.await(due)
		kept, fresh, both := l.track.slots(n)
		if !l.track.begin(kept) {
			return
		}
		if both && l.track.begin(fresh) {
			go l.open(fresh, due)
		}
		var h half
		h, w = l.ask(w, l.kept, due)
		l.track.end(kept, l.side, h)

		// Slots that came due meanwhile would only say the same once more.
		for now := time.Now(); l.track.due(n + 1).Before(now); n++ {
			l.miss(n + 1)
		}
	}
}

// miss counts a slot in which nothing was asked.
func (l *lane) miss(n int64) {
	kept, fresh, both := l.track.slots(n)
	l.track.end(kept, l.side, half{invalid: true})
	if both {
		l.track.end(fresh, l.side, half{invalid: true})
	}
}

// open asks once on a connection of its own.
func (l *lane) open(s slot, due time.Time) {
	h, w := l.ask(nil, l.fresh, due)
	w.close()
	l.track.end(s, l.side, h)
}

// ask makes one request, on w if there is one. It returns the wire for the next
// one, or nil.
func (l *lane) ask(w *wire, request []byte, due time.Time) (half, *wire) {
	p := l.track.prober
	slip := time.Since(due)
	p.tally.slip(slip)
	if slip > l.options.Timeout/2 {
		return half{invalid: true}, w
	}
	class, w, err := l.exchange(w, request, due.Add(l.options.Timeout))
	ended := time.Now()
	h := half{class: class, latency: ended.Sub(due)}
	// A prober that is late or stands still makes answers late. It makes no server
	// refuse, nor answer wrongly.
	if slip > l.options.MaxSlip || p.pulse.StoodStill(due, ended) {
		h.untimed, h.invalid = true, class == judge.TimedOut
	}
	if err != nil && ownFault(err) {
		h.invalid = true
	}
	return h, w
}

func (l *lane) exchange(w *wire, request []byte, deadline time.Time) (judge.Class, *wire, error) {
	if w == nil {
		ctx, cancel := context.WithDeadline(l.track.prober.ctx, deadline)
		conn, err := l.options.Dial(ctx, "tcp", l.address)
		cancel()
		if err != nil {
			return judge.Unconnected, nil, err
		}
		w = newWire(conn)
	}
	class, again, err := w.exchange(request, deadline)
	if !again {
		w.close()
		w = nil
	}
	return class, w, err
}

// await waits for a time. It returns w, or nil if the server closed it: nothing was
// written on it then, so that the next request may go out on another.
func (w *wire) await(due time.Time) *wire {
	if w != nil && !w.idle(due) {
		w.close()
		w = nil
	}
	time.Sleep(time.Until(due))
	return w
}

func (w *wire) close() {
	if w != nil {
		_ = w.conn.Close()
	}
}
