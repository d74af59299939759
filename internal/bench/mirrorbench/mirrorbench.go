// Package mirrorbench measures the mirror on real API servers, from outside: it
// starts a source, a target and a hub, lets a process with the product's mirror
// follow, and times when that says that it is level. What it is compared with runs on
// the same control planes: a loop that only posts the same objects.
//
// Writes are counted by the target's API server, not by the mirror.
package mirrorbench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"crossfade.dev/internal/bench"
)

// A Pass is what the process that follows says after each pass, as a line of JSON.
type Pass struct {
	// Objects are followed, Differing are not level, Held wait for a person; Written
	// counts since the process began.
	Objects   int  `json:"objects"`
	Differing int  `json:"differing"`
	Held      int  `json:"held"`
	Written   int  `json:"written"`
	Level     bool `json:"level"`
	// Heap is what objects take in the process's memory, in bytes, garbage that has not
	// been collected yet included.
	Heap uint64 `json:"heap"`
}

// workers is how many requests either side of a comparison has in flight: the
// product's default.
const workers = 16

// Rows are the bars of the mirror.
func Rows() []bench.Row {
	return []bench.Row{
		{Part: "mirror", Name: "mirror", Measure: measureEstate},
		{Part: "mirror", Name: "mirror-secrets", Measure: measureSecrets},
		{Part: "mirror", Name: "mirror-kill", Measure: measureKills},
	}
}

// measureEstate copies 1,600 apps; fills up to 35,000 objects; restarts on what is
// level; and follows 50 writes a second.
func measureEstate(ctx context.Context, s *bench.Sheet) error {
	b, err := start(ctx, s.Narration)
	if err != nil {
		return err
	}
	defer b.end()
	objects := estate(1600)
	bare, err := b.source.post(ctx, objects)
	if err != nil {
		return err
	}
	s.Record("mirror-objects", float64(len(objects)), "objects")
	s.Record("mirror-kinds", float64(kinds(objects)), "kinds")
	copied, err := b.copy(ctx, "estate", len(objects))
	if err != nil {
		return err
	}
	s.Record("mirror-copy-seconds", copied.Seconds(), "s")
	s.Record("mirror-copy-seconds-bare", bare.Seconds(), "s")
	s.Record("mirror-copy-ratio", copied.Seconds()/bare.Seconds(), "ratio")

	more := secrets("filler", 35000-len(objects))
	if _, err := b.source.post(ctx, more); err != nil {
		return err
	}
	if _, err := b.copy(ctx, "estate", len(objects)+len(more)); err != nil {
		return err
	}
	return b.restartAndLag(ctx, s, len(objects)+len(more))
}

