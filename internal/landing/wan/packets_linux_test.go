package wan_test

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"crossfade.dev/internal/landing/wan"
)

// The packets are real: each segment at each edge is a network namespace with the
// routes that naive_test.go compiles, each attachment another one with its addresses,
// and every attachment sends to every other one. Packets record their way in the IP
// option Record Route (RFC 791), so that it is known which firewalls they passed.
//
// CROSSFADE_PACKETS is how many random policies are tried, CROSSFADE_PACKETS_SEED the
// first seed. `make test-peers` sets them; it takes root.

// outside stands for an address that nobody advertises. Whatever packets leave the
// core network through has it.
const outside = "203.0.113.1"

func TestPacketsAgree(t *testing.T) {
	count, _ := strconv.Atoi(os.Getenv("CROSSFADE_PACKETS"))
	if count == 0 {
		t.Skip("CROSSFADE_PACKETS does not say how many policies to try: run make test-peers")
	}
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run make test-peers as root")
	}
	first, _ := strconv.ParseUint(os.Getenv("CROSSFADE_PACKETS_SEED"), 10, 64)
	start := time.Now()
	var total tally
	workers := min(count, 2)
	var wait sync.WaitGroup
	seeds := make(chan uint64)
	var labs []*lab
	for range workers {
		labs = append(labs, newLab(t))
	}
	for _, l := range labs {
		wait.Go(func() {
			for seed := range seeds {
				total.add(try(t, l, seed))
			}
		})
	}
	for i := range count {
		seeds <- first + uint64(i)
	}
	close(seeds)
	wait.Wait()
	decided := total.agree + total.differ
	t.Logf("%d policies in %.1f s: %d pairs of hosts decided (%d reached, %d inspected, %d one way), %d differ from packets, %d unknown",
		count, time.Since(start).Seconds(), decided, total.reached, total.inspected, total.oneWay, total.differ, total.unknown)
	fmt.Printf("landing_packets_policies %d count\nlanding_packets_pairs %d count\nlanding_packets_agree %.4f %%\nlanding_packets_unknown %d count\n",
		count, decided, 100*float64(total.agree)/float64(max(decided, 1)), total.unknown)
	if total.unknown*10 > decided {
		t.Errorf("%d pairs are unknown, of %d decided: everything is known of these networks", total.unknown, decided)
	}
}

// A tally counts pairs of hosts.
type tally struct {
	mu                                                 sync.Mutex
	agree, differ, unknown, reached, inspected, oneWay int
}

func (t *tally) add(o *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.agree, t.differ, t.unknown = t.agree+o.agree, t.differ+o.differ, t.unknown+o.unknown
	t.reached, t.inspected, t.oneWay = t.reached+o.reached, t.inspected+o.inspected, t.oneWay+o.oneWay
}

// try compares the model with packets for one random network.
func try(t *testing.T, l *lab, seed uint64) *tally {
	w := random(rand.New(rand.NewPCG(seed, 1)))
	n := load(t, w.document())
	flows := n.Flows()
	for _, a := range w.attachments {
		if s, _ := w.lands(a); s != "" && a.Transit != "Ends" && len(a.Prefixes) > 0 {
			out, err := n.Reach("attachment:"+a.Name, outside)
			if err != nil {
				t.Error(err)
			}
			flows = append(flows, out...)
		}
	}
	says := map[pair]wan.Verdict{}
	for _, f := range flows {
		pairs(f, func(p pair, _ bool) { says[p] = f.Verdict })
	}
	seen := l.run(t, w, says)
	var out tally
	for _, f := range flows {
		pairs(f, func(p pair, first bool) { out.check(t, seed, w, f, p, seen, first) })
	}
	return &out
}

// pairs calls f with every pair of hosts that a flow is about.
func pairs(flow wan.Flow, f func(p pair, first bool)) {
	first := true
	for _, from := range flow.From.Hosts {
		for _, to := range flow.To.Hosts {
			if from.Attachment != to.Attachment && from.Prefix.IsValid() {
				f(key(from, to), first)
				first = false
			}
		}
	}
}

type pair struct{ from, to string }

func key(from, to wan.Host) pair {
	p := pair{hostOf(from.Attachment.Name, from.Prefix.String()), outside}
	if to.Attachment != nil {
		p.to = hostOf(to.Attachment.Name, to.Prefix.String())
	}
	return p
}

// hostOf names the host that stands for one prefix of an attachment.
func hostOf(attachment, prefix string) string { return attachment + " " + prefix }

