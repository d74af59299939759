// Package dnstest holds the suite of tests that every dns.Provider passes, and an
// authoritative server to run adapters against.
package dnstest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// Setup returns a provider for a service that holds zoneName with its apex and
// these sets, and no other zone.
type Setup func(t *testing.T, zoneName string, sets []dns.RecordSet) dns.Provider

// Traits are what services differ in.
type Traits struct {
	// Opaque means that the service keeps SetID and Native.
	Opaque bool
}

const zoneName = "example.test"

// Run tests a provider against the contract of dns.Provider.
func Run(t *testing.T, traits Traits, setup Setup) {
	t.Run("lists sets ordered by key", func(t *testing.T) { testList(t, setup) })
	t.Run("says that it does not hold a zone", func(t *testing.T) { testNoZone(t, setup) })
	t.Run("creates, replaces and deletes", func(t *testing.T) { testSwaps(t, setup) })
	t.Run("keeps every type's data", func(t *testing.T) { testTypes(t, setup) })
	t.Run("refuses a swap of changed records", func(t *testing.T) { testChanged(t, setup) })
	t.Run("refuses an alias beside other data", func(t *testing.T) { testAlias(t, setup) })
	t.Run("takes names in any spelling", func(t *testing.T) { testSpelling(t, setup) })
	t.Run("changes the apex", func(t *testing.T) { testApex(t, setup) })
	t.Run("lets one of several concurrent swaps win", func(t *testing.T) { testConcurrent(t, setup) })
	t.Run("does nothing after the context has ended", func(t *testing.T) { testEnded(t, setup) })
	if traits.Opaque {
		t.Run("keeps what only the service understands", func(t *testing.T) { testOpaque(t, setup) })
	}
}

// held returns what the service holds, without the apex's own two sets.
func held(t *testing.T, provider dns.Provider) []dns.RecordSet {
	t.Helper()
	sets, err := provider.RecordSets(t.Context(), zoneName)
	if err != nil {
		t.Fatal(err)
	}
	return zone.Copied(zoneName, sets)
}

func testList(t *testing.T, setup Setup) {
	sets := []dns.RecordSet{
		Set(t, "b."+zoneName, "A", 60, "192.0.2.2", "192.0.2.1"),
		Set(t, "a."+zoneName, "TXT", 60, `"two" "parts"`, `"semi;colon \"quoted\""`),
		Set(t, "a."+zoneName, "A", 30, "192.0.2.1"),
		Set(t, "*.a."+zoneName, "CNAME", 5, "b."+zoneName+"."),
		Set(t, zoneName, "MX", 300, "10 mx."+zoneName+"."),
	}
	provider := setup(t, zoneName, sets)
	want := zone.Sorted(sets)
	if got := held(t, provider); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	all, err := provider.RecordSets(t.Context(), zoneName)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b dns.RecordSet) int { return a.Compare(b.Key) }) {
		t.Errorf("not ordered by key: %v", all)
	}
	if len(all) != len(sets)+2 {
		t.Errorf("got %d sets, want these, a SOA and a NS set: %v", len(all), all)
	}
}

func testNoZone(t *testing.T, setup Setup) {
	provider := setup(t, zoneName, nil)
	if _, err := provider.RecordSets(t.Context(), "elsewhere.test"); !errors.Is(err, dns.ErrNoZone) {
		t.Errorf("RecordSets: got %v, want ErrNoZone", err)
	}
	set := Set(t, "a.elsewhere.test", "A", 60, "192.0.2.1")
	other := Set(t, "a.elsewhere.test", "A", 60, "192.0.2.2")
	for _, swap := range []dns.Swap{{New: &set}, {Old: &set, New: &other}, {Old: &set}} {
		if err := provider.Swap(t.Context(), "elsewhere.test", swap); !errors.Is(err, dns.ErrNoZone) {
			t.Errorf("swap %s: got %v, want ErrNoZone", swap, err)
		}
	}
}

