package dns

import (
	"context"
	"fmt"

	"crossfade.dev/internal/zone"
)

// Servers asks authoritative servers what they answer, one by one and without any
// cache between. Servers are named by host and port.
type Servers interface {
	// Stale lists every server that does not answer exactly as want says (data and
	// TTL), or has an answer for a key of absent, ordered by server, key and
	// network. A server that cannot be asked is listed for every key: what was not
	// seen is not fine. The error is the context's, and then nothing is known.
	//
	// Where want has several sets of one name and type, which differ in SetID, an
	// answer may be any of them.
	Stale(ctx context.Context, servers []string, want []RecordSet, absent ...zone.Key) ([]Stale, error)

	// Delegation gathers what leads resolvers to zoneName: its NS, glue and DS from
	// parent, a server of the parent zone, and its own NS and SOA from server. The
	// error says which of them is missing or could not be asked. What the parent
	// zone says cannot be seen at a server that holds both zones; that is an error
	// too.
	Delegation(ctx context.Context, zoneName, parent, server string) (zone.Delegation, error)
}

// Stale says that a server does not answer as it should.
type Stale struct {
	// Server is the host and port that was asked, over Network: "udp" or "tcp".
	Server, Network string
	Key             zone.Key
	// Want is what the answer should be, nil for none. Have is what it was.
	Want, Have *RecordSet
	// Reason says why there is no answer to compare; empty means that Have is it.
	Reason string
}

// String returns s for a person: "10.53.0.4:53 (udp): pay.example.com A: holds
// 192.0.2.4 (ttl 60), expected 198.51.100.4 (ttl 60)".
func (s Stale) String() string {
	if s.Reason != "" {
		return fmt.Sprintf("%s (%s): %s: %s", s.Server, s.Network, s.Key, s.Reason)
	}
	difference := zone.Difference{Key: s.Key, Want: s.Want, Have: s.Have}
	return fmt.Sprintf("%s (%s): %s", s.Server, s.Network, difference)
}
