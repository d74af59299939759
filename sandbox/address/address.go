// Package address translates between the addresses that the sandbox's clusters
// and zones speak of and the loopback addresses that stand for them on the host.
//
// The Kubernetes API refuses loopback addresses in EndpointSlices, and an
// ordinary user can neither add addresses nor listen below port 1024. So API
// objects and DNS records carry 10.a.b.c, and whatever dials or listens for such
// an address uses 127.a.b.c, with 10,000 added to ports below 1024.
package address

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// privileged is the first port that an ordinary user may listen on, and moved is
// what is added to the ports below it.
const (
	privileged = 1024
	moved      = 10000
)

// Host returns the host's address for ip: 127.a.b.c for 10.a.b.c, and ip itself
// for any other address.
func Host(ip netip.Addr) netip.Addr {
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

// Port returns the host's port for port.
func Port(port int) int {
	if port > 0 && port < privileged {
		return port + moved
	}
	return port
}

// HostPort returns where to dial or listen on the host for an address and port
// of the sandbox. Addresses outside 10.0.0.0/8 keep their port.
func HostPort(ip netip.Addr, port int) string {
	host := Host(ip)
	if host != ip.Unmap() {
		port = Port(port)
	}
	return net.JoinHostPort(host.String(), strconv.Itoa(port))
}

// Translate is HostPort for an address in the form "ip:port". Anything whose host
// is not an IP address is returned unchanged.
func Translate(hostport string) string {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return hostport
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return hostport
	}
	return HostPort(ip, n)
}

// A Cluster is the number of a cluster in the sandbox, 1 to 99: it decides every
// address of the cluster.
type Cluster int

// Validate refuses numbers that have no addresses.
func (c Cluster) Validate() error {
	if c < 1 || c > 99 {
		return fmt.Errorf("cluster number %d: must be 1 to 99", int(c))
	}
	return nil
}

// API is the address of the cluster's API server, which listens on port 6443.
func (c Cluster) API() netip.Addr { return c.addr(0, 1) }

// Node is the address of the cluster's first node.
func (c Cluster) Node() netip.Addr { return c.addr(0, 2) }

// FirstPod and LastPod bound the addresses of the cluster's pods.
func (c Cluster) FirstPod() netip.Addr { return c.addr(1, 0) }

// LastPod is the highest address that a pod of the cluster can have.
func (c Cluster) LastPod() netip.Addr { return c.addr(239, 255) }

// Services is the range of the cluster IPs.
func (c Cluster) Services() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(100 + c), 0, 0}), 16)
}

// DNS is the cluster IP of the cluster's name server.
func (c Cluster) DNS() netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(100 + c), 0, 10})
}

func (c Cluster) addr(third, fourth byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(c), third, fourth})
}
