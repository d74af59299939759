package wan_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crossfade.dev/internal/landing/wan"
)

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
