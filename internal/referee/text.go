package referee

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Text is the report as a person reads it in a terminal; it ends with a newline.
func (r *Report) Text() string {
	var out strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&out, "%-11s %s\n", label, fmt.Sprintf(format, args...))
	}
	duration := time.Duration(r.DurationSeconds * float64(time.Second)).Round(time.Second)
	line("load", "%d names, %.0f requests/s, %s, seed %d", r.Names, r.Rate, duration, r.Seed)
	line("requests", "%d sent = %d ok + %d failed + %d invalid", r.Requests, r.OK, r.Failed, r.Invalid)
	if r.Writes.Sent > 0 {
		line("writes", "%d sent, %d lost, %d doubled, %d not read back", r.Writes.Sent, r.Writes.Lost, r.Writes.Doubled, r.Writes.NotReadBack)
	}
	if s := r.Segments; s != (Segments{}) {
		line("segments", "%d seen, %d lost, %d doubled, %d stalls", s.Seen, s.Lost, s.Doubled, s.Stalls)
	}
	for _, period := range r.Periods {
		line(period.Name, "p50 %.1f ms, p99 %.1f ms (new %.1f, reused %.1f), %d requests, %d failed", period.Latency.Overall.P50Millis,
			period.Latency.Overall.P99Millis, period.Latency.New.P99Millis, period.Latency.Reused.P99Millis, period.Requests, period.Failed)
	}
	line("slip", "p99 %.1f ms", r.Slip.P99Millis)
	if networks := r.networks(); networks != "" {
		line("served by", "%s", networks)
	}
	for _, f := range r.Failures[:min(len(r.Failures), 5)] {
		line("failed", "%s %s %s by %s at %s: %s", f.At.Format(time.TimeOnly), f.Name, f.Kind, f.Client, cmp.Or(f.Address, "?"), f.Text)
	}
	if more := r.Failed - int64(min(len(r.Failures), 5)); more > 0 {
		line("failed", "and %d more", more)
	}
	return out.String()
}

// networks sums the answers of all names by network.
func (r *Report) networks() string {
	answers := map[string]int64{}
	for _, name := range r.ByName {
		for _, served := range name.ServedBy {
			answers[served.Network] += served.Answers
		}
	}
	var parts []string
	for _, network := range slices.Sorted(maps.Keys(answers)) {
		parts = append(parts, fmt.Sprintf("%s %d", network, answers[network]))
	}
	return strings.Join(parts, ", ")
}
