package dnstest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// A Held is a zone with its apex and these sets.
type Held struct {
	Zone string
	Sets []dns.RecordSet
}

// SetupServers returns Servers and one address for each zone, whose server holds
// that zone and nothing else; and an address at which nobody answers.
type SetupServers func(t *testing.T, zones ...Held) (servers dns.Servers, addresses []string, nobody string)

// RunServers tests Servers against the contract of dns.Servers.
func RunServers(t *testing.T, setup SetupServers) {
	t.Run("finds no stale answer where there is none", func(t *testing.T) { testLevel(t, setup) })
	t.Run("finds stale answers", func(t *testing.T) { testStale(t, setup) })
	t.Run("takes silence for stale", func(t *testing.T) { testSilence(t, setup) })
	t.Run("takes a server without the zone for stale", func(t *testing.T) { testLame(t, setup) })
	t.Run("gathers a delegation", func(t *testing.T) { testDelegation(t, setup) })
	t.Run("knows nothing after the context has ended", func(t *testing.T) { testServersEnded(t, setup) })
}

func testLevel(t *testing.T, setup SetupServers) {
	sets := []dns.RecordSet{
		Set(t, "alias."+zoneName, "CNAME", 60, "pay."+zoneName+"."),
		Set(t, "pay."+zoneName, "A", 60, "192.0.2.1", "192.0.2.2"),
		Set(t, "txt."+zoneName, "TXT", 60, `"Some Text"`),
	}
	servers, addresses, _ := setup(t, Held{zoneName, sets}, Held{zoneName, sets})
	want := append(sets, Apex(t, zoneName)...)
	absent := []zone.Key{{Name: "gone." + zoneName, Type: "A"}, {Name: "pay." + zoneName, Type: "AAAA"}}
	stale, err := servers.Stale(t.Context(), addresses, want, absent...)
	if err != nil || len(stale) > 0 {
		t.Errorf("got %v, %v; want none", stale, err)
	}
}

func testStale(t *testing.T, setup SetupServers) {
	name := func(label string) string { return label + "." + zoneName }
	want := []dns.RecordSet{
		Set(t, name("a-same"), "A", 60, "198.51.100.1"),
		Set(t, name("b-data"), "A", 60, "198.51.100.1"),
		Set(t, name("c-more"), "A", 60, "198.51.100.1"),
		Set(t, name("d-ttl"), "A", 60, "198.51.100.1"),
		Set(t, name("e-missing"), "A", 60, "198.51.100.1"),
	}
	old := []dns.RecordSet{
		want[0],
		Set(t, name("b-data"), "A", 60, "192.0.2.1"),
		Set(t, name("c-more"), "A", 60, "198.51.100.1", "192.0.2.1"),
		Set(t, name("d-ttl"), "A", 61, "198.51.100.1"),
		Set(t, name("f-left"), "A", 60, "192.0.2.1"),
	}
	servers, addresses, _ := setup(t, Held{zoneName, want}, Held{zoneName, old})
	absent := zone.Key{Name: name("f-left"), Type: "A"}
	stale, err := servers.Stale(t.Context(), addresses, want, absent)
	if err != nil {
		t.Fatal(err)
	}
	type finding struct {
		server string
		key    zone.Key
	}
	got := map[finding]bool{}
	for _, s := range stale {
		if s.Reason != "" {
			t.Errorf("unexpected reason: %s", s)
		}
		got[finding{s.Server, s.Key}] = true
		if s.Want != nil && s.Have != nil && zone.Equal(*s.Want, *s.Have) {
			t.Errorf("not stale: %s", s)
		}
	}
	expected := map[finding]bool{{server: addresses[1], key: absent}: true}
	for _, set := range want[1:] {
		expected[finding{addresses[1], set.Key}] = true
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("got  %v\nwant %v", got, expected)
	}
}

