package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A nursery starts processes, all of them from one thread that never ends: the
// kernel kills them when the thread that started them ends (PR_SET_PDEATHSIG), so
// that nothing outlives a node that was killed.
type nursery struct{ births chan birth }

type birth struct {
	cmd    *exec.Cmd
	result chan error
}

func newNursery() *nursery {
	n := &nursery{births: make(chan birth)}
	go func() {
		runtime.LockOSThread()
		for b := range n.births {
			b.result <- b.cmd.Start()
		}
	}()
	return n
}

// A process is a local process as an instance. It leads a process group of its
// own, which gets its signals.
type process struct {
	cmd     *exec.Cmd
	ended   chan struct{}
	outcome exit
}

// start starts argv with env in dir; its output goes to log.
func (n *nursery) start(argv, env []string, dir string, log io.Writer) (*process, error) {
	// No context ends it: preStop, SIGTERM and the grace period come first.
	cmd := exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	output, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = write, write
	b := birth{cmd, make(chan error, 1)}
	n.births <- b
	err = <-b.result
	_ = write.Close()
	if err != nil {
		_ = output.Close()
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(log, output)
		_ = output.Close()
	}()
	go func() {
		p.outcome = exitOf(cmd.Wait())
		// What it started may go on and hold the output open.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		select {
		case <-read:
		case <-time.After(time.Second):
		}
		close(p.ended)
	}()
	return p, nil
}

// exitOf reads how a process ended from what Wait said.
func exitOf(err error) exit {
	var failed *exec.ExitError
	switch {
	case err == nil:
		return exit{reason: "Completed"}
	case !errors.As(err, &failed):
		return exit{code: 255, reason: "Error", text: err.Error()}
	}
	if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exit{code: 128 + int32(status.Signal()), signal: int32(status.Signal()), reason: "Error"}
	}
	return exit{code: int32(failed.ExitCode()), reason: "Error"}
}

func (p *process) drain() {}

func (p *process) terminate(time.Duration) { p.signal(syscall.SIGTERM) }
func (p *process) kill()                   { p.signal(syscall.SIGKILL) }

// signal sends a signal to the group. One that has ended gets none: its number may
// be another's by now.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}
func (p *process) done() <-chan struct{} { return p.ended }
func (p *process) exit() exit            { return p.outcome }
