package wan_test

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A lab is a set of network namespaces on one bridge, which are used again for one
// network after the other.
type lab struct {
	hub   netns.NsHandle // where the bridge is; a namespace that nobody holds goes away
	nodes []*node
}

// A node is one namespace: a table, or an attachment.
type node struct {
	ns     netns.NsHandle
	handle *netlink.Handle
	link   netlink.Link // on the bridge
	lo     netlink.Link
	addr   netip.Addr
	name   string // what it is now
	// forwards holds when it passes on what is not its own.
	forwards bool
}

const nodesInLab = 40

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{}
	done := make(chan error)
	go func() { // a thread that is never unlocked ends with its goroutine
		runtime.LockOSThread()
		done <- l.build()
	}()
	if err := <-done; err != nil {
		t.Fatalf("build network namespaces: %v (they need root and a kernel with veth and bridges)", err)
	}
	t.Cleanup(func() {
		for _, n := range l.nodes {
			n.handle.Close()
			_ = n.ns.Close()
		}
		_ = l.hub.Close()
	})
	return l
}

func (l *lab) build() error {
	hub, err := netns.New()
	if err != nil {
		return err
	}
	l.hub = hub
	here, err := netlink.NewHandleAt(hub)
	if err != nil {
		return err
	}
	defer here.Close()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "hub"}}
	if err := here.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add a bridge: %w", err)
	}
	if err := here.LinkSetUp(bridge); err != nil {
		return err
	}
	for i := range nodesInLab {
		n, err := newNode(i, here, bridge)
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		l.nodes = append(l.nodes, n)
		if err := netns.Set(hub); err != nil {
			return err
		}
	}
	for _, n := range l.nodes {
		if err := up(n.handle); err != nil {
			return err
		}
	}
	return cmp.Or(l.introduce(), up(here))
}

// introduce tells every node the link address of every other one, so that no packet
// waits for an answer to ARP.
func (l *lab) introduce() error {
	for _, n := range l.nodes {
		for _, other := range l.nodes {
			if n == other {
				continue
			}
			err := n.handle.NeighAdd(&netlink.Neigh{LinkIndex: n.link.Attrs().Index, State: netlink.NUD_PERMANENT, Family: netlink.FAMILY_V4,
				IP: other.addr.AsSlice(), HardwareAddr: other.link.Attrs().HardwareAddr})
			if err != nil {
				return fmt.Errorf("tell of a neighbour: %w", err)
			}
		}
	}
	return nil
}

// up waits until every cable of a namespace carries packets at this end: the kernel
// sends nothing before.
func up(ns *netlink.Handle) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		links, err := ns.LinkList()
		if err != nil {
			return err
		}
		down := slices.ContainsFunc(links, func(l netlink.Link) bool {
			return l.Attrs().Name != "lo" && l.Attrs().OperState != netlink.OperUp
		})
		if !down {
			return nil
		}
		<-tick.C
	}
	return errors.New("the cables do not come up within 10 s")
}

// newNode makes the namespace with number i, with a cable to the bridge. The thread is
// in it afterwards.
func newNode(i int, hub *netlink.Handle, bridge *netlink.Bridge) (*node, error) {
	ns, err := netns.New()
	if err != nil {
		return nil, err
	}
	for file, value := range map[string]string{
		"ip_forward": "1", "conf/all/rp_filter": "0", "conf/default/rp_filter": "0", "conf/all/send_redirects": "0", "conf/default/send_redirects": "0",
		"conf/all/accept_redirects": "0", "conf/default/accept_redirects": "0", "conf/all/accept_local": "1", "conf/default/accept_local": "1",
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+file, []byte(value), 0o644); err != nil {
			return nil, err
		}
	}
	n := &node{ns: ns, forwards: true, addr: netip.AddrFrom4([4]byte{100, 127, 0, byte(i + 1)})}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("n%d", i), MasterIndex: bridge.Index}, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns)}
	if err := hub.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("add a cable: %w", err)
	}
	if err := hub.LinkSetUp(veth); err != nil {
		return nil, err
	}
	if n.handle, err = netlink.NewHandleAt(ns); err != nil {
		return nil, err
	}
	if n.link, err = n.handle.LinkByName("eth0"); err != nil {
		return nil, err
	}
	if n.lo, err = n.handle.LinkByName("lo"); err != nil {
		return nil, err
	}
	for _, link := range []netlink.Link{n.link, n.lo} {
		if err := n.handle.LinkSetUp(link); err != nil {
			return nil, err
		}
	}
	return n, n.handle.AddrAdd(n.link, &netlink.Addr{IPNet: &net.IPNet{IP: n.addr.AsSlice(), Mask: net.CIDRMask(24, 32)}})
}

