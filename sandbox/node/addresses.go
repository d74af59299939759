package node

import (
	"errors"
	"net/netip"
	"sync"
)

// addresses hands out the addresses of a range, each to one pod at a time. An
// address that was given back is used again as late as possible, since somebody
// may still know it.
type addresses struct {
	first, last netip.Addr

	mu   sync.Mutex
	next netip.Addr
	used map[netip.Addr]bool
}

var errNoAddress = errors.New("every address for pods is in use")

func newAddresses(first, last netip.Addr) *addresses {
	return &addresses{first: first, last: last, next: first, used: map[netip.Addr]bool{}}
}

// keep takes an address that a pod had before the node was restarted. It is false
// if the address is not of the range or another pod has it.
func (a *addresses) keep(ip netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !ip.IsValid() || ip.Less(a.first) || a.last.Less(ip) || a.used[ip] {
		return false
	}
	a.used[ip] = true
	if !ip.Less(a.next) {
		a.next = a.after(ip)
	}
	return true
}

// take returns an address that nobody has.
func (a *addresses) take() (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ip := a.next; ; {
		following := a.after(ip)
		if !a.used[ip] {
			a.used[ip], a.next = true, following
			return ip, nil
		}
		if ip = following; ip == a.next {
			return netip.Addr{}, errNoAddress
		}
	}
}

func (a *addresses) release(ip netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.used, ip)
}

func (a *addresses) after(ip netip.Addr) netip.Addr {
	if ip == a.last {
		return a.first
	}
	return ip.Next()
}
