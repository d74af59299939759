package dns

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"crossfade.dev/sandbox/address"
)

const testSecret = "Y3Jvc3NmYWRlLXNhbmRib3gta2V5LTEyMw=="

// startExample serves the example on a network of its own, so that tests can run
// beside each other and beside a sandbox.
func startExample(t *testing.T, dir string) (*Service, func(server string) string) {
	t.Helper()
	network := fmt.Sprintf("10.%d.%d.", 128+rand.IntN(100), rand.IntN(200))
	text := strings.NewReplacer("10.53.0.", network, "10.53.1.", network+"1").Replace(Example)
	config, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	service, err := Start(config, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { service.Close() })
	return service, func(server string) string {
		return address.Translate(net.JoinHostPort(network+server, "53"))
	}
}

func TestExampleIsWhatTheContractSays(t *testing.T) {
	config, err := Parse([]byte(Example))
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Zones) != 4 || len(config.Resolvers) != 4 {
		t.Errorf("%d zones and %d resolvers, want 4 of each", len(config.Zones), len(config.Resolvers))
	}
}

func TestResolversAnswerOverSockets(t *testing.T) {
	_, at := startExample(t, t.TempDir())
	for _, network := range []string{"udp", "tcp"} {
		for _, server := range []string{"11", "12", "13", "14"} {
			client := &dns.Client{Net: network, Timeout: 5 * time.Second}
			query := new(dns.Msg)
			query.SetQuestion("api.live.demo.test.", dns.TypeA)
			reply, _, err := client.Exchange(query, at(server))
			if err != nil {
				t.Fatal(err)
			}
			if got := data(reply.Answer); got != "A 10.1.0.1" {
				t.Errorf("%s of resolver %s: %q, %s", network, server, got, dns.RcodeToString[reply.Rcode])
			}
		}
	}
}

func TestUpdateAndTransferOverSockets(t *testing.T) {
	dir := t.TempDir()
	service, at := startExample(t, dir)
	client := &dns.Client{Net: "tcp", TsigSecret: map[string]string{"crossfade.": testSecret}}
	update := new(dns.Msg)
	update.SetUpdate("live.demo.test.")
	update.Used(records(t, "api.live.demo.test. 0 IN A 10.1.0.1"))
	update.RemoveRRset(records(t, "api.live.demo.test. 0 IN A 10.1.0.1"))
	update.Insert(records(t, "api.live.demo.test. 20 IN A 10.2.0.1"))
	update.SetTsig("crossfade.", dns.HmacSHA256, 300, time.Now().Unix())
	reply, _, err := client.Exchange(update, at("4")) // a secondary passes it on
	if err != nil || reply.Rcode != dns.RcodeSuccess {
		t.Fatalf("update: %v, %v", reply, err)
	}

	transfer := &dns.Transfer{TsigSecret: client.TsigSecret}
	request := new(dns.Msg)
	request.SetAxfr("live.demo.test.")
	request.SetTsig("crossfade.", dns.HmacSHA256, 300, time.Now().Unix())
	envelopes, err := transfer.In(request, at("3"))
	if err != nil {
		t.Fatal(err)
	}
	var zone []dns.RR
	for envelope := range envelopes {
		if envelope.Error != nil {
			t.Fatal(envelope.Error)
		}
		zone = append(zone, envelope.RR...)
	}
	if got := data(zone[1 : len(zone)-1]); got != "NS ns1.old.demo.test. | NS ns2.old.demo.test. | A 10.2.0.1" {
		t.Errorf("zone between its SOAs: %s", got)
	}
	if serial := zone[0].(*dns.SOA).Serial; serial != 2 {
		t.Errorf("serial %d, want 2", serial)
	}
	if err := service.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSignaturesThatDoNotHold(t *testing.T) {
	_, at := startExample(t, "")
	otherSecret := "b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA=="
	tests := []struct {
		name, key, secret, algorithm string
		want                         uint16
	}{
		{"wrong secret", "crossfade.", otherSecret, dns.HmacSHA256, dns.RcodeBadSig},
		{"unknown key", "stranger.", otherSecret, dns.HmacSHA256, dns.RcodeBadKey},
		{"other algorithm than the key's", "crossfade.", testSecret, dns.HmacSHA512, dns.RcodeBadKey},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := &dns.Client{Net: "tcp", TsigSecret: map[string]string{test.key: test.secret}}
			update := new(dns.Msg)
			update.SetUpdate("live.demo.test.")
			update.Insert(records(t, "evil.live.demo.test. 20 IN A 10.9.9.9"))
			update.SetTsig(test.key, test.algorithm, 300, time.Now().Unix())
			reply, _, _ := client.Exchange(update, at("3")) // the reply is not signed, which is an error to the client
			if reply == nil || reply.Rcode != dns.RcodeNotAuth || reply.IsTsig() == nil || reply.IsTsig().Error != test.want {
				t.Fatalf("reply %v, want NOTAUTH with TSIG error %d", reply, test.want)
			}
		})
	}
	t.Run("no signature", func(t *testing.T) {
		update := new(dns.Msg)
		update.SetUpdate("live.demo.test.")
		update.Insert(records(t, "evil.live.demo.test. 20 IN A 10.9.9.9"))
		reply, _, err := new(dns.Client).Exchange(update, at("3"))
		if err != nil || reply.Rcode != dns.RcodeRefused {
			t.Fatalf("%v, %v; want REFUSED", reply, err)
		}
		list := new(dns.Msg)
		list.SetAxfr("live.demo.test.")
		reply, _, err = (&dns.Client{Net: "tcp"}).Exchange(list, at("3"))
		if err != nil || reply.Rcode != dns.RcodeRefused {
			t.Fatalf("transfer: %v, %v; want REFUSED", reply, err)
		}
	})
}
