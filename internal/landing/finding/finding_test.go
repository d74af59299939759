package finding_test

import (
	"testing"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
)

func TestWhatBlocks(t *testing.T) {
	at := time.Date(2026, time.May, 4, 23, 59, 0, 0, time.UTC)
	good := landing.Waiver{Finding: "LZ-X-001", Reason: "r", Owner: "o", Expires: "2026-05-05"}
	with := func(change func(*landing.Waiver)) []landing.Waiver {
		w := good
		change(&w)
		return []landing.Waiver{w}
	}
	tests := []struct {
		name     string
		severity finding.Severity
		waivers  []landing.Waiver
		blocks   bool
	}{
		{"a failure", finding.Fail, nil, true},
		{"what is unknown", finding.Unknown, nil, true},
		{"a warning", finding.Warning, nil, false},
		{"a note", finding.Note, nil, false},
		{"waived to the end of the day", finding.Fail, []landing.Waiver{good}, false},
		{"waived, but the day has begun", finding.Fail, with(func(w *landing.Waiver) { w.Expires = "2026-05-04" }), true},
		{"a waiver for the part", finding.Unknown, with(func(w *landing.Waiver) { w.Trigger = "part" }), false},
		{"a waiver for another part", finding.Fail, with(func(w *landing.Waiver) { w.Question = "other" }), true},
		{"a waiver for another finding", finding.Fail, with(func(w *landing.Waiver) { w.Finding = "LZ-X-002" }), true},
		{"a waiver without end", finding.Fail, with(func(w *landing.Waiver) { w.Expires = "" }), true},
		{"a waiver without reason", finding.Fail, with(func(w *landing.Waiver) { w.Reason = "" }), true},
		{"a waiver without owner", finding.Fail, with(func(w *landing.Waiver) { w.Owner = "" }), true},
		{"one has ended, another has not", finding.Fail, append(with(func(w *landing.Waiver) { w.Expires = "2026-01-01" }), good), false},
	}
	for _, test := range tests {
		found := []finding.Finding{{ID: "LZ-X-001", Part: "part", Severity: test.severity}}
		finding.Waive(found, test.waivers, at)
		if found[0].Blocks() != test.blocks || (len(finding.Blocking(found)) == 1) != test.blocks {
			t.Errorf("%s: blocks %v, want %v", test.name, found[0].Blocks(), test.blocks)
		}
	}
}
