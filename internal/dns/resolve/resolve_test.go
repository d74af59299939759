package resolve_test

import (
	"net"
	"testing"
	"time"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/dnstest"
	"crossfade.dev/internal/dns/resolve"
)

// servers returns Servers that lose patience quickly.
func servers() *resolve.Servers {
	return resolve.New(resolve.Options{
		Dial:     new(net.Dialer).DialContext,
		Timeout:  time.Second,
		Attempts: 2,
	})
}

func TestContract(t *testing.T) {
	dnstest.RunServers(t, func(t *testing.T, zones ...dnstest.Held) (dns.Servers, []string, string) {
		var addresses []string
		for _, held := range zones {
			server := dnstest.NewServer(t)
			server.Hold(t, held.Zone, held.Sets...)
			addresses = append(addresses, server.Address)
		}
		return servers(), addresses, "127.0.0.1:1" // tcpmux, which nobody has
	})
}
