package rfc2136_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/dnstest"
	"crossfade.dev/internal/dns/rfc2136"
	"crossfade.dev/internal/zone"
)

const zoneName = "example.test"

// client returns an adapter for server with its key.
func client(t *testing.T, server *dnstest.Server) *rfc2136.Server {
	t.Helper()
	return clientWith(t, rfc2136.Options{
		Address: server.Address,
		Key:     &rfc2136.Key{Name: server.KeyName, Secret: server.Secret},
		Dial:    new(net.Dialer).DialContext,
		Timeout: 5 * time.Second,
	})
}

func clientWith(t *testing.T, options rfc2136.Options) *rfc2136.Server {
	t.Helper()
	adapter, err := rfc2136.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return adapter
}

// impatient returns an adapter that gives up soon, for servers that never answer.
func impatient(t *testing.T, server *dnstest.Server) *rfc2136.Server {
	t.Helper()
	return clientWith(t, rfc2136.Options{
		Address: server.Address,
		Key:     &rfc2136.Key{Name: server.KeyName, Secret: server.Secret},
		Dial:    new(net.Dialer).DialContext,
		Timeout: time.Second,
	})
}

// forUpdates returns a hook that makes updates, and nothing else, go wrong.
func forUpdates(fault dnstest.Fault) func(string, *wire.Msg) dnstest.Fault {
	return func(_ string, request *wire.Msg) dnstest.Fault {
		if request.Opcode == wire.OpcodeUpdate {
			return fault
		}
		return dnstest.None
	}
}

func TestContract(t *testing.T) {
	dnstest.Run(t, dnstest.Traits{}, func(t *testing.T, zoneName string, sets []dns.RecordSet) dns.Provider {
		server := dnstest.NewServer(t)
		server.Hold(t, zoneName, sets...)
		return client(t, server)
	})
}

func TestContractWithoutKey(t *testing.T) {
	dnstest.Run(t, dnstest.Traits{}, func(t *testing.T, zoneName string, sets []dns.RecordSet) dns.Provider {
		server := dnstest.NewServer(t)
		server.KeyName = ""
		server.Hold(t, zoneName, sets...)
		return clientWith(t, rfc2136.Options{Address: server.Address, Dial: new(net.Dialer).DialContext})
	})
}

// Such servers refuse what is conditional on the serial number that they show.
func TestSwapWhereAnotherSerialIsShown(t *testing.T) {
	server := dnstest.NewServer(t)
	server.SerialShift = 1000
	old := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	led := dnstest.Set(t, "pay."+zoneName, "A", 60, "198.51.100.1")
	slow := dnstest.Set(t, "pay."+zoneName, "A", 3600, "198.51.100.1")
	server.Hold(t, zoneName, old)
	adapter := client(t, server)
	for _, swap := range []dns.Swap{{Old: &old, New: &led}, {Old: &led, New: &slow}, {Old: &slow}, {New: &old}} {
		if err := adapter.Swap(t.Context(), zoneName, swap); err != nil {
			t.Fatalf("swap %s: %v", swap, err)
		}
	}
	if got := zone.Copied(zoneName, server.RecordSets(zoneName)); !reflect.DeepEqual(got, []dns.RecordSet{old}) {
		t.Errorf("got %v, want %v", got, old)
	}
	server.OnRequest(meanwhile(led)(server))
	if err := adapter.Swap(t.Context(), zoneName, dns.Swap{Old: &old}); !errors.Is(err, dns.ErrChanged) {
		t.Errorf("data changed meanwhile: got %v, want ErrChanged", err)
	}
}

