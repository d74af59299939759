package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

// poll is how often a migration is looked at while something waits for it.
const poll = 500 * time.Millisecond

// waiting are the flags of commands that can wait for a migration.
type waiting struct {
	wait    bool
	timeout time.Duration
}

func (w *waiting) register(cmd *cobra.Command, what string) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, what)
	cmd.Flags().DurationVar(&w.timeout, "timeout", 0, "Give up waiting after this long (exit code 4); 0 waits for ever")
}

func (w *waiting) check(cmd *cobra.Command) error {
	switch {
	case w.timeout < 0:
		return fmt.Errorf("--timeout %s: want 0 or more", w.timeout)
	case cmd.Flags().Changed("timeout") && !w.wait:
		return fmt.Errorf("--timeout %s: it needs --wait", w.timeout)
	}
	return nil
}

// exitCode is what a migration's standing means to somebody who did not ask for
// the way back.
func exitCode(s view.Standing) int {
	switch s {
	case view.Failed:
		return codeNo
	case view.Asking:
		return codeApproval
	case view.RolledBack:
		return codeRolledBack
	default:
		return codeYes
	}
}

// backCode is what it means to somebody who did.
func backCode(s view.Standing) int {
	switch s {
	case view.RolledBack:
		return codeYes
	case view.Arrived, view.Retired, view.Failed:
		return codeNo
	default:
		return exitCode(s)
	}
}

// await narrates a migration until it has come to an end or cannot go on by
// itself, and returns it as it was then. A hub that stops answering meanwhile is
// asked again. The error is a coded one when the timeout has run out.
func (s *session) await(ctx context.Context, c client.Reader, key client.ObjectKey, w waiting) (*v1.Migration, error) {
	ctx, cancel := within(ctx, w.timeout)
	defer cancel()
	n := narrator{session: s}
	for {
		m := &v1.Migration{}
		err := c.Get(ctx, key, m)
		switch {
		case err == nil:
			n.tell(m)
			if settled(view.StandingOf(m)) {
				return m, nil
			}
		case apierrors.IsNotFound(err):
			return nil, no(fmt.Errorf("migration %q: it is gone", key.Name))
		case ctx.Err() == nil:
			n.trouble(err)
		}
		if err := pause(ctx, poll); err != nil {
			return nil, err
		}
	}
}

// within bounds ctx by --timeout, whose end is a coded error; 0 is no bound.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, timeout, coded{codeTimeout, fmt.Errorf("--timeout %s: it has run out", timeout)})
}

// settled tells whether a migration goes no further by itself. One that is held
// may go on as soon as what it waits for is there.
func settled(s view.Standing) bool { return s.Ended() || s == view.Failed || s == view.Asking }

// pause waits, unless ctx ends; the error then is ctx's cause.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// A narrator tells on stderr how a migration comes along. On a terminal the last
// line is redrawn while the stage is the same; elsewhere a line is written when
// more than the message has changed.
type narrator struct {
	*session
	last  v1.MigrationStatus
	told  bool
	line  string
	error string
}

func (n *narrator) tell(m *v1.Migration) {
	n.error = ""
	line := view.Line(m)
	if line == n.line {
		return
	}
	sameStage := n.told && n.last.Stage == m.Status.Stage
	same := sameStage && n.last.Reason == m.Status.Reason && n.last.Capacity == m.Status.Capacity &&
		n.last.Entry == m.Status.Entry && n.last.Writer == m.Status.Writer
	if n.streams().Live {
		if sameStage {
			fmt.Fprint(n.Stderr, "\x1b[1A\x1b[2K")
		}
		fmt.Fprintln(n.Stderr, view.Look{Width: n.Width()}.Fit(line))
	} else if !same {
		fmt.Fprintln(n.Stderr, line)
	}
	n.last, n.told, n.line = m.Status, true, line
}

// trouble tells once that the hub does not answer.
func (n *narrator) trouble(err error) {
	if text := sentence(err); text != n.error {
		n.say("%s; asking again", text)
		n.error, n.told = text, false
	}
}
