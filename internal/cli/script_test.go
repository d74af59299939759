package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
	"crossfade.dev/internal/plan/room"
	"crossfade.dev/internal/plan/ttl"
	"crossfade.dev/internal/view"
	"crossfade.dev/internal/zone"
)

var update = flag.Bool("update", false, "write the expected output of scripts anew")

// noon is when every script runs.
var noon = time.Date(2027, 3, 1, 12, 4, 0, 0, time.UTC)

// Each script in testdata is a transcript. Besides what testscript has, they use:
//
//	crossfade ARGS…          run a command line, in this process, against the script's hub
//	kubectl-crossfade ARGS…  the same, called as kubectl calls it
//	code N                   the last command line ended with this exit code
//	hub STATE…               put objects into the hub: testdata of package view, or a file
//	soon STATE…              what the engine makes of them, one each time that a command looks
//	trouble WORD             the next request to the hub fails: conflict, away or forbidden
//
// The variable TTY lists which of in, out and err are terminals, STDIN is what a
// person types, WIDTH is the width of the terminal. With INTERRUPT the person
// interrupts as soon as there is nothing new to be seen.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("WIDTH", "100")
			env.Setenv("USER", "")
			w, err := newWorld()
			env.Values[worldKey] = w
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"crossfade":         crossfade("/usr/bin/crossfade"),
			"kubectl-crossfade": crossfade("/usr/bin/kubectl-crossfade"),
			"code":              checkCode,
			"hub":               fillHub,
			"soon": func(ts *testscript.TestScript, _ bool, args []string) {
				w := worldOf(ts)
				w.soon = nil
				for _, state := range args {
					w.soon = append(w.soon, readState(ts, state))
				}
			},
			"trouble": func(ts *testscript.TestScript, _ bool, args []string) { worldOf(ts).trouble = args[0] },
		},
	})
}

type key string

const worldKey key = "world"

// A world is what one script has to itself.
type world struct {
	hub     *memory.Cluster
	code    int
	soon    [][]client.Object
	trouble string
	// looked and listed are true once the command has seen a migration, or events.
	looked, listed bool
	interrupt      func()
}

func newWorld() (*world, error) {
	w := &world{hub: memory.New(memory.Options{
		Name: "hub", Number: 3, Seed: 1, Clock: testclock.NewFakePassiveClock(noon.Add(-time.Hour)),
		User: "ann@example.com", Groups: []string{"system:authenticated"},
	})}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: defaultNamespace}}
	return w, w.hub.Create(context.Background(), ns)
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey).(*world) }

func crossfade(argv0 string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		w := worldOf(ts)
		w.looked, w.listed = false, false
		tty := func(name string) bool { return strings.Contains(ts.Getenv("TTY"), name) }
		width, err := strconv.Atoi(ts.Getenv("WIDTH"))
		ts.Check(err)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		w.interrupt = func() {}
		if ts.Getenv("INTERRUPT") != "" {
			w.interrupt = cancel
		}
		w.code = Main(ctx, Env{
			Args: append([]string{argv0}, absolute(ts, args)...), Stdin: strings.NewReader(ts.Getenv("STDIN")),
			Stdout: ts.Stdout(), Stderr: ts.Stderr(), Getenv: ts.Getenv,
			InTTY: tty("in"), OutTTY: tty("out"), ErrTTY: tty("err"), Width: func() int { return width },
			Now: func() time.Time { return noon }, Version: "v9.9.9", Dir: ts.MkAbs("."),
			Connect: func(h Hub) (HubClient, error) {
				if h.Context == "away" {
					return nil, errors.New("away")
				}
				return hubClient{w}, nil
			},
		}, fakeCommands(ts))
		if neg == (w.code == 0) {
			ts.Fatalf("exit code %d", w.code)
		}
	}
}

// absolute gives files of the script their whole path: this process does not change
// its folder.
func absolute(ts *testscript.TestScript, args []string) []string {
	var out []string
	for _, a := range args {
		if file := ts.MkAbs(a); filepath.Ext(a) == ".yaml" && !filepath.IsAbs(a) {
			if _, err := os.Stat(file); err == nil {
				a = file
			}
		}
		out = append(out, a)
	}
	return out
}

