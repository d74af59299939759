package ingress

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// The last byte of the addresses that LoadBalancer Services get; 1 is the
// ingress's.
const (
	firstBalancer = 2
	lastBalancer  = 254
)

var errNoAddress = errors.New("every address of the cluster's load balancers is taken")

// addresses gives each LoadBalancer Service an address and keeps that across
// restarts. It is safe for concurrent use.
type addresses struct {
	cluster int
	path    string

	mu   sync.Mutex
	held addressBook
}

type addressBook struct {
	// Next is the last byte to try first. It moves on, so that a freed address is
	// not at once another Service's: resolvers may still lead clients to it.
	Next     int                   `json:"next"`
	Services map[string]netip.Addr `json:"services"`
}

// ingressAddress is where the Ingresses of a cluster are served.
func ingressAddress(cluster int) netip.Addr { return balancerAddress(cluster, 1) }

func balancerAddress(cluster, last int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(cluster), 240, byte(last)})
}

func openAddresses(cluster int, dir string) (*addresses, error) {
	a := &addresses{cluster: cluster, path: filepath.Join(dir, "addresses.json")}
	a.held = addressBook{Next: firstBalancer, Services: map[string]netip.Addr{}}
	data, err := os.ReadFile(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	if err := json.Unmarshal(data, &a.held); err != nil {
		return nil, fmt.Errorf("addresses in %s: %w", a.path, err)
	}
	return a, nil
}

// take returns the address of service: the one it has, else one of preferred that
// is free, else the next free one, and keeps it on disk.
func (a *addresses) take(service string, preferred ...netip.Addr) (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	have, has := a.held.Services[service]
	for _, wanted := range preferred {
		if has && wanted == have {
			return have, nil
		}
		if !a.ours(wanted) || a.taken(wanted) {
			continue
		}
		a.held.Services[service] = wanted
		return wanted, a.save()
	}
	if has {
		return have, nil
	}
	for range lastBalancer - firstBalancer + 1 {
		candidate := balancerAddress(a.cluster, a.held.Next)
		if a.held.Next++; a.held.Next > lastBalancer {
			a.held.Next = firstBalancer
		}
		if !a.taken(candidate) {
			a.held.Services[service] = candidate
			return candidate, a.save()
		}
	}
	return netip.Addr{}, errNoAddress
}

// free gives the address of a service back.
func (a *addresses) free(service string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, has := a.held.Services[service]; !has {
		return nil
	}
	delete(a.held.Services, service)
	return a.save()
}

// services lists who holds an address.
func (a *addresses) services() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for service := range a.held.Services {
		out = append(out, service)
	}
	slices.Sort(out)
	return out
}

func (a *addresses) ours(ip netip.Addr) bool {
	if !ip.Is4() {
		return false
	}
	b := ip.As4()
	return ip == balancerAddress(a.cluster, int(b[3])) && b[3] >= firstBalancer && b[3] <= lastBalancer
}

func (a *addresses) taken(ip netip.Addr) bool {
	for _, other := range a.held.Services {
		if other == ip {
			return true
		}
	}
	return false
}

// save writes the book so that a crash leaves the old or the new one.
func (a *addresses) save() error {
	data, err := json.MarshalIndent(a.held, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.path+".new", data, 0o644); err != nil {
		return fmt.Errorf("keep addresses: %w", err)
	}
	if err := os.Rename(a.path+".new", a.path); err != nil {
		return fmt.Errorf("keep addresses: %w", err)
	}
	return nil
}
