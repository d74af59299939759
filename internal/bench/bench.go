// Package bench holds what a benchmark prints and keeps: a sheet with one line
// "name value unit" for each figure. `crossfade bench` fills it, row by row.
//
// A row is one line of a table of bars, or a few that are measured together. To add
// one, write a Measure and list it in package app:
//
//	{Part: "landing", Name: "landing-guardrails", Measure: func(ctx context.Context, s *bench.Sheet) error {
//		s.Record("landing-decisions", decisions, "1/s")
//		s.Record("landing-decisions-peer", theirs, "1/s") // what it is compared with
//		return nil
//	}}
//
// What is measured by another process, or by a package that prints its own lines,
// writes them into the sheet, which is an io.Writer.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// A Row is measured as one: it prints its figures together.
type Row struct {
	// Part is what a person names to measure a part only: demo, mirror, plan or landing.
	Part string
	// Name is for narration and complaints.
	Name string
	// Measure records the row's figures. An error wrapping ErrSkipped means that what
	// the row needs is not there. Any other says that the measurement is not to be had
	// or that the figures recorded are not as they should be.
	Measure Measure
}

// A Measure records figures until it is done or ctx ends.
type Measure func(ctx context.Context, s *Sheet) error

// ErrSkipped says that a row needs something that is not there.
var ErrSkipped = errors.New("skipped")

// A Sheet prints figures as they come and keeps them. It may be used by several
// goroutines at once.
type Sheet struct {
	// Narration gets what is said meanwhile; never nil.
	Narration io.Writer

	out io.Writer

	mu      sync.Mutex
	figures []figure
	names   map[string]bool
	rest    []byte
	wrong   []error
}

type figure struct {
	name, value, unit string
}

// NewSheet returns an empty sheet that prints to out.
func NewSheet(out, narration io.Writer) *Sheet {
	return &Sheet{Narration: narration, out: out, names: map[string]bool{}}
}

// kebab is how figures are named, in two words or more: a compared one has a suffix, -bare or -peer.
var kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)

// Record prints and keeps one figure. A name that is not in kebab-case, that is
// taken, or a value without a unit makes Run's error.
func (s *Sheet) Record(name string, value float64, unit string) {
	s.record(figure{name, strconv.FormatFloat(value, 'f', -1, 64), unit})
}

func (s *Sheet) record(f figure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !kebab.MatchString(f.name):
		s.wrong = append(s.wrong, fmt.Errorf("figure %q: want a name in kebab-case", f.name))
	case s.names[f.name]:
		s.wrong = append(s.wrong, fmt.Errorf("figure %q: measured twice", f.name))
	case f.unit == "":
		s.wrong = append(s.wrong, fmt.Errorf("figure %q: without a unit", f.name))
	default:
		s.names[f.name] = true
		s.figures = append(s.figures, f)
		if _, err := fmt.Fprintln(s.out, f.name, f.value, f.unit); err != nil {
			s.wrong = append(s.wrong, err)
		}
	}
}

// Write records every line "name value unit"; all other lines are narration.
func (s *Sheet) Write(text []byte) (int, error) {
	s.mu.Lock()
	all := append(s.rest, text...)
	end := bytes.LastIndexByte(all, '\n') + 1
	s.rest = bytes.Clone(all[end:])
	s.mu.Unlock()
	for line := range strings.Lines(string(all[:end])) {
		words := strings.Fields(line)
		if len(words) == 3 && kebab.MatchString(words[0]) && numeric(words[1]) {
			s.record(figure{words[0], words[1], words[2]})
			continue
		}
		if _, err := io.WriteString(s.Narration, line); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}

func numeric(word string) bool {
	_, err := strconv.ParseFloat(word, 64)
	return err == nil
}

// Run measures the rows one after the other, all of them whatever becomes of one.
// The error joins what was wrong; rows that were skipped are narrated only.
func (s *Sheet) Run(ctx context.Context, rows []Row) error {
	var wrong []error
	for _, row := range rows {
		fmt.Fprintf(s.Narration, "measuring %s\n", row.Name)
		switch err := row.Measure(ctx, s); {
		case ctx.Err() != nil:
			return errors.Join(append(wrong, context.Cause(ctx))...)
		case errors.Is(err, ErrSkipped):
			fmt.Fprintf(s.Narration, "%s: %v\n", row.Name, err)
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%s: %w", row.Name, err))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(append(wrong, s.wrong...)...)
}

// Keep writes the figures as JSON, by name.
func (s *Sheet) Keep(file string) error {
	type measured struct {
		Value json.Number `json:"value"`
		Unit  string      `json:"unit"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	byName := map[string]measured{}
	for _, f := range s.figures {
		byName[f.name] = measured{json.Number(f.value), f.unit}
	}
	text, err := json.MarshalIndent(byName, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
