package referee

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
)

// report takes a picture of the tally; last narrows the last answers of each name.
func (l *load) report(last int) Report {
	end := l.stopped()
	running := end.IsZero()
	if running {
		end = time.Now()
	}
	// What has begun is read after what has ended, so that it is never less.
	r := l.ended(end, last)
	r.Requests, r.SegmentFetches = l.tally.sent.Load(), l.tally.fetches.Load()
	r.UnderWay = r.Requests - r.OK - r.Failed - r.Invalid
	r.Connections.ClosedIdle = l.tally.closedIdle.Load()
	r.Writes.ReadBackRetries = l.tally.readBackRetries.Load()
	r.DNS = DNS{l.dns.queries.Load(), l.dns.resent.Load(), l.dns.truncated.Load()}

	r.Seed, r.RunID, r.Names, r.Rate, r.Started = l.config.Seed, l.runID, len(l.config.Targets), l.config.Rate, l.start
	r.Running = running
	r.DurationSeconds = max(end.Sub(l.start), 0).Seconds()
	r.Scheduled = l.scheduled(end)
	return r
}

// ended is the part of a report that is about requests which have ended.
func (l *load) ended(end time.Time, last int) Report {
	t := l.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Report{
		OK: t.all.OK, Failed: t.all.Failed, Invalid: t.all.Invalid,
		Connections:   Connections{New: t.connections[0], Reused: t.connections[1]},
		FailedByClass: maps.Clone(t.classes), InvalidBecause: maps.Clone(t.invalid),
		Writes: t.writes, Segments: t.segmentSum, Slip: quantiles(t.slip),
		Failures: append([]Failure{}, t.failures...), FailuresOmitted: t.omitted,
		Periods: l.periods.spans(end),
	}
	r.Writes.Faults = slices.Clone(t.writes.Faults)
	fresh, reused := newSketch(), newSketch()
	for i := range r.Periods {
		if period := t.periods[r.Periods[i].Name]; period != nil {
			r.Periods[i].Counts = period.Counts
			r.Periods[i].Latency = latencyOf(period.latency[0], period.latency[1])
			merge(fresh, period.latency[0])
			merge(reused, period.latency[1])
		}
	}
	r.Latency = latencyOf(fresh, reused)
	for _, kind := range append(slices.Clone(httpKinds), tcpKinds...) {
		if of := t.kinds[kind]; of != nil {
			r.Kinds = append(r.Kinds, KindCounts{kind, of.Counts, quantiles(of.latency)})
		}
	}
	for _, client := range l.clients {
		if of := t.clients[client.name]; of != nil {
			r.Clients = append(r.Clients, ClientCounts{client.name, client.server, *of})
		}
	}
	for _, target := range l.config.Targets {
		name := t.names[target.Name]
		r.ByName = append(r.ByName, NameCounts{target.Name, name.Counts, name.servedBy(last), name.unnamed})
	}
	return r
}

// verify checks every sum of a final report.
func (r *Report) verify() error {
	var wrong []error
	equal := func(what string, got, want int64) {
		if got != want {
			wrong = append(wrong, fmt.Errorf("accounting: %s: %d, want %d", what, got, want))
		}
	}
	all := Counts{r.Requests, r.OK, r.Failed, r.Invalid}
	equal("ok + failed + invalid", r.OK+r.Failed+r.Invalid, r.Requests)
	equal("scheduled + segment fetches", r.Scheduled+r.SegmentFetches, r.Requests)

	sums := map[string]Counts{"connections": sum([]Counts{r.Connections.New, r.Connections.Reused})}
	for _, period := range r.Periods {
		sums["periods"] = sum([]Counts{sums["periods"], period.Counts})
	}
	for _, kind := range r.Kinds {
		sums["kinds"] = sum([]Counts{sums["kinds"], kind.Counts})
	}
	for _, client := range r.Clients {
		sums["clients"] = sum([]Counts{sums["clients"], client.Counts})
	}
	for _, name := range r.ByName {
		sums["names"] = sum([]Counts{sums["names"], name.Counts})
	}
	for _, what := range slices.Sorted(maps.Keys(sums)) {
		got := sums[what]
		equal(what+": requests", got.Requests, all.Requests)
		equal(what+": ok", got.OK, all.OK)
		equal(what+": failed", got.Failed, all.Failed)
		equal(what+": invalid", got.Invalid, all.Invalid)
	}
	equal("failures by class", sumOf(r.FailedByClass), r.Failed)
	equal("invalid by reason", sumOf(r.InvalidBecause), r.Invalid)
	equal("failures listed and omitted", int64(len(r.Failures))+r.FailuresOmitted, r.Failed)
	return errors.Join(wrong...)
}

func sum(list []Counts) (total Counts) {
	for _, c := range list {
		total.Requests += c.Requests
		total.OK += c.OK
		total.Failed += c.Failed
		total.Invalid += c.Invalid
	}
	return total
}

func sumOf[K comparable](m map[K]int64) (total int64) {
	for _, n := range m {
		total += n
	}
	return total
}

func latencyOf(fresh, reused *ddsketch.DDSketch) Latency {
	overall := newSketch()
	merge(overall, fresh)
	merge(overall, reused)
	return Latency{quantiles(overall), quantiles(fresh), quantiles(reused)}
}

func merge(into, from *ddsketch.DDSketch) {
	if err := into.MergeWith(from); err != nil {
		panic(err) // only for sketches of different accuracies
	}
}

func quantiles(sketch *ddsketch.DDSketch) Quantiles {
	if sketch.IsEmpty() {
		return Quantiles{}
	}
	values, err := sketch.GetValuesAtQuantiles([]float64{0.5, 0.99, 0.995, 1})
	if err != nil {
		panic(err) // only for an empty sketch or a quantile outside 0 to 1
	}
	round := func(v float64) float64 { return math.Round(v*1000) / 1000 }
	return Quantiles{int64(sketch.GetCount()), round(values[0]), round(values[1]), round(values[2]), round(values[3])}
}
