package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"

	"crossfade.dev/sandbox/address"
)

// ttl is the time to live of the cluster's records, in seconds, as in CoreDNS.
const ttl = 5

// ServeDNS answers for the names of the cluster by the specification at
// https://github.com/kubernetes/dns/blob/master/docs/specification.md. It forwards
// nothing: names outside the cluster are refused.
func (d *Directory) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	_ = w.WriteMsg(d.Answer(query)) // a client that left asks again
}

// Answer is the answer to one query.
func (d *Directory) Answer(query *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(query)
	m.Compress = true
	if len(query.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return m
	}
	q := query.Question[0]
	name := strings.ToLower(q.Name)
	if !dns.IsSubDomain(Domain+".", name) {
		m.Rcode = dns.RcodeRefused
		return m
	}
	m.Authoritative = true
	var exists bool
	m.Answer, m.Extra, exists = d.records(name, q)
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: Domain + ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
			Ns:  "ns.dns." + Domain + ".", Mbox: "hostmaster." + Domain + ".",
			Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl,
		}}
	}
	return m
}

// records returns what a name of the cluster has. exists is whether the name does,
// with other types perhaps.
func (d *Directory) records(name string, q dns.Question) (answer, extra []dns.RR, exists bool) {
	text := strings.TrimSuffix(name, ".")
	if port, protocol, service, ok := srvName(text); ok {
		return d.srv(port, protocol, service, q)
	}
	target, found := d.exact(text)
	if !found {
		return nil, nil, d.isAbove(text)
	}
	s := target.Service
	if s.Spec.ExternalName != "" {
		return []dns.RR{&dns.CNAME{Hdr: header(q.Name, dns.TypeCNAME), Target: dns.Fqdn(s.Spec.ExternalName)}}, nil, true
	}
	var ips []netip.Addr
	if s.Spec.ClusterIP != corev1.ClusterIPNone {
		for _, text := range s.Spec.ClusterIPs {
			if ip, err := netip.ParseAddr(text); err == nil {
				ips = append(ips, ip)
			}
		}
	} else {
		d.mu.RLock()
		for _, h := range d.hostsOf(s, target.Host) {
			ips = append(ips, h.ip)
		}
		d.mu.RUnlock()
		if len(ips) == 0 {
			return nil, nil, false
		}
	}
	for _, ip := range ips {
		if rr := addressRecord(q.Name, ip); q.Qtype == rr.Header().Rrtype || q.Qtype == dns.TypeANY {
			answer = append(answer, rr)
		}
	}
	rand.Shuffle(len(answer), func(i, j int) { answer[i], answer[j] = answer[j], answer[i] })
	return answer, nil, true
}

// srvName splits _port._protocol.service.namespace.svc.cluster.local.
func srvName(name string) (port, protocol, service string, ok bool) {
	words := strings.SplitN(name, ".", 3)
	if len(words) < 3 || !strings.HasPrefix(words[0], "_") || !strings.HasPrefix(words[1], "_") {
		return "", "", "", false
	}
	return words[0][1:], words[1][1:], words[2], true
}

// srv answers for a named port: with the Service, or with each pod of a headless one.
func (d *Directory) srv(port, protocol, service string, q dns.Question) (answer, extra []dns.RR, exists bool) {
	target, found := d.exact(service)
	if !found || target.Host != "" {
		return nil, nil, false
	}
	s := target.Service
	i := slices.IndexFunc(s.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Name == port && strings.EqualFold(string(p.Protocol), protocol)
	})
	if i < 0 {
		return nil, nil, false
	}
	if q.Qtype != dns.TypeSRV && q.Qtype != dns.TypeANY {
		return nil, nil, true
	}
	add := func(host string, ip netip.Addr, port int32) {
		answer = append(answer, &dns.SRV{Hdr: header(q.Name, dns.TypeSRV), Weight: 100, Port: uint16(port), Target: host})
		extra = append(extra, addressRecord(host, ip))
	}
	if s.Spec.ClusterIP != corev1.ClusterIPNone {
		ip, err := netip.ParseAddr(s.Spec.ClusterIP)
		if err == nil {
			add(service+".", ip, s.Spec.Ports[i].Port)
		}
		return answer, extra, true
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	number := s.Spec.Ports[i].Port
	for _, slice := range d.slices[s.Namespace+"/"+s.Name] {
		if target := portOf(slice, port); target != 0 {
			number = int32(target)
		}
	}
	for _, h := range d.hostsOf(s, "") {
		add(h.name+"."+service+".", h.ip, number)
	}
	return answer, extra, true
}

// isAbove is whether there are names below name, so that it exists without records
// (RFC 8020).
func (d *Directory) isAbove(name string) bool {
	if name == Domain || name == "svc."+Domain {
		return true
	}
	namespace, ok := strings.CutSuffix(name, ".svc."+Domain)
	if !ok || strings.Contains(namespace, ".") {
		return false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, s := range d.services {
		if s.Namespace == namespace {
			return true
		}
	}
	return false
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

func addressRecord(name string, ip netip.Addr) dns.RR {
	if ip.Is4() {
		return &dns.A{Hdr: header(name, dns.TypeA), A: ip.AsSlice()}
	}
	return &dns.AAAA{Hdr: header(name, dns.TypeAAAA), AAAA: ip.AsSlice()}
}

// ListenDNS serves the cluster's names at ip until ctx ends.
func (d *Directory) ListenDNS(ctx context.Context, ip netip.Addr) error {
	at := address.HostPort(ip, 53)
	packets, err := new(net.ListenConfig).ListenPacket(ctx, "udp", at)
	if err != nil {
		return fmt.Errorf("listen for cluster DNS: %w", err)
	}
	streams, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
	if err != nil {
		_ = packets.Close()
		return fmt.Errorf("listen for cluster DNS: %w", err)
	}
	for _, server := range []*dns.Server{
		{PacketConn: packets, Handler: dns.HandlerFunc(d.ServeDNS)},
		{Listener: streams, Handler: dns.HandlerFunc(d.ServeDNS)},
	} {
		go func() { _ = server.ActivateAndServe() }()
		context.AfterFunc(ctx, func() { _ = server.Shutdown() })
	}
	return nil
}

// Resolver asks the resolver at address, "ip:port" in the sandbox's terms, for the
// addresses of names outside the cluster.
func Resolver(server string) func(ctx context.Context, name string) ([]netip.Addr, error) {
	at := address.Translate(server)
	return func(ctx context.Context, name string) ([]netip.Addr, error) {
		if server == "" {
			return nil, errUnknownName
		}
		query := new(dns.Msg)
		query.SetQuestion(dns.Fqdn(name), dns.TypeA)
		query.SetEdns0(1232, false)
		reply, _, err := (&dns.Client{}).ExchangeContext(ctx, query, at)
		if err == nil && reply.Truncated {
			reply, _, err = (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, query, at)
		}
		if err != nil {
			return nil, err
		}
		var all []netip.Addr
		for _, rr := range reply.Answer {
			if a, ok := rr.(*dns.A); ok {
				ip, _ := netip.AddrFromSlice(a.A.To4())
				all = append(all, ip)
			}
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("%s: %w", dns.RcodeToString[reply.Rcode], errUnknownName)
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all, nil
	}
}
