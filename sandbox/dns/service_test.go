package dns

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"crossfade.dev/sandbox/address"
)

const testSecret = "Y3Jvc3NmYWRlLXNhbmRib3gta2V5LTEyMw=="

// exampleElsewhere is the example on a network of its own, so that tests can run
// beside each other and beside a sandbox, and the way to its servers: "3" is what
// the example has at 10.53.0.3, "11" what it has at 10.53.1.1.
func exampleElsewhere() (text string, at func(server string) string) {
	network := fmt.Sprintf("10.%d.%d.", 128+rand.IntN(100), rand.IntN(200))
	text = strings.NewReplacer("10.53.0.", network, "10.53.1.", network+"1").Replace(Example)
	return text, func(server string) string {
		return address.Translate(net.JoinHostPort(network+server, "53"))
	}
}

func startExample(t testing.TB, dir string) (*Service, func(server string) string) {
	t.Helper()
	text, at := exampleElsewhere()
	config, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	service, err := Start(config, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Close() })
	return service, at
}

func TestExampleHasWhatAMoveNeeds(t *testing.T) {
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

func TestAnswerTooLargeForADatagramComesOverTCP(t *testing.T) {
	_, at := startExample(t, "")
	client := &dns.Client{Net: "tcp", TsigSecret: map[string]string{"crossfade.": testSecret}}
	update := new(dns.Msg)
	update.SetUpdate("live.demo.test.")
	for i := range 200 {
		update.Insert(records(t, fmt.Sprintf("many.live.demo.test. 20 IN A 10.1.2.%d", i)))
	}
	update.SetTsig("crossfade.", dns.HmacSHA256, 300, time.Now().Unix())
	if reply, _, err := client.Exchange(update, at("3")); err != nil || reply.Rcode != dns.RcodeSuccess {
		t.Fatalf("%v, %v", reply, err)
	}
	query := new(dns.Msg)
	query.SetQuestion("many.live.demo.test.", dns.TypeA)
	query.SetEdns0(4096, false)
	reply, _, err := new(dns.Client).Exchange(query, at("3"))
	if reply != nil {
		reply.Compress = true
	}
	if err != nil || !reply.Truncated || reply.Len() > maxDatagram {
		t.Errorf("over UDP: %d bytes, truncated %v, %v", reply.Len(), reply.Truncated, err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for len(reply.Answer) != 200 && time.Now().Before(deadline) { // until the secondary has it
		reply, _, err = client.Exchange(query.Copy(), at("4"))
		if err != nil {
			t.Fatal(err)
		}
	}
	reply, _, err = client.Exchange(query.Copy(), at("11")) // the resolver goes on to TCP by itself
	if err != nil || len(reply.Answer) != 200 {
		t.Errorf("by way of a resolver: %d records, %v", len(reply.Answer), err)
	}
}

func fetch(t *testing.T, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(request)
}

func TestCountsTellClientsApart(t *testing.T) {
	service, at := startExample(t, "")
	inspect := httptest.NewServer(service.Handler())
	defer inspect.Close()
	query := new(dns.Msg)
	query.SetQuestion("api.live.demo.test.", dns.TypeA)
	for _, server := range []string{"13", "13", "3", "3", "4"} {
		if _, _, err := new(dns.Client).Exchange(query, at(server)); err != nil {
			t.Fatal(err)
		}
	}
	response, err := fetch(t, inspect.URL+"/counts")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var counts []Counts
	if err := json.NewDecoder(response.Body).Decode(&counts); err != nil {
		t.Fatal(err)
	}
	fromResolver, fromTool := uint64(0), uint64(0)
	for _, c := range counts {
		if c.Zones["old"] == 0 {
			continue
		}
		for client, n := range c.Clients {
			if client == "127.0.0.1" {
				fromTool += n
			} else {
				fromResolver += n
			}
		}
	}
	if fromResolver != 1 || fromTool != 3 {
		t.Errorf("the old zone's servers saw %d queries of the resolver and %d of the tool, want 1 and 3", fromResolver, fromTool)
	}
	for path, want := range map[string]string{
		"/zones": `"old"`, "/zones/old": "api.live.demo.test.\t20\tIN\tA\t10.1.0.1", "/healthz": "ok",
		"/caches/" + service.config.Resolvers[2].Address.String(): "api.live.demo.test.\tA\t",
	} {
		response, err := fetch(t, inspect.URL+path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s: %s\nlacks %q", path, body, want)
		}
	}
}
