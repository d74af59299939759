// Package origin is the origin of a live stream: it makes a numbered segment every
// half second and serves the last minute of them with a playlist.
//
// A stream has one origin. Who it is stands in the key-value store as a lease; an
// origin that does not hold it is not ready, makes nothing and serves nothing. Two
// that served at once would number different segments alike, and a player would be
// given a mixture of them.
//
// An origin that is told to stop hands over: it leaves its next number and its
// segments in the store with the lease, and the next owner goes on from there, so
// that a player misses nothing. After an owner that was killed, the stream begins
// anew with another origin id.
package origin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// SegmentDuration is what one segment plays, and how often one is made.
	SegmentDuration = 500 * time.Millisecond
	kept            = 120 // segments: one minute
)

// Config is what an origin has to know.
type Config struct {
	Stream string
	ID     string // of this process; another process never has the same
	Store  *redis.Client
	Every  time.Duration // between segments
	Lease  time.Duration // how long the ownership outlives its owner
	Log    io.Writer
}

// An Origin is one process that can own the stream.
type Origin struct {
	config Config
	lease  lease

	mu       sync.Mutex
	until    time.Time // the stream is ours until then
	stopped  bool      // handed over for good: what we have is served, nothing is made
	epoch    int64     // which ownership of the stream ours is, counted by the store
	taken    bool      // over from an origin that handed over
	next     int64     // number of the next segment
	segments []segment // the last ones, in order
}

type segment struct {
	Number int64  `json:"number"`
	Data   []byte `json:"data"`
}

// handover is what one origin leaves to the next.
type handover struct {
	Next     int64     `json:"next"`
	Segments []segment `json:"segments"`
}

// New returns an origin that does not own the stream yet.
func New(config Config) *Origin {
	return &Origin{config: config, lease: newLease(config), next: 1}
}

// Run owns the stream whenever nobody else does, until ctx ends; then it hands
// over. The error of a hand-over that the store did not take is returned.
func (o *Origin) Run(ctx context.Context) error {
	var making sync.WaitGroup
	making.Go(func() { o.makeSegments(ctx) })
	o.keepLease(ctx)
	making.Wait()

	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.config.Lease/2)
	defer cancel()
	return o.handOver(last)
}

func (o *Origin) makeSegments(ctx context.Context) {
	tick := time.NewTicker(o.config.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			o.makeSegment(now)
		}
	}
}

func (o *Origin) makeSegment(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.owns(now) {
		return
	}
	o.segments = append(o.segments, segment{o.next, content(o.config.Stream, o.config.ID, o.next)})
	o.next++
	if surplus := len(o.segments) - kept; surplus > 0 {
		o.segments = o.segments[surplus:]
	}
}

// keepLease renews the lease often enough that one or two lost calls do not cost
// the ownership, and asks for it otherwise.
func (o *Origin) keepLease(ctx context.Context) {
	tick := time.NewTicker(o.config.Lease / 20)
	defer tick.Stop()
	for {
		call, cancel := context.WithTimeout(ctx, o.config.Lease/5)
		err := o.renewOrAcquire(call, time.Now())
		cancel()
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(o.config.Log, "keep the stream %s: %v\n", o.config.Stream, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renewOrAcquire counts the lease from now, which is before the store is asked.
func (o *Origin) renewOrAcquire(ctx context.Context, now time.Time) error {
	ours, err := o.lease.renew(ctx)
	if err != nil {
		return err
	}
	if ours {
		o.extend(now)
		return nil
	}
	epoch, left, err := o.lease.acquire(ctx)
	if errors.Is(err, errOwned) {
		o.yield()
		return nil
	}
	if err != nil {
		return err
	}
	return o.begin(now, epoch, left)
}

func (o *Origin) extend(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = o.untilFrom(now)
}

func (o *Origin) yield() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = time.Time{}
}

// begin takes the stream up where it can be: from what the last owner left, else
// from our own segments if nobody owned the stream since, else from the first.
func (o *Origin) begin(now time.Time, epoch int64, left []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case len(left) > 0:
		var from handover
		if err := json.Unmarshal(left, &from); err != nil {
			return fmt.Errorf("read what the last origin left: %w", err)
		}
		o.taken, o.next, o.segments = true, from.Next, from.Segments
		fmt.Fprintf(o.config.Log, "stream %s taken over at segment %d\n", o.config.Stream, o.next)
	case epoch == o.epoch+1 && o.epoch > 0:
		fmt.Fprintf(o.config.Log, "stream %s taken up again at segment %d\n", o.config.Stream, o.next)
	default:
		o.taken, o.next, o.segments = false, 1, nil
		fmt.Fprintf(o.config.Log, "stream %s begins\n", o.config.Stream)
	}
	o.epoch = epoch
	o.until = o.untilFrom(now)
	return nil
}

// handOver leaves the stream to whoever comes next. It is called when nothing is made
// any more. If the store does not take it, the stream stays ours until the lease runs
// out, and not longer: whoever comes next then begins anew.
func (o *Origin) handOver(ctx context.Context) error {
	left, owned, err := o.leave()
	if err != nil || !owned {
		return err
	}
	if err := o.lease.release(ctx, left); err != nil {
		return fmt.Errorf("hand the stream %s over: %w", o.config.Stream, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped, o.until = true, time.Time{}
	fmt.Fprintf(o.config.Log, "stream %s handed over at segment %d\n", o.config.Stream, o.next)
	return nil
}

// leave is what the next owner needs, if the stream is ours.
func (o *Origin) leave() (left []byte, owned bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.owns(time.Now()) {
		return nil, false, nil
	}
	left, err = json.Marshal(handover{Next: o.next, Segments: o.segments})
	return left, true, err
}

// untilFrom is when an ownership that was asked for at now ends: a tenth of the
// lease earlier than the store lets another in, whose clock is not quite ours.
func (o *Origin) untilFrom(now time.Time) time.Time {
	return now.Add(o.config.Lease - o.config.Lease/10)
}

// owns needs o.mu.
func (o *Origin) owns(now time.Time) bool {
	return now.Before(o.until)
}
