package zone

import (
	"reflect"
	"testing"

	wire "github.com/miekg/dns"
)

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
