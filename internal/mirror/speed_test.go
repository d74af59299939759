package mirror

import (
	"testing"
	"time"
)

// BenchmarkIdlePass is a pass over a level estate of 1,600 apps in memory: what the
// simulation pays for each step.
func BenchmarkIdlePass(b *testing.B) {
	w := newWorld(b, 1)
	w.estate(1600)
	began := time.Now()
	if report := w.follow(); !report.Level() {
		b.Fatalf("not level: %+v", report)
	}
	b.ReportMetric(time.Since(began).Seconds(), "copy-s")
	for b.Loop() {
		w.sync()
	}
}
