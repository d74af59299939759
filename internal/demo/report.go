package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/referee"
)

// A Report is what users of the estate, and its teams, would have noticed.
type Report struct {
	Apps     int   `json:"apps"`
	Requests int64 `json:"requests"`
	Failed   int64 `json:"failed"`
	Invalid  int64 `json:"invalid"`

	WritesLost    int64 `json:"writesLost"`
	WritesDoubled int64 `json:"writesDoubled"`
	SegmentsLost  int64 `json:"segmentsLost"`

	// P99Millis is of successful requests, from their scheduled time.
	P99Millis Periods `json:"p99Millis"`

	// FreezeSeconds is for how long a team could not change anything, as the team
	// found it: from its last write that was accepted before one was refused to the
	// first that was accepted afterwards.
	FreezeSeconds   float64 `json:"freezeSeconds"`
	DurationSeconds float64 `json:"durationSeconds"`

	TeamWrites        int `json:"teamWrites"`
	TeamWritesRefused int `json:"teamWritesRefused"`
	TeamWritesLost    int `json:"teamWritesLost"`

	// CapacityMin and CapacityMax are the share of the wanted replicas that was ready
	// on both sides together, of the worst workload, at the worst moment.
	CapacityMin float64 `json:"capacityMin"`
	CapacityMax float64 `json:"capacityMax"`

	// Moving is how many workloads were to move, ServedByTarget how many of them the
	// target serves in the end; Stayed is how many were decided to stay.
	Moving         int `json:"moving"`
	ServedByTarget int `json:"servedByTarget"`
	Stayed         int `json:"stayed"`

	DifferencesAfterRollback *int     `json:"differencesAfterRollback,omitempty"`
	Differences              []string `json:"differences,omitempty"`

	// MemoryMiB is the most that all processes of the demo held together: the sum of
	// their proportional set sizes, in which what n of them share counts 1/n for each.
	MemoryMiB int64 `json:"memoryMiB"`

	Stages []StageTime `json:"stages"`
	Seed   uint64      `json:"seed"`
	// Faults are what chaos did, FaultsUndealt what it did not come to.
	Faults        []string `json:"faults,omitempty"`
	FaultsUndealt []string `json:"faultsUndealt,omitempty"`
	// Crashes are processes that ended by themselves.
	Crashes []string `json:"crashes,omitempty"`

	// Complaints say, for people, everything that was not as it should be.
	Complaints []string `json:"complaints,omitempty"`

	// RequestsPerSecond is the rate that the referee came to.
	RequestsPerSecond float64 `json:"requestsPerSecond"`

	sentence string
	back     bool
}

// Periods are one figure before anything moves (until Preflight has ended), during
// the migration, and after it.
type Periods struct {
	Before float64 `json:"before"`
	During float64 `json:"during"`
	After  float64 `json:"after"`
}

// report gathers what the referee, the capacity watch and the team found.
func (s *show) report(ctx context.Context, before photo) (Report, error) {
	ref, err := s.stopReferee(ctx)
	if err != nil {
		return Report{}, err
	}
	r := Report{
		Apps: s.world.apps, Requests: ref.Requests, Failed: ref.Failed, Invalid: ref.Invalid,
		WritesLost: ref.Writes.Lost, WritesDoubled: ref.Writes.Doubled, SegmentsLost: ref.Segments.Lost,
		FreezeSeconds: round(s.team.frozen().Seconds()), DurationSeconds: round(time.Since(s.began).Seconds()),
		TeamWrites: s.team.writes(), TeamWritesRefused: s.team.refused,
		CapacityMin: round(s.watch.min), CapacityMax: round(s.watch.max),
		MemoryMiB: s.memory.most.Load() >> 20,
		Moving:    len(s.world.moving), Stayed: s.world.staying, Stages: s.stages, Seed: s.Seed, Faults: s.faults, FaultsUndealt: s.undealt,
		sentence: s.team.sentence, back: s.Back, RequestsPerSecond: round(float64(ref.Requests) / ref.DurationSeconds),
	}
	for _, p := range ref.Periods {
		switch p.Name {
		case "before":
			r.P99Millis.Before = round(p.Latency.Overall.P99Millis)
		case "during":
			r.P99Millis.During = round(p.Latency.Overall.P99Millis)
		case "after":
			r.P99Millis.After = round(p.Latency.Overall.P99Millis)
		}
	}
	if lost := s.team.lost(ctx); lost != "" {
		r.TeamWritesLost = 1
		r.Complaints = append(r.Complaints, "a team's change is lost: "+lost)
	}
	if err := s.inspect(ctx, &r, ref, before); err != nil {
		return r, err
	}
	r.Crashes = s.crashes()
	r.judge(s, ref)
	return r, nil
}

