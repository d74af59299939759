package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dryrun"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
)

// TestADryRunTellsWhatTheStepThenWrites leads estates forward and back. Time and again
// a step is first made dry and then by an engine that has just started: both must write
// the same, and the first of them nothing.
func TestADryRunTellsWhatTheStepThenWrites(t *testing.T) {
	compared, stages := 0, map[string]int{}
	for s := range uint64(12) {
		t.Run(fmt.Sprint(s+1), func(t *testing.T) {
			w, err := newWorld(t.Context(), Options{Seed: s + 1, Apps: 4 + int(s), Calm: true, Still: true})
			if err != nil {
				t.Fatal(err)
			}
			defer w.end()
			hear := w.listen()
			for w.broken == nil && w.plan.advance(w) {
				if p := w.turn(t.Context()); p != nil && hear.due(stages) {
					compared++
					w.compareStep(t, p, hear)
				}
				wait := w.pass(t.Context())
				w.check()
				w.advance(t.Context(), wait)
			}
			if w.broken != nil {
				t.Error(w.broken)
			}
		})
	}
	t.Logf("%d steps compared: %v", compared, stages)
	if len(stages) < 12 {
		t.Errorf("steps of %d stages and directions were compared, want all 12", len(stages))
	}
}

// due picks the passes at which a step is compared: the first of each stage on each way,
// and every thirteenth.
func (h *heard) due(stages map[string]int) bool {
	w := h.w
	at := fmt.Sprintf("%s %s", w.m.Spec.Direction, w.m.Status.Stage)
	s, more := w.m.Next()
	if more && s != w.m.Status.Stage {
		at = fmt.Sprintf("%s %s", w.m.Spec.Direction, s)
	}
	first := h.at != at
	h.at = at
	if first || w.passes%13 == 0 {
		if more {
			stages[at]++
		}
		return true
	}
	return false
}

// compareStep makes a step dry, and then in earnest.
func (w *world) compareStep(t *testing.T, old *process, hear *heard) {
	t.Helper()
	w.bury(old)
	before := w.everything(t)
	told := w.dryStep(t)
	if after := w.everything(t); before != after {
		t.Fatalf("a dry run at %s changed something: %s", w.status(), after)
	}
	p := w.launch(t.Context(), old.identity)
	w.renew(t.Context())
	p.engine.Zones = func(context.Context, *v1.Migration) (migration.Zones, error) {
		n := w.names
		return migration.Zones{Old: noted{n.old, dryrun.OldZone, hear}, New: noted{n.fresh, dryrun.NewZone, hear}, Parent: noted{n.parent, dryrun.ParentZone, hear}}, nil
	}
	hear.writes = nil
	for range 50 {
		n, m := len(hear.writes), w.m.DeepCopy()
		w.pass(t.Context())
		if dryrun.Ends(m, w.m, hear.writes[n:]) {
			break
		}
	}
	want, got := listed(hear.writes), listed(told)
	if want != got && unknown(w.m, told) {
		want = part(want, got)
	}
	if want != got {
		t.Errorf("at %s (%s), the step wrote\n%s\nthe dry run told of\n%s", w.clock.Now().Format(time.TimeOnly), w.status(), want, got)
	}
}

// dryStep makes a step dry, by an engine of its own that holds no fence.
func (w *world) dryStep(t *testing.T) []dryrun.Write {
	t.Helper()
	r := &dryrun.Recorder{Clock: w.clock}
	hub := r.Cluster(dryrun.Hub, w.hub)
	kept := ledger.New(hub, r.Bucket(dryrun.Journal, w.bucket.Bucket()))
	sides := map[string]migration.Connection{
		"source": {API: r.Cluster(dryrun.Source, w.source), Facts: w.source}, "target": {API: r.Cluster(dryrun.Target, w.target), Facts: w.target},
	}
	old, fresh, parent := r.Zones(dryrun.OldZone, w.names.old), r.Zones(dryrun.NewZone, w.names.fresh), r.Zones(dryrun.ParentZone, w.names.parent)
	serving := map[string]*dryrun.Zones{}
	for _, c := range []struct {
		servers []string
		zones   *dryrun.Zones
	}{{oldServers, old}, {newServers, fresh}, {parentServers, parent}} {
		for _, server := range c.servers {
			serving[server] = c.zones
		}
	}
	engine := &migration.Engine{
		Clock: w.clock, Hub: hub, Workers: 1, User: engineUser,
		Clusters: func(_ context.Context, c *v1.Cluster) (migration.Connection, error) { return sides[c.Name], nil },
		Ledger:   func(context.Context, *v1.Migration) (*ledger.Ledger, error) { return kept, nil },
		Follower: &migration.InTurn{
			Lasting: t.Context(), Clock: w.clock, Workers: 1,
			Feed: func(_ context.Context, api cluster.API) mirror.Feed { return mirror.Listed(api) },
		},
		Zones: func(context.Context, *v1.Migration) (migration.Zones, error) {
			return migration.Zones{Old: old, New: fresh, Parent: parent}, nil
		},
		Servers: r.Servers(w.names.servers(), serving), Judge: w.judge, Archiver: archiver{},
		Tell: func(*v1.Migration, v1.Reason, string) {},
	}
	if _, err := r.Step(t.Context(), engine, migrationKey); err != nil {
		t.Fatal(err)
	}
	return r.Writes()
}

