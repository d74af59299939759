package origin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// errOwned says that another origin owns the stream.
var errOwned = errors.New("another origin owns the stream")

// A lease is one origin's view of the stream's ownership in the store. Each of its
// calls is one script, so that the store does all of it or nothing.
type lease struct {
	store *redis.Client
	id    string
	ttl   time.Duration

	owner    string // key: id of the owner, for as long as it is renewed
	handover string // key: what the last owner left, until somebody takes it
	epoch    string // key: how many owners there have been
}

func newLease(config Config) lease {
	prefix := "stream:" + config.Stream
	return lease{
		store:    config.Store,
		id:       config.ID,
		ttl:      config.Lease,
		owner:    prefix + ":owner",
		handover: prefix + ":handover",
		epoch:    prefix + ":epoch",
	}
}

var (
	renewScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`)

	// What was left is taken away with the lease: an owner that is killed later
	// must not be followed by one that goes on from an old number.
	acquireScript = redis.NewScript(`
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {0, ''} end
local left = redis.call('GET', KEYS[2])
redis.call('DEL', KEYS[2])
return {redis.call('INCR', KEYS[3]), left or ''}`)

	releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[1])
return 1`)
)

// renew reports whether the stream is still ours, and for the lease's whole length.
func (l lease) renew(ctx context.Context) (bool, error) {
	renewed, err := renewScript.Run(ctx, l.store, []string{l.owner}, l.id, l.ttl.Milliseconds()).Int()
	if err != nil {
		return false, fmt.Errorf("renew the lease: %w", err)
	}
	return renewed == 1, nil
}

// acquire returns the number of this ownership and what the last owner left, if
// anything. The error wraps errOwned when there is an owner.
func (l lease) acquire(ctx context.Context) (epoch int64, left []byte, err error) {
	keys := []string{l.owner, l.handover, l.epoch}
	result, err := acquireScript.Run(ctx, l.store, keys, l.id, l.ttl.Milliseconds()).Slice()
	if err != nil {
		return 0, nil, fmt.Errorf("acquire the lease: %w", err)
	}
	epoch, text := result[0].(int64), result[1].(string)
	if epoch == 0 {
		return 0, nil, errOwned
	}
	return epoch, []byte(text), nil
}

// release ends the ownership and leaves left to the next owner. The error wraps
// errOwned when the lease had run out and somebody else has it.
func (l lease) release(ctx context.Context, left []byte) error {
	released, err := releaseScript.Run(ctx, l.store, []string{l.owner, l.handover}, l.id, left).Int()
	if err != nil {
		return fmt.Errorf("release the lease: %w", err)
	}
	if released == 0 {
		return errOwned
	}
	return nil
}
