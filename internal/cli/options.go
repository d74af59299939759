package cli

import (
	"context"
	"io"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

// Commands are the parts of the commands that read or write clusters. Package app
// passes them in: this package writes API objects to the hub and nothing else. A
// command whose function is nil is left out.
//
// An error is one sentence that names the field or flag and its value; if it wraps
// ErrNo the exit code is 1, otherwise 2.
type Commands struct {
	// Plan takes the inventory and looks through Preflight's gates, without writing.
	Plan func(context.Context, PlanOptions) (view.Plan, error)
	// Pinned reads the source again and returns a sentence for each way in which it is
	// no longer as a plan saved it in a file.
	Pinned func(ctx context.Context, file string, o PlanOptions) ([]string, error)
	// Diff compares both sides from lists, without writing.
	Diff func(context.Context, DiffOptions) ([]view.Difference, error)
	// Step tells what the next step of a migration would write, without writing.
	Step func(context.Context, StepOptions) (view.Step, error)
	// LiftFreeze lifts freezes in one cluster, without the hub, and returns a
	// sentence for each that it lifted.
	LiftFreeze func(context.Context, LiftOptions) ([]string, error)
	// RollbackByJournal leads a migration back without its hub, until it has arrived. It
	// returns the objects that are left in a target that is lost.
	RollbackByJournal func(context.Context, JournalOptions) (left []string, err error)
	// Rehearse restores an archive into a cluster, compares, calls found with a
	// sentence for each difference, and cleans up.
	Rehearse func(ctx context.Context, o RehearseOptions, found func(differences []string) error) error
	// Follow lets the mirror of a migration follow, alone, until ctx ends. It writes
	// how far it is as lines of JSON.
	Follow func(context.Context, Streams, FollowOptions) error
	// Load runs the referee until its duration or ctx ends. Data goes to Streams.Out.
	Load func(context.Context, Streams, LoadOptions) error
	// Demo shows the whole system at work. It returns nil after an interrupt that
	// ends a demo which was kept.
	Demo func(context.Context, Streams, DemoOptions) error
	// Controller runs the engine until ctx ends.
	Controller func(context.Context, Streams, ControllerOptions) error
	// Bench measures.
	Bench func(context.Context, Streams, BenchOptions) error
}

// Streams are where a command reads and writes: data to Out, narration to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Live is true if Err is a terminal on which lines may be redrawn.
	Live bool
}

// A Hub is how the hub is reached. Empty fields mean what they mean to kubectl:
// $KUBECONFIG or ~/.kube/config, and its current context.
type Hub struct {
	Kubeconfig, Context string
	// Namespace holds Crossfade's own objects; it is never empty.
	Namespace string
}

// A Route is how addresses are reached that the estate names and this machine does
// not: rules of internal/vantage, as it parses them.
type Route struct {
	// Translate are networks (--translate, repeated), MapPorts ports (--map-ports).
	Translate, MapPorts []string
}

// PlanOptions say what to plan.
type PlanOptions struct {
	Hub   Hub
	Route Route
	// Migration is what is planned. It need not exist in the hub, nor be complete:
	// what the API server would default may be unset.
	Migration *v1.Migration
	// SourceContext and TargetContext are contexts of the kubeconfig that stand for
	// the clusters; empty means that the hub's Cluster objects of the names in
	// Migration lead there. Both or neither are set; with both, no hub is needed.
	SourceContext, TargetContext string
	// From is a folder or file of manifests, or of a dump, that stands for the source;
	// TargetFrom one that stands for the target. With From alone, the target is not
	// looked at unless TargetContext is set.
	From, TargetFrom string
	// TenantLabels are labels of namespaces that say who owns them, the first first.
	TenantLabels []string
	// ProbePods is the consent to make short-lived pods of ProbeImage (empty means the
	// default) in both clusters, which measure whether their networks reach each other.
	ProbePods  bool
	ProbeImage string
	// SourceAddresses and TargetAddresses, as host and port, are asked besides, each from
	// the other side.
	SourceAddresses, TargetAddresses []string
	// Save is a file in which the source's state is pinned; empty means none.
	Save string
}

