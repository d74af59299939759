// Package memory is a Kubernetes cluster in memory: it implements cluster.API as
// a real API server behaves as far as the engine relies on it, and the
// controllers of life in explicit, deterministic steps. The simulation runs the
// engine over two of them and a third as the hub.
//
// A Cluster starts no goroutine and never waits: controllers act only inside
// Tick, time is the Clock's, and every delay follows from the Seed and the name
// of what is delayed. The same calls in the same order give the same objects,
// UIDs and resourceVersions.
//
// What it leaves out: RBAC (everybody may do everything that admission allows),
// server-side apply, webhooks, quotas, volumes, scheduling limits, the pods of
// DaemonSets, Jobs and CronJobs, and schemas of custom resources. Each kind is
// served in one version. Patches, conflicts, finalizers, garbage collection and
// ValidatingAdmissionPolicies follow the real rules; package clustertest has them.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"crossfade.dev/internal/cluster"
)

// Options say what cluster to make.
type Options struct {
	// Name is how faults, changes and errors call the cluster.
	Name string
	// Number is the C in the cluster's addresses: pods 10.C.1.0 to 10.C.239.255,
	// entry points 10.C.240.x, Services 10.(100+C).x.y. From 1 to 99.
	Number int
	// Seed decides UIDs and every delay.
	Seed uint64
	// Clock tells the time of everything.
	Clock clock.PassiveClock
	// Version is the API server's version; v1.36.3 if empty.
	Version string
	// User and Groups are who the API's caller is, unless As says otherwise; the
	// engine's service account if empty.
	User   string
	Groups []string
	// Nodes is how many nodes the cluster has; 3 if zero.
	Nodes int
	// Faults decides what goes wrong with a request; nil means nothing does.
	Faults Faults
	// Observe hears of every change of an object, in order, right after it was
	// made. It must not call the cluster. Objects must not be changed.
	Observe func(Change)
	// Start says how long a pod takes from its creation until it is Ready; false
	// means that it never will be. Nil means 0.5 to 20 s, by seed.
	Start func(*corev1.Pod) (time.Duration, bool)
	// Guard keeps a digest of every object, so that Tampered can tell who changes
	// what was only lent. It makes writes several times as dear.
	Guard bool
	// WatchBuffer is how many events a watcher may be behind before it is cut off
	// with 410 Gone; 16384 if zero.
	WatchBuffer int
}

// A Cluster is one cluster in memory. Its API methods speak as Options.User. They
// may be called from several goroutines at once.
type Cluster struct {
	*speaker
	options Options
	uid     types.UID

	mu       sync.RWMutex
	kinds    map[schema.GroupKind]*kind
	tables   map[schema.GroupKind]*table
	byUID    map[types.UID]ref
	children map[types.UID]map[ref]struct{}
	revision uint64 // of the last write
	uids     uint64 // given out so far
	requests uint64 // seen so far, for Op.Seq
	faults   Faults
	queue    queue
	networks *addresses
	policies *policies
	podAt    map[string]types.NamespacedName // by address
	digests  map[ref]uint64                  // with Options.Guard
}

// A Change is one change of one object. Old is nil for a creation, New for a removal.
type Change struct {
	Cluster string
	Kind    schema.GroupVersionKind
	User    string
	Old     Object
	New     Object
}

var (
	_ cluster.API   = (*Cluster)(nil)
	_ cluster.Facts = (*Cluster)(nil)
)

// New makes a cluster with its system namespaces and nodes.
func New(o Options) *Cluster {
	o.Version = cmp.Or(o.Version, "v1.36.3")
	o.Nodes = cmp.Or(o.Nodes, 3)
	o.WatchBuffer = cmp.Or(o.WatchBuffer, 1<<14)
	if o.User == "" {
		o.User = "system:serviceaccount:crossfade-system:crossfade"
		o.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:crossfade-system", "system:authenticated"}
	}
	c := &Cluster{
		options: o, faults: o.Faults,
		kinds: builtinKinds(), tables: map[schema.GroupKind]*table{},
		byUID: map[types.UID]ref{}, children: map[types.UID]map[ref]struct{}{},
		podAt: map[string]types.NamespacedName{}, digests: map[ref]uint64{},
		networks: newAddresses(o.Number),
	}
	c.policies = newPolicies(c)
	c.queue.queued = map[job]time.Time{}
	c.speaker = &speaker{c: c, user: o.User, groups: o.Groups}
	for gk, k := range c.kinds {
		c.tables[gk] = newTable(k)
	}
	c.furnish()
	return c
}

// furnish makes what every cluster has from its first second.
func (c *Cluster) furnish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range []string{"kube-system", "default", "kube-public", "kube-node-lease"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		made, err := c.create(c.kinds[namespaces], ns, system("apiserver"))
		if err != nil {
			panic(fmt.Errorf("make namespace %s: %w", name, err))
		}
		if name == "kube-system" {
			c.uid = made.GetUID()
		}
	}
	for i := range c.options.Nodes {
		c.addNode(i)
	}
	c.addKubernetesService()
}

// UID is the UID of the kube-system namespace.
func (c *Cluster) UID() types.UID { return c.uid }

// Version is the API server's version.
func (c *Cluster) Version(ctx context.Context) (string, error) {
	return c.options.Version, c.discover(ctx)
}

// Ready returns nil unless a fault says otherwise.
func (c *Cluster) Ready(ctx context.Context) error { return c.discover(ctx) }

// discover is what goes wrong with a question about the cluster itself.
func (c *Cluster) discover(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f := c.fault(Op{Verb: "discover"})
	return cmp.Or(f.Before, f.After)
}

// Kinds lists what the cluster serves, custom resources included.
func (c *Cluster) Kinds(ctx context.Context) ([]cluster.Kind, error) {
	if err := c.discover(ctx); err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	var kinds []cluster.Kind
	for _, k := range c.kinds {
		kinds = append(kinds, k.public())
	}
	slices.SortFunc(kinds, byGroupKind)
	return kinds, nil
}

// now is the time in the whole seconds that object metadata holds.
func (c *Cluster) now() metav1.Time {
	return metav1.NewTime(c.options.Clock.Now().Truncate(time.Second))
}

// chance is a number from 0 up to 1 that depends only on the seed and the words.
func (c *Cluster) chance(words ...string) float64 {
	return float64(c.hash(words...)>>11) / (1 << 53)
}

// between is a duration from least to most that depends only on the seed and the words.
func (c *Cluster) between(least, most time.Duration, words ...string) time.Duration {
	return least + time.Duration(c.chance(words...)*float64(most-least))
}

// hash mixes the seed and the words: FNV-1a, then the finaliser of splitmix64.
func (c *Cluster) hash(words ...string) uint64 {
	h := uint64(14695981039346656037) ^ bits.RotateLeft64(c.options.Seed, 17) ^ uint64(c.options.Number)
	for _, w := range words {
		for i := range len(w) {
			h = (h ^ uint64(w[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// newUID gives out the next UID.
func (c *Cluster) newUID() types.UID {
	c.uids++
	n := strconv.FormatUint(c.uids, 10)
	a, b := c.hash("uid", n), c.hash("uid", n, "low")
	return types.UID(fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x",
		a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff))
}
