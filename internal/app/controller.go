package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/dns/resolve"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/probe"
	"crossfade.dev/internal/vantage"
)

// The engine in the hub: its own objects, and what it reads there.
//
// +kubebuilder:rbac:groups=crossfade.dev,resources=clusters;migrations;moves;freezes;ledgers,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=crossfade.dev,resources=clusters/status;migrations/status;moves/status;freezes/status,verbs=get;update;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;list;watch;create;update;patch

// runController runs the engine until ctx ends.
func runController(ctx context.Context, streams cli.Streams, o cli.ControllerOptions) error {
	ctrl.SetLogger(zap.New(zap.WriteTo(streams.Err)))
	route, err := vantage.Parse(o.Route.Translate, o.Route.MapPorts)
	if err != nil {
		return err
	}
	config, err := hubConfig(o.Hub)
	if err != nil {
		return err
	}
	lease := o.LeaseDuration
	renew, retry := lease*2/3, lease/5
	m, err := manager.New(config, manager.Options{
		Scheme:           cluster.Scheme(),
		Cache:            cache.Options{DefaultNamespaces: map[string]cache.Config{o.Hub.Namespace: {}}},
		Metrics:          metricsserver.Options{BindAddress: o.MetricsAddress},
		LeaderElection:   o.LeaderElect,
		LeaderElectionID: "controller.crossfade.dev", LeaderElectionNamespace: o.Hub.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease, RenewDeadline: &renew, RetryPeriod: &retry,
		HealthProbeBindAddress: o.ProbeAddress,
	})
	if err != nil {
		return fmt.Errorf("start in the hub: %w", err)
	}
	for name, add := range map[string]func(string, healthz.Checker) error{"healthz": m.AddHealthzCheck, "readyz": m.AddReadyzCheck} {
		if err := add(name, healthz.Ping); err != nil {
			return err
		}
	}
	if err := m.Add(&engine{options: o, config: config, route: route, manager: m}); err != nil {
		return err
	}
	return m.Start(ctx)
}

func hubConfig(h cli.Hub) (*rest.Config, error) {
	config, err := contextConfig(h.Kubeconfig, h.Context)
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("reach the hub: no kubeconfig was found, neither by --kubeconfig nor by $KUBECONFIG nor in ~/.kube/config")
	case err != nil:
		return nil, fmt.Errorf("reach the hub: %w", err)
	}
	return config, nil
}

// engine is the part of the manager that runs while this process leads.
type engine struct {
	options cli.ControllerOptions
	config  *rest.Config
	route   vantage.Translation
	manager manager.Manager
}

// NeedLeaderElection lets the engine run in one process at a time.
func (*engine) NeedLeaderElection() bool { return true }

// Start wires the engine and runs it until ctx ends.
func (e *engine) Start(ctx context.Context) error {
	identity := hostname() + "/" + uuid.NewString()
	hub, err := cluster.Connect(ctx, cluster.Options{
		Config: e.config, Identity: identity, LeaseDuration: e.options.LeaseDuration, WriteTimeout: e.options.LeaseDuration / 3,
	})
	if err != nil {
		return fmt.Errorf("connect to the hub: %w", err)
	}
	defer hub.Close()
	if err := hub.Fence.Hold(ctx); err != nil && !errors.Is(err, cluster.ErrFenced) {
		return fmt.Errorf("fence the hub: %w", err)
	}
	go hold(ctx, hub.Fence, e.options.LeaseDuration/4)

	wake := newWakeUp(e.options.Hub.Namespace, hub)
	c := &connections{
		ctx: ctx, hub: hub, identity: identity, lease: e.options.LeaseDuration, changed: wake.ring,
	}
	recorder := e.manager.GetEventRecorder("crossfade")
	engine := wire(ctx, hub, c, e.route, e.options)
	engine.Tell = func(m *v1.Migration, reason v1.Reason, message string) {
		recorder.Eventf(m, nil, eventType(reason), string(reason), "Lead", "%s", message)
		log.FromContext(ctx).Info(message, "migration", m.Name, "reason", reason)
	}
	_, err = builder.ControllerManagedBy(e.manager).Named("migration").
		For(&v1.Migration{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: migrationsAtOnce}).
		WatchesRawSource(source.Channel(wake.events, &handler.EnqueueRequestForObject{})).
		Build(reconcile.Func(func(ctx context.Context, r reconcile.Request) (reconcile.Result, error) {
			return engine.Reconcile(ctx, r.NamespacedName)
		}))
	if err != nil {
		return err
	}
	go wake.run(ctx)
	<-ctx.Done()
	return nil
}