func TestSwapWhenSomethingGoesWrong(t *testing.T) {
	old := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	led := dnstest.Set(t, "pay."+zoneName, "A", 60, "198.51.100.1")
	elsewhere := dnstest.Set(t, "other."+zoneName, "A", 60, "192.0.2.1")
	tests := []struct {
		what  string
		fault func(*dnstest.Server) func(string, *wire.Msg) dnstest.Fault
		// is is the error's class, nil for an unknown outcome.
		is error
		// holds is what the server holds in the end.
		holds dns.RecordSet
	}{
		{"the reply is lost", always(forUpdates(dnstest.LoseReply)), nil, led},
		{"the reply is not signed", always(forUpdates(dnstest.Unsigned)), nil, led},
		{"the update is ignored and called a success", always(forUpdates(dnstest.Pretend)), nil, old},
		{"the update is not answered", always(forUpdates(dnstest.Ignore)), nil, old},
		{"the update is refused", always(forUpdates(dnstest.Refuse)), nil, old},
		{"the server fails", always(forUpdates(dnstest.ServerFailure)), dns.ErrTransient, old},
		{"questions are not answered", always(everything(dnstest.Ignore)), dns.ErrTransient, old},
		{"the server fails at once", always(everything(dnstest.ServerFailure)), dns.ErrTransient, old},
		{"the zone is refused", always(everything(dnstest.Refuse)), dns.ErrNoZone, old},
		{
			"another set changes meanwhile",
			meanwhile(elsewhere), dns.ErrTransient, old,
		},
		{
			"the data changes meanwhile",
			meanwhile(dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.9")), dns.ErrChanged,
			dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.9"),
		},
		{
			"nothing but the TTL changes meanwhile",
			meanwhile(dnstest.Set(t, "pay."+zoneName, "A", 61, "192.0.2.1")), dns.ErrChanged,
			dnstest.Set(t, "pay."+zoneName, "A", 61, "192.0.2.1"),
		},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			server := dnstest.NewServer(t)
			server.Hold(t, zoneName, old)
			server.OnRequest(test.fault(server))
			err := impatient(t, server).Swap(t.Context(), zoneName, dns.Swap{Old: &old, New: &led})
			if err == nil {
				t.Fatal("got no error")
			}
			for _, class := range []error{dns.ErrTransient, dns.ErrChanged, dns.ErrNoZone} {
				if got, want := errors.Is(err, class), errors.Is(test.is, class); got != want {
					t.Errorf("%v: is %q %v, want %v", err, class, got, want)
				}
			}
			held := find(server.RecordSets(zoneName), old.Key)
			if held == nil || !zone.Equal(*held, test.holds) {
				t.Errorf("server holds %s, want %s", dns.Describe(held), test.holds)
			}
		})
	}
}

type hook = func(string, *wire.Msg) dnstest.Fault

func always(h hook) func(*dnstest.Server) hook { return func(*dnstest.Server) hook { return h } }

func everything(fault dnstest.Fault) hook {
	return func(string, *wire.Msg) dnstest.Fault { return fault }
}

// meanwhile writes set in somebody else's name just before the update arrives.
func meanwhile(set dns.RecordSet) func(*dnstest.Server) hook {
	return func(server *dnstest.Server) hook {
		return func(_ string, request *wire.Msg) dnstest.Fault {
			if request.Opcode == wire.OpcodeUpdate {
				server.Put(zoneName, set)
			}
			return dnstest.None
		}
	}
}

func find(sets []dns.RecordSet, key zone.Key) *dns.RecordSet {
	for i := range sets {
		if sets[i].Key == key {
			return &sets[i]
		}
	}
	return nil
}

