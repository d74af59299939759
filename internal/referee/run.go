package referee

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"crossfade.dev/internal/pulse"
)

// Run puts the load on the targets until ctx ends, Duration is over or a stop is
// posted. Then it waits for what is under way, which is bounded by the timeouts,
// reads every write back, for at most a minute, and reports.
//
// An error that comes with an empty Report means that the run did not start: the
// configuration is refused, or the control endpoint's address is taken. Failures
// of the estate are no error; look at the Report. An error with a Report means that
// the report file could not be written, or that the accounting does not add up,
// which is a fault of the referee and makes the Report worthless.
func Run(ctx context.Context, config Config) (Report, error) {
	config, err := config.withDefaults()
	if err != nil {
		return Report{}, err
	}
	l, err := newLoad(config)
	if err != nil {
		return Report{}, err
	}
	background, endBackground := context.WithCancel(context.Background())
	defer endBackground()
	if config.Listen != "" {
		control, err := l.listen(background)
		if err != nil {
			return Report{}, err
		}
		defer func() { _ = control.Close() }()
	}
	go l.pulse.Run(background)
	if config.MarksFile != "" {
		go l.followMarks(background)
	}
	go l.narrate(background)

	l.offer(ctx)
	l.readBack()
	return l.conclude()
}

// pulsePeriod costs 200 wake-ups a second.
const pulsePeriod = 5 * time.Millisecond

// A load is the state of one run, shared by its lanes.
type load struct {
	config  Config
	runID   string
	clients []*client
	streams map[string]*broadcast // by target name, for players
	lanes   []*lane
	tally   *tally
	periods periods
	pulse   *pulse.Pulse
	dns     dnsCounts

	start time.Time
	// stopping ends when the load does. stopMu makes one order of "this request was
	// due before the stop" and of the stop itself.
	stopping context.Context
	stop     context.CancelFunc
	stopMu   sync.RWMutex
	stopAt   time.Time // zero while the load goes on

	underWay sync.WaitGroup
	sayMu    sync.Mutex
}

// settle is the time between the start of the lanes and the first request.
const settle = 250 * time.Millisecond

func newLoad(config Config) (*load, error) {
	l := &load{config: config, tally: newTally(config), pulse: pulse.New(config.MaxSlip, pulsePeriod, time.Now()), streams: map[string]*broadcast{}}
	l.stopping, l.stop = context.WithCancel(context.Background())
	l.start = time.Now().Add(settle)
	l.runID = strings.ToLower(crand.Text()[:10]) // not from the seed: no two runs may share their writes' ids
	l.periods.mark(firstPeriod, l.start)
	random := rand.New(rand.NewPCG(config.Seed, 0x5eed))
	if err := l.addClients(random); err != nil {
		return nil, err
	}
	for _, target := range config.Targets {
		l.streams[target.Name] = newBroadcast()
	}
	l.lanes = l.schedule(random)
	return l, nil
}

// addClients makes one client for each resolver and the stale one. Without
// resolvers every host is an address, and one client says all there is to say.
func (l *load) addClients(random *rand.Rand) error {
	seen := map[string]bool{}
	add := func(name, server string) {
		l.clients = append(l.clients, &client{
			name: name, server: server, stale: name == staleName,
			dial: l.config.Dial, counts: &l.dns,
			rand: rand.New(rand.NewPCG(random.Uint64(), random.Uint64())), cache: map[string]addresses{},
		})
	}
	for _, text := range l.config.Resolvers {
		name, server, err := resolverAddress(text)
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("resolver %q: named twice", name)
		}
		seen[name] = true
		add(name, server)
	}
	if len(l.clients) == 0 {
		add("direct", "")
		return nil
	}
	add(staleName, l.clients[0].server)
	return nil
}

// offer runs the lanes from the start to the stop, and until nothing is under way.
func (l *load) offer(ctx context.Context) {
	for _, lane := range l.lanes {
		l.underWay.Go(lane.run)
	}
	end := l.stopping
	if l.config.Duration > 0 {
		var cancel context.CancelFunc
		end, cancel = context.WithDeadline(l.stopping, l.start.Add(l.config.Duration))
		defer cancel()
	}
	select {
	case <-ctx.Done():
	case <-end.Done():
	}
	l.stopNow()
	l.underWay.Wait()
}

// stopNow ends the load at this moment, once. What was due by now is still asked.
func (l *load) stopNow() {
	l.stopMu.Lock()
	defer l.stopMu.Unlock()
	if l.stopAt.IsZero() {
		l.stopAt = time.Now()
		l.stop()
	}
}

// due reports whether a request of that time is part of the load. It may be asked
// once that time has come, or the load has stopped.
func (l *load) due(at time.Time) bool {
	l.stopMu.RLock()
	defer l.stopMu.RUnlock()
	return l.stopAt.IsZero() || !at.After(l.stopAt)
}

func (l *load) stopped() time.Time {
	l.stopMu.RLock()
	defer l.stopMu.RUnlock()
	return l.stopAt
}

func (l *load) conclude() (Report, error) {
	report := l.report(l.config.Window)
	err := report.verify()
	report.Accounted = err == nil
	if l.config.ReportFile != "" {
		err = errors.Join(err, writeReport(l.config.ReportFile, report))
	}
	if _, errOut := l.config.Out.Write([]byte(report.Text())); errOut != nil {
		err = errors.Join(err, fmt.Errorf("print the report: %w", errOut))
	}
	return report, err
}

// writeReport replaces the file at once, so that nobody reads half of it.
func writeReport(file string, report Report) error {
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(file+".partial", append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.Rename(file+".partial", file); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// narrationPeriod is how often a line says how things stand.
const narrationPeriod = 10 * time.Second

func (l *load) narrate(ctx context.Context) {
	for next := l.start.Add(narrationPeriod); ; next = next.Add(narrationPeriod) {
		sleepUntil(ctx, next)
		if ctx.Err() != nil {
			return
		}
		r := l.report(l.config.Window)
		l.say("%s %s: %d requests, %d failed, %d invalid, p99 %.1f ms, slip p99 %.1f ms",
			time.Since(l.start).Round(time.Second), l.periods.at(time.Now()), r.Requests, r.Failed, r.Invalid, r.Latency.Overall.P99Millis, r.Slip.P99Millis)
	}
}

// say narrates one line. Nothing depends on whether anybody reads it.
func (l *load) say(format string, args ...any) {
	l.sayMu.Lock()
	defer l.sayMu.Unlock()
	_, _ = fmt.Fprintf(l.config.Narration, format+"\n", args...)
}

// sleepUntil returns at the time given, or when ctx ends.
func sleepUntil(ctx context.Context, until time.Time) {
	wait := time.Until(until)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
