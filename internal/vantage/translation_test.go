package vantage

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func sandbox(t *testing.T) Translation {
	t.Helper()
	translation, err := Parse([]string{"10.0.0.0/8=127.0.0.0/8"}, []string{"1-1023=+10000"})
	if err != nil {
		t.Fatal(err)
	}
	return translation
}

func TestAddressesOfTheEstateLeadToTheHost(t *testing.T) {
	for _, test := range []struct{ name, address, want string }{
		{"privileged port", "10.1.240.1:80", "127.1.240.1:10080"},
		{"first port that is not privileged", "10.2.7.9:1024", "127.2.7.9:1024"},
		{"last privileged port", "10.2.7.9:1023", "127.2.7.9:11023"},
		{"highest address", "10.255.255.255:6443", "127.255.255.255:6443"},
		{"IPv4 in IPv6", "[::ffff:10.53.0.1]:53", "127.53.0.1:10053"},
		{"the host's own address keeps its port", "127.0.0.1:80", "127.0.0.1:80"},
		{"another network", "192.0.2.1:443", "192.0.2.1:443"},
		{"IPv6", "[2001:db8::1]:443", "[2001:db8::1]:443"},
		{"a name", "live.demo.test:80", "live.demo.test:80"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := sandbox(t).Address(test.address)
			if err != nil || got != test.want {
				t.Errorf("Address(%s) = %s, %v; want %s", test.address, got, err, test.want)
			}
		})
	}
}

func TestZeroTranslationChangesNothing(t *testing.T) {
	address := netip.MustParseAddrPort("10.1.2.3:80")
	if got := (Translation{}).AddrPort(address); got != address {
		t.Errorf("AddrPort(%s) = %s", address, got)
	}
}

func TestFirstRuleThatFitsCounts(t *testing.T) {
	translation, err := Parse([]string{"10.1.0.0/16=192.168.0.0/16", "10.0.0.0/8=127.0.0.0/8"}, []string{"80=+1", "1-1023=+10000"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"10.1.2.3:80": "192.168.2.3:81",
		"10.2.2.3:81": "127.2.2.3:10081",
	} {
		if got, err := translation.Address(address); err != nil || got != want {
			t.Errorf("Address(%s) = %s, %v; want %s", address, got, err, want)
		}
	}
}

// Every address of a translated network keeps its host bits, and no two addresses
// meet in one.
func TestTranslationKeepsHostBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(0, 32).Draw(t, "bits")
		draw := func(name string) netip.Addr {
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, name)))
		}
		from, _ := draw("from").Prefix(bits)
		to, _ := draw("to").Prefix(bits)
		there, err := Parse([]string{from.String() + "=" + to.String()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse([]string{to.String() + "=" + from.String()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		address := netip.AddrPortFrom(networkRule{from, from}.apply(draw("host")), rapid.Uint16().Draw(t, "port"))
		got := there.AddrPort(address)
		if !to.Contains(got.Addr()) {
			t.Fatalf("%s leads to %s, outside %s", address, got, to)
		}
		if again := back.AddrPort(got); again != address {
			t.Fatalf("%s leads to %s and back to %s", address, got, again)
		}
	})
}

func TestBadRulesAreRefusedWithTheirValue(t *testing.T) {
	good := []string{"10.0.0.0/8=127.0.0.0/8"}
	for _, test := range []struct {
		name            string
		networks, ports []string
		want            string
	}{
		{"no equals sign", []string{"10.0.0.0/8"}, nil, "want NETWORK=NETWORK"},
		{"not a network", []string{"ten=127.0.0.0/8"}, nil, `"ten" is not a network`},
		{"host bits", []string{"10.0.0.1/8=127.0.0.0/8"}, nil, "10.0.0.1/8 is not an IPv4 network without host bits"},
		{"IPv6", []string{"2001:db8::/32=127.0.0.0/8"}, nil, "2001:db8::/32 is not an IPv4 network"},
		{"lengths differ", []string{"10.0.0.0/8=127.0.0.0/16"}, nil, "differ in length"},
		{"ports alone", nil, []string{"1-1023=+10000"}, "no network is translated"},
		{"ports without shift", good, []string{"1-1023"}, "want FIRST-LAST=+NUMBER"},
		{"shift without sign", good, []string{"1-1023=10000"}, `"10000" is not a signed number`},
		{"empty shift", good, []string{"1-1023="}, `"" is not a signed number`},
		{"range backwards", good, []string{"9-1=+1"}, `"9-1" is not a range`},
		{"port 0", good, []string{"0-9=+1"}, `"0-9" is not a range`},
		{"beyond the last port", good, []string{"1-60000=+10000"}, "leave the range"},
		{"before the first port", good, []string{"80=-80"}, "leave the range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(test.networks, test.ports)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%q, %q) = %v; want %q in it", test.networks, test.ports, err, test.want)
			}
		})
	}
}

func TestDialReachesTheTranslatedListener(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = io.WriteString(conn, "here")
			_ = conn.Close()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := sandbox(t).DialContext(ctx, "tcp", net.JoinHostPort("10.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "here" {
		t.Errorf("read %q, %v; want %q", got, err, "here")
	}
}

func TestDialSaysWhichAddressWasWrong(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1":      "missing port",
		"10.0.0.1:http": `port "http" is not a number`,
	} {
		_, err := sandbox(t).DialContext(t.Context(), "tcp", address)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("DialContext(%s) = %v; want %q in it", address, err, want)
		}
	}
}
