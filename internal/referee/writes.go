package referee

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// writes remembers what became of each numbered write of one lane, a byte each.
type writes struct {
	mu     sync.Mutex
	states []writeState // by number
}

type writeState byte

const (
	writeUnsent  writeState = iota // nothing reached the other side
	writeUnsure                    // sent, but not acknowledged: may be applied or not, but not twice
	writeApplied                   // acknowledged: must be found, once
)

// note takes the acknowledgement for what it is even where the sample is invalid.
func (w *writes) note(n int64, s *sample) {
	state := writeUnsent
	if s.sent {
		state = writeUnsure
		if s.fault == nil {
			state = writeApplied
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for int64(len(w.states)) <= n { // requests on connections of their own end in any order
		w.states = append(w.states, writeUnsent)
	}
	w.states[n] = state
}

type event struct {
	ID string `json:"id"`
}

func (l *lane) writeRequest(id string) request {
	body, err := json.Marshal(event{id})
	if err != nil {
		panic(err) // a string always marshals
	}
	return request{id: id, method: http.MethodPost, path: l.target.WritePath, body: body, expect: success}
}

// Reading back may be tried again: it is how the referee finds out what was kept,
// not a request that a user makes.
const (
	readBackTries   = 10
	readBackPause   = 500 * time.Millisecond
	readBackWithin  = time.Minute
	readBackWorkers = 32
)

// readBack reads every write of every lane, by the first client, and counts.
func (l *load) readBack() {
	ctx, cancel := context.WithTimeout(context.Background(), readBackWithin)
	defer cancel()
	lanes := make(chan *lane)
	var workers sync.WaitGroup
	for range readBackWorkers {
		workers.Go(func() {
			for lane := range lanes {
				lane.readBack(ctx)
			}
		})
	}
	for _, lane := range l.lanes {
		if lane.kind == KindWrite {
			lanes <- lane
		}
	}
	close(lanes)
	workers.Wait()
}

func (l *lane) readBack(ctx context.Context) {
	reader := l.newLane(l.target, l.clients[0], KindWrite, true)
	var kept connection
	defer kept.drop()
	for n, state := range l.writes.states {
		if state == writeUnsent {
			continue
		}
		id := fmt.Sprintf("%s-%d", l.id, n)
		count, err := reader.readWrite(ctx, &kept, id)
		l.tally.readBack(state, count, WriteFault{
			ID: id, Name: l.target.Name, Client: l.client.name,
			At: l.start.Add(l.first + time.Duration(n)*l.interval), Count: count,
		}, err)
	}
}

// readWrite returns how often a write was applied.
func (l *lane) readWrite(ctx context.Context, kept *connection, id string) (int64, error) {
	var last error
	for try := range readBackTries {
		if try > 0 {
			l.tally.readBackRetries.Add(1)
			sleepUntil(ctx, time.Now().Add(readBackPause))
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("time to read back ran out: %w", ctx.Err())
		}
		count, f := l.readOnce(kept, id)
		if f == nil {
			return count, nil
		}
		last = f.err
	}
	return 0, last
}

func (l *lane) readOnce(kept *connection, id string) (int64, *fault) {
	s := sample{lane: l, due: time.Now()}
	l.attempt(kept, request{
		id: "read-" + id, method: http.MethodGet, path: l.target.WritePath + "/" + url.PathEscape(id),
		keep: true, expect: StatusRange{200, 404},
	}, &s)
	switch {
	case s.fault != nil:
		return 0, s.fault
	case s.answer.status == http.StatusNotFound:
		return 0, nil
	case s.answer.status != http.StatusOK:
		return 0, faultOf(ClassStatus, fmt.Errorf("answered %d", s.answer.status))
	}
	var found struct {
		ID    string `json:"id"`
		Count *int64 `json:"count"`
	}
	if err := json.Unmarshal(s.answer.body, &found); err != nil || found.ID != id || found.Count == nil {
		return 0, faultOf(ClassContent, fmt.Errorf("answered %s instead of the count of %s", strconv.Quote(string(s.answer.body)), id))
	}
	return *found.Count, nil
}
