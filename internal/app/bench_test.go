package app

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bench"
	"crossfade.dev/internal/demo"
)

func TestADemosFiguresAreItsReport(t *testing.T) {
	differences := 0
	r := demo.Report{
		Requests: 20000, Failed: 1, P99Millis: demo.Periods{Before: 10, During: 12, After: 11}, DurationSeconds: 90,
		Stages: []demo.StageTime{{Stage: v1.Cutover, Seconds: 30}},
	}
	var out bytes.Buffer
	s := bench.NewSheet(&out, &bytes.Buffer{})
	if err := recordDemo(s, r, nil); err != nil {
		t.Fatal(err)
	}
	back := r
	back.DifferencesAfterRollback = &differences
	if err := recordOutcome(s, "demo-back", back, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), nil); err != nil {
		t.Errorf("a figure is not as it should be: %v", err)
	}
	for _, want := range []string{
		"demo-requests 20000 requests", "demo-failed 1 requests", "demo-p99-during 12 ms", "demo-p99-ratio 1.2 ratio",
		"demo-p99-added 2 ms", "demo-seconds 90 s", "demo-seconds-cutover 30 s", "demo-back-differences 0 differences",
	} {
		if !strings.Contains("\n"+out.String(), "\n"+want+"\n") {
			t.Errorf("%q is not among\n%s", want, out.String())
		}
	}
}

func TestEstatesThatAreNotThereAreSkipped(t *testing.T) {
	var narration bytes.Buffer
	s := bench.NewSheet(&bytes.Buffer{}, &narration)
	folder := filepath.Join(t.TempDir(), "none")
	if err := s.Run(t.Context(), estateRows(demo.Options{}, folder)); err != nil {
		t.Errorf("error = %v, want none", err)
	}
	if want := "measuring demo-estates\ndemo-estates: --estates \"" + folder + "\": no such folder: skipped\n"; narration.String() != want {
		t.Errorf("narrated %q, want %q", narration.String(), want)
	}
}
