package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/migration"
)

// connections keeps one connection to each cluster, with its fence held and its
// cache filled, for as long as the process may write.
type connections struct {
	// ctx ends when the process may no longer write.
	ctx      context.Context
	hub      cluster.API
	identity string
	lease    time.Duration
	// changed is told whenever something changed in any cluster.
	changed func()

	mu   sync.Mutex
	open map[types.NamespacedName]*line
}

// A line is the connection to one Cluster. Who connects holds its lock meanwhile, so
// that nobody connects twice, and a cluster that does not answer keeps nobody else
// waiting.
type line struct {
	mu         sync.Mutex
	connection *connection // nil while there is none
}

// line is that of a Cluster.
func (c *connections) line(name types.NamespacedName) *line {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[types.NamespacedName]*line{}
	}
	if c.open[name] == nil {
		c.open[name] = &line{}
	}
	return c.open[name]
}

// A connection is made of one version of the Cluster and of its kubeconfig.
type connection struct {
	version string
	cluster *cluster.Cluster
	cache   *cluster.Cache
	close   context.CancelFunc

	mu        sync.Mutex
	listeners []chan struct{}
}

// deafness is for how long a cache may be without its watches before what it holds
// counts as unknown.
const deafness = 5 * time.Second

// connect returns the connection to a cluster, made anew if its Cluster object or
// its kubeconfig changed.
func (c *connections) connect(ctx context.Context, obj *v1.Cluster) (migration.Connection, error) {
	conn, err := c.to(ctx, obj)
	if err != nil {
		return migration.Connection{}, err
	}
	if since, deaf := conn.cache.Deaf(); deaf && time.Since(since) > deafness {
		return migration.Connection{}, fmt.Errorf("%s has not been heard since %s", obj.Name, since.Format(time.TimeOnly))
	}
	return migration.Connection{API: cluster.ReadingFrom(conn.cluster, conn.cache), Facts: conn.cluster}, nil
}

// named returns the connection to the Cluster of that name.
func (c *connections) named(ctx context.Context, namespace, name string) (*connection, error) {
	obj, err := readCluster(ctx, c.hub, namespace, name)
	if err != nil {
		return nil, err
	}
	return c.to(ctx, obj)
}

// reach returns the connection to the Cluster of that name, without its cache.
func (c *connections) reach(ctx context.Context, namespace, name string) (*cluster.Cluster, error) {
	conn, err := c.named(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return conn.cluster, nil
}

func (c *connections) to(ctx context.Context, obj *v1.Cluster) (*connection, error) {
	secret, err := readKubeconfig(ctx, c.hub, obj)
	if err != nil {
		return nil, err
	}
	version := fmt.Sprintf("%s/%d/%s", obj.UID, obj.Generation, secret.ResourceVersion)

	l := c.line(client.ObjectKeyFromObject(obj))
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.connection; old != nil {
		if old.version == version {
			return old, nil
		}
		old.close()
		l.connection = nil
	}
	conn, err := c.make(ctx, obj, secret.Data[obj.Spec.Kubeconfig.Key])
	if err != nil {
		return nil, err
	}
	conn.version = version
	l.connection = conn
	return conn, nil
}

// make connects, pins the cluster, holds its fence and fills the cache.
func (c *connections) make(ctx context.Context, obj *v1.Cluster, kubeconfig []byte) (*connection, error) {
	config, err := configOf(obj, kubeconfig)
	if err != nil {
		return nil, err
	}
	k, err := cluster.Connect(ctx, cluster.Options{
		Config: config, PinUID: pinOf(obj), Identity: c.identity, LeaseDuration: c.lease, WriteTimeout: c.lease / 3,
		Clock: clock.RealClock{},
	})
	if err != nil {
		return nil, err
	}
	if err := c.introduce(ctx, obj, k); err != nil {
		k.Close()
		return nil, err
	}
	if err := k.Fence.Hold(ctx); err != nil && !errors.Is(err, cluster.ErrFenced) {
		k.Close()
		return nil, fmt.Errorf("fence cluster %s: %w", obj.Name, err)
	}
	lasting, cancel := context.WithCancel(c.ctx)
	cache, err := k.StartCache(lasting)
	if err != nil {
		cancel()
		k.Close()
		return nil, err
	}
	conn := &connection{cluster: k, cache: cache, close: func() { cancel(); k.Close() }}
	go hold(lasting, k.Fence, c.lease/4)
	go conn.spread(lasting, c.changed)
	return conn, nil
}

func readCluster(ctx context.Context, hub client.Reader, namespace, name string) (*v1.Cluster, error) {
	obj := &v1.Cluster{}
	if err := hub.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		return nil, fmt.Errorf("read cluster %s in the hub: %w", name, err)
	}
	return obj, nil
}

