package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/referee"
	"crossfade.dev/internal/view"
)

const (
	hubNamespace  = "crossfade-system"
	engineUser    = "crossfade"
	migrationName = "demo"
	// maxTotalPercent bounds the capacity of both sides together.
	maxTotalPercent = 125
	// refereeAddress is where the referee is told of periods and asked for its report.
	refereeAddress = "127.3.0.8:8080"
)

// inventory reads what the inventory needs from the source, and takes it.
func (w *world) inventory(ctx context.Context, deployments []appsv1.Deployment, decisions []v1.Decision) (plan.Estate, error) {
	var (
		statefulSets appsv1.StatefulSetList
		daemonSets   appsv1.DaemonSetList
		cronJobs     batchv1.CronJobList
		jobs         batchv1.JobList
		services     corev1.ServiceList
		replicaSets  appsv1.ReplicaSetList
		pods         corev1.PodList
	)
	for _, l := range []client.ObjectList{&statefulSets, &daemonSets, &cronJobs, &jobs, &services, &replicaSets, &pods} {
		if err := w.source.client.List(ctx, l); err != nil {
			return plan.Estate{}, err
		}
	}
	in := w.scope()
	return plan.Inventory(plan.Objects{
		Deployments: within(in, deployments), StatefulSets: within(in, statefulSets.Items), DaemonSets: within(in, daemonSets.Items),
		CronJobs: within(in, cronJobs.Items), Jobs: within(in, jobs.Items), Services: within(in, services.Items),
		ReplicaSets: within(in, replicaSets.Items), Pods: within(in, pods.Items),
	}, decisions), nil
}

// within points at the items that stand in the estate's namespaces.
func within[T any, P interface {
	*T
	client.Object
}](in func(string) bool, items []T) []P {
	out := make([]P, 0, len(items))
	for i := range items {
		if p := P(&items[i]); in(p.GetNamespace()) {
			out = append(out, p)
		}
	}
	return out
}

// createMigration asks for what the demo shows. What the inventory cannot tell is
// decided here by name: it stays in the source, bridged.
func (w *world) createMigration(ctx context.Context, o Options) (*v1.Migration, error) {
	deployments, err := w.deployments(ctx)
	if err != nil {
		return nil, err
	}
	e, err := w.inventory(ctx, deployments, nil)
	if err != nil {
		return nil, fmt.Errorf("take the inventory: %w", err)
	}
	m := &v1.Migration{
		ObjectMeta: metav1.ObjectMeta{Name: migrationName, Namespace: hubNamespace},
		Spec: v1.MigrationSpec{
			Source: "source", Target: "target", Namespaces: w.namespaces(),
			DNS:        demoDNS(w.source.given != nil),
			Shift:      v1.Shift{SharePercent: 50, MaxTotalPercent: maxTotalPercent, Warm: 1, SettleSeconds: 4},
			Freeze:     v1.FreezePolicy{Window: v1.Handover, Contact: "#platform-migration"},
			Objectives: v1.Objectives{MarginPermille: 10, ProbesPerSecond: probesPerSecond(len(w.asked))},
			Archive: &v1.Archive{URL: bucketURL(w.dir, "bucket"), RehearseIn: "rehearsal",
				Recipients: []string{w.archiveKey.Recipient().String()}, Identity: &v1.SecretKey{Name: "archive-key", Key: "identity"}},
			Journal: bucketURL(w.dir, "journal"),
		},
	}
	for _, undecided := range e.Workloads(plan.NeedsDecision) {
		m.Spec.Decisions = append(m.Spec.Decisions, v1.Decision{
			Workload: undecided.ID(), Decide: v1.DecideStay, By: "demo", Reason: "not a plain serving Deployment",
		})
	}
	if o.Back {
		m.Spec.Approval = []v1.Stage{v1.Release}
	}
	return m, w.hub.client.Create(ctx, m)
}

// probesPerSecond lets the judge see a hundred pairs a second over all names, so
// that an estate with few of them does not wait minutes at each gate.
func probesPerSecond(names int) int32 {
	return int32(min(100, max(5, 100/max(names, 1))))
}

