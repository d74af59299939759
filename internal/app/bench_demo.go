package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"crossfade.dev/internal/bench"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/demo"
)

// simulation is the package whose tests simulate the engine.
const simulation = "crossfade.dev/internal/sim"

// demoRows are the demo forward and back, under chaos, with estates that nobody
// here wrote, and the simulation.
func demoRows(streams cli.Streams, o cli.BenchOptions) []bench.Row {
	base := demo.Options{Seed: 1, Out: streams.Err, Progress: streams.Err, Live: streams.Live}
	back := base
	back.Back = true
	rows := []bench.Row{
		{Part: "demo", Name: "demo", Measure: func(ctx context.Context, s *bench.Sheet) error {
			r, err := demo.Run(ctx, base)
			return recordDemo(s, r, err)
		}},
		demoRow("demo-back", back),
	}
	for seed := range o.Seeds {
		chaos := base
		chaos.Chaos = uint64(seed + 1)
		rows = append(rows, demoRow(fmt.Sprintf("demo-chaos-%d", seed+1), chaos))
	}
	rows = append(rows, estateRows(base, o.Estates)...)
	return append(rows, bench.Row{Part: "demo", Name: "simulation", Measure: measureSimulation})
}

// demoRow is a demo of which only what decides whether it went well is recorded.
func demoRow(name string, o demo.Options) bench.Row {
	return bench.Row{Part: "demo", Name: name, Measure: func(ctx context.Context, s *bench.Sheet) error {
		r, err := demo.Run(ctx, o)
		return recordOutcome(s, name, r, err)
	}}
}

// estateRows move each folder of manifests that a folder holds.
func estateRows(base demo.Options, folder string) []bench.Row {
	skipped := func(why string) []bench.Row {
		return []bench.Row{{Part: "demo", Name: "demo-estates", Measure: func(context.Context, *bench.Sheet) error {
			return fmt.Errorf("--estates %q: %s: %w", folder, why, bench.ErrSkipped)
		}}}
	}
	if folder == "" {
		return skipped("none given")
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return skipped("no such folder")
	}
	var rows []bench.Row
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		theirs := base
		theirs.Estate = filepath.Join(folder, entry.Name())
		rows = append(rows, demoRow("demo-estate-"+strings.ToLower(entry.Name()), theirs))
	}
	if len(rows) == 0 {
		return skipped("no folder in it")
	}
	return rows
}

// ended finds the estates in what the simulation tells, each by its seed and its size,
// which is 0 for a small one.
var ended = regexp.MustCompile(`--- (PASS|FAIL): TestSimulation/estates/\d+-(\d+)`)

const largeEstate = "1600"

// measureSimulation runs the engine's simulation as `make test` does.
func measureSimulation(ctx context.Context, s *bench.Sheet) error {
	if _, err := os.Stat("internal/sim"); err != nil {
		return fmt.Errorf("it runs only where the source is: %w", bench.ErrSkipped)
	}
	test := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout", "10m", "-v", "-run", "^TestSimulation$", simulation)
	var told bytes.Buffer
	test.Stdout, test.Stderr = &told, s.Narration
	if build := exec.CommandContext(ctx, "go", "test", "-count=1", "-run", "^$", simulation); build.Run() != nil {
		return fmt.Errorf("build the tests of %s", simulation)
	}
	began := time.Now()
	err := test.Run()
	s.Record("simulation-seconds", seconds(time.Since(began)), "s")
	s.Record("simulation-cpu-seconds", seconds(test.ProcessState.UserTime()+test.ProcessState.SystemTime()), "s")
	runs := ended.FindAllStringSubmatch(told.String(), -1)
	large, broken := 0, 0
	for _, run := range runs {
		if run[1] == "FAIL" {
			broken++
		}
		if run[2] == largeEstate {
			large++
		}
	}
	s.Record("simulation-small-estates", float64(len(runs)-large), "runs")
	s.Record("simulation-large-estates", float64(large), "runs")
	s.Record("simulation-broken", float64(broken), "runs")
	if err != nil {
		fmt.Fprintln(s.Narration, told.String())
	}
	return err
}

// outcome passes on an error, with the exit code of one that the report explains.
func outcome(err error) error {
	if errors.Is(err, demo.ErrNoticed) {
		return fmt.Errorf("%w: %w", cli.ErrNo, err)
	}
	return err
}

// recordOutcome records what decides whether a demo went well.
func recordOutcome(s *bench.Sheet, name string, r demo.Report, err error) error {
	if err != nil && !errors.Is(err, demo.ErrNoticed) {
		s.Record(name+"-finished", 0, "runs")
		return err
	}
	s.Record(name+"-finished", 1, "runs")
	s.Record(name+"-requests", float64(r.Requests), "requests")
	s.Record(name+"-failed", float64(r.Failed), "requests")
	s.Record(name+"-invalid", float64(r.Invalid), "requests")
	s.Record(name+"-writes-lost", float64(r.WritesLost), "writes")
	s.Record(name+"-writes-doubled", float64(r.WritesDoubled), "writes")
	s.Record(name+"-segments-lost", float64(r.SegmentsLost), "segments")
	s.Record(name+"-capacity-min", r.CapacityMin, "ratio")
	s.Record(name+"-capacity-max", r.CapacityMax, "ratio")
	s.Record(name+"-complaints", float64(len(r.Complaints)), "complaints")
	s.Record(name+"-seconds", r.DurationSeconds, "s")
	s.Record(name+"-workloads", float64(r.Moving), "workloads")
	s.Record(name+"-workloads-asked-about", float64(r.Stayed), "workloads")
	if r.DifferencesAfterRollback != nil {
		s.Record(name+"-differences", float64(*r.DifferencesAfterRollback), "differences")
	} else {
		s.Record(name+"-workloads-served-by-target", float64(r.ServedByTarget), "workloads")
	}
	return outcome(err)
}

// recordDemo records all of a demo's report.
func recordDemo(s *bench.Sheet, r demo.Report, err error) error {
	err = recordOutcome(s, "demo", r, err)
	if err != nil && !errors.Is(err, demo.ErrNoticed) {
		return err
	}
	s.Record("demo-apps", float64(r.Apps), "apps")
	s.Record("demo-requests-per-second", r.RequestsPerSecond, "1/s")
	s.Record("demo-p99-before", r.P99Millis.Before, "ms")
	s.Record("demo-p99-during", r.P99Millis.During, "ms")
	s.Record("demo-p99-after", r.P99Millis.After, "ms")
	if r.P99Millis.Before > 0 {
		s.Record("demo-p99-ratio", round(r.P99Millis.During/r.P99Millis.Before), "ratio")
	}
	s.Record("demo-p99-added", round(r.P99Millis.During-r.P99Millis.Before), "ms")
	s.Record("demo-freeze-seconds", r.FreezeSeconds, "s")
	s.Record("demo-memory", float64(r.MemoryMiB), "MiB")
	s.Record("demo-team-writes", float64(r.TeamWrites), "writes")
	s.Record("demo-team-writes-refused", float64(r.TeamWritesRefused), "writes")
	s.Record("demo-team-writes-lost", float64(r.TeamWritesLost), "writes")
	for _, stage := range r.Stages {
		s.Record("demo-seconds-"+strings.ToLower(string(stage.Stage)), round(stage.Seconds), "s")
	}
	return err
}

func seconds(d time.Duration) float64 { return round(d.Seconds()) }

// round keeps three decimals.
func round(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }
