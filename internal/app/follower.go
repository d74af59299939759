package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
)

// follower runs, for each migration, a loop that keeps the mirror going and one
// that keeps the bridge going.
type follower struct {
	connections *connections
	workers     int

	mu    sync.Mutex
	pairs map[types.UID]*pair
}

// A pair is the two clusters of one migration, being followed.
type pair struct {
	source, target *connection
	end            context.CancelFunc

	// turn is held while the mirror makes a pass: its methods are not for two.
	turn   sync.Mutex
	mirror *mirror.Mirror
	// deafen ends the mirror's feeds.
	deafen context.CancelFunc
	writer v1.Side
	rules  []v1.MirrorRule
	// held are the terms of both fences in which the mirror began: what it remembers of
	// the ledger is true as long as no other engine has held them.
	held   [2]int32
	bridge *bridge.Bridge

	mu sync.Mutex
	// subject is the migration as it was last seen.
	subject  migration.Subject
	want     migration.Following
	followed migration.Followed
	// ofMirror and ofBridge are what cut their last passes short, nil if nothing did.
	ofMirror, ofBridge error
	nudge              chan struct{}
	heard              chan struct{}
}

// Follow implements migration.Follower.
func (f *follower) Follow(ctx context.Context, s migration.Subject, want migration.Following) (migration.Followed, error) {
	p, err := f.pair(ctx, s)
	if err != nil {
		return migration.Followed{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subject = s
	p.subject.Migration = s.Migration.DeepCopy() // the engine goes on changing its own
	if p.want != want {
		// What was known is known of something else.
		p.want, p.followed, p.ofMirror, p.ofBridge = want, migration.Followed{}, nil, nil
		for range cap(p.nudge) { // one for each loop
			select {
			case p.nudge <- struct{}{}:
			default:
			}
		}
	}
	return p.followed, errors.Join(p.ofMirror, p.ofBridge)
}

// Differences implements migration.Follower.
func (f *follower) Differences(ctx context.Context, s migration.Subject) ([]mirror.Difference, error) {
	p, err := f.pair(ctx, s)
	if err != nil {
		return nil, err
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.mirror == nil || p.writer != s.Migration.Status.Writer {
		return nil, errors.New("the mirror has not begun in this direction")
	}
	return p.mirror.Differences(ctx)
}

// Remove implements migration.Follower.
func (f *follower) Remove(ctx context.Context, s migration.Subject) ([]mirror.Left, bool, error) {
	p, err := f.pair(ctx, s)
	if err != nil {
		return nil, false, err
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	ctx, end := context.WithCancel(ctx)
	defer end()
	m, err := f.newMirror(ctx, p, s, v1.Source)
	if err != nil {
		return nil, false, err
	}
	return m.Undo(ctx)
}

// pair returns the loops of a migration, started if they do not run, and anew if
// one of its clusters was connected anew.
func (f *follower) pair(ctx context.Context, s migration.Subject) (*pair, error) {
	source, err := f.site(ctx, s, s.Migration.Spec.Source)
	if err != nil {
		return nil, err
	}
	target, err := f.site(ctx, s, s.Migration.Spec.Target)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pairs[s.Migration.UID]; p != nil {
		if p.source == source && p.target == target {
			return p, nil
		}
		p.end()
	}
	ctx, end := context.WithCancel(f.connections.ctx)
	p := &pair{source: source, target: target, end: end, nudge: make(chan struct{}, 2), heard: make(chan struct{}, 1)}
	p.bridge = bridge.New(bridge.Config{
		Source: s.Source.API, Target: s.Target.API, Namespaces: s.In, Clock: clock.RealClock{}, Workers: f.workers,
	})
	f.pairs[s.Migration.UID] = p
	changes := make(chan struct{}, 1)
	source.listen(changes)
	target.listen(changes)
	go p.bridgeLoop(ctx, changes)
	go p.mirrorLoop(ctx, f)
	return p, nil
}

func (f *follower) site(ctx context.Context, s migration.Subject, name string) (*connection, error) {
	obj := &v1.Cluster{}
	if err := f.connections.hub.Get(ctx, client.ObjectKey{Namespace: s.Migration.Namespace, Name: name}, obj); err != nil {
		return nil, fmt.Errorf("read cluster %s: %w", name, err)
	}
	return f.connections.to(ctx, obj)
}

// longest is how long a loop waits at most between two passes.
const longest = time.Second

// bridgeLoop carries endpoints over whenever something changed on either side.
func (p *pair) bridgeLoop(ctx context.Context, changes <-chan struct{}) {
	for ctx.Err() == nil {
		want := p.wanted()
		report, err := p.bridge.Sync(ctx, want.Ways)
		p.note(ctx, "bridge", &p.ofBridge, err, func(f *migration.Followed) { f.Bridge, f.Bridged = report, err == nil }, want)
		p.idle(ctx, changes)
	}
}

// mirrorLoop carries objects over whenever a feed heard something.
func (p *pair) mirrorLoop(ctx context.Context, f *follower) {
	for ctx.Err() == nil {
		want := p.wanted()
		if !want.Mirrored {
			p.drop()
			p.idle(ctx, nil)
			continue
		}
		found, err := p.pass(ctx, f, want)
		p.note(ctx, "mirror", &p.ofMirror, err, func(f *migration.Followed) { f.Mirror, f.Lag, f.Synced = found.Mirror, found.Lag, found.Synced }, want)
		if found.Mirror.Again > 0 || err != nil {
			p.idle(ctx, nil)
			continue
		}
		p.idle(ctx, p.heard)
	}
}

// pass makes one pass of the mirror, turned to the side that writes.
func (p *pair) pass(ctx context.Context, f *follower, want migration.Following) (migration.Followed, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.wanted() != want {
		return migration.Followed{}, nil // it changed while somebody else had the turn
	}
	writer := want.Writer
	subject := p.seen()
	terms := p.terms()
	if rules := subject.Migration.Spec.Rules; p.mirror == nil || p.writer != writer || p.held != terms || !reflect.DeepEqual(p.rules, rules) {
		p.forget()
		feeding, deafen := context.WithCancel(f.connections.ctx)
		m, err := f.newMirror(feeding, p, subject, writer)
		if err != nil {
			deafen()
			return migration.Followed{}, err
		}
		p.mirror, p.deafen, p.writer, p.rules, p.held = m, deafen, writer, rules, terms
	}
	return migration.SyncMirror(ctx, p.mirror)
}

// terms are those of both fences.
func (p *pair) terms() [2]int32 {
	return [2]int32{p.source.cluster.Fence.Term(), p.target.cluster.Fence.Term()}
}

// drop forgets the mirror, with what its feeds hold.
func (p *pair) drop() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.forget()
}

func (p *pair) forget() {
	if p.mirror != nil {
		p.deafen()
		p.mirror = nil
	}
}

// hear lets the mirror make its next pass at once.
func (p *pair) hear() {
	select {
	case p.heard <- struct{}{}:
	default: // a pass is due already
	}
}

// seen is the migration as it was last seen.
func (p *pair) seen() migration.Subject {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.subject
}

func (p *pair) wanted() migration.Following {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.want
}

// note keeps what a pass found, and what its loop met, if it is still what is wanted.
func (p *pair) note(ctx context.Context, what string, trouble *error, err error, set func(*migration.Followed), of migration.Following) {
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		log.FromContext(ctx).Info("a pass was cut short", "of", what, "reason", err.Error())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.want == of {
		set(&p.followed)
		*trouble = err
	}
}

// idle waits until something is to be done, and a little longer, so that changes
// that come together are handled together.
func (p *pair) idle(ctx context.Context, changes <-chan struct{}) {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-p.nudge:
	case <-changes:
	case <-timer.C:
	}
}

// fuseWaived tells whether a person lets more deletions pass than the fuse does.
func (p *pair) fuseWaived() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.subject.FuseWaived(time.Now())
}

// newMirror is the mirror from the writer's side to the other. Its feeds live as
// long as ctx.
func (f *follower) newMirror(ctx context.Context, p *pair, s migration.Subject, writer v1.Side) (*mirror.Mirror, error) {
	side := func(c *connection) mirror.Side {
		return mirror.Side{API: c.cluster, Feed: mirror.Watches(ctx, c.cluster, clock.RealClock{}, p.hear), Kinds: c.cluster.Kinds}
	}
	c, err := migration.Mirroring(side(p.source), side(p.target), s, writer, clock.RealClock{})
	if err != nil {
		return nil, err
	}
	c.Workers, c.FuseWaived = f.workers, p.fuseWaived
	return mirror.New(c), nil
}
