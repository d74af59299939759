// Package vantage says how an address is reached from where a process stands.
//
// Records, API objects and users' programs name addresses as the estate knows
// them, 10.1.240.1:80. A process that does not stand in that network, such as the
// demo's on one machine, reaches the same listener elsewhere, 127.1.240.1:10080.
// A Translation leads from the first to the second. It belongs where something
// dials, and nowhere else: everything above goes on using the estate's addresses.
package vantage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A Translation maps the addresses of some networks to those of others, and the
// ports of exactly those addresses. An address of no listed network is left alone,
// port included. The zero value changes nothing. A Translation is immutable and
// may be used from several goroutines at once.
type Translation struct {
	networks []networkRule
	ports    []portRule
}

// networkRule replaces the first from.Bits() bits of an address in from by to's.
type networkRule struct{ from, to netip.Prefix }

// portRule adds add to a port within first and last, both included.
type portRule struct {
	first, last uint16
	add         int
}

// Parse reads rules as flags carry them: networks as "10.0.0.0/8=127.0.0.0/8"
// (IPv4, both of one length, no host bits), ports as "1-1023=+10000" or "80=+8000".
// Where several rules fit an address or a port, the first one counts. Ports without
// a network are refused, since they would map nothing.
func Parse(networks, ports []string) (Translation, error) {
	var t Translation
	for _, text := range networks {
		rule, err := parseNetwork(text)
		if err != nil {
			return Translation{}, fmt.Errorf("translate %q: %w", text, err)
		}
		t.networks = append(t.networks, rule)
	}
	for _, text := range ports {
		rule, err := parsePorts(text)
		if err != nil {
			return Translation{}, fmt.Errorf("map ports %q: %w", text, err)
		}
		t.ports = append(t.ports, rule)
	}
	if len(t.ports) > 0 && len(t.networks) == 0 {
		return Translation{}, fmt.Errorf("map ports %q: no network is translated, and ports are mapped for translated addresses only", ports[0])
	}
	return t, nil
}

// AddrPort returns where a is reached.
func (t Translation) AddrPort(a netip.AddrPort) netip.AddrPort {
	ip := a.Addr().Unmap()
	for _, rule := range t.networks {
		if rule.from.Contains(ip) {
			return netip.AddrPortFrom(rule.apply(ip), t.port(a.Port()))
		}
	}
	return a
}

// Address is AddrPort for the "host:port" form of package net. The host may be a
// name, which is returned unchanged: only what it resolves to can be translated.
func (t Translation) Address(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("translate address: %w", err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return address, nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("translate address %s: port %q is not a number from 0 to 65535", address, port)
	}
	return t.AddrPort(netip.AddrPortFrom(ip, uint16(number))).String(), nil
}

// DialContext connects to where address is reached; it has the form that
// http.Transport, rest.Config and net.Dialer agree on, and serves "tcp" and "udp"
// alike. A name is looked up by the host's own resolver, and its addresses are
// tried in turn; callers that want another resolver look it up before.
func (t Translation) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	if len(t.networks) == 0 {
		return dialer.DialContext(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	hosts := []string{host}
	if _, err := netip.ParseAddr(host); err != nil {
		if hosts, err = net.DefaultResolver.LookupHost(ctx, host); err != nil {
			return nil, err // net.DNSError names the host already
		}
	}

	var failures []error
	for _, host := range hosts {
		reached, err := t.Address(net.JoinHostPort(host, port))
		if err != nil {
			return nil, err
		}
		conn, err := dialer.DialContext(ctx, network, reached)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func (t Translation) port(p uint16) uint16 {
	for _, rule := range t.ports {
		if rule.first <= p && p <= rule.last {
			return uint16(int(p) + rule.add)
		}
	}
	return p
}

func (r networkRule) apply(ip netip.Addr) netip.Addr {
	host := ^uint32(0) >> r.from.Bits() // a shift by 32 leaves 0, as it should for /32
	have, want := ip.As4(), r.to.Addr().As4()
	var out [4]byte
	binary.BigEndian.PutUint32(out[:], binary.BigEndian.Uint32(want[:])|binary.BigEndian.Uint32(have[:])&host)
	return netip.AddrFrom4(out)
}

func parseNetwork(text string) (networkRule, error) {
	from, to, found := strings.Cut(text, "=")
	if !found {
		return networkRule{}, errors.New("want NETWORK=NETWORK, such as 10.0.0.0/8=127.0.0.0/8")
	}
	var rule networkRule
	for _, side := range []struct {
		text string
		into *netip.Prefix
	}{{from, &rule.from}, {to, &rule.to}} {
		prefix, err := netip.ParsePrefix(side.text)
		if err != nil {
			return networkRule{}, fmt.Errorf("%q is not a network", side.text)
		}
		if !prefix.Addr().Is4() || prefix != prefix.Masked() {
			return networkRule{}, fmt.Errorf("%s is not an IPv4 network without host bits", prefix)
		}
		*side.into = prefix
	}
	if rule.from.Bits() != rule.to.Bits() {
		return networkRule{}, fmt.Errorf("%s and %s differ in length", rule.from, rule.to)
	}
	return rule, nil
}

func parsePorts(text string) (portRule, error) {
	span, shift, found := strings.Cut(text, "=")
	if !found {
		return portRule{}, errors.New("want FIRST-LAST=+NUMBER, such as 1-1023=+10000")
	}
	low, high, isRange := strings.Cut(span, "-")
	if !isRange {
		high = low
	}
	first, errFirst := strconv.ParseUint(low, 10, 16)
	last, errLast := strconv.ParseUint(high, 10, 16)
	if errFirst != nil || errLast != nil || first > last || first == 0 {
		return portRule{}, fmt.Errorf("%q is not a range of ports from 1 to 65535", span)
	}
	add, err := strconv.Atoi(shift)
	if err != nil || shift[0] != '+' && shift[0] != '-' {
		return portRule{}, fmt.Errorf("%q is not a signed number", shift)
	}
	if int(first)+add < 1 || int(last)+add > 65535 {
		return portRule{}, fmt.Errorf("ports %s%s leave the range from 1 to 65535", span, shift)
	}
	return portRule{first: uint16(first), last: uint16(last), add: add}, nil
}