func (b *benchmark) restartAndLag(ctx context.Context, s *bench.Sheet, objects int) error {
	before, err := b.target.writes(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	f, err := b.follow(ctx, "estate")
	if err != nil {
		return err
	}
	defer f.kill()
	if err := f.level(ctx, objects); err != nil {
		return err
	}
	level := time.Since(began)
	after, err := b.target.writes(ctx)
	if err != nil {
		return err
	}
	s.Record("mirror-restart-seconds", level.Seconds(), "s")
	s.Record("mirror-restart-writes", float64(after-before), "writes")
	lags, err := b.lags(ctx, 50, 2*time.Minute)
	if err != nil {
		return err
	}
	s.Record("mirror-lag-p50", milliseconds(quantile(lags, 0.5)), "ms")
	s.Record("mirror-lag-p99", milliseconds(quantile(lags, 0.99)), "ms")
	memory, err := f.resident()
	if err != nil {
		return err
	}
	s.Record("mirror-memory", memory, "MiB")
	s.Record("mirror-heap", float64(f.pass().Heap)/(1<<20), "MiB")
	return nil
}

// measureSecrets copies 31,000 Secrets of 512 bytes.
func measureSecrets(ctx context.Context, s *bench.Sheet) error {
	b, err := start(ctx, s.Narration)
	if err != nil {
		return err
	}
	defer b.end()
	objects := secrets("vault", 31000)
	bare, err := b.source.post(ctx, objects)
	if err != nil {
		return err
	}
	copied, err := b.copy(ctx, "vault", len(objects))
	if err != nil {
		return err
	}
	s.Record("mirror-secrets-seconds", copied.Seconds(), "s")
	s.Record("mirror-secrets-seconds-bare", bare.Seconds(), "s")
	return nil
}

// milliseconds is a duration as a benchmark prints it.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// A benchmark is a set of control planes and a folder.
type benchmark struct {
	dir                 string
	source, target, hub *plane
	narration           io.Writer
	end                 func()
}

// start brings up three small control planes: API server and etcd, without the
// controllers that would work on what is copied.
func start(ctx context.Context, narration io.Writer) (*benchmark, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	sandbox := filepath.Join(filepath.Dir(self), "sandbox")
	if _, err := os.Stat(sandbox); err != nil {
		return nil, fmt.Errorf("%s: build it with make build: %w", sandbox, bench.ErrSkipped)
	}
	dir, err := os.MkdirTemp("", "crossfade-bench-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	b := &benchmark{dir: dir, narration: narration}
	var planes []*plane
	b.end = func() {
		cancel()
		for _, p := range planes {
			p.process.End()
		}
		_ = os.RemoveAll(dir)
	}
	for i, at := range []**plane{&b.source, &b.target, &b.hub} {
		p, err := startPlane(ctx, sandbox, dir, firstPlane+i)
		if err != nil {
			b.end()
			return nil, err
		}
		planes, *at = append(planes, p), p
	}
	if err := b.installHub(ctx); err != nil {
		b.end()
		return nil, err
	}
	return b, nil
}

// copy follows until the target is level with so many objects, and returns how long
// that took, the start of the process included.
func (b *benchmark) copy(ctx context.Context, migration string, objects int) (time.Duration, error) {
	began := time.Now()
	f, err := b.follow(ctx, migration)
	if err != nil {
		return 0, err
	}
	defer f.kill()
	if err := f.level(ctx, objects); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// A follower is a process with the mirror.
type follower struct {
	cmd  *exec.Cmd
	log  string
	once sync.Once

	mu   sync.Mutex
	last Pass
	// told is signalled after each pass, and closed when the process ends.
	told chan struct{}
}

func (b *benchmark) follow(ctx context.Context, migration string) (*follower, error) {
	if err := b.migration(ctx, migration); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &follower{told: make(chan struct{}, 1), log: filepath.Join(b.dir, "follow.log")}
	log, err := os.OpenFile(f.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	f.cmd = exec.CommandContext(ctx, self, "follow", "--hub", b.hub.kubeconfig, "--source", b.source.kubeconfig, "--target", b.target.kubeconfig,
		"--namespace", hubNamespace, "--migration", migration, "--workers", fmt.Sprint(workers))
	f.cmd.Stderr = log
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the mirror: %w", err)
	}
	go f.read(out)
	return f, nil
}

// read notes what the process says until it ends.
func (f *follower) read(out io.Reader) {
	defer close(f.told)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		f.mu.Lock()
		err := json.Unmarshal(lines.Bytes(), &f.last)
		f.mu.Unlock()
		if err != nil {
			continue
		}
		select {
		case f.told <- struct{}{}:
		default:
		}
	}
}

func (f *follower) pass() Pass {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// patience is how long a copy may take before the measurement is given up.
const patience = 10 * time.Minute

// level waits until the mirror says that at least so many objects are level.
func (f *follower) level(ctx context.Context, objects int) error {
	deadline := time.After(patience)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			return fmt.Errorf("the mirror was not level after %s: %+v", patience, f.pass())
		case _, alive := <-f.told:
			if !alive {
				text, _ := os.ReadFile(f.log)
				return fmt.Errorf("the mirror ended by itself, after %+v: %s", f.pass(), text[max(0, len(text)-2000):])
			}
			if pass := f.pass(); pass.Level && pass.Objects >= objects {
				return nil
			}
		}
	}
}

// kill ends the process as kill -9 does.
func (f *follower) kill() {
	f.once.Do(func() {
		_ = f.cmd.Process.Kill()
		_ = f.cmd.Wait() // it was killed
	})
}

// resident is the resident memory of the process, in MiB.
func (f *follower) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kib); n == 1 {
			return kib / 1024, nil
		}
	}
	return 0, errors.New("the system does not say how much memory the mirror has")
}
