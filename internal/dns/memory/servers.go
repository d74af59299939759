package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// Servers is a dns.Servers for simulations: what a server answers is what the
// service behind its address holds at that moment.
type Servers struct {
	// Services are found by their servers' addresses, as the caller names them;
	// several may lead to one service. An address that is missing is a server that
	// does not answer.
	Services map[string]*Service
}

// Stale implements dns.Servers. Every server is asked over "udp" only.
func (s *Servers) Stale(ctx context.Context, servers []string, want []dns.RecordSet, absent ...zone.Key) ([]dns.Stale, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var stale []dns.Stale
	for _, server := range servers {
		for key, right := range answersByKey(want, absent) {
			entry := dns.Stale{Server: server, Network: "udp", Key: key}
			if len(right) > 0 {
				entry.Want = &right[0]
			}
			var err error
			if entry.Have, err = s.answer(server, key); err != nil {
				entry.Reason = err.Error()
			} else if met(right, entry.Have) {
				continue
			}
			stale = append(stale, entry)
		}
	}
	slices.SortFunc(stale, func(a, b dns.Stale) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), a.Key.Compare(b.Key))
	})
	return stale, nil
}

// answersByKey gives the right answers to each question; none means that there must
// be no answer.
func answersByKey(want []dns.RecordSet, absent []zone.Key) map[zone.Key][]dns.RecordSet {
	right := map[zone.Key][]dns.RecordSet{}
	for _, set := range want {
		key := zone.Key{Name: set.Name, Type: set.Type}
		right[key] = append(right[key], set)
	}
	for _, key := range absent {
		key.SetID = ""
		if _, wanted := right[key]; !wanted {
			right[key] = nil
		}
	}
	return right
}

func met(right []dns.RecordSet, have *dns.RecordSet) bool {
	if len(right) == 0 || have == nil {
		return len(right) == 0 && have == nil
	}
	return slices.ContainsFunc(right, func(set dns.RecordSet) bool { return zone.Equal(set, *have) })
}

// answer returns what server says for key: the first of its sets by set id.
func (s *Servers) answer(server string, key zone.Key) (*dns.RecordSet, error) {
	service, ok := s.Services[server]
	if !ok {
		return nil, fmt.Errorf("no server at %s", server)
	}
	service.mu.Lock()
	defer service.mu.Unlock()
	held, ok := service.closest(key.Name)
	if !ok {
		return nil, fmt.Errorf("server holds no zone of %s", key.Name)
	}
	var answer *dns.RecordSet
	for other, set := range held[key.Name] {
		if other.Type == key.Type && (answer == nil || other.Compare(answer.Key) < 0) {
			answer = &set
		}
	}
	return answer, nil
}

// closest returns the zone that encloses name most tightly.
func (s *Service) closest(name string) (content, bool) {
	best, found := "", false
	for zoneName := range s.zones {
		if zone.Within(zoneName, name) && (!found || len(zoneName) > len(best)) {
			best, found = zoneName, true
		}
	}
	return s.zones[best], found
}

// Delegation implements dns.Servers.
func (s *Servers) Delegation(ctx context.Context, zoneName, parent, server string) (zone.Delegation, error) {
	if err := ctx.Err(); err != nil {
		return zone.Delegation{}, err
	}
	zoneName = zone.CanonicalName(zoneName)
	var sets [2][]dns.RecordSet
	for i, address := range []string{parent, server} {
		service, ok := s.Services[address]
		if !ok {
			return zone.Delegation{}, fmt.Errorf("delegation of %s: no server at %s", zoneName, address)
		}
		isParent := i == 0
		if service.holds(zoneName) == isParent {
			return zone.Delegation{}, fmt.Errorf("delegation of %s: server %s is not its parent's and its own", zoneName, address)
		}
		sets[i] = service.near(zoneName)
	}
	return zone.DelegationOf(zoneName, sets[0], sets[1])
}

func (s *Service) holds(zoneName string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.zones[zoneName]
	return ok
}

// near returns the sets of the zone that encloses name most tightly.
func (s *Service) near(name string) []dns.RecordSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, _ := s.closest(name)
	return held.sorted()
}
