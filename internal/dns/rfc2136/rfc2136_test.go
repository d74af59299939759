package rfc2136_test

import (
	"net"
	"testing"
	"time"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/dnstest"
	"crossfade.dev/internal/dns/rfc2136"
)

// client returns an adapter for server with its key.
func client(t *testing.T, server *dnstest.Server) *rfc2136.Server {
	t.Helper()
	adapter, err := rfc2136.New(rfc2136.Options{
		Address: server.Address,
		Key:     &rfc2136.Key{Name: server.KeyName, Secret: server.Secret},
		Dial:    new(net.Dialer).DialContext,
		Timeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return adapter
}

func TestContract(t *testing.T) {
	dnstest.Run(t, dnstest.Traits{}, func(t *testing.T, zoneName string, sets []dns.RecordSet) dns.Provider {
		server := dnstest.NewServer(t)
		server.Hold(t, zoneName, sets...)
		return client(t, server)
	})
}