// DiffOptions say which migration's sides to compare.
type DiffOptions struct {
	Hub       Hub
	Route     Route
	Migration string
	// App limits it to the objects of one app, and to those of its namespace that
	// belong to none: NAMESPACE/NAME. Empty means the estate.
	App string
}

// StepOptions say which migration's next step to tell of.
type StepOptions struct {
	Hub   Hub
	Route Route
	// Migration is as the command would leave it in the hub.
	Migration *v1.Migration
}

// LiftOptions say where to lift freezes.
type LiftOptions struct {
	// Kubeconfig may be empty, Context never is.
	Kubeconfig, Context string
	// Migration is whose freeze to lift; empty means every one in the cluster.
	Migration string
}

// JournalOptions say how to go back without the hub.
type JournalOptions struct {
	// Journal is the URL of the bucket. Migration may be empty if there is one only.
	Journal, Migration string
	// To is the last stage that stays in force, or Nothing.
	To v1.Stage
	// Kubeconfig may be empty; the contexts, which stand for the clusters, never are.
	Kubeconfig, SourceContext, TargetContext string
	// TargetLost is true if nothing of the target answers any more: then To is Prepare or
	// later.
	TargetLost bool
	// KeyFiles hold the TSIG keys of the migration's zones, as BIND writes them.
	KeyFiles []string
	Route    Route
	// Tell is called with the migration whenever it may have changed.
	Tell func(*v1.Migration)
}

// FollowOptions say which migration's mirror follows, by kubeconfig files.
type FollowOptions struct {
	Hub, Source, Target  string
	Namespace, Migration string
	Workers              int
}

// RehearseOptions say what to restore where.
type RehearseOptions struct {
	// Archive is the bucket's URL, Name the archive in it.
	Archive, Name string
	// Identity is a file with age identities that open the archive's Secrets; empty
	// means none.
	Identity string
	// Kubeconfig leads, by its current context, to the cluster to restore into.
	Kubeconfig string
}

// LoadOptions are the flags of `crossfade load`; package referee says what they
// mean. Zero means the referee's default.
type LoadOptions struct {
	Route Route
	// Targets is the file that lists what to ask.
	Targets              string
	Rate                 float64
	Duration             time.Duration
	Resolvers            []string
	Seed                 uint64
	Timeout, SlowTimeout time.Duration
	MaxSlip              time.Duration
	Window               int
	Listen               string
	Marks                string
	Report               string
}

// DemoOptions are the flags of `crossfade demo`.
type DemoOptions struct {
	// Apps is how many apps the generated estate has; 0 means the default.
	Apps int
	// Estate is a file or folder of manifests to move instead.
	Estate string
	Seed   uint64
	// Back rolls back at the end of Cutover.
	Back bool
	// Chaos, unless 0, seeds faults.
	Chaos uint64
	// Keep leaves everything running until an interrupt.
	Keep bool
	// Report is the file that the report is written to as JSON.
	Report string
	// Kubeconfig, SourceContext and TargetContext show the demo on clusters that
	// exist; both contexts or neither are set.
	Kubeconfig, SourceContext, TargetContext string
	// Route is how the addresses of those clusters are reached.
	Route Route
	// Dir holds the sandbox's state; empty means a folder that is removed.
	Dir string
}

// ControllerOptions are the flags of `crossfade controller`.
type ControllerOptions struct {
	Hub   Hub
	Route Route
	// MetricsAddress and ProbeAddress are listened on; "0" means not at all.
	MetricsAddress, ProbeAddress string
	LeaderElect                  bool
	// LeaseDuration is how long the fence in a cluster holds without renewal.
	LeaseDuration time.Duration
	// Workers is how many writes to a cluster may be under way at once.
	Workers int
	// User is the user name of the engine in the clusters, which a freeze exempts.
	User string
	// ProbePods is the consent to measure, in Preflight, with short-lived pods of
	// ProbeImage whether both clusters' networks reach each other.
	ProbePods  bool
	ProbeImage string
}

// BenchOptions say what to measure.
type BenchOptions struct {
	// Part is demo, mirror, plan or landing; empty means all of them.
	Part string
	// Seeds is how many demos run under chaos.
	Seeds int
	// Estates is a folder with folders of manifests, a demo for each; empty means none.
	Estates string
	// Out is the file that the figures are written to as JSON; empty means none.
	Out string
}
