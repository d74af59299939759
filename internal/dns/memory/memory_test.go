package memory_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/dnstest"
	"crossfade.dev/internal/dns/memory"
)

func TestContract(t *testing.T) {
	dnstest.Run(t, dnstest.Traits{Opaque: true}, func(t *testing.T, zoneName string, sets []dns.RecordSet) dns.Provider {
		service := new(memory.Service)
		if err := service.Hold(zoneName, slices.Concat(dnstest.Apex(t, zoneName), sets)); err != nil {
			t.Fatal(err)
		}
		return service
	})
}

func TestFaultBeforeCallChangesNothing(t *testing.T) {
	service := new(memory.Service)
	set := dnstest.Set(t, "pay.example.test", "A", 60, "192.0.2.1")
	if err := service.Hold("example.test", nil); err != nil {
		t.Fatal(err)
	}
	service.BeforeCall = func(_ context.Context, call memory.Call) error {
		if call.Swap != nil {
			return dns.ErrTransient
		}
		return nil
	}
	if err := service.Swap(t.Context(), "example.test", dns.Swap{New: &set}); !errors.Is(err, dns.ErrTransient) {
		t.Errorf("got %v, want the hook's error", err)
	}
	if sets, err := service.RecordSets(t.Context(), "example.test"); err != nil || len(sets) != 0 {
		t.Errorf("got %v, %v; want no set", sets, err)
	}
}

func TestFaultAfterCallHidesWhatHappened(t *testing.T) {
	service := new(memory.Service)
	set := dnstest.Set(t, "pay.example.test", "A", 60, "192.0.2.1")
	if err := service.Hold("example.test", nil); err != nil {
		t.Fatal(err)
	}
	lost := errors.New("reply lost")
	service.AfterCall = func(_ context.Context, call memory.Call) error {
		if call.Swap != nil {
			return lost
		}
		return nil
	}
	if err := service.Swap(t.Context(), "example.test", dns.Swap{New: &set}); !errors.Is(err, lost) {
		t.Errorf("got %v, want the hook's error", err)
	}
	if sets, err := service.RecordSets(t.Context(), "example.test"); err != nil || len(sets) != 1 {
		t.Errorf("got %v, %v; want the set", sets, err)
	}
}

func TestServersContract(t *testing.T) {
	dnstest.RunServers(t, func(t *testing.T, zones ...dnstest.Held) (dns.Servers, []string, string) {
		servers := &memory.Servers{Services: map[string]*memory.Service{}}
		var addresses []string
		for i, held := range zones {
			service := new(memory.Service)
			if err := service.Hold(held.Zone, slices.Concat(dnstest.Apex(t, held.Zone), held.Sets)); err != nil {
				t.Fatal(err)
			}
			address := "server" + string(rune('1'+i))
			servers.Services[address] = service
			addresses = append(addresses, address)
		}
		return servers, addresses, "nobody"
	})
}
