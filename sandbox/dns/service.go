package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/miekg/dns"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/delay"
)

// queryTimeout is how long a resolver waits for one server.
const queryTimeout = time.Second

// A Service is every server of a Config, answering.
type Service struct {
	config    Config
	log       *slog.Logger
	zones     []*heldZone
	names     map[netip.Addr]*authority
	resolvers map[netip.Addr]*resolver
	servers   []*dns.Server
}

// Start opens the zones kept in dir (in memory only if dir is empty) and answers
// on every address of the configuration, over UDP and TCP. The caller must Close
// the Service.
func Start(config Config, dir string, log *slog.Logger) (*Service, error) {
	s := &Service{config: config, log: log, names: map[netip.Addr]*authority{}, resolvers: map[netip.Addr]*resolver{}}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make directory: %w", err)
		}
	}
	err := s.start(dir)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Service) start(dir string) error {
	for _, config := range s.config.Zones {
		zone, err := openZone(config, dir, s.config.Seed, time.Now)
		if err != nil {
			return err
		}
		s.zones = append(s.zones, zone)
		for _, server := range config.Servers {
			s.authority(server).zones[config.Name] = zone
		}
	}
	for _, config := range s.config.Resolvers {
		send := network{port: s.config.Port, from: address.Host(config.Address)}.exchange
		r := newResolver(config, s.config.Roots, s.config.Seed, send, time.Now)
		r.log = s.log.With("resolver", config.Address)
		r.counts.counts.Address, r.counts.counts.Role = config.Address, string(config.Kind)+" resolver"
		s.resolvers[config.Address] = r
	}
	for server, handler := range s.names {
		if err := s.listen(server, handler); err != nil {
			return err
		}
	}
	for server, handler := range s.resolvers {
		if err := s.listen(server, handler); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) authority(server netip.Addr) *authority {
	a := s.names[server]
	if a != nil {
		return a
	}
	a = &authority{
		address: server, zones: map[string]*heldZone{}, keys: map[string]Key{}, counts: newServerCounts(),
		log: s.log.With("server", server), order: delay.Random(s.config.Seed, "order at "+server.String()),
	}
	for _, key := range s.config.Keys {
		a.keys[key.Name] = key
	}
	a.counts.counts.Address, a.counts.counts.Role = server, "authoritative"
	a.counts.counts.zoneOf = func(name string, rrtype uint16) string {
		if zone := a.zone(name, rrtype); zone != nil {
			return zone.ID
		}
		return ""
	}
	s.names[server] = a
	return a
}

// listen answers on UDP and TCP. Both sockets are open when it returns.
func (s *Service) listen(server netip.Addr, handler dns.Handler) error {
	at := address.HostPort(server, int(s.config.Port))
	packets, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", at)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", server, err)
	}
	streams, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at)
	if err != nil {
		_ = packets.Close()
		return fmt.Errorf("listen for %s: %w", server, err)
	}
	for _, socket := range []*dns.Server{{PacketConn: packets}, {Listener: streams}} {
		socket.Handler = handler
		socket.TsigSecret = secrets(s.config.Keys)
		socket.UDPSize = dns.MaxMsgSize
		socket.MsgAcceptFunc = acceptRequests
		socket.MaxTCPQueries = -1
		started := make(chan struct{})
		socket.NotifyStartedFunc = func() { close(started) }
		s.servers = append(s.servers, socket)
		go func() {
			if err := socket.ActivateAndServe(); err != nil {
				s.log.Error("server stopped", "address", at, "error", err)
			}
		}()
		<-started
	}
	return nil
}

// acceptRequests lets updates through, which the library refuses by default; what
// is malformed is refused later, by response code.
func acceptRequests(header dns.Header) dns.MsgAcceptAction {
	const response = 1 << 15
	if header.Bits&response != 0 {
		return dns.MsgIgnore
	}
	return dns.MsgAccept
}

// Counts returns what every server was asked, ordered by address.
func (s *Service) Counts() []Counts {
	var out []Counts
	for _, server := range s.names {
		out = append(out, server.counts.read())
	}
	for _, server := range s.resolvers {
		out = append(out, server.counts.read())
	}
	slices.SortFunc(out, func(a, b Counts) int { return a.Address.Compare(b.Address) })
	return out
}

// Close stops answering. Every acknowledged update is on disk already.
func (s *Service) Close() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, server := range s.servers {
		errs = append(errs, server.ShutdownContext(ctx))
	}
	for _, zone := range s.zones {
		errs = append(errs, zone.close())
	}
	return errors.Join(errs...)
}

// network sends a resolver's queries from the resolver's own address.
type network struct {
	port uint16
	from netip.Addr
}

// exchange asks over UDP, and again over TCP if the answer was cut short.
func (n network) exchange(ctx context.Context, server netip.Addr, query *dns.Msg) (*dns.Msg, error) {
	to := address.HostPort(server, int(n.port))
	from := netip.AddrPortFrom(n.from, 0)
	udp := &dns.Client{
		Net: "udp", Timeout: queryTimeout,
		Dialer: &net.Dialer{Timeout: queryTimeout, LocalAddr: net.UDPAddrFromAddrPort(from)},
	}
	response, _, err := udp.ExchangeContext(ctx, query, to)
	if err != nil || !response.Truncated {
		return response, err
	}
	tcp := &dns.Client{
		Net: "tcp", Timeout: queryTimeout,
		Dialer: &net.Dialer{Timeout: queryTimeout, LocalAddr: net.TCPAddrFromAddrPort(from)},
	}
	response, _, err = tcp.ExchangeContext(ctx, query, to)
	return response, err
}
