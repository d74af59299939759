package memory_test

import (
	"testing"
	"time"

	"crossfade.dev/internal/cluster/clustertest"
)

func TestConformance(t *testing.T) {
	c, clock := newCluster(7)
	clustertest.Run(t, clustertest.World{
		API: c, Facts: c, Pods: true,
		Settle: func(done func() bool) bool {
			for range 1200 {
				if done() {
					return true
				}
				clock.SetTime(clock.Now().Add(100 * time.Millisecond))
				c.Tick()
			}
			return false
		},
	})
}
