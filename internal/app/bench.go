package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/demo"
)

// A figure is one line of a benchmark.
type figure struct {
	name  string
	value float64
	unit  string
}

// A measurement is one part of the benchmark. The error may come with figures: then
// it says what is wrong with them.
type measurement func(ctx context.Context, streams cli.Streams) ([]figure, error)

// measurements are the parts that can be measured, by name.
var measurements = map[string]measurement{
	"demo": measureDemo,
}

// runBench measures a part, or all there are, and writes a line for each figure.
func runBench(ctx context.Context, streams cli.Streams, o cli.BenchOptions) error {
	parts := slices.Sorted(maps.Keys(measurements))
	if o.Part != "" {
		if measurements[o.Part] == nil {
			return fmt.Errorf("PART %q: it cannot be measured yet; what can be is %s", o.Part, strings.Join(parts, ", "))
		}
		parts = []string{o.Part}
	}
	if o.Out != "" {
		if err := os.MkdirAll(filepath.Dir(o.Out), 0o755); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	var all []figure
	var wrong []error
	for _, part := range parts {
		figures, err := measurements[part](ctx, streams)
		if err != nil && len(figures) == 0 {
			return err
		}
		for _, f := range figures {
			if _, err := fmt.Fprintln(streams.Out, f); err != nil {
				return err
			}
		}
		all, wrong = append(all, figures...), append(wrong, err)
	}
	if err := keepFigures(o.Out, all); err != nil {
		return err
	}
	return errors.Join(wrong...)
}

func (f figure) String() string {
	return fmt.Sprintf("%s %s %s", f.name, strconv.FormatFloat(f.value, 'f', -1, 64), f.unit)
}

// keepFigures writes figures as JSON, by name; "" is no file.
func keepFigures(file string, figures []figure) error {
	if file == "" {
		return nil
	}
	type measured struct {
		Value float64 `json:"value"`
		Unit  string  `json:"unit"`
	}
	byName := map[string]measured{}
	for _, f := range figures {
		byName[f.name] = measured{f.value, f.unit}
	}
	text, err := json.MarshalIndent(byName, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// measureDemo shows the demo as `crossfade demo` does, with its report among the
// narration.
func measureDemo(ctx context.Context, streams cli.Streams) ([]figure, error) {
	report, err := demo.Run(ctx, demo.Options{Seed: 1, Out: streams.Err, Progress: streams.Err, Live: streams.Live})
	if errors.Is(err, demo.ErrNoticed) {
		return demoFigures(report), fmt.Errorf("%w: %w", cli.ErrNo, err)
	}
	if err != nil {
		return nil, err
	}
	return demoFigures(report), nil
}

// demoFigures are the figures of a demo's report.
func demoFigures(r demo.Report) []figure {
	figures := []figure{
		{"demo-apps", float64(r.Apps), "apps"},
		{"demo-requests", float64(r.Requests), "requests"},
		{"demo-requests-per-second", r.RequestsPerSecond, "1/s"},
		{"demo-failed", float64(r.Failed), "requests"},
		{"demo-invalid", float64(r.Invalid), "requests"},
		{"demo-writes-lost", float64(r.WritesLost), "writes"},
		{"demo-writes-doubled", float64(r.WritesDoubled), "writes"},
		{"demo-segments-lost", float64(r.SegmentsLost), "segments"},
		{"demo-p99-before", r.P99Millis.Before, "ms"},
		{"demo-p99-during", r.P99Millis.During, "ms"},
		{"demo-p99-after", r.P99Millis.After, "ms"},
		{"demo-capacity-min", r.CapacityMin, "ratio"},
		{"demo-capacity-max", r.CapacityMax, "ratio"},
		{"demo-freeze-seconds", r.FreezeSeconds, "s"},
		{"demo-seconds", r.DurationSeconds, "s"},
		{"demo-team-writes", float64(r.TeamWrites), "writes"},
		{"demo-team-writes-refused", float64(r.TeamWritesRefused), "writes"},
		{"demo-team-writes-lost", float64(r.TeamWritesLost), "writes"},
		{"demo-workloads", float64(r.Moving), "workloads"},
		{"demo-workloads-served-by-target", float64(r.ServedByTarget), "workloads"},
	}
	for _, s := range r.Stages {
		figures = append(figures, figure{"demo-seconds-" + strings.ToLower(string(s.Stage)), s.Seconds, "s"})
	}
	return figures
}
