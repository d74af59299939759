package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAProcessThatEndsByItselfIsACrash(t *testing.T) {
	ctx, abort := context.WithCancelCause(t.Context())
	c := newChildren(ctx, abort)
	dir := t.TempDir()
	crashing, err := c.run(dir, "controller", "/bin/sh", "-c", "echo out of luck >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	<-crashing.exit()
	crashes := c.crashed()
	if len(crashes) != 1 || !strings.HasPrefix(crashes[0].text, "controller ended by itself at ") || !strings.HasSuffix(crashes[0].text, ": exit status 3 (out of luck)") {
		t.Errorf("crashes = %+v, want one with its status and last words", crashes)
	}
	if why := context.Cause(ctx); why == nil || why.Error() != crashes[0].text {
		t.Errorf("the demo ended with %v, want the crash: nobody starts the process again", why)
	}
	if err := crashing.begin(); !errors.Is(err, errEnded) {
		t.Errorf("started again after the end: %v", err)
	}
}

func TestASupervisedProcessMayCrash(t *testing.T) {
	ctx, abort := context.WithCancelCause(t.Context())
	c := newChildren(ctx, abort)
	p := c.add(t.TempDir(), "controller", "/bin/sh", "-c", "exit 3")
	p.supervised = true
	if err := p.begin(); err != nil {
		t.Fatal(err)
	}
	<-p.exit()
	if len(c.crashed()) != 1 || ctx.Err() != nil {
		t.Errorf("crashes = %v and the demo's end %v, want a crash and no end", c.crashed(), context.Cause(ctx))
	}
}

func TestAProcessThatIsKilledOrFinishedIsNoCrash(t *testing.T) {
	c := newChildren(t.Context(), noEnd(t))
	dir := t.TempDir()
	killed, err := c.run(dir, "hub", "/bin/sh", "-c", "sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	killed.kill()
	if err := killed.begin(); err != nil {
		t.Fatal(err)
	}
	stop := filepath.Join(dir, "stop")
	finishing, err := c.run(dir, "referee", "/bin/sh", "-c", "while [ ! -e "+stop+" ]; do sleep 0.05; done")
	if err != nil {
		t.Fatal(err)
	}
	finishing.finishing()
	if err := os.WriteFile(stop, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	<-finishing.exit()
	c.end()
	if crashes := c.crashed(); len(crashes) != 0 {
		t.Errorf("crashes = %+v, want none", crashes)
	}
}

// noEnd fails the test if something ends the demo.
func noEnd(t *testing.T) context.CancelCauseFunc {
	return func(why error) { t.Errorf("the demo was ended: %v", why) }
}

func TestALeadLostWhileTheHubIsDownIsNoCrash(t *testing.T) {
	c := newChildren(t.Context(), noEnd(t))
	now := time.Now()
	c.crashes = []crash{{at: now, text: "controller ended", lostLead: true}, {at: now, text: "controller panicked"}}
	s := &show{children: c, hubDown: now.Add(-leading / 2)}
	if got := s.crashes(); len(got) != 1 || got[0] != "controller panicked" {
		t.Errorf("crashes = %q, want the panic alone", got)
	}
	s.hubDown = now.Add(-2 * leading)
	if got := s.crashes(); len(got) != 2 {
		t.Errorf("crashes = %q, want the lost lead as well: the hub was there", got)
	}
}