// eventType is Warning for what somebody may have to look at.
func eventType(reason v1.Reason) string {
	switch reason {
	case v1.Busy, v1.Finished, v1.Undone, v1.OnHold, v1.NotApproved:
		return corev1.EventTypeNormal // the way of every migration, or a person's wish
	}
	return corev1.EventTypeWarning
}

// migrationsAtOnce is how many migrations may be led at the same time: one that waits
// for a cluster does not keep the others waiting.
const migrationsAtOnce = 4

// wire is the only place that knows every part. Tell is for the caller to set.
func wire(ctx context.Context, hub cluster.API, c *connections, route vantage.Translation, o cli.ControllerOptions) *migration.Engine {
	dial := route.DialContext
	buckets := &buckets{}
	var ways func(context.Context, *v1.Migration) []plan.Way
	if o.ProbePods {
		ways = newCrossings(ctx, c, o.ProbeImage).look
	}
	return &migration.Engine{
		Ways: ways, Clock: clock.RealClock{}, Hub: hub, User: o.User, Workers: o.Workers,
		Clusters: c.connect,
		Ledger: func(ctx context.Context, m *v1.Migration) (*ledger.Ledger, error) {
			bucket, err := buckets.at(ctx, m.Spec.Journal)
			if err != nil {
				return nil, fmt.Errorf("journal: %w", err)
			}
			return buckets.ledger(hub, m, bucket), nil
		},
		Follower: &follower{connections: c, workers: o.Workers, pairs: map[types.UID]*pair{}},
		Blocking: (&blocking{reach: c.reach, clock: clock.RealClock{}, seen: map[types.UID]*blockingSeen{}}).look,
		Zones:    zones{hub: hub, dial: dial}.open,
		Servers:  resolve.New(resolve.Options{Dial: dial}),
		Judge:    &judging{prober: probe.New(ctx, probe.Options{Dial: dial})},
		Archiver: newArchiver(ctx, buckets, hub),
	}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// wakeUp enqueues the migrations of the hub when something changed in a cluster,
// at most every tenth of a second.
type wakeUp struct {
	namespace string
	hub       client.Reader
	rung      chan struct{}
	events    chan event.GenericEvent
}

func newWakeUp(namespace string, hub client.Reader) *wakeUp {
	return &wakeUp{namespace: namespace, hub: hub, rung: make(chan struct{}, 1), events: make(chan event.GenericEvent)}
}

func (w *wakeUp) ring() {
	select {
	case w.rung <- struct{}{}:
	default: // it rings already
	}
}

func (w *wakeUp) run(ctx context.Context) {
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-w.rung:
		}
		var migrations v1.MigrationList
		if err := w.hub.List(ctx, &migrations, client.InNamespace(w.namespace)); err != nil {
			continue // the next change, or the migration's own pace, makes up for it
		}
		for i := range migrations.Items {
			select {
			case <-ctx.Done():
				return
			case w.events <- event.GenericEvent{Object: &migrations.Items[i]}:
			}
		}
	}
}

// buckets opens each bucket, and each migration's ledger, once.
type buckets struct {
	// openURL opens a bucket; nil means as it is.
	openURL func(context.Context, string) (*blob.Bucket, error)

	mu      sync.Mutex
	open    map[string]*blob.Bucket
	ledgers map[string]*ledger.Ledger
}

// at opens the bucket of a URL; "" is none.
func (b *buckets) at(ctx context.Context, url string) (*blob.Bucket, error) {
	if url == "" {
		return nil, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = map[string]*blob.Bucket{}
	}
	if bucket := b.open[url]; bucket != nil {
		return bucket, nil
	}
	open := b.openURL
	if open == nil {
		open = blob.OpenBucket
	}
	bucket, err := open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", url, err)
	}
	b.open[url] = bucket
	return bucket, nil
}

func (b *buckets) ledger(hub cluster.API, m *v1.Migration, bucket *blob.Bucket) *ledger.Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ledgers == nil {
		b.ledgers = map[string]*ledger.Ledger{}
	}
	key := string(m.UID) + m.Spec.Journal
	if b.ledgers[key] == nil {
		b.ledgers[key] = ledger.New(hub, bucket)
	}
	return b.ledgers[key]
}
