package node

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// preStop runs the container's preStop hook and waits for it, for as long as grace
// and the instance last. A hook that fails is reported and changes nothing else.
func (c *container) preStop(inst instance, grace time.Duration) {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PreStop == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-ctx.Done():
		case <-inst.done():
		case <-c.pod.forced:
		}
	}()
	if err := c.hook(ctx, c.spec.Lifecycle.PreStop); err != nil {
		c.pod.warn("FailedPreStopHook", fmt.Sprintf("container %s: %v", c.spec.Name, err))
	}
}

// postStart runs the container's postStart hook beside it. A hook that fails is a fault
// of the container.
func (c *container) postStart(ctx context.Context, faults chan<- fault) {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PostStart == nil {
		return
	}
	go func() {
		if err := c.hook(ctx, c.spec.Lifecycle.PostStart); err != nil && ctx.Err() == nil {
			c.pod.warn("FailedPostStartHook", fmt.Sprintf("container %s: %v", c.spec.Name, err))
			offer(faults, fault{"postStart hook", c.pod.grace()})
		}
	}()
}

func (c *container) hook(ctx context.Context, h *corev1.LifecycleHandler) error {
	switch {
	case h.Exec != nil:
		return c.exec(ctx, h.Exec.Command)
	case h.HTTPGet != nil:
		timeout := time.Minute
		if deadline, ok := ctx.Deadline(); ok {
			timeout = time.Until(deadline)
		}
		return c.pod.node.checks.httpGet(h.HTTPGet, c.spec, c.pod.ip, "lifecycle", timeout)
	case h.Sleep != nil:
		sleep(ctx, time.Duration(h.Sleep.Seconds)*time.Second)
	}
	return nil
}

// sleepCommand finds how long a stand-in's hook would have slept.
var sleepCommand = regexp.MustCompile(`(?:^|[\s/;&])sleep\s+(\d+(?:\.\d+)?)`)

// exec runs a command in the container. A stand-in has no programs: its commands
// succeed, and those that sleep take as long as they say.
func (c *container) exec(ctx context.Context, command []string) error {
	image, real := c.pod.node.images.find(c.spec.Image)
	if !real {
		if found := sleepCommand.FindStringSubmatch(strings.Join(command, " ")); found != nil {
			seconds, _ := strconv.ParseFloat(found[1], 64)
			sleep(ctx, time.Duration(seconds*float64(time.Second)))
		}
		return nil
	}
	cmd, err := c.command(ctx, image, command)
	if err != nil {
		return err
	}
	return runToEnd(cmd)
}

// command makes a command that runs beside the process of the container, which is
// of an image of the table.
func (c *container) command(ctx context.Context, image image, words []string) (*exec.Cmd, error) {
	c.pod.mu.Lock()
	env, running := c.env, c.current != nil
	c.pod.mu.Unlock()
	switch {
	case !running:
		return nil, errors.New("container is not running")
	case len(words) == 0:
		return nil, errors.New("command is empty")
	}
	return grouped(ctx, image.local(slices.Clone(words)), env, c.pod.dir()), nil
}

// grouped makes a command with a process group of its own, so that nothing of it is
// left when ctx ends.
func grouped(ctx context.Context, argv, env []string, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// runToEnd runs the command of a probe or a hook. The error has the beginning of what
// it wrote.
func runToEnd(cmd *exec.Cmd) error {
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", cmd.Args[0], err, beginning(string(output)))
	}
	return nil
}