// inspect looks at where the estate stands in the end.
func (s *show) inspect(ctx context.Context, r *Report, ref referee.Report, before photo) error {
	served, elsewhere, err := s.world.served(ctx, ref)
	if err != nil {
		return err
	}
	r.ServedByTarget = served
	if !s.Back {
		r.Complaints = append(r.Complaints, elsewhere...)
		return nil
	}
	s.say("the load has ended; rolling the rest back")
	if err := s.rollBack(ctx, v1.Nothing); err != nil {
		return err
	}
	r.Stages = s.stages
	if r.Differences, err = s.compare(ctx, before); err != nil {
		return err
	}
	n := len(r.Differences)
	r.DifferencesAfterRollback = &n
	return nil
}

// served counts the moving workloads that the target serves: all their replicas
// are ready there, none is left in the source, and the last answers that the
// referee got under their names came from the target's pods.
func (w *world) served(ctx context.Context, ref referee.Report) (n int, elsewhere []string, err error) {
	var source, target appsv1.DeploymentList
	if err := w.source.client.List(ctx, &source); err != nil {
		return 0, nil, err
	}
	if err := w.target.client.List(ctx, &target); err != nil {
		return 0, nil, err
	}
	here, there := map[string]appsv1.Deployment{}, map[string]appsv1.Deployment{}
	for _, d := range source.Items {
		here[d.Namespace+"/"+d.Name] = d
	}
	for _, d := range target.Items {
		there[d.Namespace+"/"+d.Name] = d
	}
	stray := w.strays(ref)
	for _, m := range w.moving {
		key := m.Namespace + "/" + m.Name
		switch {
		case there[key].Status.ReadyReplicas < m.Replicas:
			elsewhere = append(elsewhere, fmt.Sprintf("%s has %d of %d replicas in the target", m.ID(), there[key].Status.ReadyReplicas, m.Replicas))
		case ptr.Deref(here[key].Spec.Replicas, 1) > 0 || here[key].Status.Replicas > 0:
			elsewhere = append(elsewhere, m.ID()+" still runs in the source")
		case stray[m.ID()] != "":
			elsewhere = append(elsewhere, stray[m.ID()])
		default:
			n++
		}
	}
	return n, elsewhere, nil
}

// ofTarget tells whether a network that answers is the target's. Only pods of the
// sandbox say who they are, in its own networks; others name nobody.
func (w *world) ofTarget(network string) bool {
	return strings.HasPrefix(network, fmt.Sprintf("10.%d.", targetNumber)) || w.target.given != nil
}

// strays are the moving workloads whose last answers came from elsewhere than the
// target.
func (w *world) strays(ref referee.Report) map[string]string {
	out := map[string]string{}
	counts := map[string]referee.NameCounts{}
	for _, c := range ref.ByName {
		counts[c.Name] = c
	}
	for _, n := range w.asked {
		for _, m := range w.moving {
			if m.Namespace != n.Entry.Namespace || !slices.Contains(m.Services, n.Service) {
				continue
			}
			if len(counts[n.Host+n.Path].ServedBy) == 0 && w.target.given == nil {
				out[m.ID()] = fmt.Sprintf("%s: no answer under %s says who gave it", m.ID(), n.Host)
			}
			for _, by := range counts[n.Host+n.Path].ServedBy {
				if by.Last > 0 && !w.ofTarget(by.Network) {
					out[m.ID()] = fmt.Sprintf("%s: %d of the last answers under %s came from %s", m.ID(), by.Last, n.Host, by.Network)
				}
			}
		}
	}
	return out
}

