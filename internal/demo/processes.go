package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// children are the processes of the demo. They are started from one thread that
// lives as long as the demo, because the kernel ends a child whose parent thread
// ends (PR_SET_PDEATHSIG): however the demo ends, none of them is left.
type children struct {
	// lasting never ends: processes do when they are killed.
	lasting context.Context
	// ended is closed when nothing is started any more.
	ended <-chan struct{}
	start chan func()
	// abort ends the demo, because a process is gone that nobody starts again.
	abort context.CancelCauseFunc
	mu    sync.Mutex
	all   []*process
	// crashes tell of each process that ended by itself.
	crashes []crash
}

// A crash is the end of a process that nobody meant.
type crash struct {
	at   time.Time
	text string
	// lostLead is true of a controller that ended because it could not renew its lead
	// in the hub, as it should.
	lostLead bool
}

func newChildren(ctx context.Context, abort context.CancelCauseFunc) *children {
	c := &children{lasting: context.WithoutCancel(ctx), ended: ctx.Done(), start: make(chan func()), abort: abort}
	go func() {
		runtime.LockOSThread()
		for {
			select {
			case <-ctx.Done():
				return
			case f := <-c.start:
				f()
			}
		}
	}()
	return c
}

// A process is one child that may be killed and started again.
type process struct {
	name string
	args []string
	log  string
	c    *children

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{}
	// ready gets the first line that the process prints.
	ready chan string
	// ending is true if the process is meant to end.
	ending bool
	// supervised is true if somebody starts the process again whenever it ends.
	supervised bool
	// born is where in the log its present life begins.
	born int64
}

// run starts a program with its output in DIR/name.log.
func (c *children) run(dir, name, program string, args ...string) (*process, error) {
	p := c.add(dir, name, program, args...)
	return p, p.begin()
}

// add prepares what run starts.
func (c *children) add(dir, name, program string, args ...string) *process {
	p := &process{name: name, args: append([]string{program}, args...), log: filepath.Join(dir, name+".log"), c: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, p)
	return p
}

// launch starts a command from the children's thread.
func (c *children) launch(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	select {
	case <-c.ended:
		return errEnded
	case c.start <- func() { started <- cmd.Start() }:
		return <-started
	}
}

// errEnded says that the demo is over.
var errEnded = errors.New("the demo has ended")

// begin starts the process, again if it ran before.
func (p *process) begin() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	born, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read the log of %s: %w", p.name, err)
	}
	cmd := exec.CommandContext(p.c.lasting, p.args[0], p.args[1:]...)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.c.launch(cmd); err != nil {
		_ = log.Close() // nothing was written
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.gone, p.ready, p.ending = cmd, make(chan struct{}), make(chan string, 1), false
	p.born = born
	go func(gone chan struct{}, ready chan string) {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			select {
			case ready <- lines.Text():
			default:
			}
			fmt.Fprintln(log, lines.Text())
		}
		_ = cmd.Wait() // how it ended is in its state
		_ = log.Close()
		p.ended(cmd.ProcessState)
		close(gone)
	}(p.gone, p.ready)
	return nil
}

// ended notes an end that was not meant. Without a process that nobody starts again,
// there is nothing left to show.
func (p *process) ended(state *os.ProcessState) {
	p.mu.Lock()
	meant := p.ending
	p.mu.Unlock()
	if meant {
		return
	}
	now, words := time.Now(), p.words()
	text := fmt.Sprintf("%s ended by itself at %s: %s (%s)", p.name, now.Format("15:04:05.000"), state, lastLine(words))
	p.c.mu.Lock()
	p.c.crashes = append(p.c.crashes, crash{at: now, lostLead: strings.Contains(words, "leader election lost"), text: text})
	p.c.mu.Unlock()
	if !p.supervised {
		p.c.abort(errors.New(text))
	}
}

// crashed lists the processes that ended by themselves.
func (c *children) crashed() []crash {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.crashes)
}

// words are what the process logged in its present life.
func (p *process) words() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(text[min(p.born, int64(len(text))):])
}

// lastLine is the last line of a text, cut short.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := lines[len(lines)-1]
	return last[:min(len(last), 300)]
}

// await waits for the first line that the process prints.
func (p *process) await(ctx context.Context, patience time.Duration) error {
	p.mu.Lock()
	ready, gone := p.ready, p.gone
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-ready:
		return nil
	case <-gone:
		return fmt.Errorf("%s ended before it was ready: see %s", p.name, p.log)
	case <-time.After(patience):
		return fmt.Errorf("%s was not ready after %s: see %s", p.name, patience, p.log)
	}
}

// signal tells the process, and returns a channel that closes when it is gone.
func (p *process) signal(sig syscall.Signal) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending = true
	_ = syscall.Kill(-p.cmd.Process.Pid, sig)
	return p.gone
}

// finishing says that the process will end, and is meant to.
func (p *process) finishing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending = true
}

// exit is closed when the process, as it runs now, is gone.
func (p *process) exit() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// kill ends the process as kill -9 does, and waits until it is gone.
func (p *process) kill() { <-p.signal(syscall.SIGKILL) }

// end stops every process, the last one first.
func (c *children) end() {
	c.mu.Lock()
	all := slices.Clone(c.all)
	c.mu.Unlock()
	for _, p := range slices.Backward(all) {
		if p.cmd != nil {
			p.kill()
		}
	}
}