func (o *tally) check(t *testing.T, seed uint64, w *policyJSON, f wan.Flow, p pair, seen map[pair]*sighting, exact bool) {
	s := seen[p]
	got, groups := wan.No, []string(nil)
	if s != nil {
		groups = w.groups(s.way)
		got = wan.OneWay
		if s.answered {
			got = wan.Yes
		}
	}
	if f.Verdict == wan.Unknown {
		o.unknown++
		return
	}
	same := got == f.Verdict && slices.Equal(groups, f.Through)
	if got == wan.Yes {
		same = same && slices.Equal(w.groups(s.wayBack), f.Back)
		o.reached++
		if len(groups) > 0 {
			o.inspected++
		}
	}
	if got == wan.OneWay {
		o.oneWay++
	}
	var way []string
	if same && exact && s != nil && p.to != outside {
		way = modelWay(f.Path)
		same = sameWay(way, w.way(s.way))
	}
	if same {
		o.agree++
		return
	}
	o.differ++
	if o.differ <= 3 {
		t.Errorf("seed %d: %s to %s: the model says %s through %v back %v (%s), by %v; packets say %s through %v: %+v\n%s", seed, p.from, p.to, f.Verdict, f.Through, f.Back, f.Why, f.Path, got, groups, s, w.document())
	}
}

