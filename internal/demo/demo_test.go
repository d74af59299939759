package demo

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A small estate moves between two real control planes under real traffic, and
// users notice nothing. It takes some minutes, and the machine for itself:
// CROSSFADE_DEMO says that it may (make test does).
func TestAnEstateMovesUnnoticed(t *testing.T) {
	binary := os.Getenv("CROSSFADE_DEMO")
	if binary == "" {
		t.Skip("CROSSFADE_DEMO does not name bin/crossfade")
	}
	var out, progress bytes.Buffer
	report, err := Run(t.Context(), Options{
		Apps: 12, Seed: 7, Binaries: filepath.Dir(binary), Dir: t.TempDir(), Out: &out, Progress: &progress,
	})
	t.Logf("%s%s", progress.String(), out.String())
	if err != nil {
		t.Fatal(err)
	}
	if report.Requests < 10000 || report.Failed != 0 {
		t.Errorf("%d of %d requests failed, want none of at least 10,000", report.Failed, report.Requests)
	}
	if report.ServedByTarget != report.Moving || report.Moving == 0 {
		t.Errorf("%d of %d workloads are served by the target", report.ServedByTarget, report.Moving)
	}
	if report.CapacityMin < 1 {
		t.Errorf("capacity fell to %.0f %%", report.CapacityMin*100)
	}
	if report.TeamWritesRefused == 0 || report.TeamWritesLost != 0 {
		t.Errorf("%d team writes were refused and %d lost, want some and none", report.TeamWritesRefused, report.TeamWritesLost)
	}
}

func TestBadInputIsRefusedBeforeAnythingStarts(t *testing.T) {
	_, err := Run(t.Context(), Options{Estate: "/does/not/exist"})
	if err == nil || err.Error() != "--estate: /does/not/exist: no such file or folder" {
		t.Errorf("error = %v, want one that names --estate and the path", err)
	}
}

func TestPhotosDifferInWhatChanged(t *testing.T) {
	before := photo{"a": "1", "b": "1", "c": "1"}
	after := photo{"a": "1", "b": "2", "d": "1"}
	got := before.differences(after)
	want := []string{"b changed", "c is gone", "d is new"}
	if len(got) != len(want) {
		t.Fatalf("differences = %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("difference %d = %q, want %q", i, got[i], want[i])
		}
	}
}
