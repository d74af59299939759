package rfc2136_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/dnstest"
	"crossfade.dev/internal/dns/rfc2136"
)

// A peer is a DNS server of somebody else's, which proves that the adapter and the
// suite's own server read the RFC as others do. It is tested where it is installed.
type peer struct {
	program string
	// arguments start the program in the foreground with its configuration.
	arguments func(config string) []string
	// config is its configuration, with the directory, port, secret and zone.
	config string
}

var peers = []peer{
	{
		program:   "named",
		arguments: func(config string) []string { return []string{"-g", "-c", config, "-n", "1"} },
		config: `
options {
	directory %[1]q; pid-file "named.pid"; session-keyfile "session.key";
	listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; querylog no;
};
controls { };
key "crossfade" { algorithm hmac-sha256; secret %[3]q; };
zone %[4]q {
	type primary; file "zone"; check-integrity no;
	allow-transfer { key crossfade; }; allow-update { key crossfade; };
};
`,
	},
	{
		program:   "knotd",
		arguments: func(config string) []string { return []string{"-c", config} },
		config: `
server:
    rundir: %[1]q
    listen: 127.0.0.1@%[2]d
    tcp-workers: 1
    udp-workers: 1
    background-workers: 1
database:
    storage: %[1]q
log:
  - target: stderr
    any: warning
key:
  - id: crossfade
    algorithm: hmac-sha256
    secret: %[3]s
acl:
  - id: all
    key: crossfade
    action: [transfer, update]
zone:
  - domain: %[4]s
    storage: %[1]q
    file: zone
    semantic-checks: off
    acl: all
`,
	},
}

const peerSecret = "c2VjcmV0IGZvciB0ZXN0cyBvbmx5"

func TestContractOfPeers(t *testing.T) {
	for _, p := range peers {
		t.Run(p.program, func(t *testing.T) {
			if _, err := exec.LookPath(p.program); err != nil {
				t.Skipf("not installed: %v", err)
			}
			dnstest.Run(t, dnstest.Traits{}, p.start)
		})
	}
}

// zoneFile writes sets as servers read them, the SOA first.
func zoneFile(sets []dns.RecordSet) string {
	var first, rest strings.Builder
	for _, set := range sets {
		text := &rest
		if set.Type == "SOA" {
			text = &first
		}
		for _, data := range set.Data {
			fmt.Fprintf(text, "%s. %d IN %s %s\n", set.Name, set.TTL, set.Type, data)
		}
	}
	return first.String() + rest.String()
}

// start runs the server with one zone until the test ends.
func (p peer) start(t *testing.T, zoneName string, sets []dns.RecordSet) dns.Provider {
	directory := t.TempDir()
	port := freePort(t)
	content := slices.Concat(dnstest.Apex(t, zoneName), sets)
	files := map[string]string{
		"zone":   zoneFile(content),
		"config": fmt.Sprintf(p.config, directory, port, peerSecret, zoneName),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := startProcess(t, p.program, p.arguments(filepath.Join(directory, "config")))
	adapter := clientWith(t, rfc2136.Options{
		Address: fmt.Sprintf("127.0.0.1:%d", port),
		Key:     &rfc2136.Key{Name: "crossfade", Secret: peerSecret},
		Dial:    new(net.Dialer).DialContext,
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		got, err := adapter.RecordSets(t.Context(), zoneName)
		if err == nil && len(got) == len(content) {
			return adapter
		}
		if time.Now().After(deadline) {
			text, readErr := os.ReadFile(log)
			t.Fatalf("%s does not serve the zone: %v\n%s%v", p.program, err, text, readErr)
		}
	}
}

// startProcess runs a program until the test ends, and returns where its output is.
func startProcess(t *testing.T, program string, arguments []string) (log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	output, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, arguments...) // killed with the context
	command.Stdout, command.Stderr = io.Writer(output), output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Wait() // always "killed"
		output.Close()
	})
	return log
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}
