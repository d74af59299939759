// Package parent ties a process's life to that of the process which started it,
// so that a demo that was killed leaves nothing behind.
package parent

import (
	"context"
	"io"
	"os"
	"time"
)

// poll is how often a process looks whether its parent is still there.
const poll = 200 * time.Millisecond

// Follow returns a context that ends when ctx does or when the parent process is
// gone. A parent that ends without a word (kill -9) is noticed by the change of
// parent; one that wants its children gone while it lives closes the pipe that
// it gave them as standard input.
//
// PR_SET_PDEATHSIG is not used here: it fires when the parent's *thread* ends,
// which a Go parent does not control.
func Follow(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	first := os.Getppid()
	go func() {
		defer cancel()
		tick := time.NewTicker(poll)
		defer tick.Stop()
		for os.Getppid() == first {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		go func() {
			defer cancel()
			_, _ = io.Copy(io.Discard, os.Stdin)
		}()
	}
	return ctx
}