func testSilence(t *testing.T, setup SetupServers) {
	sets := []dns.RecordSet{
		Set(t, "a."+zoneName, "A", 60, "192.0.2.1"),
		Set(t, "b."+zoneName, "A", 60, "192.0.2.1"),
		Set(t, "c."+zoneName, "A", 60, "192.0.2.1"),
	}
	servers, addresses, nobody := setup(t, Held{zoneName, sets})
	stale, err := servers.Stale(t.Context(), []string{addresses[0], nobody}, sets)
	if err != nil {
		t.Fatal(err)
	}
	silent := map[zone.Key]bool{}
	for _, s := range stale {
		if s.Server != nobody || s.Reason == "" || s.Have != nil {
			t.Errorf("got %+v, want a reason and no answer of %s", s, nobody)
		}
		silent[s.Key] = true
	}
	if len(silent) != len(sets) {
		t.Errorf("got %v, want every set", stale)
	}
}

func testLame(t *testing.T, setup SetupServers) {
	sets := []dns.RecordSet{Set(t, "a."+zoneName, "A", 60, "192.0.2.1")}
	servers, addresses, _ := setup(t, Held{Zone: "elsewhere.test"})
	for _, absent := range [][]zone.Key{nil, {{Name: "b." + zoneName, Type: "A"}}} {
		stale, err := servers.Stale(t.Context(), addresses, sets, absent...)
		if err != nil {
			t.Fatal(err)
		}
		keys := map[zone.Key]bool{}
		for _, s := range stale {
			if s.Reason == "" {
				t.Errorf("got %+v, want a reason", s)
			}
			keys[s.Key] = true
		}
		if len(keys) != len(sets)+len(absent) {
			t.Errorf("got %v, want every key", stale)
		}
	}
}

func testDelegation(t *testing.T, setup SetupServers) {
	parentNS := Set(t, zoneName, "NS", 172800, "ns1."+zoneName+".", "ns2."+zoneName+".")
	glue := Set(t, "ns1."+zoneName, "A", 7200, "192.0.2.53")
	parent := Held{"test", []dns.RecordSet{
		parentNS, glue,
		Set(t, "unrelated.test", "NS", 60, "ns.unrelated.test."),
		Set(t, "ns.unrelated.test", "A", 60, "192.0.2.54"),
	}}
	servers, addresses, nobody := setup(t, parent, Held{Zone: zoneName})
	got, err := servers.Delegation(t.Context(), zoneName, addresses[0], addresses[1])
	if err != nil {
		t.Fatal(err)
	}
	apex := Apex(t, zoneName)
	want := zone.Delegation{
		Zone:   zoneName,
		Parent: parentNS,
		Glue:   []dns.RecordSet{glue},
		Apex:   apex[1],
		SOA:    zone.SOA{TTL: 900, Serial: got.SOA.Serial, Minimum: 300, Primary: "ns1.servers.test"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Longest() != 48*time.Hour {
		t.Errorf("longest: got %s, want the parent's 48h", got.Longest())
	}
	for _, pair := range [][2]string{
		{addresses[1], addresses[1]}, // not the parent's
		{addresses[0], addresses[0]}, // not the zone's
		{nobody, addresses[1]},
		{addresses[0], nobody},
	} {
		if _, err := servers.Delegation(t.Context(), zoneName, pair[0], pair[1]); err == nil {
			t.Errorf("from %v: got no error", pair)
		}
	}
	if _, err := servers.Delegation(t.Context(), "undelegated.test", addresses[0], addresses[1]); err == nil {
		t.Error("of a name that is not delegated: got no error")
	}
}

func testServersEnded(t *testing.T, setup SetupServers) {
	servers, addresses, _ := setup(t, Held{Zone: zoneName})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if stale, err := servers.Stale(ctx, addresses, Apex(t, zoneName)); !errors.Is(err, context.Canceled) {
		t.Errorf("Stale: got %v, %v; want context.Canceled", stale, err)
	}
	if _, err := servers.Delegation(ctx, zoneName, addresses[0], addresses[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("Delegation: got %v, want context.Canceled", err)
	}
}