func TestSwapTellsWhatIsHeldInstead(t *testing.T) {
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName, dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.9"))
	old := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.4")
	led := dnstest.Set(t, "pay."+zoneName, "A", 60, "198.51.100.4")
	err := client(t, server).Swap(t.Context(), zoneName, dns.Swap{Old: &old, New: &led})
	want := "swap in zone example.test at " + server.Address +
		": service holds 192.0.2.9 (ttl 60), expected 192.0.2.4 (ttl 60): record set changed by someone else"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestSwapMayBeRepeatedAfterAChangeElsewhere(t *testing.T) {
	server := dnstest.NewServer(t)
	old := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	led := dnstest.Set(t, "pay."+zoneName, "A", 60, "198.51.100.1")
	server.Hold(t, zoneName, old)
	once := false
	server.OnRequest(func(_ string, request *wire.Msg) dnstest.Fault {
		if request.Opcode == wire.OpcodeUpdate && !once {
			once = true
			server.Put(zoneName, dnstest.Set(t, "other."+zoneName, "A", 60, "192.0.2.1"))
		}
		return dnstest.None
	})
	adapter := client(t, server)
	if err := adapter.Swap(t.Context(), zoneName, dns.Swap{Old: &old, New: &led}); !errors.Is(err, dns.ErrTransient) {
		t.Fatalf("got %v, want ErrTransient", err)
	}
	if err := adapter.Swap(t.Context(), zoneName, dns.Swap{Old: &old, New: &led}); err != nil {
		t.Fatalf("again: %v", err)
	}
}

func TestSOAOfAnotherSerialIsLeftAlone(t *testing.T) {
	server := dnstest.NewServer(t)
	server.SerialShift = 1000
	server.Hold(t, zoneName)
	adapter := client(t, server)
	before := server.RecordSets(zoneName)
	shown, err := adapter.RecordSets(t.Context(), zoneName)
	if err != nil {
		t.Fatal(err)
	}
	swaps, err := zone.LowerSwaps(shown[1:], 60)
	if err != nil || len(swaps) != 1 {
		t.Fatalf("got %v, %v; want the SOA's swap", swaps, err)
	}
	if err := adapter.Swap(t.Context(), zoneName, swaps[0]); err == nil {
		t.Error("got no error")
	}
	if left := zone.Diff(before, server.RecordSets(zoneName)); len(left) > 0 {
		t.Errorf("changed: %v", left)
	}
}

func TestWildcardAnswersAreNotTakenForSets(t *testing.T) {
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName, dnstest.Set(t, "*."+zoneName, "A", 60, "192.0.2.1"))
	adapter := client(t, server)
	old := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1") // what the wildcard answers
	led := dnstest.Set(t, "pay."+zoneName, "A", 60, "198.51.100.1")
	if err := adapter.Swap(t.Context(), zoneName, dns.Swap{Old: &old, New: &led}); !errors.Is(err, dns.ErrChanged) {
		t.Errorf("replace: got %v, want ErrChanged", err)
	}
	if err := adapter.Swap(t.Context(), zoneName, dns.Swap{New: &led}); err != nil {
		t.Errorf("create: %v", err)
	}
	if err := adapter.Swap(t.Context(), zoneName, dns.Swap{Old: &led}); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// The parent's server may hold the zone below as well, and then answers from that.
func TestDelegationIsSwappedInTheParent(t *testing.T) {
	for _, both := range []bool{false, true} {
		t.Run(fmt.Sprintf("server holds the child too: %v", both), func(t *testing.T) {
			server := dnstest.NewServer(t)
			ns := dnstest.Set(t, zoneName, "NS", 3600, "ns1."+zoneName+".", "ns2."+zoneName+".")
			glue := dnstest.Set(t, "ns1."+zoneName, "A", 3600, "192.0.2.53")
			server.Hold(t, "test", ns, glue)
			if both {
				server.Hold(t, zoneName, dnstest.Set(t, "ns1."+zoneName, "A", 5, "192.0.2.99"))
			}
			adapter := client(t, server)
			want := []dns.RecordSet{
				dnstest.Set(t, zoneName, "NS", 60, "ns1."+zoneName+".", "ns1.elsewhere.test."),
				dnstest.Set(t, "ns1."+zoneName, "A", 60, "198.51.100.53"),
			}
			for i, old := range []dns.RecordSet{ns, glue} {
				if err := adapter.Swap(t.Context(), "test", dns.Swap{Old: &old, New: &want[i]}); err != nil {
					t.Errorf("swap %s: %v", old.Key, err)
				}
			}
			if got := zone.Copied("test", server.RecordSets("test")); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
			late := dnstest.Set(t, zoneName, "NS", 3600, want[0].Data...)
			if err := adapter.Swap(t.Context(), "test", dns.Swap{Old: &late, New: &ns}); !errors.Is(err, dns.ErrChanged) {
				t.Errorf("swap with another TTL: got %v, want ErrChanged", err)
			}
		})
	}
}

func TestRecordSetsErrors(t *testing.T) {
	tests := []struct {
		what     string
		fault    dnstest.Fault
		mentions string
		is       error
	}{
		{"transfers are refused", dnstest.Refuse, "is the key allowed to transfer it?", nil},
		{"the server fails", dnstest.ServerFailure, "SERVFAIL", dns.ErrTransient},
		{"the server is silent", dnstest.Ignore, "timeout", dns.ErrTransient},
		{"the answer is nonsense", dnstest.Pretend, "does not begin with a SOA", nil},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			server := dnstest.NewServer(t)
			server.Hold(t, zoneName)
			server.OnRequest(func(_ string, request *wire.Msg) dnstest.Fault {
				if request.Question[0].Qtype == wire.TypeAXFR {
					return test.fault
				}
				return dnstest.None
			})
			_, err := impatient(t, server).RecordSets(t.Context(), zoneName)
			if err == nil || !strings.Contains(err.Error(), test.mentions) {
				t.Errorf("got %v, want it to mention %q", err, test.mentions)
			}
			if errors.Is(err, dns.ErrNoZone) || errors.Is(err, dns.ErrTransient) != (test.is != nil) {
				t.Errorf("got %v, want class %v", err, test.is)
			}
		})
	}
}

