package dryrun

import (
	"context"
	"slices"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"crossfade.dev/internal/cluster/clustertest"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/dnstest"
	dnsmemory "crossfade.dev/internal/dns/memory"
)

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

func TestAClusterConforms(t *testing.T) {
	clock := testclock.NewFakeClock(noon)
	const me = "me"
	behind := memory.New(memory.Options{Name: "c", Number: 1, Seed: 1, Clock: clock, User: me, Observe: func(c memory.Change) {
		if c.User == me && c.Kind.Kind != "Namespace" { // those the suite makes behind
			t.Errorf("a %s was changed behind", c.Kind.Kind)
		}
	}})
	r := &Recorder{Clock: clock}
	clustertest.Run(t, clustertest.World{
		API: r.Cluster(Target, behind), Facts: behind, Behind: behind,
		Settle: func(done func() bool) bool { return done() },
	})
}

func TestZonesConform(t *testing.T) {
	r := &Recorder{Clock: testclock.NewFakeClock(noon)}
	dnstest.Run(t, dnstest.Traits{Opaque: true}, func(t *testing.T, zoneName string, sets []dns.RecordSet) dns.Provider {
		behind := &dnsmemory.Service{BeforeCall: func(_ context.Context, c dnsmemory.Call) error {
			if c.Swap != nil {
				t.Errorf("%s was swapped behind", c.Swap.Key())
			}
			return nil
		}}
		if err := behind.Hold(zoneName, slices.Concat(dnstest.Apex(t, zoneName), sets)); err != nil {
			t.Fatal(err)
		}
		return r.Zones(OldZone, behind)
	})
}
