package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain runs the command itself when a test starts this binary as a service.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_ESTATE") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A process is one service of the estate.
type process struct {
	address string
	command *exec.Cmd
	output  *bytes.Buffer
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func start(t *testing.T, role string, env ...string) *process {
	t.Helper()
	port := freePort(t)
	p := &process{address: net.JoinHostPort("127.0.0.1", port), output: &bytes.Buffer{}}
	p.command = exec.CommandContext(t.Context(), os.Args[0], role) // killed with the test
	p.command.Env = append([]string{
		"RUN_ESTATE=1", "BIND_ADDRESS=127.0.0.1", "GRACE_SECONDS=2", "PORT=" + port,
		"POD_NAME=" + role + "-1", "POD_NAMESPACE=test", "POD_IP=10.1.1.1",
	}, env...)
	p.command.Stdout, p.command.Stderr = p.output, p.output
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// terminate gives the order to stop and waits for the end.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil {
		t.Errorf("%v: %v\n%s", p.command.Args, err, p.output)
	}
}

type answer struct {
	status int
	pod    string
	body   string
}

func (p *process) ask(ctx context.Context, method, path, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.address+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header.Get("X-Pod-Name"), string(text)}, err
}

func (p *process) untilReady(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(20 * time.Millisecond) {
		got, err := p.ask(t.Context(), "GET", "/readyz", "")
		if err == nil && got.status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v is not ready: %v\n%s", p.command.Args, err, p.output)
		}
	}
}

func TestPlatformRunsAndStopsInOrder(t *testing.T) {
	volume := t.TempDir()
	core := start(t, "store", "DATA_DIR="+volume)
	api := start(t, "api", "STORE_ADDR="+core.address)
	web := start(t, "web", "API_URL=http://"+api.address)
	live := start(t, "origin", "STORE_ADDR="+core.address)
	plain := start(t, "service", "SERVICE_NAME=titles")
	for _, p := range []*process{api, web, live, plain} {
		p.untilReady(t)
	}

	tests := []struct {
		asked              *process
		method, path, body string
		want               answer // whose body is the beginning
	}{
		{web, "POST", "/v1/events", `{"id":"e-1"}`, answer{http.StatusCreated, "test/web-1", `{"id":"e-1","count":1}`}},
		{web, "GET", "/v1/events/e-1", "", answer{http.StatusOK, "test/web-1", `{"id":"e-1","count":1}`}},
		{web, "GET", "/", "", answer{http.StatusOK, "test/web-1", "<!doctype html>"}},
		{live, "GET", "/live/playlist.m3u8", "", answer{http.StatusOK, "test/origin-1", "#EXTM3U\n"}},
		{plain, "GET", "/", "", answer{http.StatusOK, "test/service-1", "titles at /\n"}},
	}
	for _, test := range tests {
		got, err := test.asked.ask(t.Context(), test.method, test.path, test.body)
		if err != nil || got.status != test.want.status || got.pod != test.want.pod || !strings.HasPrefix(got.body, test.want.body) {
			t.Errorf("%s %s: got %+v, %v; want %+v", test.method, test.path, got, err, test.want)
		}
	}

	for _, p := range []*process{web, live, plain, api, core} {
		p.terminate(t)
	}
	if !strings.Contains(live.output.String(), "handed over") {
		t.Errorf("the origin did not hand over:\n%s", live.output)
	}
	snapshot, err := os.ReadFile(filepath.Join(volume, "snapshot.json"))
	if err != nil || !strings.Contains(string(snapshot), "events:e-1") || !strings.Contains(string(snapshot), "handover") {
		t.Errorf("the store's volume holds %.200s, %v", snapshot, err)
	}
}

func TestTaskEndsWell(t *testing.T) {
	task := start(t, "task")
	if err := task.command.Wait(); err != nil || task.output.String() != "task test/task-1 done\n" {
		t.Errorf("%v: %s", err, task.output)
	}
}

func TestWrongUseIsRefusedInOneSentence(t *testing.T) {
	tests := []struct {
		args []string
		env  string
		want string
	}{
		{[]string{"manifests", "--apps", "0"}, "", "estate: --apps is 0: it must be 1 or more\n"},
		{[]string{"names", "--zone", "Demo Zone"}, "", "estate: --zone is \"Demo Zone\": "},
		{[]string{"names", "--estate", "/no/such"}, "", "estate: read the estate: /no/such: no such file or folder\n"},
		{[]string{"web"}, "PORT=0", "estate: PORT is \"0\": it must be a number from 1 to 65535\n"},
		{[]string{"api"}, "ALL_PROXY=ftp://x", "estate: ALL_PROXY is \"ftp://x\": "},
		{[]string{"service"}, "GRACE_SECONDS=long", "estate: GRACE_SECONDS is \"long\": "},
	}
	for _, test := range tests {
		command := exec.CommandContext(t.Context(), os.Args[0], test.args...)
		command.Env = []string{"RUN_ESTATE=1", test.env}
		output, err := command.CombinedOutput()
		if command.ProcessState.ExitCode() != 2 || !strings.HasPrefix(string(output), test.want) || strings.Count(string(output), "\n") != 1 {
			t.Errorf("%v with %s: %v, %q; want %q", test.args, test.env, err, output, test.want)
		}
	}
}

func TestManifestsAndNamesAndImagesArePrinted(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "made")
	run := func(args ...string) string {
		command := exec.CommandContext(t.Context(), os.Args[0], args...)
		command.Env = []string{"RUN_ESTATE=1"}
		output, err := command.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return string(output)
	}
	run("manifests", "--apps", "6", "--zone", "tv.example.org", "--dir", folder)
	want := run("names", "--apps", "6", "--zone", "tv.example.org")
	if got := run("names", "--estate", folder, "--zone", "tv.example.org"); got != want {
		t.Errorf("the manifests have the names\n%swant\n%s", got, want)
	}
	if !strings.Contains(want, "http://web.tv.example.org:80/") {
		t.Errorf("the names are\n%s", want)
	}
	if got := run("images"); !strings.Contains(got, fmt.Sprintf("estate.crossfade.dev/%s:v1", "web")) {
		t.Errorf("the images are\n%s", got)
	}
}