func checkCode(ts *testscript.TestScript, _ bool, args []string) {
	if got := worldOf(ts).code; args[0] != strconv.Itoa(got) {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// hubClient is the hub as commands see it: an engine may be at work in it, and
// requests may fail.
type hubClient struct{ w *world }

func (h hubClient) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if err := h.w.fail("get"); err != nil {
		return err
	}
	if _, about := obj.(*v1.Migration); about {
		// The engine has done something since the command last looked.
		switch {
		case h.w.looked && len(h.w.soon) > 0:
			if err := put(ctx, h.w.hub, h.w.soon[0]); err != nil {
				return err
			}
			h.w.soon = h.w.soon[1:]
		case h.w.looked:
			h.w.interrupt()
		}
		h.w.looked = true
	}
	return h.w.hub.Get(context.WithoutCancel(ctx), key, obj, opts...)
}

func (h hubClient) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, events := list.(*corev1.EventList); events {
		if h.w.listed {
			h.w.interrupt()
		}
		h.w.listed = true
	}
	return h.w.hub.List(context.WithoutCancel(ctx), list, opts...)
}

func (h hubClient) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if err := h.w.fail("create"); err != nil {
		return err
	}
	return h.w.hub.Create(ctx, obj, opts...)
}

func (h hubClient) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if err := h.w.fail("patch"); err != nil {
		return err
	}
	return h.w.hub.Patch(ctx, obj, patch, opts...)
}

// fail makes the one request fail that the script asked for.
func (w *world) fail(verb string) error {
	resource := schema.GroupResource{Group: "crossfade.dev", Resource: "migrations"}
	var err error
	switch {
	case w.trouble == "conflict" && verb == "patch":
		err = apierrors.NewConflict(resource, "demo", errors.New("someone else wrote"))
	case w.trouble == "away" && verb == "get" && w.looked:
		err = apierrors.NewInternalError(errors.New("etcd is electing a leader"))
	case w.trouble == "forbidden" && verb != "get":
		err = apierrors.NewForbidden(resource, "demo", errors.New(`User "ann@example.com" cannot `+verb+` it`))
	default:
		return nil
	}
	w.trouble = ""
	return err
}

// fillHub puts the objects of states into the hub.
func fillHub(ts *testscript.TestScript, _ bool, args []string) {
	for _, state := range args {
		ts.Check(put(context.Background(), worldOf(ts).hub, readState(ts, state)))
	}
}

// readState reads a state: a name in package view's testdata, or a file of the
// script.
func readState(ts *testscript.TestScript, state string) []client.Object {
	file := ts.MkAbs(state)
	if filepath.Ext(state) == "" {
		file = filepath.Join(packageDir, "..", "view", "testdata", state+".yaml")
	}
	data, err := os.ReadFile(file)
	ts.Check(err)
	var all []client.Object
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			ts.Fatalf("%s: %v", file, err)
		}
		obj, err := decode(raw)
		ts.Check(err)
		all = append(all, obj)
	}
}

// packageDir is where this package's files are: scripts run elsewhere.
var packageDir, _ = os.Getwd()

func decode(raw json.RawMessage) (client.Object, error) {
	var kind metav1.TypeMeta
	if err := json.Unmarshal(raw, &kind); err != nil {
		return nil, err
	}
	obj, ok := map[string]client.Object{
		"Migration": &v1.Migration{}, "Move": &v1.Move{}, "Freeze": &v1.Freeze{}, "Cluster": &v1.Cluster{}, "Event": &corev1.Event{},
	}[kind.Kind]
	if !ok {
		return nil, fmt.Errorf("kind %q", kind.Kind)
	}
	return obj, json.Unmarshal(raw, obj)
}