// judge adds a complaint for everything that somebody would have noticed.
func (r *Report) judge(s *show, ref referee.Report) {
	complain := func(format string, args ...any) {
		r.Complaints = append(r.Complaints, fmt.Sprintf(format, args...))
	}
	for i, f := range ref.Failures {
		if i == 5 {
			complain("%d more requests failed", len(ref.Failures)-5+int(ref.FailuresOmitted))
			break
		}
		complain("%s %s by %s failed at %s: %s", f.Kind, f.Name, f.Client, f.At.Format("15:04:05.000"), f.Text)
	}
	if r.Requests == 0 || !ref.Accounted {
		complain("the referee cannot account for its requests")
	}
	if r.WritesLost+r.WritesDoubled+ref.Writes.NotReadBack > 0 {
		complain("%d writes lost, %d doubled, %d not read back", r.WritesLost, r.WritesDoubled, ref.Writes.NotReadBack)
	}
	if r.SegmentsLost+ref.Segments.Doubled > 0 {
		complain("%d segments lost, %d doubled", r.SegmentsLost, ref.Segments.Doubled)
	}
	if s.watch.samples == 0 {
		complain("capacity was never measured")
	}
	if r.Failed > 0 && len(ref.Failures) == 0 {
		complain("%d requests failed", r.Failed)
	}
	if r.CapacityMin < 1 {
		complain("%s had %.0f %% of its capacity", s.watch.minOf, r.CapacityMin*100)
	}
	if s.watch.overBound != "" {
		complain("%s had more capacity than its bound", s.watch.overBound)
	}
	r.Complaints = append(r.Complaints, s.team.complaints(s.Back, s.Chaos != 0)...)
	for _, c := range r.Crashes {
		complain("%s", c)
	}
	for _, f := range r.FaultsUndealt {
		complain("chaos did not come to %s", f)
	}
	for i, d := range r.Differences {
		if i == 10 {
			complain("%d more differences after the rollback", len(r.Differences)-10)
			break
		}
		complain("after the rollback: %s", d)
	}
}

func (r Report) complaint() string {
	if len(r.Complaints) == 0 {
		return ""
	}
	return r.Complaints[0]
}

// print shows the report to a person.
func (r Report) print(out io.Writer) {
	fmt.Fprintf(out, "\n%d requests at %.0f/s: %d failed", r.Requests, r.RequestsPerSecond, r.Failed)
	if r.Invalid > 0 {
		fmt.Fprintf(out, ", %d not counted: the referee was late", r.Invalid)
	}
	fmt.Fprintln(out)
	fmt.Fprintf(out, "writes lost %d, doubled %d; stream segments lost %d\n", r.WritesLost, r.WritesDoubled, r.SegmentsLost)
	fmt.Fprintf(out, "p99 %.1f ms before, %.1f ms during, %.1f ms after\n", r.P99Millis.Before, r.P99Millis.During, r.P99Millis.After)
	fmt.Fprintf(out, "capacity between %.0f %% and %.0f %% of what was wanted\n", r.CapacityMin*100, r.CapacityMax*100)
	fmt.Fprintf(out, "teams: %d changes, %d refused within a freeze of %.1f s\n", r.TeamWrites, r.TeamWritesRefused, r.FreezeSeconds)
	if r.sentence != "" {
		fmt.Fprintf(out, "  a refused person read: %s\n", sentenceOf(r.sentence))
	}
	if r.back {
		fmt.Fprintf(out, "rolled back: %d differences, object for object and record for record\n", *r.DifferencesAfterRollback)
	} else {
		fmt.Fprintf(out, "%d of %d workloads are served by the target; %d stay in the source by decision\n", r.ServedByTarget, r.Moving, r.Stayed)
	}
	for _, s := range r.Stages {
		fmt.Fprintf(out, "  %-9s %-7s %5.1f s\n", s.Stage, s.Direction, s.Seconds)
	}
	fmt.Fprintf(out, "%d apps in %.0f s, %d MiB in all processes, seed %d\n", r.Apps, r.DurationSeconds, r.MemoryMiB, r.Seed)
	for _, c := range r.Complaints {
		fmt.Fprintf(out, "! %s\n", c)
	}
}

// write keeps the report as JSON.
func (r Report) write(file string) error {
	if file == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}

func round(x float64) float64 { return math.Round(x*1000) / 1000 }

func readFile(dir, name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) }
