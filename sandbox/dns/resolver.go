package dns

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"

	"crossfade.dev/sandbox/delay"
)

// Limits of the work for one question, so that broken delegations end.
const (
	maxReferrals  = 20
	maxNSLookups  = 4 // how deep the search for a name server's address may nest
	maxQuestion   = 10 * time.Second
	maxServersAsk = 8 // servers asked for one step
	// silence is for how long a server that did not answer is asked last.
	silence = 10 * time.Second
)

// errNoServer is what a question fails with when no server of a zone answers it.
var errNoServer = errors.New("no server answered")

// An exchange sends one query to one server and returns its answer.
type exchange func(ctx context.Context, server netip.Addr, query *dns.Msg) (*dns.Msg, error)

// A resolver answers clients from its cache, and asks from the root down for what
// is not in it.
type resolver struct {
	Resolver
	rule     nsRule
	roots    []netip.Addr
	exchange exchange
	now      func() time.Time
	cache    *cache
	counts   *serverCounts
	log      *slog.Logger
	flights  singleflight.Group
	mu       sync.Mutex // guards random and silent
	random   *rand.Rand
	silent   map[netip.Addr]time.Time // servers that did not answer, and when
}

func newResolver(config Resolver, roots []netip.Addr, seed uint64, send exchange, now func() time.Time) *resolver {
	config.setDefaults()
	return &resolver{
		Resolver: config, rule: nsRules[config.Kind], roots: roots, exchange: send, now: now,
		cache: newCache(), counts: newServerCounts(), log: slog.Default(),
		random: delay.Random(seed, "resolver "+config.Address.String()),
		silent: map[netip.Addr]time.Time{},
	}
}

// ServeDNS answers a client.
func (r *resolver) ServeDNS(w dns.ResponseWriter, request *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetReply(request)
	switch {
	case request.Opcode != dns.OpcodeQuery:
		reply.Rcode = dns.RcodeNotImplemented
	case len(request.Question) != 1 || request.Question[0].Qclass != dns.ClassINET:
		reply.Rcode = dns.RcodeFormatError
	case metaType(request.Question[0].Qtype):
		reply.Rcode = dns.RcodeRefused
	default:
		r.reply(reply, request.RecursionDesired)
	}
	r.counts.note(w, request, reply)
	fit(w, request, reply)
	if err := w.WriteMsg(reply); err != nil {
		r.log.Debug("reply was not sent", "to", w.RemoteAddr(), "error", err)
	}
}