// readKubeconfig returns the Secret with a Cluster's kubeconfig.
func readKubeconfig(ctx context.Context, hub client.Reader, obj *v1.Cluster) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := hub.Get(ctx, client.ObjectKey{Namespace: obj.Namespace, Name: obj.Spec.Kubeconfig.Name}, secret); err != nil {
		return nil, fmt.Errorf("read the kubeconfig of cluster %s in the hub: %w", obj.Name, err)
	}
	return secret, nil
}

// configOf is where a cluster's kubeconfig leads.
func configOf(obj *v1.Cluster, kubeconfig []byte) (*rest.Config, error) {
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of cluster %s: %w", obj.Name, cli.WithoutKeys(err))
	}
	out, err := clientcmd.NewNonInteractiveClientConfig(*config, obj.Spec.Context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of cluster %s: %w", obj.Name, cli.WithoutKeys(err))
	}
	return out, nil
}

// pinOf is the UID that the cluster must have: the one that was asked for, else the
// one that was seen first.
func pinOf(obj *v1.Cluster) types.UID { return types.UID(cmp.Or(obj.Spec.UID, obj.Status.UID)) }

// introduce records who a cluster is, the first time it is met.
func (c *connections) introduce(ctx context.Context, obj *v1.Cluster, k *cluster.Cluster) error {
	version, err := k.Version(ctx)
	if err != nil {
		return err
	}
	if obj.Status.UID == string(k.UID()) && obj.Status.Version == version {
		return nil
	}
	now := obj.DeepCopy()
	now.Status.UID, now.Status.Version = string(k.UID()), version
	setReachable(now)
	if err := c.hub.Status().Update(ctx, now); err != nil {
		return fmt.Errorf("record cluster %s: %w", obj.Name, err)
	}
	return nil
}

// fenced connects to a cluster, and holds its fence for as long as ctx lasts.
func fenced(ctx context.Context, config *rest.Config, identity string) (*cluster.Cluster, error) {
	c, err := cluster.Connect(ctx, cluster.Options{Config: config, Identity: identity})
	if err != nil {
		return nil, err
	}
	if err := c.Fence.Hold(ctx); err != nil {
		c.Close()
		return nil, err
	}
	go hold(ctx, c.Fence, cluster.DefaultLease/4)
	return c, nil
}

// fencedSoon is fenced for a process that is begun anew each time: it waits out the
// lease of one that was killed, since nothing else remembers when that was last renewed.
func fencedSoon(ctx context.Context, config *rest.Config, identity string) (*cluster.Cluster, error) {
	c, err := cluster.Connect(ctx, cluster.Options{Config: config, Identity: identity})
	if err != nil {
		return nil, err
	}
	ticks := time.NewTicker(cluster.DefaultLease / 4)
	defer ticks.Stop()
	for range 6 { // a lease and a half
		if err = c.Fence.Hold(ctx); !errors.Is(err, cluster.ErrFenced) {
			break
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-ticks.C:
			continue
		}
		break
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	go hold(ctx, c.Fence, cluster.DefaultLease/4)
	return c, nil
}

// hold renews a fence until ctx ends. A renewal that fails is tried again; what
// was held runs out by itself.
func hold(ctx context.Context, fence *cluster.Fence, every time.Duration) {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			if err := fence.Hold(ctx); err != nil && ctx.Err() == nil {
				log.FromContext(ctx).Info("the fence was not renewed", "reason", err.Error())
			}
		}
	}
}

// spread passes the cache's signal on to everybody who listens.
func (c *connection) spread(ctx context.Context, also func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.cache.Changed():
			also()
			c.mu.Lock()
			for _, l := range c.listeners {
				select {
				case l <- struct{}{}:
				default:
				}
			}
			c.mu.Unlock()
		}
	}
}

// listen adds a channel that gets a value after changes in the cluster.
func (c *connection) listen(l chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, l)
}