// clear takes the routes and addresses of the network before away, and lets the node
// pass packets on.
func (n *node) clear() error {
	if err := n.forward(true); err != nil {
		return err
	}
	routes, err := n.handle.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: unix.RTPROT_STATIC}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return err
	}
	for i := range routes {
		if err := n.handle.RouteDel(&routes[i]); err != nil {
			return err
		}
	}
	addrs, err := n.handle.AddrList(n.lo, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for i := range addrs {
		if !addrs[i].IP.IsLoopback() {
			if err := n.handle.AddrDel(n.lo, &addrs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *node) route(prefix string, hop *node) error {
	dst := netip.MustParsePrefix(prefix)
	r := &netlink.Route{Dst: &net.IPNet{IP: dst.Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), 32)}, Protocol: unix.RTPROT_STATIC}
	if hop == nil {
		r.Type = unix.RTN_BLACKHOLE
	} else {
		r.Gw, r.LinkIndex = hop.addr.AsSlice(), n.link.Attrs().Index
	}
	if err := n.handle.RouteReplace(r); err != nil {
		return fmt.Errorf("route %s of %s: %w", prefix, n.name, err)
	}
	return nil
}

// forward says whether the node passes on what is not its own.
func (n *node) forward(on bool) error {
	if n.forwards == on {
		return nil
	}
	n.forwards = on
	value := "0"
	if on {
		value = "1"
	}
	return n.in(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(value), 0o644) })
}

// in runs f in the node's namespace.
func (n *node) in(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(n.ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// wire gives nodes to tables and attachments, and sets their routes and addresses.
func (l *lab) wire(w *policyJSON) (map[string]*node, error) {
	routes := w.compile()
	var order []string
	for table := range routes {
		order = append(order, table)
	}
	slices.Sort(order)
	for _, a := range w.attachments {
		order = append(order, a.Name)
	}
	if len(order) > len(l.nodes) {
		return nil, fmt.Errorf("%d nodes are too few for %d tables and attachments", len(l.nodes), len(order))
	}
	names := map[string]*node{}
	for i, n := range l.nodes {
		n.name = ""
		if i < len(order) {
			n.name = order[i]
			names[n.name] = n
		}
		if err := n.clear(); err != nil {
			return nil, err
		}
	}
	for table, hops := range routes {
		for prefix, hop := range hops {
			if err := names[table].route(prefix, names[hop]); err != nil {
				return nil, err
			}
		}
	}
	for _, a := range w.attachments {
		if err := w.attach(names, names[a.Name], a); err != nil {
			return nil, fmt.Errorf("attach %s: %w", a.Name, err)
		}
	}
	return names, nil
}

// attach makes a node an attachment: its addresses, a default route into the core
// network, and whether it returns what is not its own.
func (w *policyJSON) attach(names map[string]*node, n *node, a attachmentJSON) error {
	segment, group := w.lands(a)
	addresses := []string{}
	for _, prefix := range a.Prefixes {
		addresses = append(addresses, addressOf(prefix).String())
	}
	if group != "" || a.Transit == "Ends" {
		addresses = append(addresses, outside)
	}
	for _, address := range addresses {
		if err := n.handle.AddrAdd(n.lo, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(address).To4(), Mask: net.CIDRMask(32, 32)}}); err != nil {
			return err
		}
	}
	if err := n.forward(a.Transit == "Returns"); err != nil {
		return err
	}
	if table := names[segment+group+"@"+a.Regions[0]]; table != nil {
		return n.route("0.0.0.0/0", table)
	}
	return nil
}

// addressOf is the address that stands for a prefix: far back in it, where no smaller
// prefix of the tests is.
func addressOf(prefix string) netip.Addr {
	p := netip.MustParsePrefix(prefix)
	b := p.Addr().As4()
	if p.Bits() <= 16 {
		b[1] |= byte(0xff >> min(8, p.Bits()-8))
		b[2] = 250
	}
	b[3] = 9
	return netip.AddrFrom4(b)
}