// reply fills in the answer to the question in it. Without recursion only the
// cache is looked at.
func (r *resolver) reply(reply *dns.Msg, recurse bool) {
	reply.RecursionAvailable = true
	question := reply.Question[0]
	ctx, cancel := context.WithTimeout(context.Background(), maxQuestion)
	defer cancel()
	name := dns.CanonicalName(question.Name)
	for range maxChase {
		found := r.cache.answer(name, question.Qtype, r.now())
		if found == nil && question.Qtype != dns.TypeCNAME {
			found = r.alias(name)
		}
		if found == nil && recurse {
			found = r.look(ctx, name, question.Qtype, 0)
		}
		if found == nil {
			return
		}
		reply.Rcode = found.rcode
		if len(found.rrs) == 0 {
			reply.Ns = r.aged([]dns.RR{found.soa}, found.expires)
			return
		}
		answer := r.aged(found.rrs, found.expires)
		reply.Answer = append(reply.Answer, answer...)
		alias, is := found.rrs[0].(*dns.CNAME)
		if !is || question.Qtype == dns.TypeCNAME {
			break
		}
		name = dns.CanonicalName(alias.Target)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	shuffleAddresses(reply.Answer, r.random)
}

// alias returns the CNAME known for name, if there is one.
func (r *resolver) alias(name string) *finding {
	if found := r.cache.answer(name, dns.TypeCNAME, r.now()); found != nil && len(found.rrs) > 0 {
		return found
	}
	return nil
}

// aged copies records with the whole seconds that they may still be kept: rounded
// down, so that clients' caches add nothing to this one's, but for the moments
// since they were fetched.
func (r *resolver) aged(rrs []dns.RR, expires time.Time) []dns.RR {
	const moments = 50 * time.Millisecond
	left := uint32(max(0, expires.Sub(r.now())+moments) / time.Second)
	var out []dns.RR
	for _, rr := range rrs {
		if rr != nil {
			rr = dns.Copy(rr)
			rr.Header().Ttl = left
			out = append(out, rr)
		}
	}
	return out
}

// look finds a set by asking servers, once for all who want it at the same time.
// A failure is an entry too, and cached for a short time (RFC 9520). depth counts
// searches for the addresses of name servers within searches.
func (r *resolver) look(ctx context.Context, name string, rrtype uint16, depth int) *finding {
	if depth > maxNSLookups {
		return &finding{rcode: dns.RcodeServerFailure}
	}
	if depth > 0 {
		// Within a search a shared flight could wait for itself.
		return r.search(ctx, name, rrtype, depth)
	}
	found, _, _ := r.flights.Do(name+" "+dns.Type(rrtype).String(), func() (any, error) {
		return r.search(ctx, name, rrtype, depth), nil
	})
	return found.(*finding)
}

func (r *resolver) search(ctx context.Context, name string, rrtype uint16, depth int) *finding {
	found, cut, err := r.descend(ctx, name, rrtype, depth)
	if err != nil && r.rule.asksParentAgain && cut != "." {
		r.cache.forget(cut)
		found, _, err = r.descend(ctx, name, rrtype, depth)
	}
	if err != nil {
		now := r.now()
		found = &finding{rcode: dns.RcodeServerFailure, expires: now.Add(time.Duration(r.FailureTTL))}
		r.cache.keep(setKey{name, rrtype}, found, now)
	}
	return found
}

// descend goes from the closest known zone down to the servers that know the
// answer. It returns the zone where it ended, also if it fails there.
func (r *resolver) descend(ctx context.Context, name string, rrtype uint16, depth int) (*finding, string, error) {
	from := name
	if rrtype == dns.TypeDS && name != "." {
		from = above(name) // the parent's side of the cut has it
	}
	at := r.cache.closest(from, r.now())
	for range maxReferrals {
		cut := "."
		if at != nil {
			cut = at.zone
		}
		response, err := r.ask(ctx, at, name, rrtype, depth)
		if err != nil {
			return nil, cut, err
		}
		if next := referral(response, cut, name); next != "" {
			at = r.referred(response, next)
			continue
		}
		r.heed(response, cut)
		return r.learn(response, cut, name, rrtype), cut, nil
	}
	return nil, ".", errNoServer
}

// ask puts a question to the servers of a zone, one after the other in an order
// of its own, until one gives an answer that leads on.
func (r *resolver) ask(ctx context.Context, at *delegation, name string, rrtype uint16, depth int) (*dns.Msg, error) {
	query := new(dns.Msg)
	query.SetQuestion(name, rrtype)
	query.RecursionDesired = false
	query.SetEdns0(maxDatagram, false)
	cut := "."
	if at != nil {
		cut = at.zone
	}
	asked := 0
	for server := range r.servers(ctx, at, depth) {
		if asked++; asked > maxServersAsk || ctx.Err() != nil {
			break
		}
		query.Id = dns.Id()
		response, err := r.exchange(ctx, server, query.Copy())
		r.heard(server, err == nil)
		if err != nil {
			r.log.Debug("server did not answer", "server", server, "name", name, "error", err)
			continue
		}
		if useful(response, cut, name) {
			return response, nil
		}
	}
	return nil, errNoServer
}

// servers yields the addresses of a zone's name servers: first those known from
// glue, then those that have to be looked up.
func (r *resolver) servers(ctx context.Context, at *delegation, depth int) func(func(netip.Addr) bool) {
	return func(yield func(netip.Addr) bool) {
		if at == nil {
			for _, server := range r.ordered(r.roots) {
				if !yield(server) {
					return
				}
			}
			return
		}
		var known []netip.Addr
		var unknown []string
		for _, host := range at.hosts {
			if glue := at.glue[host]; len(glue) > 0 {
				known = append(known, glue...)
			} else if !dns.IsSubDomain(at.zone, host) {
				unknown = append(unknown, host)
			}
		}
		for _, server := range r.ordered(known) {
			if !yield(server) {
				return
			}
		}
		for _, host := range unknown {
			for _, server := range r.ordered(r.addresses(ctx, host, depth)) {
				if !yield(server) {
					return
				}
			}
		}
	}
}

// addresses looks up the IPv4 addresses of a name server.
func (r *resolver) addresses(ctx context.Context, host string, depth int) []netip.Addr {
	found := r.cache.answer(host, dns.TypeA, r.now())
	if found == nil {
		found = r.look(ctx, host, dns.TypeA, depth+1)
	}
	return addressesOf(found.rrs)
}

// ordered returns the servers in random order, those last that were silent lately.
func (r *resolver) ordered(servers []netip.Addr) []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	var good, bad []netip.Addr
	for _, i := range r.random.Perm(len(servers)) {
		if since, was := r.silent[servers[i]]; was && now.Sub(since) < silence {
			bad = append(bad, servers[i])
		} else {
			good = append(good, servers[i])
		}
	}
	return append(good, bad...)
}