func demoDNS(given bool) *v1.DNS {
	service := func(set, primary string, servers ...string) v1.DNSService {
		s := v1.DNSService{Servers: servers, RFC2136: v1.RFC2136{Server: primary, KeyName: tsigKey, KeySecret: v1.SecretKey{Name: "tsig", Key: "key"}}}
		for i := range servers {
			s.Names = append(s.Names, fmt.Sprintf("ns%d.%s.%s", i+1, set, parentZone))
		}
		return s
	}
	parent := service("", "10.53.0.2:53", "10.53.0.2:53")
	parent.Names = []string{"ns." + parentZone}
	return &v1.DNS{
		Zone: demoZone, Parent: parentZone, ParentService: parent,
		Old:        service("old", "10.53.0.3:53", "10.53.0.3:53", "10.53.0.4:53"),
		New:        service("new", "10.53.0.5:53", "10.53.0.5:53", "10.53.0.6:53"),
		TTLSeconds: loweredTTL, Steps: []int32{25, 50, 100},
		Endpoint: &v1.Endpoint{Name: apiName, Source: apiAddress(sourceNumber, given), Target: apiAddress(targetNumber, given)},
	}
}

// rollBack turns the migration's direction.
func (w *world) rollBack(ctx context.Context, name string, to v1.Stage) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var m v1.Migration
		if err := w.hub.client.Get(ctx, client.ObjectKey{Namespace: hubNamespace, Name: name}, &m); err != nil {
			return err
		}
		m.Spec.Direction, m.Spec.BackTo = v1.Back, to
		return w.hub.client.Update(ctx, &m)
	})
}

// follow shows the migration's progress until it has arrived.
func (s *show) follow(ctx context.Context, m *v1.Migration, arrived func(*v1.Migration) bool) error {
	limit := 20 * time.Minute
	if s.Chaos != 0 {
		limit = 30 * time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the migration had not arrived after %s", limit))
	defer cancel()
	key := client.ObjectKeyFromObject(m)
	var last, line string
	for {
		now := &v1.Migration{}
		if err := s.world.hub.client.Get(ctx, key, now); err == nil {
			s.stages = stageTimes(now)
			s.underWay.Store(&now.Status.Stage)
			line = view.Line(now)
			if news := headline(now); news != last {
				s.say("%s", line)
				last = news
			} else if s.Live {
				s.repeat(line)
			}
			if arrived(now) {
				return nil
			}
		}
		if err := pause(ctx, 250*time.Millisecond); err != nil {
			return fmt.Errorf("%w: %s", context.Cause(ctx), line)
		}
	}
}

// stage is the stage under way, as last seen; empty before there is one.
func (s *show) stage() v1.Stage {
	if at := s.underWay.Load(); at != nil {
		return *at
	}
	return ""
}

// headline is what has to change for a new line of progress.
func headline(m *v1.Migration) string {
	return fmt.Sprint(m.Status.Stage, m.Spec.Direction, m.Status.Reason, m.Status.Capacity/10, m.Status.Entry, m.Status.Writer)
}

// A StageTime is when a stage ran, in seconds since the demo began.
type StageTime struct {
	Stage     v1.Stage     `json:"stage"`
	Direction v1.Direction `json:"direction"`
	Started   time.Time    `json:"started"`
	Seconds   float64      `json:"seconds"`
}

func stageTimes(m *v1.Migration) []StageTime {
	var out []StageTime
	for _, t := range m.Status.Timeline {
		end := time.Now()
		if t.Finished != nil {
			end = t.Finished.Time
		}
		out = append(out, StageTime{t.Stage, t.Direction, t.Started.Time, end.Sub(t.Started.Time).Seconds()})
	}
	return out
}

func (s *show) awaitReferee(ctx context.Context) error {
	return eventually(ctx, starting, func() error {
		return s.askReferee(ctx, http.MethodGet, "/report")
	})
}

// mark tells the referee that another period begins.
func (s *show) mark(ctx context.Context, period string) error {
	return s.askReferee(ctx, http.MethodPost, "/mark?name="+period)
}

// stopReferee lets it finish, read its writes back, and report.
func (s *show) stopReferee(ctx context.Context) (referee.Report, error) {
	var report referee.Report
	s.referee.finishing()
	if err := s.askReferee(ctx, http.MethodPost, "/stop"); err != nil {
		return report, err
	}
	select {
	case <-s.referee.exit():
	case <-time.After(starting):
		return report, fmt.Errorf("the referee did not end: see %s", s.referee.log)
	}
	data, err := readFile(s.Dir, "referee.json")
	if err != nil {
		return report, err
	}
	return report, json.Unmarshal(data, &report)
}

func (s *show) askReferee(ctx context.Context, method, path string) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+refereeAddress+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the referee: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("ask the referee %s %s: %s", method, path, answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