func testSwaps(t *testing.T, setup Setup) {
	bystander := Set(t, "z."+zoneName, "A", 60, "192.0.2.9")
	provider := setup(t, zoneName, []dns.RecordSet{bystander})
	name := "pay." + zoneName
	states := []*dns.RecordSet{
		nil,
		new(Set(t, name, "A", 60, "192.0.2.1")),
		new(Set(t, name, "A", 60, "198.51.100.1", "198.51.100.2")),             // more records
		new(Set(t, name, "A", 60, "198.51.100.2", "192.0.2.1")),                // one of them replaced
		new(Set(t, name, "A", 5, "198.51.100.2", "192.0.2.1")),                 // nothing but the TTL, down
		new(Set(t, name, "A", 3600, "198.51.100.2", "192.0.2.1")),              // and up
		new(Set(t, name, "A", 3600, "192.0.2.1")),                              // fewer records
		new(Set(t, name, "A", 0, "203.0.113.1", "203.0.113.2", "203.0.113.3")), // no caching
		nil,
		new(Set(t, name, "A", 60, "192.0.2.1")), // created anew
		nil,
	}
	for i := 1; i < len(states); i++ {
		swap := dns.Swap{Old: states[i-1], New: states[i]}
		if err := provider.Swap(t.Context(), zoneName, swap); err != nil {
			t.Fatalf("swap %s: %v", swap, err)
		}
		want := []dns.RecordSet{bystander}
		if swap.New != nil {
			want = []dns.RecordSet{*swap.New, bystander}
		}
		if got := held(t, provider); !reflect.DeepEqual(got, want) {
			t.Fatalf("after swap %s:\ngot  %v\nwant %v", swap, got, want)
		}
	}
}

