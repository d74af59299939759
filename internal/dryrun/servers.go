package dryrun

import (
	"cmp"
	"context"
	"slices"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/memory"
	"crossfade.dev/internal/zone"
)

// Servers are authoritative servers, of which those answer from memory whose zones had
// a swap caught: as they will once they have heard of it.
type Servers struct {
	behind dns.Servers
	zones  map[string]*Zones
}

var _ dns.Servers = (*Servers)(nil)

// Servers lets servers answer what was caught in the zones that each of them serves.
func (r *Recorder) Servers(behind dns.Servers, zones map[string]*Zones) *Servers {
	return &Servers{behind: behind, zones: zones}
}

// Stale implements dns.Servers.
func (s *Servers) Stale(ctx context.Context, servers []string, want []dns.RecordSet, absent ...zone.Key) ([]dns.Stale, error) {
	var asked, told []string
	for _, server := range servers {
		if s.zones[server].swapped() {
			told = append(told, server)
		} else {
			asked = append(asked, server)
		}
	}
	var all []dns.Stale
	for _, part := range []struct {
		from    dns.Servers
		servers []string
	}{{s.behind, asked}, {s.memory(told...), told}} {
		if len(part.servers) == 0 {
			continue
		}
		stale, err := part.from.Stale(ctx, part.servers, want, absent...)
		if err != nil {
			return nil, err
		}
		all = append(all, stale...)
	}
	slices.SortStableFunc(all, func(a, b dns.Stale) int { return cmp.Compare(a.Server, b.Server) })
	return all, nil
}

// Delegation implements dns.Servers.
func (s *Servers) Delegation(ctx context.Context, zoneName, parent, server string) (zone.Delegation, error) {
	below := s.zones[server]
	if !s.zones[parent].swapped() || below == nil {
		return s.behind.Delegation(ctx, zoneName, parent, server)
	}
	if err := below.read(ctx, zoneName); err != nil {
		return zone.Delegation{}, err
	}
	return s.memory(parent, server).Delegation(ctx, zoneName, parent, server)
}

func (s *Servers) memory(servers ...string) dns.Servers {
	held := map[string]*memory.Service{}
	for _, server := range servers {
		held[server] = &s.zones[server].held
	}
	return &memory.Servers{Services: held}
}
