package node

import (
	"container/heap"
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// A tally counts the results of one probe of one run of a container, and knows
// what they mean by the probe's thresholds.
type tally struct {
	success, failure int32 // thresholds
	passed           bool  // the verdict now
	streak           int32 // results in a row that are all like last
	last             bool
}

// newTally starts with the verdict that holds until a threshold is reached: not
// ready, not started, but alive.
func newTally(p *corev1.Probe, passed bool) tally {
	return tally{success: max(p.SuccessThreshold, 1), failure: max(p.FailureThreshold, 1), passed: passed}
}

// observe takes in a result. reached is whether a threshold was reached, so that
// the verdict holds by evidence; changed is whether the verdict is a new one.
func (t *tally) observe(ok bool) (reached, changed bool) {
	if t.last != ok {
		t.last, t.streak = ok, 0
	}
	t.streak++
	threshold := t.failure
	if ok {
		threshold = t.success
	}
	if t.streak < threshold {
		return false, false
	}
	changed = t.passed != ok
	t.passed = ok
	return true, changed
}

// A rota runs the probes of all pods, each in its own rhythm. A parked goroutine
// for each of thousands of probes would cost more than the probes.
type rota struct {
	now  func() time.Time
	busy chan struct{} // bounds how many run at once

	mu    sync.Mutex
	queue turns
	wake  chan struct{}
}

// A turn is one probe's place in the rota.
type turn struct {
	at     time.Time
	period time.Duration
	run    func(context.Context)
	ctx    context.Context
}

func newRota(now func() time.Time, atOnce int) *rota {
	return &rota{now: now, busy: make(chan struct{}, atOnce), wake: make(chan struct{}, 1)}
}

// add runs a probe at first and then every period, until ctx ends. A run that
// takes longer than a period delays the next.
func (r *rota) add(ctx context.Context, first time.Time, period time.Duration, run func(context.Context)) {
	r.push(&turn{at: first, period: period, run: run, ctx: ctx})
}

func (r *rota) push(t *turn) {
	r.mu.Lock()
	heap.Push(&r.queue, t)
	isNext := r.queue[0] == t
	r.mu.Unlock()
	if isNext {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// run runs what is due until ctx ends.
func (r *rota) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		t, in := r.due()
		if t != nil {
			r.start(t)
			continue
		}
		timer.Reset(in)
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// due takes the next turn if its time has come, or else says how long it is.
func (r *rota) due() (*turn, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return nil, time.Hour
	}
	if in := r.queue[0].at.Sub(r.now()); in > 0 {
		return nil, in
	}
	return heap.Pop(&r.queue).(*turn), 0
}

func (r *rota) start(t *turn) {
	if t.ctx.Err() != nil {
		return
	}
	r.busy <- struct{}{}
	go func() {
		t.run(t.ctx)
		<-r.busy
		if t.ctx.Err() == nil {
			t.at = t.at.Add(t.period)
			if now := r.now(); t.at.Before(now) {
				t.at = now
			}
			r.push(t)
		}
	}()
}

// turns is a heap by time.
type turns []*turn

func (q turns) Len() int           { return len(q) }
func (q turns) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q turns) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *turns) Push(t any)        { *q = append(*q, t.(*turn)) }
func (q *turns) Pop() any {
	old := *q
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return t
}