// put brings objects into the hub as the engine would leave them.
func put(ctx context.Context, hub *memory.Cluster, objects []client.Object) error {
	for _, want := range objects {
		have := want.DeepCopyObject().(client.Object)
		err := hub.Create(ctx, have)
		if apierrors.IsAlreadyExists(err) {
			if err = hub.Get(ctx, client.ObjectKeyFromObject(want), have); err == nil {
				version, uid := have.GetResourceVersion(), have.GetUID()
				have = want.DeepCopyObject().(client.Object)
				have.SetResourceVersion(version)
				have.SetUID(uid)
				err = hub.Update(ctx, have)
			}
		}
		if err == nil {
			err = putStatus(ctx, hub, want, have)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func putStatus(ctx context.Context, hub *memory.Cluster, want, have client.Object) error {
	switch want := want.(type) {
	case *v1.Migration:
		have := have.(*v1.Migration)
		have.Status = want.Status
		if len(have.Status.Conditions) > 0 {
			have.Status.ObservedGeneration = have.Generation
		}
	case *v1.Move:
		have.(*v1.Move).Status = want.Status
	case *v1.Freeze:
		have.(*v1.Freeze).Status = want.Status
	default:
		return nil
	}
	return hub.Status().Update(ctx, have)
}

// fakeCommands stand in for what package app passes in: they say what they were
// asked for.
func fakeCommands(ts *testscript.TestScript) Commands {
	heard := func(w io.Writer, options any) { fmt.Fprintf(w, "%+v\n", options) }
	answer := func() error {
		if text := ts.Getenv("FAILS"); text != "" {
			return errors.New(text)
		}
		return nil
	}
	return Commands{
		Plan: func(_ context.Context, o PlanOptions) (view.Plan, error) {
			fmt.Fprintf(ts.Stderr(), "plan %s: %s to %s, contexts %q %q, route %v\n",
				o.Migration.Name, o.Migration.Spec.Source, o.Migration.Spec.Target, o.SourceContext, o.TargetContext, o.Route)
			if o.ProbePods {
				fmt.Fprintf(ts.Stderr(), "probe pods of %q, addresses %v and %v\n", o.ProbeImage, o.SourceAddresses, o.TargetAddresses)
			}
			if o.From != "" {
				fmt.Fprintf(ts.Stderr(), "from %q to %q, tenants %v, save %q\n", o.From, o.TargetFrom, o.TenantLabels, o.Save)
				return fakePlanOfFiles(o.Migration), answer()
			}
			return fakePlan(o.Migration), answer()
		},
		Pinned: func(_ context.Context, file string, o PlanOptions) ([]string, error) {
			fmt.Fprintf(ts.Stderr(), "pinned in %s: %s by %v\n", file, o.Migration.Spec.Source, o.Route.Translate)
			if ts.Getenv("DIFFERS") == "" {
				return nil, answer()
			}
			return []string{"Deployment shop/cart has changed", "Secret shop/key is gone"}, answer()
		},
		Diff: func(_ context.Context, o DiffOptions) ([]view.Difference, error) {
			if ts.Getenv("DIFFERS") == "" {
				return nil, answer()
			}
			if o.App != "" {
				return []view.Difference{{Object: "Deployment " + o.App, Text: "is missing in the target"}}, answer()
			}
			return []view.Difference{
				{Object: "ConfigMap shop/cart", Text: "is missing in the target"},
				{Object: "Deployment shop/cart", Fields: []view.FieldValue{{Path: "spec.minReadySeconds", Source: "5"}}},
			}, answer()
		},
		Step: func(_ context.Context, o StepOptions) (view.Step, error) {
			fmt.Fprintf(ts.Stderr(), "step of %s, %s, approved %d, retire %v, route %+v\n",
				o.Migration.Name, o.Migration.Spec.Direction, len(o.Migration.Spec.Approved), o.Migration.Retires(), o.Route)
			return fakeStep(o.Migration, ts.Getenv("STEP")), answer()
		},
		LiftFreeze: func(_ context.Context, o LiftOptions) ([]string, error) {
			heard(ts.Stderr(), o)
			if o.Context == "quiet" {
				return nil, answer()
			}
			return []string{"lifted the freeze of migration " + cmp.Or(o.Migration, "demo")}, answer()
		},
		RollbackByJournal: func(ctx context.Context, o JournalOptions) ([]string, error) {
			m := &v1.Migration{Spec: v1.MigrationSpec{Direction: v1.Back}}
			m.Status.Stage, m.Status.Reason = v1.Cutover, v1.EntryMoving
			o.Tell(m)
			o.Tell = nil
			heard(ts.Stderr(), o)
			if ts.Getenv("LASTS") != "" {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			if o.TargetLost {
				return []string{"Deployment.apps/shop/cart", "Service/shop/cart"}, answer()
			}
			return nil, answer()
		},
		Rehearse: func(_ context.Context, o RehearseOptions, found func([]string) error) error {
			if err := answer(); err != nil {
				return err
			}
			if ts.Getenv("DIFFERS") == "" {
				return found(nil)
			}
			return found([]string{o.Name + ": ConfigMap shop/cart is missing"})
		},
		Load: func(_ context.Context, s Streams, o LoadOptions) error { heard(s.Out, o); return answer() },
		Demo: func(_ context.Context, s Streams, o DemoOptions) error {
			heard(s.Out, o)
			if ts.Getenv("NOTICED") != "" {
				return fmt.Errorf("%w: %w", ErrNo, errors.New("the move was not without trace: 3 requests failed"))
			}
			return answer()
		},
		Controller: func(_ context.Context, s Streams, o ControllerOptions) error { heard(s.Out, o); return answer() },
		Bench:      func(_ context.Context, s Streams, o BenchOptions) error { heard(s.Out, o); return answer() },
	}
}

// fakeStep has one of everything that a step may show, or nothing that it would write.
func fakeStep(m *v1.Migration, kind string) view.Step {
	m = m.DeepCopy()
	record := view.Write{Place: "hub", Record: true, Verb: "update", Kind: "Migration", Namespace: m.Namespace, Name: m.Name, Subresource: "status",
		Fields: []view.FieldChange{{Path: "status.a", Before: "1", After: "2"}, {Path: "status.b", After: "2"}, {Path: "status.c", Before: "1"}, {Path: "status.d"}}}
	if kind == "waits" || kind == "asks" {
		m.Status.ObservedGeneration = m.Generation
		m.Status.Reason, m.Status.Message = v1.DecisionNeeded, "decisions: 1 workload needs a decision"
		m.Status.Gates = []v1.Gate{{Name: "decisions", Verdict: v1.Held, Reason: v1.DecisionNeeded, Observed: "1 workload needs a decision", Limit: "none"}}
		if kind == "asks" {
			m.Status.Reason, m.Status.Message, m.Status.Gates = v1.NotApproved, "Release waits for approval", nil
		}
		return view.NewStep(m, []view.Write{record}, noon)
	}
	writes := []view.Write{
		record,
		{Place: "target", Verb: "patch", Kind: "Deployment", Namespace: "shop", Name: "web",
			Fields: []view.FieldChange{{Path: "spec.replicas", Before: "1", After: "3"}}, Patch: json.RawMessage(`{"spec":{"replicas":3}}`)},
		{Place: "old zone", Verb: "update", Kind: "A", Name: "pay.live.test", Before: "192.0.2.4 (ttl 60)", After: "198.51.100.4 (ttl 60)"},
		{Place: "archive", Verb: "create", Kind: "File", Name: "demo/manifest", After: "120 bytes"},
	}
	for i := range 25 {
		writes = append(writes, view.Write{Place: "target", Verb: "create", Kind: "ConfigMap", Namespace: "shop", Name: fmt.Sprintf("c%02d", i)})
	}
	if kind == "refused" {
		writes[1].Refused = "deployments.apps \"web\" is forbidden: exceeded quota"
	}
	return view.NewStep(m, writes, noon)
}

func fakePlan(m *v1.Migration) view.Plan {
	p := view.Plan{
		Source: m.Spec.Source, Target: m.Spec.Target,
		Gates: []v1.Gate{{Name: "clusters", Verdict: v1.Passed, Reason: v1.Finished, Observed: "two clusters"}},
		Moves: []v1.Move{{
			Spec: v1.MoveSpec{Migration: m.Name, Namespace: "play", App: "origin"},
			Status: v1.MoveStatus{State: v1.MoveStaying, Workloads: []v1.WorkloadStatus{{
				Kind: "Deployment", Name: "origin", Decide: v1.DecideStay, Wanted: 1, Source: 1,
				Traits: []v1.TraitEvidence{{Trait: v1.Singleton, Evidence: "one replica and Recreate"}},
			}}},
		}},
	}
	if len(m.Spec.Decisions) == 0 && m.Name != "demo" {
		p.Moves[0].Status.State, p.Moves[0].Status.Workloads[0].Decide = v1.MoveUndecided, v1.Undecided
		p.Gates = append(p.Gates, v1.Gate{
			Name: "decisions", Verdict: v1.Held, Reason: v1.DecisionNeeded, Observed: "1 workload needs a decision", Limit: "none",
		})
	}
	return p
}

func namesOfFiles() *ttl.Report {
	r := ttl.Of(ttl.Facts{
		Zone: "live.test", Ceiling: 60, Now: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC),
		Parent: []zone.RecordSet{{Key: zone.Key{Name: "live.test", Type: "NS"}, TTL: 3600, Data: []string{"ns1.live.test."}}},
		Own: []zone.RecordSet{
			{Key: zone.Key{Name: "live.test", Type: "NS"}, TTL: 60, Data: []string{"ns1.live.test."}},
			{Key: zone.Key{Name: "www.live.test", Type: "A"}, TTL: 300, Data: []string{"192.0.2.1"}},
			{Key: zone.Key{Name: "pay.live.test", Type: "A"}, TTL: 300, Data: []string{"192.0.2.1"}},
		},
	})
	return &r
}

// fakePlanOfFiles has one of everything that a plan may show.
func fakePlanOfFiles(m *v1.Migration) view.Plan {
	p := fakePlan(m)
	p.Findings = view.Findings([]finding.Found{
		{ID: "CF-NODE-003", Severity: finding.Blocks, Object: "Deployment shop/a", Observed: "wants disk=ssd"},
		{ID: "CF-NODE-003", Severity: finding.Blocks, Object: "Deployment shop/b", Observed: "wants disk=ssd"},
		{ID: "CF-RUN-004", Severity: finding.Notes, Object: "CronJob shop/c", Observed: "0 3 * * *, no timeZone"},
	}, nil, time.Time{})
	p.Capacity = []plan.Room{
		{Side: "west", Share: 50, Fit: room.Fit{Placed: 4, Unplaced: 1, Short: []room.Short{{Name: "Deployment shop/a", Pods: 1}},
			Lacking: []room.Lack{{Pool: "web", Zone: "z1", Nodes: 3}}}},
		{Side: "west", Share: 100, Without: "z1", Fit: room.Fit{Placed: 9, Pools: []room.Pool{{Name: "web", Zone: "z2", Nodes: 2, CPUPercent: 90, MemoryPercent: 40}}}},
	}
	p.Costs = []plan.Cost{{MaxTotalPercent: 125, Pods: 2, CPU: "200m", Memory: "1Gi", Rounds: 4}}
	p.Growth = []string{"west: NodePool web may grow to 100 of cpu"}
	p.Ways = []plan.Way{
		{From: "east", To: "west", Range: plan.PodRange, Verdict: v1.Passed, Address: "10.2.1.7:8080", Seconds: 1.2},
		{From: "west", To: "east", Range: plan.PodRange, Verdict: v1.Failed, Address: "10.1.1.7:8080", Seconds: 10, Observed: "dial tcp 10.1.1.7:8080: i/o timeout"},
		{From: "west", To: "east", Range: plan.NodeRange, Verdict: v1.Held, Observed: "no address of a node was seen in east"},
	}
	p.Names = namesOfFiles()
	p.Estimate = &plan.Estimate{Objects: 10, Writes: 30, Seconds: 90, FreezeSeconds: 5, ExtraPods: 2, ExtraCPU: "200m", ExtraMemory: "1Gi"}
	p.Unknown = []view.Unit{{Kind: "example.com/v1 Shop", Count: 3}}
	p.Next = "crossfade explain CF-NODE-003"
	return p
}
