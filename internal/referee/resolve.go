package referee

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// staleName is the client that resolves a name once and never again.
const staleName = "stale"

// A client resolves names as one kind of user does. Each has its own cache.
type client struct {
	name   string
	server string // address and port
	stale  bool
	dial   DialFunc
	counts *dnsCounts

	mu    sync.Mutex
	rand  *rand.Rand
	cache map[string]addresses
}

// addresses are one answer. It is used while now is before expires: a TTL of 5 s is
// 5 s from the moment the answer came, and a TTL of 0 is for the asker alone.
type addresses struct {
	list    []netip.Addr
	expires time.Time
}

// dnsCounts are shared by all clients.
type dnsCounts struct{ queries, resent, truncated atomic.Int64 }

// resolve returns an address of host: one of the answer's by chance, for the stale
// client the first. Failures are not cached: each request that meets one says so.
func (c *client) resolve(ctx context.Context, host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, nil
	}
	if known, cached := c.cached(host, time.Now()); cached {
		return known, nil
	}
	answered, err := c.ask(ctx, host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("ask %s for %s: %w", c.server, host, err)
	}
	return c.remember(host, answered), nil
}

func (c *client) cached(host string, now time.Time) (netip.Addr, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, found := c.cache[host]
	if !found || !c.stale && !now.Before(known.expires) {
		return netip.Addr{}, false
	}
	return c.choose(known), true
}

// remember keeps the first answer for ever in the stale client, even where two
// requests asked at once, and the latest in the others.
func (c *client) remember(host string, answered addresses) netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first, found := c.cache[host]; found && c.stale {
		return c.choose(first)
	}
	c.cache[host] = answered
	return c.choose(answered)
}

func (c *client) choose(known addresses) netip.Addr {
	if c.stale {
		return known.list[0]
	}
	return known.list[c.rand.IntN(len(known.list))]
}

// firstWait is how long a query over UDP, which may get lost, waits for its answer
// before it is sent again; each further wait is twice as long (RFC 1035, 4.2.1).
const firstWait = time.Second

func (c *client) ask(ctx context.Context, host string) (addresses, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(host), dns.TypeA)
	question.SetEdns0(1232, false) // unfragmented on any path (dnsflagday.net/2020)
	network := "udp"
	for wait := firstWait; ; wait *= 2 {
		c.counts.queries.Add(1)
		response, err := c.exchange(ctx, network, question, wait)
		switch {
		case err != nil && network == "udp" && isTimeout(err) && ctx.Err() == nil:
			c.counts.resent.Add(1)
			continue
		case err != nil:
			return addresses{}, err
		case response.Truncated && network == "udp":
			c.counts.truncated.Add(1)
			network = "tcp"
			continue
		}
		return readAddresses(response, time.Now())
	}
}

func (c *client) exchange(ctx context.Context, network string, question *dns.Msg, wait time.Duration) (*dns.Msg, error) {
	if network == "udp" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	conn, err := c.dial(ctx, network, c.server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	exchanger := dns.Client{Net: network, UDPSize: 1232, Timeout: time.Minute} // ctx is what ends it
	response, _, err := exchanger.ExchangeWithConnContext(ctx, question, &dns.Conn{Conn: conn})
	return response, err
}

func isTimeout(err error) bool {
	var timed interface{ Timeout() bool }
	return errors.As(err, &timed) && timed.Timeout()
}

// readAddresses takes every A record of an answer and the smallest TTL of it, since
// an alias on the way to an address ages too.
func readAddresses(response *dns.Msg, now time.Time) (addresses, error) {
	if response.Rcode != dns.RcodeSuccess {
		return addresses{}, fmt.Errorf("answered %s", dns.RcodeToString[response.Rcode])
	}
	var found addresses
	var ttl uint32
	for i, record := range response.Answer {
		if i == 0 || record.Header().Ttl < ttl {
			ttl = record.Header().Ttl
		}
		if a, isA := record.(*dns.A); isA {
			if ip, ok := netip.AddrFromSlice(a.A.To4()); ok {
				found.list = append(found.list, ip)
			}
		}
	}
	if len(found.list) == 0 {
		return addresses{}, errors.New("answered without an A record")
	}
	found.expires = now.Add(time.Duration(ttl) * time.Second)
	return found, nil
}