func (r *resolver) heard(server netip.Addr, answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answered {
		delete(r.silent, server)
	} else {
		r.silent[server] = r.now()
	}
}

// useful reports whether a response leads on: an answer, an absence with
// authority, or a referral downwards. Anything else is a lame server's.
func useful(response *dns.Msg, cut, name string) bool {
	if response.Truncated {
		return false
	}
	switch response.Rcode {
	case dns.RcodeNameError:
		return response.Authoritative
	case dns.RcodeSuccess:
		return response.Authoritative || referral(response, cut, name) != ""
	}
	return false
}

// referral returns the zone that a response delegates to, empty if it is an answer.
func referral(response *dns.Msg, cut, name string) string {
	if response.Authoritative || response.Rcode != dns.RcodeSuccess || len(response.Answer) > 0 {
		return ""
	}
	for _, rr := range response.Ns {
		zone := dns.CanonicalName(rr.Header().Name)
		deeper := zone != cut && dns.IsSubDomain(cut, zone)
		if rr.Header().Rrtype == dns.TypeNS && deeper && dns.IsSubDomain(zone, name) {
			return zone
		}
	}
	return ""
}

// referred remembers the name servers that a parent names for zone.
func (r *resolver) referred(response *dns.Msg, zone string) *delegation {
	seen := r.named(response, zone)
	r.cache.delegate(zone, r.now(), func(*delegation) *delegation { return seen })
	return seen
}

// heed looks at the NS set that a zone's own server puts beside its answer.
func (r *resolver) heed(response *dns.Msg, cut string) {
	if cut == "." || !response.Authoritative {
		return
	}
	seen := r.named(response, cut)
	if seen == nil {
		return
	}
	seen.authoritative = true
	now := r.now()
	r.cache.delegate(cut, now, func(old *delegation) *delegation {
		if old != nil {
			for _, host := range seen.hosts {
				if len(seen.glue[host]) == 0 {
					seen.glue[host] = old.glue[host]
				}
			}
		}
		return r.rule.child(old, seen, now)
	})
}

// named reads the NS set of zone in the authority section, with its addresses in
// the additional section; nil if there is none.
func (r *resolver) named(response *dns.Msg, zone string) *delegation {
	d := &delegation{zone: zone, glue: map[string][]netip.Addr{}}
	for _, rr := range response.Ns {
		if ns, is := rr.(*dns.NS); is && dns.CanonicalName(ns.Hdr.Name) == zone {
			d.hosts = append(d.hosts, dns.CanonicalName(ns.Ns))
			d.ttl = r.bounded(ns.Hdr.Ttl)
		}
	}
	if len(d.hosts) == 0 {
		return nil
	}
	slices.Sort(d.hosts)
	for _, rr := range response.Extra {
		host := dns.CanonicalName(rr.Header().Name)
		if slices.Contains(d.hosts, host) {
			d.glue[host] = append(d.glue[host], addressesOf([]dns.RR{rr})...)
		}
	}
	d.expires = r.now().Add(d.ttl)
	return d
}

func addressesOf(rrs []dns.RR) []netip.Addr {
	var out []netip.Addr
	for _, rr := range rrs {
		if a, is := rr.(*dns.A); is {
			if address, ok := netip.AddrFromSlice(a.A.To4()); ok {
				out = append(out, address)
			}
		}
	}
	return out
}
