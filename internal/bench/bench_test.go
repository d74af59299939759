package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestFiguresArePrintedAndKept(t *testing.T) {
	worse := errors.New("three requests failed")
	rows := []Row{
		{Name: "demo", Measure: func(_ context.Context, s *Sheet) error {
			s.Record("demo-failed", 3, "requests")
			return worse
		}},
		{Name: "estates", Measure: func(context.Context, *Sheet) error {
			return fmt.Errorf("no folder: %w", ErrSkipped)
		}},
		{Name: "plan", Measure: func(_ context.Context, s *Sheet) error {
			_, err := fmt.Fprint(s, "reading 1600 apps\nplan-live 5.2 s\nplan-live-pe")
			_, err2 := fmt.Fprint(s, "er 7 s\n")
			return errors.Join(err, err2)
		}},
	}
	var out, narration bytes.Buffer
	s := NewSheet(&out, &narration)
	if err := s.Run(t.Context(), rows); !errors.Is(err, worse) || errors.Is(err, ErrSkipped) {
		t.Errorf("error = %v, want what is wrong with the figures and nothing else", err)
	}
	if want := "demo-failed 3 requests\nplan-live 5.2 s\nplan-live-peer 7 s\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	if want := "measuring demo\nmeasuring estates\nestates: no folder: skipped\nmeasuring plan\nreading 1600 apps\n"; narration.String() != want {
		t.Errorf("narrated %q, want %q", narration.String(), want)
	}
	file := filepath.Join(t.TempDir(), "out", "bench.json")
	if err := s.Keep(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if want := `{
  "demo-failed": {
    "value": 3,
    "unit": "requests"
  },
  "plan-live": {
    "value": 5.2,
    "unit": "s"
  },
  "plan-live-peer": {
    "value": 7,
    "unit": "s"
  }
}
`; err != nil || string(text) != want {
		t.Errorf("kept %s, %v", text, err)
	}
}

func TestFiguresThatNobodyCouldReadAreRefused(t *testing.T) {
	s := NewSheet(&bytes.Buffer{}, &bytes.Buffer{})
	s.Record("demo_failed", 0, "requests")
	s.Record("demo-failed", 0, "")
	s.Record("demo-apps", 40, "apps")
	s.Record("demo-apps", 41, "apps")
	err := s.Run(t.Context(), nil)
	want := "figure \"demo_failed\": want a name in kebab-case\nfigure \"demo-failed\": without a unit\nfigure \"demo-apps\": measured twice"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
