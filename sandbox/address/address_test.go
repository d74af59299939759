package address_test

import (
	"net/netip"
	"testing"

	"crossfade.dev/sandbox/address"
)

func TestTranslate(t *testing.T) {
	for in, want := range map[string]string{
		"10.1.1.7:8080":   "127.1.1.7:8080",
		"10.1.1.7:80":     "127.1.1.7:10080",
		"10.53.0.1:53":    "127.53.0.1:10053",
		"10.1.1.7:1024":   "127.1.1.7:1024",
		"127.1.0.1:443":   "127.1.0.1:443",
		"192.0.2.9:80":    "192.0.2.9:80",
		"web:80":          "web:80",
		"10.1.1.7":        "10.1.1.7",
		"[2001:db8::1]:5": "[2001:db8::1]:5",
	} {
		if got := address.Translate(in); got != want {
			t.Errorf("Translate(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestClusterAddresses(t *testing.T) {
	c := address.Cluster(2)
	for _, tt := range []struct {
		what string
		got  any
		want string
	}{
		{"API", c.API(), "10.2.0.1"},
		{"node", c.Node(), "10.2.0.2"},
		{"first pod", c.FirstPod(), "10.2.1.0"},
		{"last pod", c.LastPod(), "10.2.239.255"},
		{"services", c.Services(), "10.102.0.0/16"},
		{"DNS", c.DNS(), "10.102.0.10"},
	} {
		if got := tt.got.(interface{ String() string }).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.what, got, tt.want)
		}
	}
	if err := address.Cluster(100).Validate(); err == nil {
		t.Error("cluster 100 was accepted, but has no addresses for its services")
	}
	if ip := netip.MustParseAddr("::ffff:10.1.1.1"); address.Host(ip).String() != "127.1.1.1" {
		t.Errorf("an IPv4 address in IPv6 form was not translated: %s", address.Host(ip))
	}
}
