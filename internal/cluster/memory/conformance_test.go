package memory_test

import (
	"testing"
	"time"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/clustertest"
)

func TestConformance(t *testing.T) {
	c, clock := newCluster(7)
	fence := cluster.NewFence(c, cluster.FenceOptions{Identity: "test", Clock: clock})
	if err := fence.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, api := range map[string]cluster.API{"bare": c, "fenced": cluster.Fenced(c, fence)} {
		t.Run(name, func(t *testing.T) {
			clustertest.Run(t, clustertest.World{
				API: api, Facts: c, Pods: true,
				Settle: func(done func() bool) bool {
					for range 1200 {
						if done() {
							return true
						}
						clock.SetTime(clock.Now().Add(100 * time.Millisecond))
						c.Tick()
						if err := fence.Hold(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					return false
				},
			})
		})
	}
}
