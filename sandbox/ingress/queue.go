package ingress

import (
	"context"
	"sync"
	"time"
)

// A queue does things later: those with the same key one after the other, in the
// order in which they came, each not before its time.
type queue struct {
	ctx     context.Context // when it ends, what waits is not done
	mu      sync.Mutex
	pending map[string][]task
}

type task struct {
	due time.Time
	do  func(context.Context)
}

func newQueue(ctx context.Context) *queue {
	return &queue{ctx: ctx, pending: map[string][]task{}}
}

// after does do when wait has passed, and everything that came earlier under key
// is done.
func (q *queue) after(wait time.Duration, key string, do func(context.Context)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending[key] = append(q.pending[key], task{time.Now().Add(wait), do})
	if len(q.pending[key]) == 1 {
		go q.work(key)
	}
}

func (q *queue) work(key string) {
	for {
		q.mu.Lock()
		next := q.pending[key][0]
		q.mu.Unlock()
		timer := time.NewTimer(time.Until(next.due))
		select {
		case <-timer.C:
		case <-q.ctx.Done():
			timer.Stop()
			return
		}
		next.do(q.ctx)
		q.mu.Lock()
		q.pending[key] = q.pending[key][1:]
		if len(q.pending[key]) == 0 {
			delete(q.pending, key)
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
	}
}
