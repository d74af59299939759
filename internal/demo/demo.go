// Package demo shows the whole system at work on one machine: it starts a sandbox
// with two clusters and a hub, an estate that serves traffic, and the referee; lets
// the controller move the estate; and reports what users would have noticed.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/examples/estate"
	"crossfade.dev/internal/vantage"
)

// Options say what to show.
type Options struct {
	// Apps is how many apps the generated estate has; 0 means 40, or in clusters that
	// are given no generated estate.
	Apps int
	// Estate is a file or folder with manifests to move instead; empty means none.
	Estate string
	// Seed fixes every delay and choice of the sandbox, the referee and the faults.
	Seed uint64
	// Back rolls the migration back at the end of Cutover: to Prepare under load, and
	// all the way once the load has ended.
	Back bool
	// Chaos, unless 0, seeds faults: the controller killed inside and between writes,
	// each control plane once, and the source cut off.
	Chaos uint64
	// Source and Target are clusters to show the demo on; both or neither are set.
	// Without them it starts its own. With them, what Estate or Apps name is created
	// in the source first; without either, what stands in the source is moved.
	Source, Target *Given
	// Translate and MapPorts say where the addresses of given clusters are reached
	// (internal/vantage).
	Translate, MapPorts []string
	// Keep leaves everything running until the context ends.
	Keep bool
	// Report is where the report goes as JSON; empty means nowhere.
	Report string
	// Dir holds the sandbox's state; empty means a new folder that is removed.
	Dir string
	// Binaries is the folder that holds crossfade, sandbox and estate.
	Binaries string

	// Out gets the report, Progress what happens meanwhile.
	Out, Progress io.Writer
	// Live is true if Progress is a terminal on which lines may be redrawn.
	Live bool
}

// ErrNoticed says that users would have noticed something, or that not everything
// moved; the report says what.
var ErrNoticed = errors.New("the move was not without trace")

// afterwards is how long the referee goes on asking after the migration.
const afterwards = 10 * time.Second

// Run shows the demo. The report is complete unless the error is another one than
// ErrNoticed.
func Run(ctx context.Context, o Options) (Report, error) {
	named := o.Dir != ""
	o, err := settle(o)
	if err != nil {
		return Report{}, err
	}
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)

	s := &show{Options: o, abort: abort, began: time.Now(), kept: named}
	s.route = newRoute(o.Source != nil, o.Translate, o.MapPorts)
	if s.translation, err = s.route.parse(); err != nil {
		return Report{}, err
	}
	defer s.end()
	if err := s.checkGiven(ctx); err != nil {
		return Report{}, err
	}
	report, err := s.run(ctx)
	if err != nil {
		if why := context.Cause(ctx); why != nil && !errors.Is(err, why) {
			err = why
		}
		s.confess()
		return report, fmt.Errorf("%w (logs are in %s)", err, s.keepLogs())
	}
	report.print(o.Out)
	if err := report.write(o.Report); err != nil {
		return report, err
	}
	if o.Keep {
		s.lookAround()
		<-ctx.Done()
	} else if err := s.putBack(ctx); err != nil {
		return report, err
	}
	if complaint := report.complaint(); complaint != "" {
		return report, fmt.Errorf("%w: %s (logs are in %s)", ErrNoticed, complaint, s.keepLogs())
	}
	return report, nil
}

// settle fills in the defaults.
func settle(o Options) (Options, error) {
	if o.Apps == 0 && o.Source == nil {
		o.Apps = estate.DefaultApps
	}
	if o.Estate != "" {
		if _, err := os.Stat(o.Estate); errors.Is(err, fs.ErrNotExist) {
			return o, fmt.Errorf("--estate: %s: no such file or folder", o.Estate)
		} else if err != nil {
			return o, fmt.Errorf("--estate: %w", err)
		}
	}
	if o.Binaries == "" {
		self, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find the other programs: %w", err)
		}
		o.Binaries = filepath.Dir(self)
	}
	for _, name := range []string{"crossfade", "sandbox", "estate"} {
		if _, err := os.Stat(filepath.Join(o.Binaries, name)); err != nil {
			return o, fmt.Errorf("the demo needs bin/%s beside it (make build): %w", name, err)
		}
	}
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o755); err != nil {
			return o, fmt.Errorf("--dir: %w", err)
		}
		return o, nil
	}
	dir, err := os.MkdirTemp("", "crossfade-demo-")
	o.Dir = dir
	return o, err
}

// A show is one run of the demo.
type show struct {
	Options
	// abort ends the show early, and says why.
	abort context.CancelCauseFunc
	began time.Time
	// kept is true if the folder stays when the demo ends.
	kept bool

	// route is how addresses are reached, as flags; translation the same as code.
	route       route
	translation vantage.Translation

	children *children
	// underWay is the stage that the migration was last seen in.
	underWay   atomic.Pointer[v1.Stage]
	world      *world
	controls   map[string]*process
	controller *process
	referee    *process
	proxies    map[string]*proxy
	watch      *capacityWatch
	memory     *memoryWatch
	team       *team

	stages []StageTime
	// undealt are faults that chaos was asked for and did not come to.
	undealt []string

	// retired is true once the controller is not to be started again.
	retired atomic.Bool

	mu     sync.Mutex
	faults []string
	// hubDown is when chaos killed the hub.
	hubDown time.Time
}