// everything stands for all that the world holds outside its engines.
func (w *world) everything(t *testing.T) string {
	t.Helper()
	text := fmt.Sprintf("changes %x, %d files", w.trace.digest.Sum64(), len(w.bucket.Files()))
	for key, data := range w.bucket.Files() {
		text += fmt.Sprintf(" %s %d", key, len(data))
	}
	files := strings.Fields(text)
	slices.Sort(files)
	text = strings.Join(files, " ")
	for _, service := range []dns.Provider{w.names.old, w.names.fresh, w.names.parent} {
		for _, zone := range []string{zoneName, parentName} {
			if sets, err := service.RecordSets(t.Context(), zone); err == nil {
				text += fmt.Sprint(sets)
			}
		}
	}
	return text
}

// heard are the writes of engines, as they come out of them.
type heard struct {
	w      *world
	writes []dryrun.Write
	// at is the stage and direction at which a step was last looked for.
	at string
}

// listen hears what engines write to clusters and to the journal.
func (w *world) listen() *heard {
	h := &heard{w: w}
	for _, c := range w.clusters() {
		c.SetFaults(func(op memory.Op) memory.Fault {
			if w.running != nil && op.Write() && op.Kind.Kind != "Lease" && op.Kind.Group != "authorization.k8s.io" {
				h.writes = append(h.writes, dryrun.Write{
					Place: dryrun.Place(op.Cluster), Verb: dryrun.Verb(op.Verb), Kind: op.Kind.Kind, Subresource: op.Subresource, Namespace: op.Namespace, Name: op.Name,
				})
			}
			return w.faults.decide(op)
		})
	}
	w.bucket.SetFaults(func(op blobtest.Op) blobtest.Fault {
		if w.running != nil && (op.Verb == "write" || op.Verb == "delete") {
			h.writes = append(h.writes, dryrun.Write{Place: dryrun.Journal, Verb: dryrun.Verb(op.Verb), Kind: "File", Name: op.Key})
		}
		return blobtest.Fault{}
	})
	return h
}

// noted is a service of which swaps are heard.
type noted struct {
	dns.Provider
	place dryrun.Place
	heard *heard
}

func (n noted) Swap(ctx context.Context, zone string, swap dns.Swap) error {
	err := n.Provider.Swap(ctx, zone, swap)
	w := dryrun.Write{Place: n.place, Verb: dryrun.Update, Kind: swap.Key().Type, Name: swap.Key().Name}
	if swap.Old == nil {
		w.Verb = dryrun.Create
	} else {
		w.Before = swap.Old.String()
	}
	if swap.New == nil {
		w.Verb = dryrun.Delete
	} else {
		w.After = swap.New.String()
	}
	if err == nil {
		n.heard.writes = append(n.heard.writes, w)
	}
	return err
}

// unknown tells whether a dry run cannot know all that follows in its step: what a proof
// would find once a freeze is lifted, and how soon the cluster removes what belongs to
// deleted objects. Then it tells of the first of the writes.
func unknown(m *v1.Migration, told []dryrun.Write) bool {
	lifts := func(w dryrun.Write) bool {
		return w.Verb == dryrun.Delete && w.Kind == "ValidatingAdmissionPolicyBinding"
	}
	return slices.ContainsFunc(told, lifts) || m.Spec.Direction == v1.Back && m.Status.Stage == v1.Prepare
}

// part is those of all lines that are among some.
func part(all, some string) string {
	left := strings.Split(some, "\n")
	var out []string
	for line := range strings.SplitSeq(all, "\n") {
		if i := slices.Index(left, line); i >= 0 {
			left = slices.Delete(left, i, i+1)
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// listed are writes as they are compared, in any order. What is in the ledger names
// objects by their UIDs, so that its chunks have other digests in another run.
func listed(writes []dryrun.Write) string {
	var out []string
	for _, w := range writes {
		if w.Kind == "File" {
			if w.Verb != dryrun.Delete {
				w.Verb = "write"
			}
			w.Before, w.After = "", ""
		}
		if w.Kind == "File" || w.Kind == "Ledger" {
			w.Name = ""
		}
		out = append(out, fmt.Sprintf("%s %s %s/%s %s/%s %s -> %s %s", w.Place, w.Verb, w.Kind, w.Subresource, w.Namespace, w.Name, w.Before, w.After, w.Refused))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
