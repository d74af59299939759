package zone

import (
	"reflect"
	"strings"
	"testing"

	wire "github.com/miekg/dns"
)

const sampleZone = `$TTL 300
@	900	IN	SOA	ns1 hostmaster (
			2026010101 ; serial
			3600 600 86400 60 )
@	3600	IN	NS	ns1
@	3600	IN	NS	ns2.elsewhere.test.
ns1	IN	A	192.0.2.53
Pay	60	IN	A	192.0.2.4
	60	IN	A	192.0.2.5
*.pay	5	IN	CNAME	pay
info	IN	TXT	"one; two" three
`

func TestParse(t *testing.T) {
	got, err := Parse("Example.test.", sampleZone)
	if err != nil {
		t.Fatal(err)
	}
	want := Sorted([]RecordSet{
		set(t, "example.test", "SOA", 900, "ns1.example.test. hostmaster.example.test. 2026010101 3600 600 86400 60"),
		set(t, "example.test", "NS", 3600, "ns1.example.test.", "ns2.elsewhere.test."),
		set(t, "ns1.example.test", "A", 300, "192.0.2.53"),
		set(t, "pay.example.test", "A", 60, "192.0.2.4", "192.0.2.5"),
		set(t, "*.pay.example.test", "CNAME", 5, "pay.example.test."),
		set(t, "info.example.test", "TXT", 300, `"one; two" "three"`),
	})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ text, mentions string }{
		{"pay 60 IN A 192.0.2\n", "line: 1"},
		{"ok 60 IN A 192.0.2.1\npay 60 IN BOGUS x\n", "line: 2"},
		{"pay.elsewhere.test. 60 IN A 192.0.2.1\n", "pay.elsewhere.test A: name is outside the zone"},
		{"pay 60 CH TXT x\n", "class is CH, not IN"},
		{"pay 60 IN A 192.0.2.1\npay 61 IN A 192.0.2.2\n", "ttl 60 and 61"},
		{"pay 60 IN CNAME lb.elsewhere.test.\npay 60 IN TXT x\n", "pay.example.test has a CNAME beside other data (CNAME, TXT)"},
		{"pay 60 IN CNAME a.elsewhere.test.\npay 60 IN CNAME b.elsewhere.test.\n", "2 targets, but a name has one"},
		{"$INCLUDE /etc/passwd\n", "$INCLUDE"},
		{"pay 4294967295 IN A 192.0.2.1\n", "ttl"},
	}
	for _, test := range tests {
		sets, err := Parse("example.test", test.text)
		if err == nil || !strings.Contains(err.Error(), test.mentions) {
			t.Errorf("%q: got %v, %v; want an error that mentions %q", test.text, sets, err, test.mentions)
		}
		if sets != nil {
			t.Errorf("%q: got sets beside the error", test.text)
		}
	}
}

