// Package sandbox starts processes of the sandbox's binary and waits until they are
// ready, for tests and measurements. The demo, which kills its processes and starts
// them again, starts them itself.
package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// patience is how long a process may take to be ready on a busy machine.
const patience = 2 * time.Minute

// A Process is one that is ready.
type Process struct {
	cmd   *exec.Cmd
	input io.Closer
	said  tail
}

// Start runs a command of the binary (control, node) and returns when it says that it
// is ready. The process is killed when ctx ends, and ends by itself when this process
// is gone. An error has the last words that it wrote.
func Start(ctx context.Context, binary, command string, args ...string) (*Process, error) {
	p := &Process{}
	p.cmd = exec.CommandContext(ctx, binary, append([]string{command, "--die-with-parent"}, args...)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr = &p.said
	input, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.input = input
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the sandbox's %s: %w", command, err)
	}
	trouble := ""
	select {
	case is := <-ready(output):
		if is {
			return p, nil
		}
		trouble = "ended before it was ready"
	case <-time.After(patience):
		trouble = fmt.Sprintf("is not ready after %s", patience)
	}
	_ = p.cmd.Process.Kill() // it may have ended
	p.End()
	return nil, fmt.Errorf("the sandbox's %s %s: %s", command, trouble, p.said)
}

// ready gets true when the line "ready" is read, or else false at the end.
func ready(output io.Reader) <-chan bool {
	is := make(chan bool, 1)
	go func() {
		for lines := bufio.NewScanner(output); lines.Scan(); {
			if strings.TrimSpace(lines.Text()) == "ready" {
				is <- true
			}
		}
		close(is)
	}()
	return is
}

// End lets the process end and waits until it has, which takes less if it was killed
// before.
func (p *Process) End() {
	_ = p.input.Close()
	_ = p.cmd.Wait() // how it ended does not matter any more
}

// A tail keeps the end of what is written.
type tail []byte

func (t *tail) Write(text []byte) (int, error) {
	const most = 4000
	*t = append(*t, text...)
	*t = (*t)[max(0, len(*t)-most):]
	return len(text), nil
}