func TestUnreachableServerIsTransient(t *testing.T) {
	refused := errors.New("no route")
	adapter := clientWith(t, rfc2136.Options{
		Address: "10.53.0.3:53",
		Dial: func(_ context.Context, network, address string) (net.Conn, error) {
			if network != "tcp" || address != "10.53.0.3:53" {
				t.Errorf("dialled %s %s", network, address)
			}
			return nil, refused
		},
	})
	set := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	_, listErr := adapter.RecordSets(t.Context(), zoneName)
	swapErr := adapter.Swap(t.Context(), zoneName, dns.Swap{New: &set})
	for _, err := range []error{listErr, swapErr} {
		if !errors.Is(err, dns.ErrTransient) || !errors.Is(err, refused) {
			t.Errorf("got %v, want ErrTransient and the cause", err)
		}
	}
}

func TestWrongKeyIsNotTransient(t *testing.T) {
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName)
	for _, key := range []rfc2136.Key{
		{Name: "unknown", Secret: server.Secret},
		{Name: server.KeyName, Secret: "YW5vdGhlciBzZWNyZXQ="},
	} {
		adapter := clientWith(t, rfc2136.Options{Address: server.Address, Key: &key, Dial: new(net.Dialer).DialContext})
		set := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
		_, listErr := adapter.RecordSets(t.Context(), zoneName)
		swapErr := adapter.Swap(t.Context(), zoneName, dns.Swap{New: &set})
		for _, err := range []error{listErr, swapErr} {
			if err == nil || errors.Is(err, dns.ErrTransient) || errors.Is(err, dns.ErrNoZone) {
				t.Errorf("key %s: got %v, want an error that says neither to wait nor that the zone is missing", key.Name, err)
			}
		}
	}
	if got := zone.Copied(zoneName, server.RecordSets(zoneName)); len(got) > 0 {
		t.Errorf("server took %v", got)
	}
}

func TestNewRefusesBadKeys(t *testing.T) {
	for _, key := range []rfc2136.Key{
		{Name: "", Secret: "YQ=="},
		{Name: "k", Secret: ""},
		{Name: "k", Secret: "not base64!"},
		{Name: "k", Secret: "YQ==", Algorithm: "hmac-md5"},
	} {
		_, err := rfc2136.New(rfc2136.Options{Key: &key})
		if err == nil {
			t.Errorf("%+v: got no error", key)
		} else if key.Secret != "" && strings.Contains(err.Error(), key.Secret) {
			t.Errorf("error tells the secret: %v", err)
		}
	}
}