func TestRenderIsReadBack(t *testing.T) {
	sets, err := Parse("example.test", sampleZone)
	if err != nil {
		t.Fatal(err)
	}
	text := Render("example.test", sets)
	again, err := Parse("example.test", text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if !reflect.DeepEqual(again, sets) {
		t.Errorf("got  %v\nwant %v", again, sets)
	}
	if lines := strings.Split(text, "\n"); !strings.Contains(lines[1], "SOA") {
		t.Errorf("first record is not the SOA:\n%s", text)
	}
}

func TestRenderSaysWhatAZoneFileCannot(t *testing.T) {
	weighted := set(t, "pay.example.test", "A", 60, "192.0.2.4")
	weighted.SetID, weighted.Native = "blue", "a\nb"
	text := Render("example.test", []RecordSet{weighted})
	if want := "pay.example.test.\t60\tIN\tA\t192.0.2.4 ; \"blue\" \"a\\nb\"\n"; !strings.HasSuffix(text, want) {
		t.Errorf("got %q, want it to end with %q", text, want)
	}
}

// FuzzParse states: no text makes Parse panic; what it accepts, Render writes in a
// form that Parse reads back to the same sets, and every set is canonical.
func FuzzParse(f *testing.F) {
	f.Add(sampleZone)
	f.Add("$ORIGIN sub.example.test.\n$GENERATE 1-3 a$ A 192.0.2.$\n")
	f.Add("a 1h30m IN A 192.0.2.1\nb 0 TYPE65280 \\# 3 abcdef\nc 5 IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m\n")
	f.Add("a 60 SVCB 1 . alpn=h2,h3 ipv4hint=192.0.2.1 key65000=\\\"x\nb 60 CAA 0 issue \"x\"\nc 60 NAPTR 1 2 \"u\" \"sip\" \"!a!b!\" .\n")
	f.Add("a\\.b\\032c 60 TXT \"\\\"\\000\\255\" ; comment\n\\@ 60 URI 1 2 \"http://x/\"\n")
	f.Add("a 60 DS 1 8 2 ab cd\na 60 SSHFP 1 1 aabb\nb 60 APL 1:10.0.0.0/8 !2:2001:db8::/32\nc 60 HIP 2 200100107B1A74DF365639CC39F1D578 AwEA rvs.example.com.\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToUpper(text), "$GENERATE") && len(text) > 100 {
			t.Skip("many records: slow, not wrong")
		}
		sets, err := Parse("example.test", text)
		if err != nil {
			return
		}
		for _, s := range sets {
			canonical, err := s.Canonical()
			if err != nil {
				t.Fatalf("%s %q is not canonical: %v", s.Key, s.Data, err)
			}
			if !reflect.DeepEqual(canonical, s) {
				t.Fatalf("got %#v, canonical is %#v", s, canonical)
			}
		}
		rendered := Render("example.test", sets)
		again, err := Parse("example.test", rendered)
		if err != nil {
			t.Fatalf("%v in\n%s", err, rendered)
		}
		if len(again) != len(sets) || len(sets) > 0 && !reflect.DeepEqual(again, sets) {
			t.Fatalf("got  %v\nwant %v", again, sets)
		}
	})
}

// FuzzCanonical states: what Canonical returns, Canonical returns unchanged.
func FuzzCanonical(f *testing.F) {
	f.Add("pay.example.test", "A", uint32(60), "192.0.2.1")
	f.Add("Pay.Example.Test.", "TXT", uint32(0), `"a;b" c\"d`)
	f.Add(".", "NS", uint32(172800), "A.Root-Servers.NET.")
	f.Add(`a\.b`, "SOA", uint32(1), "a. b. 1 2 3 4 5")
	f.Add("a", "TYPE1", uint32(1), `\# 4 01020304`)
	f.Add("a", "CAA", uint32(1), `\# 2 0000`)
	f.Add("a", "EUI48", uint32(1), "00-00-00-00-00-01")
	f.Add("a", "HTTPS", uint32(1), `1 . no-default-alpn alpn="h2" ech="AAAA"`)
	f.Fuzz(func(t *testing.T, name, typ string, ttl uint32, data string) {
		first, err := NewRecordSet(name, typ, ttl, data)
		if err != nil {
			return
		}
		second, err := first.Canonical()
		if err != nil {
			t.Fatalf("%#v: %v", first, err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("got  %#v\nthen %#v", first, second)
		}
	})
}

// FuzzGroup states: whatever a server sends, its records become sets that are either
// canonical or refused by Canonical, never changed by it.
func FuzzGroup(f *testing.F) {
	for _, text := range []string{
		"pay.example.test. 60 IN A 192.0.2.1",
		"Pay.example.test. 60 IN CNAME LB.example.net.",
		`a\.b.example.test. 60 IN TXT "a;b" "\255"`,
		"example.test. 900 IN SOA ns1. root. 1 2 3 4 5",
		"a. 1 IN HTTPS 1 . alpn=h2 key65000=x",
		"a. 1 IN NAPTR 1 2 \"u\" \"sip\" \"!a!b!\" .",
		"a. 1 IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
		"a. 1 IN EUI48 00-00-00-00-00-00",
		`a. 1 IN TYPE65280 \# 3 abcdef`,
	} {
		record, err := wire.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		packed := make([]byte, wire.Len(record))
		if _, err := wire.PackRR(record, packed, 0, nil, false); err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		record, _, err := wire.UnpackRR(packed, 0)
		if err != nil || record == nil {
			return
		}
		for _, s := range Group([]wire.RR{record}) {
			canonical, err := s.Canonical()
			if err == nil && !reflect.DeepEqual(canonical, s) {
				t.Fatalf("got %#v, canonical is %#v", s, canonical)
			}
		}
	})
}
