package parent_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"crossfade.dev/sandbox/parent"
)

// followVariable makes the test binary a process that follows its parent.
const followVariable = "PARENT_TEST_FOLLOW"

func TestMain(m *testing.M) {
	if os.Getenv(followVariable) == "" {
		os.Exit(m.Run())
	}
	ctx := parent.Follow(context.Background())
	fmt.Println(os.Getpid())
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
	}
}

// start starts command, in which a follower prints its number first.
func start(t *testing.T, command ...string) (cmd *exec.Cmd, stdin io.Closer, follower int) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), followVariable+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := fmt.Fscan(bufio.NewReader(out), &follower); err != nil {
		t.Fatal(err)
	}
	return cmd, stdin, follower
}

func wantGone(t *testing.T, pid int) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d outlives its parent", pid)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestFollowerEndsWhenItsPipeIsClosed(t *testing.T) {
	_, stdin, follower := start(t, os.Args[0])
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	wantGone(t, follower)
}

func TestFollowerEndsWhenItsParentIsKilled(t *testing.T) {
	// The shell gives processes in the background no pipe, only itself as parent.
	shell, _, follower := start(t, "/bin/sh", "-c", os.Args[0]+" & wait")
	if err := shell.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	wantGone(t, follower)
}
