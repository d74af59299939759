package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The Lease that fences a cluster's engines from each other.
const (
	LeaseNamespace = "kube-system"
	LeaseName      = "crossfade"
)

// Defaults of FenceOptions.
const (
	DefaultLease        = 30 * time.Second
	DefaultWriteTimeout = 5 * time.Second
)

// FenceOptions say who fences, and how long things may take.
type FenceOptions struct {
	// Identity names this engine in the Lease. It must be unique among the engines
	// that may run at the same time: one that starts again under the identity of
	// one that has surely ended goes on at once, instead of waiting for the lease.
	Identity string
	// Duration is how long the lease is good for after a renewal; DefaultLease if
	// zero. Whole seconds.
	Duration time.Duration
	// WriteTimeout is the longest that a write may take; DefaultWriteTimeout if
	// zero. It must be well below Duration.
	WriteTimeout time.Duration
	// Clock is this engine's own. Clocks of different engines need not agree, but
	// must run at the same speed.
	Clock clock.PassiveClock
}

// A Fence keeps two engines from writing to one cluster at the same time. It holds
// a Lease there; whoever holds it may write for as long as the lease lasts, counted
// on its own clock from before the renewal was sent. Another engine takes the lease
// over only after it saw it unchanged for a whole duration on its own clock, which
// is later. Who deletes a Lease that is held takes the fence down until its holder
// notices. Methods may be called from several goroutines at once.
type Fence struct {
	api API
	o   FenceOptions

	// asking is held while the lease is read or written. What it guards:
	asking sync.Mutex
	// lease is as last read or written; nil when it has to be read first.
	lease *coordinationv1.Lease
	// seen is the version of somebody else's lease, seenAt when we first saw it.
	seen   string
	seenAt time.Time

	// mu is held for moments only: no write waits for a renewal under way. It guards:
	mu sync.Mutex
	// until is when what we hold runs out, on our clock; zero when we hold nothing.
	until time.Time
	// term counts how often the lease was taken.
	term int32
}

// NewFence fences the cluster behind api, which must not be fenced itself and must
// not read from a cache. Nothing is held before Hold.
func NewFence(api API, o FenceOptions) *Fence {
	if o.Duration == 0 {
		o.Duration = DefaultLease
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	return &Fence{api: api, o: o}
}

// Hold acquires or renews the lease. The caller's loop calls it every third of the
// lease or so. The error wraps ErrFenced when another engine holds the lease; after
// any other error what was held before is still good until it runs out.
func (f *Fence) Hold(ctx context.Context) error {
	f.asking.Lock()
	defer f.asking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, f.o.WriteTimeout)
	defer cancel()
	if f.lease == nil {
		made, err := f.read(ctx)
		if err != nil || made {
			return err
		}
	}
	if err := f.mayTake(); err != nil {
		f.lease = nil // read it again next time
		return err
	}
	return f.renew(ctx)
}

// read reads the lease, or makes it if there is none.
func (f *Fence) read(ctx context.Context) (made bool, err error) {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: LeaseNamespace, Name: LeaseName}}
	err = f.api.Get(ctx, client.ObjectKeyFromObject(lease), lease)
	if err == nil {
		f.lease = lease
		return false, nil
	}
	if !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("read the lease: %w", err)
	}
	asked := f.o.Clock.Now()
	f.sign(lease, asked)
	lease.Spec.AcquireTime = lease.Spec.RenewTime
	lease.Spec.LeaseTransitions = new(int32(0))
	if err := f.api.Create(ctx, lease, client.FieldOwner(FieldManager)); err != nil {
		return false, fmt.Errorf("create the lease: %w", err)
	}
	f.lease = lease
	f.extend(asked, true)
	return true, nil
}

// extend notes that the lease is ours for its duration from when that was asked for,
// and whether it was taken, or ours before.
func (f *Fence) extend(asked time.Time, taken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = asked.Add(f.o.Duration)
	if taken {
		f.term++
	}
}

// lose notes that the lease is not ours, and returns whether it was until now.
func (f *Fence) lose() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := !f.until.IsZero()
	f.until = time.Time{}
	return held
}

func (f *Fence) sign(lease *coordinationv1.Lease, at time.Time) {
	lease.Spec.HolderIdentity = &f.o.Identity
	lease.Spec.LeaseDurationSeconds = new(int32(f.o.Duration / time.Second))
	lease.Spec.RenewTime = new(metav1.NewMicroTime(at))
}

// mayTake is nil when the lease is ours, or free, or was not renewed for as long
// as its holder may rely on it.
func (f *Fence) mayTake() error {
	holder := ptr.Deref(f.lease.Spec.HolderIdentity, "")
	if holder == f.o.Identity || holder == "" {
		return nil
	}
	f.lose()
	now := f.o.Clock.Now()
	if seen := string(f.lease.UID) + "/" + f.lease.ResourceVersion; f.seen != seen {
		f.seen, f.seenAt = seen, now
	}
	theirs := time.Duration(ptr.Deref(f.lease.Spec.LeaseDurationSeconds, 0)) * time.Second
	if now.Sub(f.seenAt) < max(theirs, f.o.Duration) {
		return fmt.Errorf("%w: the lease is held by %s", ErrFenced, holder)
	}
	return nil
}

// renew writes the lease with our name, if it still is what was read.
func (f *Fence) renew(ctx context.Context) error {
	next := f.lease.DeepCopy()
	asked := f.o.Clock.Now()
	f.sign(next, asked)
	taken := ptr.Deref(f.lease.Spec.HolderIdentity, "") != f.o.Identity
	if taken {
		next.Spec.AcquireTime = next.Spec.RenewTime
		next.Spec.LeaseTransitions = new(ptr.Deref(f.lease.Spec.LeaseTransitions, 0) + 1)
	}
	f.lease = nil // until the write is known to have happened, or the lease was read again
	if err := f.api.Update(ctx, next, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	f.lease = next
	f.extend(asked, taken)
	return nil
}

// Term tells the times apart at which the lease was taken: it is another one if
// another engine has held the lease since, and may have changed what this one
// remembers.
func (f *Fence) Term() int32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.term
}

// Check returns nil when a write that is sent now will have ended, one way or the
// other, while the lease is still ours. The error wraps ErrFenced.
func (f *Fence) Check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.until.IsZero() {
		return fmt.Errorf("%w: the lease is not held", ErrFenced)
	}
	if left := f.until.Sub(f.o.Clock.Now()); left <= f.o.WriteTimeout {
		return fmt.Errorf("%w: the lease was not renewed and runs out in %s, a write may take %s", ErrFenced, max(0, left).Round(time.Millisecond), f.o.WriteTimeout)
	}
	return nil
}

// RenewEvery is how often Hold should be called.
func (f *Fence) RenewEvery() time.Duration { return f.o.Duration / 3 }

// Release gives the lease up, so that another engine need not wait. No write may
// be under way. It does nothing when the lease is not held.
func (f *Fence) Release(ctx context.Context) error {
	f.asking.Lock()
	defer f.asking.Unlock()
	if held := f.lose(); !held || f.lease == nil {
		return nil
	}
	next := f.lease.DeepCopy()
	next.Spec.HolderIdentity = nil
	f.lease = nil
	ctx, cancel := context.WithTimeout(ctx, f.o.WriteTimeout)
	defer cancel()
	if err := f.api.Update(ctx, next, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("release the lease: %w", err)
	}
	return nil
}
