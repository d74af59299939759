package dns

import (
	"net/netip"
	"sync"

	"github.com/miekg/dns"
)

// serverCounts says what one server was asked since the process began, and by
// whom.
type serverCounts struct {
	mu     sync.Mutex
	counts Counts
}

// Counts is what /counts shows of one server.
type Counts struct {
	Address   netip.Addr `json:"address"`
	Role      string     `json:"role"`
	Queries   uint64     `json:"queries"`
	Updates   uint64     `json:"updates"`
	Transfers uint64     `json:"transfers"`
	// Clients counts queries by the client's address. Resolvers ask from their own
	// address, so that their queries and a tool's are told apart.
	Clients map[string]uint64 `json:"clients"`
	Rcodes  map[string]uint64 `json:"rcodes"`
	// Zones counts queries by the zone that answered; names outside every zone of the
	// server are under "".
	Zones map[string]uint64 `json:"zones,omitempty"`

	zoneOf func(name string, rrtype uint16) string
}

func newServerCounts() *serverCounts {
	return &serverCounts{counts: Counts{
		Clients: map[string]uint64{}, Rcodes: map[string]uint64{}, Zones: map[string]uint64{},
	}}
}

func (s *serverCounts) note(w dns.ResponseWriter, request, reply *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counts
	c.Rcodes[dns.RcodeToString[reply.Rcode]]++
	switch {
	case request.Opcode == dns.OpcodeUpdate:
		c.Updates++
		return
	case len(request.Question) != 1:
		return
	case request.Question[0].Qtype == dns.TypeAXFR || request.Question[0].Qtype == dns.TypeIXFR:
		c.Transfers++
		return
	}
	c.Queries++
	if from, err := netip.ParseAddrPort(w.RemoteAddr().String()); err == nil {
		c.Clients[from.Addr().Unmap().String()]++
	}
	if c.zoneOf != nil {
		c.Zones[c.zoneOf(request.Question[0].Name, request.Question[0].Qtype)]++
	}
}

// read returns a copy.
func (s *serverCounts) read() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.counts
	out.Clients, out.Rcodes, out.Zones = cloned(out.Clients), cloned(out.Rcodes), cloned(out.Zones)
	return out
}

func cloned(in map[string]uint64) map[string]uint64 {
	out := make(map[string]uint64, len(in))
	for key, n := range in {
		out[key] = n
	}
	return out
}
