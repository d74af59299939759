package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"k8s.io/client-go/rest"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/resolve"
	"crossfade.dev/internal/dryrun"
	"crossfade.dev/internal/judge"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/probe"
	"crossfade.dev/internal/vantage"
)

// The doors of a dry run: what leads to clusters, zones and buckets, and what stands in
// for parts that do more than write.

// A dryConnection is a connection to one Cluster of the hub.
type dryConnection struct {
	cluster *cluster.Cluster
	api     *dryrun.Cluster
	user    string // who we are there
}

// connection is the connection to a Cluster of a migration. Its fence is neither held
// nor asked.
func (d *dry) connection(ctx context.Context, m *v1.Migration, obj *v1.Cluster) (*dryConnection, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.open[obj.Name]; c != nil {
		return c, nil
	}
	config, err := hubConfigOf(ctx, d.hub, obj)
	if err != nil {
		return nil, err
	}
	config = harmless(config)
	k, err := reach(ctx, "cluster "+obj.Name, config, pinOf(obj))
	if err != nil {
		return nil, err
	}
	user, err := whoami(ctx, config)
	if err == nil {
		err = (&connections{hub: d.hub}).introduce(ctx, obj, k)
	}
	if err != nil {
		k.Close()
		return nil, fmt.Errorf("cluster %s: %w", obj.Name, err)
	}
	place := dryrun.Target
	if obj.Name == m.Spec.Source {
		place = dryrun.Source
	}
	d.open[obj.Name] = &dryConnection{cluster: k, api: d.record.Cluster(place, k.Unfenced()), user: user}
	return d.open[obj.Name], nil
}

// names are the services that hold a migration's zone, and the servers that answer for
// them what was caught.
func (d *dry) names(ctx context.Context, m *v1.Migration, route vantage.Translation) (migration.Zones, dns.Servers, error) {
	servers := dns.Servers(resolve.New(resolve.Options{Dial: route.DialContext}))
	if m.Spec.DNS == nil {
		return migration.Zones{}, servers, nil
	}
	all, err := zones{hub: d.hub, dial: route.DialContext}.open(ctx, m)
	if err != nil {
		return all, nil, err
	}
	serving := map[string]*dryrun.Zones{}
	for _, copy := range []struct {
		place    dryrun.Place
		service  v1.DNSService
		provider *dns.Provider
	}{
		{dryrun.OldZone, m.Spec.DNS.Old, &all.Old},
		{dryrun.NewZone, m.Spec.DNS.New, &all.New},
		{dryrun.ParentZone, m.Spec.DNS.ParentService, &all.Parent},
	} {
		zones := d.record.Zones(copy.place, *copy.provider)
		*copy.provider = zones
		for _, server := range copy.service.Servers {
			serving[server] = zones
		}
	}
	return all, d.record.Servers(servers, serving), nil
}

// caught opens buckets whose writes are caught.
func caught(r *dryrun.Recorder, place dryrun.Place) func(context.Context, string) (*blob.Bucket, error) {
	return func(ctx context.Context, text string) (*blob.Bucket, error) {
		bucket, err := openAsItIs(ctx, text)
		if err != nil {
			return nil, err
		}
		return r.Bucket(place, bucket), nil
	}
}

// openAsItIs opens a bucket and does not make its folder: one that is not there yet is
// an empty one.
func openAsItIs(ctx context.Context, text string) (*blob.Bucket, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "file" {
		return blob.OpenBucket(ctx, text)
	}
	q := u.Query()
	makes := q.Has("create_dir")
	q.Del("create_dir")
	u.RawQuery = q.Encode()
	bucket, err := blob.OpenBucket(ctx, u.String())
	if makes && errors.Is(err, fs.ErrNotExist) {
		return memblob.OpenBucket(nil), nil
	}
	return bucket, err
}

// judgeGates are those about which only the controller knows: its prober goes on all
// the time.
var judgeGates = []string{plan.GateReachable, plan.GateComparison, plan.GateObjective}

// remembered is a judge that knows what the controller's last said, and asks nobody.
type remembered struct{}

// Judge implements migration.Judge.
func (remembered) Judge(_ context.Context, m *v1.Migration, names []probe.Name, _ time.Time) ([]v1.Gate, error) {
	var said []v1.Gate
	for _, g := range m.Status.Gates {
		if slices.Contains(judgeGates, g.Name) {
			g.Waived = ""
			said = append(said, g)
		}
	}
	switch {
	case len(said) > 0:
		return said, nil
	case len(names) == 0:
		return judge.Gates(judge.Report{}, judge.NewObjectives(m.Spec.Objectives)), nil
	}
	return []v1.Gate{{
		Name: plan.GateComparison, Verdict: v1.Held, Reason: v1.TooFewProbes,
		Observed: fmt.Sprintf("the controller has not judged %d names yet", len(names)), Limit: "its verdict, which a dry run does not look for",
	}}, nil
}

// unrehearsed is an archiver whose rehearsals are told of, and not begun.
type unrehearsed struct {
	*archiver
	record *dryrun.Recorder
}

// Rehearse implements migration.Archiver.
func (u *unrehearsed) Rehearse(_ context.Context, m *v1.Migration, name string) (differences []string, done bool, err error) {
	u.record.Note(dryrun.Write{Place: dryrun.Rehearsal, Verb: dryrun.Restore, Kind: "Archive", Name: name, After: "cluster " + m.Spec.Archive.RehearseIn + ", and removed again"})
	return nil, false, nil
}

// harmless is a configuration by which nothing can be written: whatever asks for more
// than a read or a dry run is not sent.
func harmless(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return harmlessly{next} })
	return config
}

type harmlessly struct{ next http.RoundTripper }

// errLasting says that a request would have changed something.
var errLasting = errors.New("not sent: it would change something, and this is a dry run")

// RoundTrip implements http.RoundTripper.
func (h harmlessly) RoundTrip(r *http.Request) (*http.Response, error) {
	lasts, err := lasting(r)
	if err != nil {
		return nil, err
	}
	if lasts {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, errLasting)
	}
	return h.next.RoundTrip(r)
}

// lasting tells whether a request would change anything. Creating a review is a question;
// a deletion says in its body that it is a dry run.
func lasting(r *http.Request) (bool, error) {
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return false, nil
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "reviews"):
		return false, nil
	case r.Method != http.MethodDelete:
		return !slices.Contains(r.URL.Query()["dryRun"], "All"), nil
	case r.Body == nil:
		return true, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return false, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return !bytes.Contains(body, []byte("All")), nil
}