// run is the plot, from the first process to the report.
func (s *show) run(ctx context.Context) (Report, error) {
	s.children = newChildren(ctx, s.abort)
	s.memory = watchMemory(ctx)
	if err := s.build(ctx); err != nil {
		return Report{}, err
	}
	if err := s.startReferee(ctx); err != nil {
		return Report{}, err
	}
	s.say("the referee asks %d names; until Preflight has ended, nothing moves", len(s.world.asked))
	var before photo
	var err error
	if s.Back {
		if before, err = s.photograph(ctx); err != nil {
			return Report{}, err
		}
	}
	s.watch = watchCapacity(ctx, s.world)
	if s.team, err = startTeam(ctx, s.world); err != nil {
		return Report{}, err
	}
	if err := s.lead(ctx); err != nil {
		return Report{}, err
	}
	if err := s.mark(ctx, "after"); err != nil {
		return Report{}, err
	}
	s.say("the referee asks for another %s", afterwards)
	if err := pause(ctx, afterwards); err != nil {
		return Report{}, err
	}
	s.team.stop()
	s.watch.stop()
	return s.report(ctx, before)
}

// lead creates the migration and sees it to its end, or back again.
func (s *show) lead(ctx context.Context) error {
	m, err := s.world.createMigration(ctx, s.Options)
	if err != nil {
		return err
	}
	if err := s.startController(ctx); err != nil {
		return err
	}
	faults := s.startChaos(ctx)
	defer func() {
		faults.stop()
		s.undealt = faults.undealt()
	}()

	// What was before is measured while Preflight waits for TTLs to run out.
	if err := s.follow(ctx, m, func(m *v1.Migration) bool { return finished(m, v1.Preflight) }); err != nil {
		return err
	}
	if err := s.mark(ctx, "during"); err != nil {
		return err
	}
	if !s.Back {
		return s.follow(ctx, m, func(m *v1.Migration) bool { return finished(m, v1.Release) })
	}
	if err := s.follow(ctx, m, func(m *v1.Migration) bool { return finished(m, v1.Cutover) }); err != nil {
		return err
	}
	s.say("rolling back to Prepare, under load")
	return s.rollBack(ctx, v1.Prepare)
}

// rollBack turns the migration's direction, and sees it back.
func (s *show) rollBack(ctx context.Context, to v1.Stage) error {
	if err := s.world.rollBack(ctx, migrationName, to); err != nil {
		return err
	}
	m := &v1.Migration{ObjectMeta: metav1.ObjectMeta{Namespace: hubNamespace, Name: migrationName}}
	return s.follow(ctx, m, func(m *v1.Migration) bool { return backAt(m, to) })
}

func (s *show) end() {
	if s.children != nil {
		s.children.end()
	}
	if !s.kept && !s.Keep {
		_ = os.RemoveAll(s.Dir)
	}
}

// keepLogs keeps the demo's folder and names it.
func (s *show) keepLogs() string {
	s.kept = true
	return s.Dir
}

func (s *show) say(format string, args ...any) {
	fmt.Fprintf(s.Progress, "%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// repeat draws the line of progress that is there anew.
func (s *show) repeat(line string) {
	fmt.Fprintf(s.Progress, "\x1b[1A\x1b[2K%6.1fs  %s\n", time.Since(s.began).Seconds(), line)
}

func (s *show) noteFault(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, text)
}

// noteHubDown notes that the hub is down from now on.
func (s *show) noteHubDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hubDown = time.Now()
}

// leading is how long after the hub went down a controller may end because of it: it
// gives up its lead by then, because somebody else may take it.
const leading = 20 * time.Second

// crashes lists the ends of processes that nobody meant. A controller that cannot
// renew its lead has to end: that is none while chaos keeps the hub from it.
func (s *show) crashes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, c := range s.children.crashed() {
		if since := c.at.Sub(s.hubDown); c.lostLead && since > 0 && since < leading {
			continue
		}
		out = append(out, c.text)
	}
	return out
}

func (s *show) lookAround() {
	fmt.Fprintf(s.Progress, `
Everything is still running; interrupt to end it.
  source   %s
  target   %s
  hub      %[3]s/crossfade --kubeconfig %[4]s/hub/kubeconfig status
  logs     %[4]s/*.log
`, s.kubectl(s.Source, "source"), s.kubectl(s.Target, "target"), s.Binaries, s.Dir)
}

// kubectl is a command that shows a cluster's pods.
func (s *show) kubectl(g *Given, name string) string {
	if g != nil {
		return fmt.Sprintf("kubectl --context %s get pods -A", g.Context)
	}
	return fmt.Sprintf("%s/sandbox kubectl --kubeconfig %s/%s/kubeconfig get pods -A", s.Binaries, s.Dir, name)
}

// pause waits, unless the context ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
