package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// giveUp is how many questions in a row a server may leave unanswered before the
// rest of a lane's questions are spared: each costs Attempts × Timeout.
const giveUp = 2

// An expectation is one question and every answer to it that is right.
type expectation struct {
	key zone.Key // without a set id, which no question carries
	// sets are the right answers; none means that there must be no answer.
	sets []dns.RecordSet
}

// Stale implements dns.Servers, over UDP and over TCP.
func (s *Servers) Stale(ctx context.Context, servers []string, want []dns.RecordSet, absent ...zone.Key) ([]dns.Stale, error) {
	expected := expectations(want, absent)
	var (
		mu    sync.Mutex
		stale []dns.Stale
		lanes sync.WaitGroup
	)
	for _, server := range servers {
		for _, network := range []string{"udp", "tcp"} {
			for part := range slices.Chunk(expected, chunkSize(len(expected), s.options.Parallel)) {
				lanes.Go(func() {
					found := s.staleOf(ctx, network, server, part)
					mu.Lock()
					defer mu.Unlock()
					stale = append(stale, found...)
				})
			}
		}
	}
	lanes.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("ask %d servers for %d sets: %w", len(servers), len(expected), err)
	}
	slices.SortFunc(stale, func(a, b dns.Stale) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), a.Key.Compare(b.Key), cmp.Compare(b.Network, a.Network))
	})
	return stale, nil
}

// chunkSize splits n questions between at most lanes lanes.
func chunkSize(n, lanes int) int { return max(1, (n+lanes-1)/lanes) }

func expectations(want []dns.RecordSet, absent []zone.Key) []expectation {
	byKey := map[zone.Key]*expectation{}
	at := func(key zone.Key) *expectation {
		key.SetID = ""
		if byKey[key] == nil {
			byKey[key] = &expectation{key: key}
		}
		return byKey[key]
	}
	for _, set := range want {
		e := at(set.Key)
		e.sets = append(e.sets, set)
	}
	for _, key := range absent {
		at(key)
	}
	all := make([]expectation, 0, len(byKey))
	for _, e := range byKey {
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b expectation) int { return a.key.Compare(b.key) })
	return all
}

// staleOf asks one server, over one connection, for each expectation in turn.
func (s *Servers) staleOf(ctx context.Context, network, server string, expected []expectation) []dns.Stale {
	lane := lane{servers: s, network: network, server: server}
	defer lane.close()
	var stale []dns.Stale
	silent := 0
	for _, e := range expected {
		entry := dns.Stale{Server: server, Network: network, Key: e.key}
		if len(e.sets) > 0 {
			entry.Want = &e.sets[0]
		}
		if silent == giveUp {
			entry.Reason = fmt.Sprintf("not asked: no answer to %d questions before", giveUp)
			stale = append(stale, entry)
			continue
		}
		have, err := lane.answer(ctx, e.key)
		switch {
		case errors.Is(err, errSilent):
			silent++
			entry.Reason = err.Error()
		case err != nil:
			silent = 0
			entry.Reason = err.Error()
		default:
			silent = 0
			entry.Have = have
			if e.met(have) {
				continue
			}
		}
		stale = append(stale, entry)
	}
	return stale
}

// met reports whether have is a right answer.
func (e expectation) met(have *dns.RecordSet) bool {
	if len(e.sets) == 0 {
		return have == nil || have.Key != e.key
	}
	if have == nil {
		return false
	}
	for _, set := range e.sets {
		set.SetID, set.Native = "", "" // no answer shows them
		if zone.Equal(set, *have) {
			return true
		}
	}
	return false
}
