package demo

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// nobody is the user that owns nothing, on every Linux.
const nobody = 65534

// The demo needs no privilege: nobody, with a folder and the three programs, can run
// it. CROSSFADE_ORDINARY names bin/crossfade and says that the machine is free (make
// test-peers does).
func TestNobodyMovesAnEstate(t *testing.T) {
	binary := os.Getenv("CROSSFADE_ORDINARY")
	if binary == "" {
		t.Skip("CROSSFADE_ORDINARY does not name bin/crossfade")
	}
	if os.Getuid() != 0 {
		t.Fatal("only root can become another user")
	}
	// Folders of the test itself are closed to others.
	home, err := os.MkdirTemp("", "crossfade-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	for _, name := range []string{"crossfade", "sandbox", "estate"} {
		program, err := os.ReadFile(filepath.Join(filepath.Dir(binary), name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name), program, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(home, "crossfade"), "demo",
		"--apps", "12", "--seed", "7", "--dir", filepath.Join(home, "run"), "--report", filepath.Join(home, "report.json"))
	cmd.Dir, cmd.Env = home, []string{"PATH=/usr/bin:/bin", "HOME=" + home, "TMPDIR=" + home}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(home, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if report.Requests < 10000 || report.Failed != 0 || report.Moving == 0 || report.ServedByTarget != report.Moving {
		t.Errorf("%d of %d requests failed, %d of %d workloads are served by the target", report.Failed, report.Requests, report.ServedByTarget, report.Moving)
	}
}