func TestImpossibleSwapsAreNotSent(t *testing.T) {
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName)
	server.OnRequest(func(_ string, request *wire.Msg) dnstest.Fault {
		t.Errorf("server was asked %v", request)
		return dnstest.None
	})
	weighted := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	weighted.SetID = "blue"
	native := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
	native.Native = "weight=1"
	outside := dnstest.Set(t, "pay.elsewhere.test", "A", 60, "192.0.2.1")
	broken := dns.RecordSet{Key: weighted.Key, Data: []string{"no address"}}
	soa := dnstest.Apex(t, zoneName)[0]
	for _, swap := range []dns.Swap{{New: &weighted}, {Old: &native}, {New: &outside}, {New: &broken}, {New: &soa}, {Old: &soa}} {
		if err := client(t, server).Swap(t.Context(), zoneName, swap); err == nil {
			t.Errorf("swap %s: got no error", swap)
		}
	}
}

// Every name of the largest estate is swapped one by one, and the zone listed in
// several messages.
func TestSixteenHundredNames(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	server := dnstest.NewServer(t)
	var before, want []dns.RecordSet
	for i := range 1600 {
		name := fmt.Sprintf("app-%d.%s", i, zoneName)
		before = append(before, dnstest.Set(t, name, "A", 60, "192.0.2.1"))
		want = append(want, dnstest.Set(t, name, "A", 60, "198.51.100.1"))
	}
	server.Hold(t, zoneName, before...)
	adapter := client(t, server)
	have, err := adapter.RecordSets(t.Context(), zoneName)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	step := zone.Next(before, want, have, 25)
	for _, swap := range step.Swaps {
		if err := adapter.Swap(t.Context(), zoneName, swap); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d swaps in %s", len(step.Swaps), time.Since(began))
	have, err = adapter.RecordSets(t.Context(), zoneName)
	if err != nil {
		t.Fatal(err)
	}
	if again := zone.Next(before, want, have, 25); !again.Done() || again.Reached() != 25 {
		t.Errorf("reached %d %%, still to do: %v", again.Reached(), again.Swaps)
	}
}

func TestTooLargeASetIsNotSent(t *testing.T) {
	server := dnstest.NewServer(t)
	server.Hold(t, zoneName)
	var data []string
	for i := range 4000 {
		data = append(data, fmt.Sprintf(`"%d %s"`, i, strings.Repeat("x", 20)))
	}
	large := dnstest.Set(t, "large."+zoneName, "TXT", 60, data...)
	err := client(t, server).Swap(t.Context(), zoneName, dns.Swap{New: &large})
	if err == nil || !strings.Contains(err.Error(), "update was not sent") || errors.Is(err, dns.ErrTransient) {
		t.Errorf("got %v, want an error that says that nothing was sent, and not to repeat it", err)
	}
}

func TestCancelledSwapEndsAtOnce(t *testing.T) {
	for _, opcode := range []int{wire.OpcodeQuery, wire.OpcodeUpdate} {
		server := dnstest.NewServer(t)
		old := dnstest.Set(t, "pay."+zoneName, "A", 60, "192.0.2.1")
		led := dnstest.Set(t, "pay."+zoneName, "A", 60, "198.51.100.1")
		server.Hold(t, zoneName, old)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		server.OnRequest(func(_ string, request *wire.Msg) dnstest.Fault {
			if request.Opcode == opcode {
				cancel()
				return dnstest.Ignore
			}
			return dnstest.None
		})
		adapter := clientWith(t, rfc2136.Options{
			Address: server.Address,
			Key:     &rfc2136.Key{Name: server.KeyName, Secret: server.Secret},
			Dial:    new(net.Dialer).DialContext,
			Timeout: time.Hour,
		})
		err := adapter.Swap(ctx, zoneName, dns.Swap{Old: &old, New: &led})
		if beforeUpdate := opcode == wire.OpcodeQuery; err == nil || errors.Is(err, dns.ErrTransient) != beforeUpdate {
			t.Errorf("cancelled during %s: got %v, want ErrTransient only before the update", wire.OpcodeToString[opcode], err)
		}
	}
}
