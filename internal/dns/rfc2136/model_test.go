package rfc2136_test

import (
	"errors"
	"net"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/dnstest"
	"crossfade.dev/internal/dns/memory"
	"crossfade.dev/internal/dns/rfc2136"
	"crossfade.dev/internal/zone"
)

// swaps draws swaps of a few names, most of which fit what is held.
func swaps(t *rapid.T, held []dns.RecordSet) dns.Swap {
	key := zone.Key{
		Name: rapid.SampledFrom([]string{"a." + zoneName, "b." + zoneName, "*.b." + zoneName, zoneName}).Draw(t, "name"),
		Type: rapid.SampledFrom([]string{"A", "A", "CNAME", "TXT", "NS"}).Draw(t, "type"),
	}
	data := map[string][]string{
		"A":     {"192.0.2.1", "192.0.2.2", "198.51.100.1"},
		"CNAME": {"x.test.", "y.test."},
		"TXT":   {`"x"`, `"y"`},
		"NS":    {"ns1.test.", "ns2.test.", "ns3.test."},
	}[key.Type]
	any := func(label string) *dns.RecordSet {
		count := rapid.IntRange(0, len(data)).Draw(t, label+" count")
		if key.Type == "CNAME" {
			count = min(count, 1)
		}
		if count == 0 {
			return nil
		}
		first := rapid.IntRange(0, len(data)-count).Draw(t, label+" data")
		return &dns.RecordSet{
			Key:  key,
			TTL:  rapid.SampledFrom([]uint32{0, 5, 60}).Draw(t, label+" ttl"),
			Data: data[first : first+count],
		}
	}
	swap := dns.Swap{Old: find(held, key), New: any("new")}
	if rapid.IntRange(0, 3).Draw(t, "luck") == 0 {
		swap.Old = any("old")
	}
	return swap
}

// Property: whatever is swapped, the adapter in front of a server and the service in
// memory answer with the same class of error and hold the same sets.
func TestBehavesLikeMemory(t *testing.T) {
	server := dnstest.NewServer(t)
	apex := dnstest.Apex(t, zoneName)
	adapter, err := rfc2136.New(rfc2136.Options{
		Address: server.Address,
		Key:     &rfc2136.Key{Name: server.KeyName, Secret: server.Secret},
		Dial:    new(net.Dialer).DialContext,
	})
	if err != nil {
		t.Fatal(err)
	}
	classes := []error{dns.ErrChanged, dns.ErrTransient, dns.ErrNoZone}
	rapid.Check(t, func(r *rapid.T) {
		server.Hold(t, zoneName)
		model := new(memory.Service)
		if err := model.Hold(zoneName, apex); err != nil {
			r.Fatal(err)
		}
		for range rapid.IntRange(1, 20).Draw(r, "swaps") {
			swap := swaps(r, server.RecordSets(zoneName))
			if swap.Old == nil && swap.New == nil {
				continue
			}
			got := adapter.Swap(t.Context(), zoneName, swap)
			want := model.Swap(t.Context(), zoneName, swap)
			same := func(class error) bool { return errors.Is(got, class) == errors.Is(want, class) }
			if (got == nil) != (want == nil) || slices.ContainsFunc(classes, func(c error) bool { return !same(c) }) {
				r.Fatalf("swap %s:\nadapter %v\nmodel   %v", swap, got, want)
			}
			expected, err := model.RecordSets(t.Context(), zoneName)
			if err != nil {
				r.Fatal(err)
			}
			if left := zone.Diff(expected, server.RecordSets(zoneName)); len(left) > 0 {
				r.Fatalf("after swap %s: %v", swap, left)
			}
		}
	})
}
