package demo

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/rest"

	"crossfade.dev/internal/plan"
)

// sampling is how often capacity is measured.
const sampling = 100 * time.Millisecond

// A capacityWatch measures, from both API servers and without the engine, which
// share of the wanted replicas is ready: 1 is all of them. It keeps the least and
// the most of the worst workload.
type capacityWatch struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	samples   int
	min, max  float64
	minOf     string
	overBound string
}

func watchCapacity(ctx context.Context, w *world) *capacityWatch {
	ctx, cancel := context.WithCancel(ctx)
	c := &capacityWatch{cancel: cancel, done: make(chan struct{}), min: 1, max: 1}
	source, target := deployments(ctx, w.source.config), deployments(ctx, w.target.config)
	go func() {
		defer close(c.done)
		ticks := time.NewTicker(sampling)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
				c.sample(w, source, target)
			}
		}
	}()
	return c
}

func (c *capacityWatch) stop() {
	c.cancel()
	<-c.done
}

// deployments is a copy of a cluster's Deployments that follows it.
func deployments(ctx context.Context, config *rest.Config) appslisters.DeploymentLister {
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	lister := factory.Apps().V1().Deployments().Lister()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return lister
}

func (c *capacityWatch) sample(w *world, source, target appslisters.DeploymentLister) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples++
	for _, wl := range w.moving {
		wanted := wl.Replicas
		if wanted == 0 {
			continue
		}
		ready := readyOf(source, wl.Namespace, wl.Name) + readyOf(target, wl.Namespace, wl.Name)
		share := float64(ready) / float64(wanted)
		if share < c.min {
			c.min, c.minOf = share, wl.ID()
		}
		c.max = max(c.max, share)
		if ready > plan.Bound(wanted, maxTotalPercent) {
			c.overBound = wl.ID()
		}
	}
}

// readyOf is how many replicas one side says are ready.
func readyOf(l appslisters.DeploymentLister, namespace, name string) int32 {
	d, err := l.Deployments(namespace).Get(name)
	if err != nil {
		return 0
	}
	return d.Status.ReadyReplicas
}
