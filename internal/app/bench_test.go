package app

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/demo"
)

func TestFiguresArePrintedAndKept(t *testing.T) {
	worse := errors.New("three requests failed")
	kept := measurements
	t.Cleanup(func() { measurements = kept })
	measurements = map[string]measurement{"demo": func(context.Context, cli.Streams) ([]figure, error) {
		return []figure{{"demo-failed", 3, "requests"}, {"demo-capacity-min", 0.75, "ratio"}}, worse
	}}
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "out", "bench.json")
	if err := runBench(t.Context(), cli.Streams{Out: &out}, cli.BenchOptions{Out: file}); !errors.Is(err, worse) {
		t.Errorf("error = %v, want what is wrong with the figures", err)
	}
	if want := "demo-failed 3 requests\ndemo-capacity-min 0.75 ratio\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	text, err := os.ReadFile(file)
	if want := `{
  "demo-capacity-min": {
    "value": 0.75,
    "unit": "ratio"
  },
  "demo-failed": {
    "value": 3,
    "unit": "requests"
  }
}
`; err != nil || string(text) != want {
		t.Errorf("kept %s, %v", text, err)
	}
	err = runBench(t.Context(), cli.Streams{Out: &out}, cli.BenchOptions{Part: "mirror"})
	if err == nil || err.Error() != `PART "mirror": it cannot be measured yet; what can be is demo` {
		t.Errorf("error = %v", err)
	}
}

func TestADemosFiguresAreItsReport(t *testing.T) {
	r := demo.Report{
		Requests: 20000, Failed: 1, P99Millis: demo.Periods{Before: 1, During: 2, After: 3}, DurationSeconds: 90,
		Stages: []demo.StageTime{{Stage: v1.Cutover, Seconds: 30}},
	}
	byName := map[string]figure{}
	for _, f := range demoFigures(r) {
		if f.unit == "" || byName[f.name].name != "" {
			t.Errorf("%+v has no unit, or a name that is taken", f)
		}
		byName[f.name] = f
	}
	for name, want := range map[string]float64{
		"demo-requests": 20000, "demo-failed": 1, "demo-p99-during": 2, "demo-seconds": 90, "demo-seconds-cutover": 30,
	} {
		if byName[name].value != want {
			t.Errorf("%s = %v, want %v", name, byName[name].value, want)
		}
	}
}
