package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
	"crossfade.dev/internal/vantage"
	"crossfade.dev/internal/view"
)

// runRollback leads a migration back without its hub: the engine of this process
// works over a hub in memory, which is filled from the journal. Whatever can be
// refused is refused before the journal is taken over, which is the first write. It
// returns the objects that are left in a target that is lost.
func runRollback(ctx context.Context, o cli.JournalOptions) (left []string, err error) {
	ctrl.SetLogger(logr.Discard())
	route, err := vantage.Parse(o.Route.Translate, o.Route.MapPorts)
	if err != nil {
		return nil, err
	}
	keys, err := readKeys(o.KeyFiles)
	if err != nil {
		return nil, err
	}
	bucket, err := (&buckets{}).at(ctx, o.Journal)
	if err != nil {
		return nil, fmt.Errorf("--journal: %w", err)
	}
	defer func() { _ = bucket.Close() }()
	var m *v1.Migration
	journal, err := ledger.Open(ctx, bucket)
	if err == nil {
		if m, err = migrationIn(journal.Objects, o.Migration); err == nil {
			journal, err = ledger.Open(ctx, bucket, m.Namespace+"/"+m.Name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--journal %s: %w", o.Journal, err)
	}
	p := &passage{options: o, keys: keys}
	if err := p.prepare(ctx, journal); err != nil {
		return nil, err
	}
	hub := memory.New(memory.Options{Name: "the hub in memory", Number: 99, Seed: rand.Uint64(), Clock: clock.RealClock{}})
	if err := p.fill(ctx, hub, journal); err != nil {
		return nil, err
	}
	return p.lead(ctx, hub, route)
}

// migrationIn is the migration of that name, or the only one if the name is "".
func migrationIn(objects []client.Object, name string) (*v1.Migration, error) {
	var found *v1.Migration
	var names []string
	for _, object := range objects {
		m, ok := object.(*v1.Migration)
		if !ok {
			continue
		}
		names = append(names, m.Name)
		if name == "" || m.Name == name {
			found = m
		}
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("it holds no migration")
	case found == nil:
		return nil, fmt.Errorf("it holds no migration %q; there are: %s", name, strings.Join(names, ", "))
	case name == "" && len(names) > 1:
		return nil, fmt.Errorf("NAME: say which migration; there are: %s", strings.Join(names, ", "))
	}
	return found, nil
}

// A passage is one way back by the journal.
type passage struct {
	options cli.JournalOptions
	keys    map[string]string
	// secrets are the credentials that the hub would have.
	secrets []*corev1.Secret
	key     client.ObjectKey
	// target is the name of its Cluster.
	target string
	// user is who we are in one of the clusters; freezes exempt who we are in both.
	user string
}

// prepare turns the migration back, and puts the person's credentials in the place
// of the hub's, which the journal never holds.
func (p *passage) prepare(ctx context.Context, journal *ledger.Journal) error {
	m, err := migrationIn(journal.Objects, "")
	if err != nil {
		return err
	}
	if meta.IsStatusConditionTrue(m.Status.Conditions, v1.Retired) {
		return fmt.Errorf("%w: migration %s: there is no way back: the source was let go of", cli.ErrNo, m.Name)
	}
	p.key, p.target = client.ObjectKeyFromObject(m), m.Spec.Target
	clusters := map[string]*v1.Cluster{}
	for _, object := range journal.Objects {
		if c, ok := object.(*v1.Cluster); ok {
			clusters[c.Name] = c
		}
	}
	for _, side := range []struct{ flag, context, cluster string }{
		{"--source-context", p.options.SourceContext, m.Spec.Source},
		{"--target-context", p.options.TargetContext, m.Spec.Target},
	} {
		if clusters[side.cluster] == nil {
			return fmt.Errorf("--journal %s: it holds no Cluster %s", p.options.Journal, side.cluster)
		}
		if p.options.TargetLost && side.cluster == m.Spec.Target {
			if err := p.gone(ctx, side.flag, side.context, clusters[side.cluster]); err != nil {
				return err
			}
			continue
		}
		user, err := p.credentials(ctx, side.flag, side.context, clusters[side.cluster])
		if err != nil {
			return err
		}
		if !slices.Contains(m.Spec.Freeze.Exempt, user) {
			m.Spec.Freeze.Exempt = append(m.Spec.Freeze.Exempt, user)
		}
		p.user = user
	}
	if m.Spec.DNS != nil {
		if err := p.giveKeys(m); err != nil {
			return err
		}
	}
	m.Spec.Direction, m.Spec.BackTo, m.Spec.Journal = v1.Back, p.options.To, p.options.Journal
	m.Status.ObservedGeneration = 0 // that of another hub
	return nil
}

// credentials lets a Cluster lead where the context does, and returns who asks
// there. The engine needs both clusters, unless the target is lost: what it takes back
// stands in the one, and is wanted in the other.
func (p *passage) credentials(ctx context.Context, flag, name string, c *v1.Cluster) (user string, err error) {
	what := fmt.Sprintf("%s %q", flag, name)
	config, err := contextConfig(p.options.Kubeconfig, name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	kubeconfig, err := portableContext(p.options.Kubeconfig, name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	k, err := reach(ctx, what, config, pinOf(c))
	if err != nil && c.Name == p.target {
		return "", fmt.Errorf("%w; if this cluster is lost, --target-lost leads back without it", err)
	}
	if err != nil {
		return "", fmt.Errorf("%w; the way back by the journal needs the source", err)
	}
	defer k.Close()
	if user, err = whoami(ctx, config); err != nil {
		return "", fmt.Errorf("%s: ask who we are: %w", what, err)
	}
	c.Spec.Kubeconfig = v1.SecretKey{Name: "rollback-" + strings.Trim(flag, "-"), Key: "kubeconfig"}
	c.Spec.Context = ""
	p.keep(c.Namespace, c.Spec.Kubeconfig, kubeconfig)
	return user, nil
}

// gone makes sure that a target that is said to be lost does not answer: as long as it
// does, nothing justifies leaving behind what runs there.
func (p *passage) gone(ctx context.Context, flag, name string, c *v1.Cluster) error {
	what := fmt.Sprintf("%s %q", flag, name)
	config, err := contextConfig(p.options.Kubeconfig, name)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	within, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	k, err := cluster.Connect(within, cluster.Options{Config: config, PinUID: pinOf(c)})
	switch {
	case err == nil:
		k.Close()
		return fmt.Errorf("--target-lost: %s answers, so it is not lost: leave --target-lost out", what)
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return fmt.Errorf("--target-lost: %s answers, so it is not lost, though it refuses who asks: %w", what, err)
	}
	return ctx.Err() // whatever else is wrong with it, or another cluster in its place
}

// giveKeys puts the keys from the files in the place of the hub's Secrets.
func (p *passage) giveKeys(m *v1.Migration) error {
	for i, service := range []struct {
		field string
		spec  *v1.RFC2136
	}{
		{"dns.old", &m.Spec.DNS.Old.RFC2136},
		{"dns.new", &m.Spec.DNS.New.RFC2136},
		{"dns.parentService", &m.Spec.DNS.ParentService.RFC2136},
	} {
		secret, known := p.keys[keyName(service.spec.KeyName)]
		if !known {
			return fmt.Errorf("--key-file %q: none holds the key %q of %s", p.options.KeyFiles, service.spec.KeyName, service.field)
		}
		service.spec.KeySecret = v1.SecretKey{Name: fmt.Sprintf("rollback-key-%d", i), Key: "key"}
		p.keep(m.Namespace, service.spec.KeySecret, []byte(secret))
	}
	return nil
}

func (p *passage) keep(namespace string, key v1.SecretKey, value []byte) {
	p.secrets = append(p.secrets, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: key.Name, Namespace: namespace}, Data: map[string][]byte{key.Key: value},
	})
}

// fill makes the hub, and takes the journal over for it.
func (p *passage) fill(ctx context.Context, hub cluster.API, journal *ledger.Journal) error {
	if err := journal.Restore(ctx, hub); err != nil {
		return fmt.Errorf("--journal %s: %w", p.options.Journal, err)
	}
	for _, secret := range p.secrets {
		if err := hub.Create(ctx, secret); err != nil {
			return fmt.Errorf("keep the credentials in memory: %w", err)
		}
	}
	return nil
}

// lead lets the engine work until the migration stands where it was to be led to.
func (p *passage) lead(ctx context.Context, hub cluster.API, route vantage.Translation) (left []string, err error) {
	lasting, end := context.WithCancel(ctx)
	defer end()
	rung := make(chan struct{}, 1)
	c := &connections{
		ctx: lasting, hub: hub, identity: hostname() + "/rollback/" + uuid.NewString(), lease: cluster.DefaultLease / 2,
		changed: func() {
			select {
			case rung <- struct{}{}:
			default: // it rings already
			}
		},
	}
	engine := wire(lasting, hub, c, route, cli.ControllerOptions{User: p.user, Workers: 16})
	engine.TargetLost = p.options.TargetLost
	engine.Tell = func(*v1.Migration, v1.Reason, string) {}
	adopted := false
	for {
		next, err := p.step(ctx, engine, &adopted)
		if err != nil {
			return nil, err
		}
		m := &v1.Migration{}
		if err := hub.Get(ctx, p.key, m); err != nil {
			return nil, err
		}
		p.options.Tell(m)
		switch view.StandingOf(m) {
		case view.RolledBack:
			return p.end(ctx, engine, m)
		case view.Failed:
			return nil, fmt.Errorf("%w: migration %s: %s: %s", cli.ErrNo, m.Name, m.Status.Reason, m.Status.Message)
		}
		if err := await(ctx, rung, next); err != nil {
			return nil, err
		}
	}
}

// end keeps where the migration arrived, from where a later way back goes on, and
// returns what is left in a target that is lost.
func (p *passage) end(ctx context.Context, engine *migration.Engine, m *v1.Migration) (left []string, err error) {
	l, err := engine.Ledger(ctx, m)
	if err == nil {
		err = l.Keep(ctx, m)
	}
	if err != nil {
		return nil, fmt.Errorf("--journal %s: %w", p.options.Journal, err)
	}
	if !p.options.TargetLost {
		return nil, nil
	}
	copies, err := ledger.Load[mirror.Entry](ctx, l, m, v1.Created, migration.CopiesInTarget)
	if err != nil {
		return nil, fmt.Errorf("--journal %s: %w", p.options.Journal, err)
	}
	maps.DeleteFunc(copies, func(_ string, e mirror.Entry) bool { return e.Found || e.Gone })
	return slices.Sorted(maps.Keys(copies)), nil
}

// step makes one pass, and says when to make the next. Freezes are taken up before
// the first: without that they would refuse the engine.
func (p *passage) step(ctx context.Context, engine *migration.Engine, adopted *bool) (next time.Duration, err error) {
	if !*adopted {
		if *adopted, err = engine.AdoptFreezes(ctx, p.key); err != nil || !*adopted {
			return longest, err
		}
	}
	result, err := engine.Reconcile(ctx, p.key)
	return result.RequeueAfter, err
}

// await waits for a while, or a little only if something has changed.
func await(ctx context.Context, rung <-chan struct{}, most time.Duration) error {
	least, timer := time.NewTimer(min(most, 100*time.Millisecond)), time.NewTimer(most)
	defer least.Stop()
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-least.C:
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-rung:
	case <-timer.C:
	}
	return nil
}