// groups returns the groups whose attachments packets passed, each once in a row.
func (w *policyJSON) groups(way []string) []string {
	var out []string
	for _, node := range way {
		for _, a := range w.attachments {
			if _, g := w.lands(a); a.Name == node && g != "" && (len(out) == 0 || out[len(out)-1] != g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// way returns what packets passed in the words of the model: tables of groups are
// left out.
func (w *policyJSON) way(nodes []string) []string {
	var out []string
	for _, node := range nodes {
		name, at, table := strings.Cut(node, "@")
		if table {
			if w.segment(name) != nil {
				out = append(out, name+"@"+at)
			}
			continue
		}
		for _, a := range w.attachments {
			if a.Name != node {
				continue
			}
			if _, g := w.lands(a); g != "" {
				out = append(out, g+"@"+a.Regions[0])
			} else {
				out = append(out, node+"@"+a.Regions[0])
			}
		}
	}
	return out
}

func modelWay(hops []wan.Hop) []string {
	var out []string
	for _, h := range hops {
		out = append(out, h.Name+"@"+h.Region)
	}
	return out
}

// sameWay compares as far as packets recorded, and as far as the model knows the
// regions.
func sameWay(model, packets []string) bool {
	for i, p := range packets {
		if i >= len(model) || model[i] != p && (!strings.HasSuffix(model[i], "@") || !strings.HasPrefix(p, model[i])) {
			return false
		}
	}
	return true
}

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

// A sighting is a packet that arrived, and its answer.
type sighting struct {
	way, wayBack []string
	answered     bool
}

// A listener is the socket of one host.
type listener struct {
	host string
	addr netip.Addr
	fd   int
}

// run builds a network and returns which hosts' packets arrived at which. What is said
// to arrive, and does not, is sent again several times before it is believed: packets
// get lost, and machines are slow.
func (l *lab) run(t *testing.T, w *policyJSON, says map[pair]wan.Verdict) map[pair]*sighting {
	t.Helper()
	names, err := l.wire(w)
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := l.listen(w, names)
	if err != nil {
		t.Fatal(err)
	}
	e := &exchange{listeners: listeners, seen: map[pair]*sighting{}, nodes: map[netip.Addr]string{}}
	for _, n := range l.nodes {
		e.nodes[n.addr] = n.name
	}
	var wait sync.WaitGroup
	for i := range listeners {
		wait.Go(func() { e.receive(i) })
	}
	for try := range 12 {
		e.send()
		e.settle(time.Duration(try+1) * 8 * time.Millisecond)
		if try > 0 && e.enough(says) {
			break
		}
	}
	for _, l := range listeners {
		_ = unix.Shutdown(l.fd, unix.SHUT_RDWR)
	}
	wait.Wait()
	for _, l := range listeners {
		_ = unix.Close(l.fd)
	}
	return e.seen
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

const port = 7007

// listen opens a socket for each host, in its namespace.
func (l *lab) listen(w *policyJSON, names map[string]*node) ([]listener, error) {
	var out []listener
	for _, a := range w.attachments {
		hosts := map[string]netip.Addr{}
		for _, prefix := range a.Prefixes {
			hosts[hostOf(a.Name, prefix)] = addressOf(prefix)
		}
		if _, group := w.lands(a); group != "" || a.Transit == "Ends" {
			hosts[outside+" "+a.Name] = netip.MustParseAddr(outside)
		}
		err := names[a.Name].in(func() error {
			for host, addr := range hosts {
				fd, err := open4(addr)
				if err != nil {
					return fmt.Errorf("listen at %s of %s: %w", addr, host, err)
				}
				out = append(out, listener{host, addr, fd})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func open4(addr netip.Addr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	record := make([]byte, 40) // Record Route, 9 places
	record[0], record[1], record[2] = 7, 39, 4
	if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_OPTIONS, string(record)); err != nil {
		return 0, err
	}
	for option, value := range map[int]int{unix.IP_RECVOPTS: 1, unix.IP_TTL: 40} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, option, value); err != nil {
			return 0, err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20); err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: addr.As4()})
}

// An exchange is every host sending to every other one.
type exchange struct {
	listeners []listener
	nodes     map[netip.Addr]string
	mu        sync.Mutex
	seen      map[pair]*sighting
	arrived   time.Time
}

// send sends what has not been answered: the message is who asks whom.
func (e *exchange) send() {
	for i, from := range e.listeners {
		if strings.HasPrefix(from.host, outside) {
			continue
		}
		asked := map[netip.Addr]bool{}
		for j, to := range e.listeners {
			name := to.host
			if strings.HasPrefix(name, outside) {
				name = outside
			}
			e.mu.Lock()
			s := e.seen[pair{from.host, name}]
			e.mu.Unlock()
			if i == j || asked[to.addr] || s != nil && s.answered {
				continue
			}
			asked[to.addr] = true
			message := binary.BigEndian.AppendUint16([]byte{'?'}, uint16(i))
			// what cannot be sent does not arrive
			_ = unix.Sendto(from.fd, message, 0, &unix.SockaddrInet4{Port: port, Addr: to.addr.As4()})
		}
	}
}

// enough reports whether everything has arrived that is said to arrive.
func (e *exchange) enough(says map[pair]wan.Verdict) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for p, v := range says {
		s := e.seen[p]
		if v == wan.Yes && (s == nil || !s.answered) || v == wan.OneWay && s == nil {
			return false
		}
	}
	return true
}

// settle waits until nothing has arrived for a while.
func (e *exchange) settle(quiet time.Duration) {
	e.mu.Lock()
	e.arrived = time.Now()
	e.mu.Unlock()
	tick := time.NewTicker(quiet / 4)
	defer tick.Stop()
	for range tick.C {
		e.mu.Lock()
		still := time.Since(e.arrived) > quiet
		e.mu.Unlock()
		if still {
			return
		}
	}
}

// receive notes what arrives at a host, and answers, until its socket is shut.
func (e *exchange) receive(me int) {
	l := e.listeners[me]
	message, control := make([]byte, 64), make([]byte, 256)
	for {
		n, c, _, from, err := unix.Recvmsg(l.fd, message, control, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		if n != 3 {
			continue
		}
		who := int(binary.BigEndian.Uint16(message[1:]))
		name := l.host
		if strings.HasPrefix(name, outside) {
			name = outside
		}
		way := e.way(control[:c])
		if message[0] == '?' {
			e.note(func() {
				p := pair{e.listeners[who].host, name}
				if e.seen[p] == nil {
					e.seen[p] = &sighting{way: append(way, strings.TrimPrefix(l.host, outside+" "))}
				}
			})
			answer := binary.BigEndian.AppendUint16([]byte{'!'}, uint16(me))
			_ = unix.Sendto(l.fd, answer, 0, from)
			continue
		}
		e.note(func() {
			asked := e.listeners[who].host
			back := way
			if strings.HasPrefix(asked, outside) { // answers start at the group
				back = append([]string{strings.TrimPrefix(asked, outside+" ")}, way...)
				asked = outside
			}
			if s := e.seen[pair{name, asked}]; s != nil && !s.answered {
				s.answered, s.wayBack = true, back
			}
		})
	}
}

func (e *exchange) note(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrived = time.Now()
	f()
}

// way reads the recorded route: the nodes that passed the packet on, and, where there
// was room, the last one.
func (e *exchange) way(control []byte) []string {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	var out []string
	for _, m := range messages {
		if m.Header.Level != unix.IPPROTO_IP || len(m.Data) < 3 || m.Data[0] != 7 {
			continue
		}
		for at := 3; at+4 <= min(int(m.Data[2])-1, len(m.Data)); at += 4 {
			if name := e.nodes[netip.AddrFrom4([4]byte(m.Data[at:at+4]))]; name != "" {
				out = append(out, name)
			}
		}
	}
	return out
}
