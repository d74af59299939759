package mirror

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster/memory"
)

var (
	seeds = flag.Int("seeds", 60, "how many seeds the test with faults tries")
	seed  = flag.Uint64("seed", 0, "the one seed to try")
)

var errKilled = errors.New("the process was killed")

// chaos makes requests of the mirror fail, by seed.
type chaos struct {
	random *rand.Rand
	rate   float64
	killed bool
	// kill is how many writes are left until the process dies inside one.
	kill int
}

func (c *chaos) fault(op memory.Op) memory.Fault {
	if c.killed {
		return memory.Fault{Before: errKilled}
	}
	if op.Write() && c.kill > 0 {
		if c.kill--; c.kill == 0 {
			c.killed = true
			if c.random.IntN(2) == 0 {
				return memory.Fault{Before: errKilled}
			}
			return memory.Fault{After: errKilled}
		}
	}
	if c.random.Float64() >= c.rate {
		return memory.Fault{}
	}
	if !op.Write() {
		if op.Verb == "watch" || c.random.IntN(3) == 0 {
			return memory.TimedOut(op)
		}
		return memory.Fault{Stale: 1 + c.random.IntN(5)}
	}
	switch c.random.IntN(4) {
	case 0:
		return memory.Throttled()
	case 1:
		return memory.TimedOut(op)
	case 2:
		return memory.Conflicted(op)
	}
	return memory.Lost(op)
}

// locked is chaos for many callers at once.
type locked struct {
	mu sync.Mutex
	chaos
}

func (l *locked) fault(op memory.Op) memory.Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.chaos.fault(op)
}

// teamWrites lets a team change something on the source.
func (w *world) teamWrites(random *rand.Rand, round int) {
	ctx := context.Background()
	namespace, name := fmt.Sprintf("team-%d", random.IntN(3)), fmt.Sprintf("app-%d", random.IntN(6))
	key := client.ObjectKey{Namespace: namespace, Name: name}
	switch random.IntN(4) {
	case 0:
		obj := &corev1.ConfigMap{}
		if w.from.Get(ctx, key, obj) == nil {
			obj.Data["round"] = fmt.Sprint(round)
			_ = w.from.Update(ctx, obj, client.FieldOwner("helm"))
		}
	case 1:
		obj := &appsv1.Deployment{}
		if w.from.Get(ctx, key, obj) == nil {
			obj.Spec.Template.Spec.Containers[0].Image = fmt.Sprintf("registry.example/x:%d", round)
			_ = w.from.Update(ctx, obj, client.FieldOwner("kubectl"))
		}
	case 2:
		obj := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("extra-%d", round)}}
		_ = w.from.Create(ctx, obj, client.FieldOwner("kubectl"))
	case 3:
		obj := &corev1.ConfigMap{}
		if w.from.Get(ctx, key, obj) == nil && random.IntN(3) == 0 {
			_ = w.from.Delete(ctx, obj)
		}
	}
}

// noBodies proves that a level mirror keeps digests only.
func noBodies(t *testing.T, m *Mirror) {
	t.Helper()
	for _, f := range m.order {
		for name, twin := range f.twins {
			if twin.body != nil || twin.fetched != nil {
				t.Errorf("the mirror keeps the body of %s", f.object(name))
			}
		}
	}
}

func TestMirrorEndsLevelWhateverGoesWrong(t *testing.T) {
	try := func(seed uint64) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { endsLevel(t, seed) })
	}
	if *seed != 0 {
		try(*seed)
		return
	}
	for s := range *seeds {
		try(uint64(s) + 1)
	}
}

func endsLevel(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 7))
	w := newWorld(t, seed)
	w.estate(6)
	c := &chaos{random: random, rate: 0.15, kill: 1 + random.IntN(60)}
	w.from.SetFaults(c.fault)
	w.to.SetFaults(c.fault)
	for round := range 40 {
		// An error is a pass that was cut short: the next one goes on.
		_, _ = w.mirror.Sync(t.Context())
		if c.killed {
			c.killed, c.kill = false, 1+random.IntN(60)
			w.restart()
		}
		rate := c.rate
		c.rate, c.kill = 0, c.kill+1000 // teams and controllers are not killed
		w.teamWrites(random, round)
		w.tick(time.Duration(random.IntN(3000)) * time.Millisecond)
		c.rate, c.kill = rate, c.kill-1000
	}
	c.rate, c.kill = 0, 0
	w.tick(2 * time.Minute)

	report := w.follow()
	if !report.Level() || len(report.Drift) > 0 {
		t.Fatalf("not level at the end: %+v", report)
	}
	if found := must(w.mirror.Differences(t.Context())); len(found) > 0 {
		t.Errorf("differences: %v", found)
	}
	noBodies(t, w.mirror)
	w.created(t)
}

// created proves that the ledger holds exactly what stands on the target because of
// the mirror.
func (w *world) created(t *testing.T) {
	t.Helper()
	uids := map[types.UID]string{}
	for key, entry := range w.ledger {
		if !entry.Gone {
			uids[entry.UID] = key
		}
	}
	for _, list := range []client.ObjectList{&corev1.ConfigMapList{}, &corev1.SecretList{}, &corev1.ServiceList{}, &appsv1.DeploymentList{}, &corev1.NamespaceList{}} {
		if err := w.to.List(context.Background(), list); err != nil {
			t.Fatal(err)
		}
		if err := eachOf(list, func(obj client.Object) error {
			if uids[obj.GetUID()] == "" && !furnished(obj) {
				t.Errorf("the ledger does not know %T %s/%s", obj, obj.GetNamespace(), obj.GetName())
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func furnished(obj client.Object) bool {
	switch obj.GetName() {
	case "default", "kube-root-ca.crt", "kubernetes", "kube-system", "kube-public", "kube-node-lease", "kube-dns":
		return true
	}
	return false
}