func testTypes(t *testing.T, setup Setup) {
	provider := setup(t, zoneName, nil)
	var want []dns.RecordSet
	for _, set := range []dns.RecordSet{
		Set(t, "aaaa."+zoneName, "AAAA", 60, "2001:db8::1", "2001:db8::2"),
		Set(t, "caa."+zoneName, "CAA", 60, `0 issue "ca.example.net"`),
		Set(t, "cname."+zoneName, "CNAME", 60, "lb.example.net."),
		Set(t, "https."+zoneName, "HTTPS", 60, "1 . alpn=h2"),
		Set(t, "mx."+zoneName, "MX", 60, "10 a.example.net.", "20 b.example.net."),
		Set(t, "sub."+zoneName, "NS", 60, "ns1.example.net.", "ns2.example.net."),
		Set(t, "srv."+zoneName, "SRV", 60, "1 2 443 a.example.net."),
		Set(t, "txt."+zoneName, "TXT", 60, `"Mixed Case" "back\\slash"`, `"\195\164"`),
	} {
		if err := provider.Swap(t.Context(), zoneName, dns.Swap{New: &set}); err != nil {
			t.Fatalf("create %s: %v", set.Key, err)
		}
		slower := set.Clone()
		slower.TTL = 61
		if err := provider.Swap(t.Context(), zoneName, dns.Swap{Old: &set, New: &slower}); err != nil {
			t.Fatalf("swap %s: %v", set.Key, err)
		}
		want = append(want, slower)
	}
	if got := held(t, provider); !reflect.DeepEqual(got, zone.Sorted(want)) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func testChanged(t *testing.T, setup Setup) {
	sets := []dns.RecordSet{
		Set(t, "pay."+zoneName, "A", 60, "192.0.2.9"),
		Set(t, "pay."+zoneName, "TXT", 60, `"untouched"`),
	}
	provider := setup(t, zoneName, sets)
	name := "pay." + zoneName
	target := Set(t, name, "A", 60, "198.51.100.4")
	olds := map[string]*dns.RecordSet{
		"other data":     new(Set(t, name, "A", 60, "192.0.2.4")),
		"more data":      new(Set(t, name, "A", 60, "192.0.2.4", "192.0.2.9")),
		"another TTL":    new(Set(t, name, "A", 61, "192.0.2.9")),
		"nothing at all": nil,
	}
	for what, old := range olds {
		for _, swap := range []dns.Swap{{Old: old, New: &target}, {Old: old}} {
			if swap.Old == nil && swap.New == nil {
				continue
			}
			if err := provider.Swap(t.Context(), zoneName, swap); !errors.Is(err, dns.ErrChanged) {
				t.Errorf("expecting %s, swap %s: got %v, want ErrChanged", what, swap, err)
			}
		}
	}
	absent := Set(t, "absent."+zoneName, "A", 60, "192.0.2.4")
	for _, swap := range []dns.Swap{{Old: &absent, New: &absent}, {Old: &absent}} {
		if err := provider.Swap(t.Context(), zoneName, swap); !errors.Is(err, dns.ErrChanged) {
			t.Errorf("swap %s: got %v, want ErrChanged", swap, err)
		}
	}
	if got := held(t, provider); !reflect.DeepEqual(got, sets) {
		t.Errorf("refused swaps changed something:\ngot  %v\nwant %v", got, sets)
	}
}

func testAlias(t *testing.T, setup Setup) {
	sets := []dns.RecordSet{
		Set(t, "alias."+zoneName, "CNAME", 60, "lb.example.net."),
		Set(t, "host."+zoneName, "A", 60, "192.0.2.1"),
	}
	provider := setup(t, zoneName, sets)
	for _, set := range []dns.RecordSet{
		Set(t, "alias."+zoneName, "A", 60, "192.0.2.1"),
		Set(t, "host."+zoneName, "CNAME", 60, "lb.example.net."),
	} {
		if err := provider.Swap(t.Context(), zoneName, dns.Swap{New: &set}); !errors.Is(err, dns.ErrChanged) {
			t.Errorf("create %s: got %v, want ErrChanged", set.Key, err)
		}
	}
	if got := held(t, provider); !reflect.DeepEqual(got, sets) {
		t.Errorf("refused swaps changed something:\ngot  %v\nwant %v", got, sets)
	}
	swap := dns.Swap{Old: &sets[0], New: new(Set(t, "alias."+zoneName, "CNAME", 60, "lb.example.org."))}
	if err := provider.Swap(t.Context(), zoneName, swap); err != nil {
		t.Fatalf("swap %s: %v", swap, err)
	}
	if got, want := held(t, provider), []dns.RecordSet{*swap.New, sets[1]}; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func testSpelling(t *testing.T, setup Setup) {
	provider := setup(t, zoneName, []dns.RecordSet{Set(t, "pay."+zoneName, "CNAME", 60, "lb.example.net.")})
	swap := dns.Swap{
		Old: &dns.RecordSet{Key: zone.Key{Name: "Pay.Example.TEST.", Type: "cname"}, TTL: 60, Data: []string{"LB.example.net."}},
		New: &dns.RecordSet{Key: zone.Key{Name: "PAY.example.test", Type: "CNAME"}, TTL: 60, Data: []string{"LB.Example.Org."}},
	}
	if err := provider.Swap(t.Context(), "EXAMPLE.test.", swap); err != nil {
		t.Fatalf("swap %s: %v", swap, err)
	}
	sets, err := provider.RecordSets(t.Context(), "Example.Test.")
	if err != nil {
		t.Fatal(err)
	}
	want := []dns.RecordSet{Set(t, "pay."+zoneName, "CNAME", 60, "lb.example.org.")}
	if got := zone.Copied(zoneName, sets); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func testApex(t *testing.T, setup Setup) {
	provider := setup(t, zoneName, nil)
	before, err := provider.RecordSets(t.Context(), zoneName)
	if err != nil {
		t.Fatal(err)
	}
	lowered, err := zone.Lowered(before, 60)
	if err != nil {
		t.Fatal(err)
	}
	for i, set := range lowered {
		if set.Type == "NS" {
			lowered[i].Data = []string{"ns1.elsewhere.test.", "ns2.servers.test."}
		}
	}
	// There and back, as a migration does it.
	for _, want := range [][]dns.RecordSet{lowered, before} {
		now, err := provider.RecordSets(t.Context(), zoneName)
		if err != nil {
			t.Fatal(err)
		}
		for _, difference := range zone.Diff(want, now) {
			if err := provider.Swap(t.Context(), zoneName, difference.Swap()); err != nil {
				t.Fatalf("swap %s: %v", difference.Swap(), err)
			}
		}
		got, err := provider.RecordSets(t.Context(), zoneName)
		if err != nil {
			t.Fatal(err)
		}
		if left := zone.Diff(want, got); len(left) > 0 {
			t.Errorf("still different: %v", left)
		}
	}
	for _, set := range before {
		if err := provider.Swap(t.Context(), zoneName, dns.Swap{Old: &set}); err == nil {
			t.Errorf("%s was deleted, and the zone with it", set.Key)
		}
	}
}

func testConcurrent(t *testing.T, setup Setup) {
	const writers = 8
	old := Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	provider := setup(t, zoneName, []dns.RecordSet{old})
	errs := make([]error, writers)
	news := make([]dns.RecordSet, writers)
	var all sync.WaitGroup
	for i := range writers {
		// Half of them change nothing but the TTL, which services compare apart.
		news[i] = Set(t, "pay."+zoneName, "A", uint32(100+i), "192.0.2.1")
		if i%2 == 0 {
			news[i] = Set(t, "pay."+zoneName, "A", 60, "198.51.100."+string(rune('1'+i)))
		}
		all.Go(func() { errs[i] = swapUntilSettled(t.Context(), provider, dns.Swap{Old: &old, New: &news[i]}) })
	}
	all.Wait()
	winners := 0
	for i, err := range errs {
		if err == nil {
			winners++
			if got := held(t, provider); !reflect.DeepEqual(got, news[i:i+1]) {
				t.Errorf("got %v, want the winner's %v", got, news[i])
			}
		} else if !errors.Is(err, dns.ErrChanged) {
			t.Errorf("loser %d: got %v, want ErrChanged", i, err)
		}
	}
	if winners != 1 {
		t.Errorf("%d swaps won, want 1", winners)
	}
}

// swapUntilSettled repeats a swap that may be repeated.
func swapUntilSettled(ctx context.Context, provider dns.Provider, swap dns.Swap) error {
	for {
		err := provider.Swap(ctx, zoneName, swap)
		if !errors.Is(err, dns.ErrTransient) || ctx.Err() != nil {
			return err
		}
	}
}

func testEnded(t *testing.T, setup Setup) {
	sets := []dns.RecordSet{Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")}
	provider := setup(t, zoneName, sets)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := provider.RecordSets(ctx, zoneName); !errors.Is(err, dns.ErrTransient) || !errors.Is(err, context.Canceled) {
		t.Errorf("RecordSets: got %v, want ErrTransient and context.Canceled", err)
	}
	err := provider.Swap(ctx, zoneName, dns.Swap{Old: &sets[0]})
	if !errors.Is(err, dns.ErrTransient) || !errors.Is(err, context.Canceled) {
		t.Errorf("Swap: got %v, want ErrTransient and context.Canceled", err)
	}
	if got := held(t, provider); !reflect.DeepEqual(got, sets) {
		t.Errorf("got  %v\nwant %v", got, sets)
	}
}

func testOpaque(t *testing.T, setup Setup) {
	weighted := func(id, native, address string) dns.RecordSet {
		set := Set(t, "pay."+zoneName, "A", 60, address)
		set.SetID, set.Native = id, native
		return set
	}
	sets := []dns.RecordSet{
		weighted("source", `{"weight":255}`, "192.0.2.1"),
		weighted("target", `{"weight":0}`, "198.51.100.1"),
	}
	provider := setup(t, zoneName, sets)
	if got := held(t, provider); !reflect.DeepEqual(got, sets) {
		t.Fatalf("got  %v\nwant %v", got, sets)
	}
	led := weighted("target", `{"weight":13}`, "198.51.100.1")
	stale := weighted("target", `{"weight":1}`, "198.51.100.1")
	if err := provider.Swap(t.Context(), zoneName, dns.Swap{Old: &stale, New: &led}); !errors.Is(err, dns.ErrChanged) {
		t.Errorf("another native: got %v, want ErrChanged", err)
	}
	if err := provider.Swap(t.Context(), zoneName, dns.Swap{Old: &sets[1], New: &led}); err != nil {
		t.Fatal(err)
	}
	if got, want := held(t, provider), []dns.RecordSet{sets[0], led}; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
