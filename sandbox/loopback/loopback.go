// Package loopback says where an address of the sandbox's networks is found on
// this machine.
//
// API objects and DNS records carry 10.a.b.c, because Kubernetes refuses
// loopback addresses in EndpointSlices; every process listens and dials on
// 127.a.b.c. An ordinary user may not bind ports under 1024, so those move up by
// 10000. Anything else is left as it is.
package loopback

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// PrivilegedShift is what is added to a port under 1024.
const PrivilegedShift = 10000

// IP returns 127.a.b.c for 10.a.b.c, and ip itself for any other address.
func IP(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	if !ip.Is4() {
		return ip
	}
	b := ip.As4()
	if b[0] != 10 {
		return ip
	}
	b[0] = 127
	return netip.AddrFrom4(b)
}

// AddrPort returns where ap is dialled, or listened on, on this machine. Only
// the port of a 10.x address moves.
func AddrPort(ap netip.AddrPort) netip.AddrPort {
	ip := ap.Addr().Unmap()
	moved := IP(ip)
	if moved == ip {
		return netip.AddrPortFrom(ip, ap.Port())
	}
	port := ap.Port()
	if port != 0 && port < 1024 {
		port += PrivilegedShift
	}
	return netip.AddrPortFrom(moved, port)
}

// HostPort is AddrPort for "10.1.2.3:80" written as text, as net.Dial takes it.
func HostPort(hostPort string) (string, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", hostPort, err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", hostPort, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("address %q: port: %w", hostPort, err)
	}
	return AddrPort(netip.AddrPortFrom(ip, uint16(n))).String(), nil
}
