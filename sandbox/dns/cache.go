package dns

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// sweepAfter is how many additions to the cache pass between two removals of what
// has expired, so that names asked once do not fill the memory.
const sweepAfter = 20000

// A cache holds what a resolver knows: answers, absences, failures, and apart
// from them the name servers of zones. Times are those of the resolver's clock.
type cache struct {
	mu          sync.Mutex
	entries     map[setKey]*finding
	delegations map[string]*delegation
	added       int
}

// A finding is one set, or the knowledge that it does not exist (rrs is empty;
// soa tells until when), or that nobody answered (rcode SERVFAIL).
type finding struct {
	rrs     []dns.RR
	rcode   int
	soa     dns.RR
	expires time.Time
}

// A delegation is the set of name servers that a resolver uses for a zone.
type delegation struct {
	zone    string
	hosts   []string
	glue    map[string][]netip.Addr
	ttl     time.Duration // as it came
	expires time.Time
	// authoritative is whether the zone's own servers named them, not the parent's.
	authoritative bool
}

func newCache() *cache {
	return &cache{entries: map[setKey]*finding{}, delegations: map[string]*delegation{}}
}

// answer returns what is known of a set. NXDOMAIN was kept under no type: it counts
// for every type of the name (RFC 2308 section 5).
func (c *cache) answer(name string, rrtype uint16, now time.Time) *finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.entries[setKey{name, rrtype}]; found != nil && found.expires.After(now) {
		return found
	}
	if found := c.entries[setKey{name, dns.TypeNone}]; found != nil && found.expires.After(now) {
		return found
	}
	return nil
}

// keep stores an entry; nothing is kept of what has no life left (TTL 0 is not
// cached, RFC 1035 section 3.2.1).
func (c *cache) keep(key setKey, found *finding, now time.Time) {
	if !found.expires.After(now) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[key] = found
	if key.rrtype != dns.TypeNone && found.rcode == dns.RcodeSuccess {
		delete(c.entries, setKey{key.name, dns.TypeNone}) // the name exists after all
	}
	if c.added++; c.added >= sweepAfter {
		c.sweep(now)
	}
}

func (c *cache) sweep(now time.Time) {
	c.added = 0
	for key, found := range c.entries {
		if !found.expires.After(now) {
			delete(c.entries, key)
		}
	}
}

// closest returns the name servers of the deepest zone at or above name that are
// known and in time; nil leaves the root hints.
func (c *cache) closest(name string, now time.Time) *delegation {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := name; at != "."; at = above(at) {
		if d := c.delegations[at]; d != nil && d.expires.After(now) {
			return d
		}
	}
	return nil
}

// delegate changes the name servers of a zone to what change returns; change gets
// those in time, nil if there are none, and returns nil to leave all as it is.
func (c *cache) delegate(zone string, now time.Time, change func(old *delegation) *delegation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.delegations[zone]
	if old != nil && !old.expires.After(now) {
		old = nil
	}
	if next := change(old); next != nil {
		c.delegations[zone] = next
	}
}

// forget drops the name servers of a zone, and of what is below it.
func (c *cache) forget(zone string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.delegations {
		if dns.IsSubDomain(zone, name) {
			delete(c.delegations, name)
		}
	}
}

func (c *cache) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	clear(c.delegations)
}

func (d *delegation) sameHosts(other *delegation) bool {
	return slices.Equal(d.hosts, other.hosts)
}

// typeName writes a record type; ANY stands for a name that does not exist.
func typeName(rrtype uint16) string {
	if rrtype == dns.TypeNone {
		return "ANY"
	}
	return dns.Type(rrtype).String()
}
