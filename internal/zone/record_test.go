package zone

import (
	"reflect"
	"testing"
	"time"
)

// set returns a canonical record set, or ends the test.
func set(t testing.TB, name, typ string, ttl uint32, data ...string) RecordSet {
	t.Helper()
	s, err := NewRecordSet(name, typ, ttl, data...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCanonicalName(t *testing.T) {
	tests := []struct{ name, want string }{
		{"www.Example.COM.", "www.example.com"},
		{"www.example.com", "www.example.com"},
		{".", "."},
		{"*.Example.com", "*.example.com"},
		{`\065.example.com`, "a.example.com"},
		{`a\.b.example.com`, `a\.b.example.com`},
		{`ends-with-escaped-dot\.`, `ends-with-escaped-dot\.`},
		{"_sip._TCP.example.com.", "_sip._tcp.example.com"},
	}
	for _, test := range tests {
		if got := CanonicalName(test.name); got != test.want {
			t.Errorf("CanonicalName(%q) = %q, want %q", test.name, got, test.want)
		}
		if again := CanonicalName(test.want); again != test.want {
			t.Errorf("CanonicalName(%q) = %q, want no change", test.want, again)
		}
	}
}

func TestWithin(t *testing.T) {
	tests := []struct {
		zone, name string
		want       bool
	}{
		{"example.com", "example.com", true},
		{"example.com", "a.b.example.com", true},
		{"example.com", "notexample.com", false},
		{"example.com", "com", false},
		{".", "example.com", true},
	}
	for _, test := range tests {
		if got := Within(test.zone, test.name); got != test.want {
			t.Errorf("Within(%q, %q) = %v", test.zone, test.name, got)
		}
	}
}

func TestCanonicalData(t *testing.T) {
	tests := []struct {
		typ  string
		data []string
		want []string
	}{
		{"A", []string{"192.0.2.2", "192.0.2.1", "192.0.2.2"}, []string{"192.0.2.1", "192.0.2.2"}},
		{"AAAA", []string{"2001:DB8:0:0::1"}, []string{"2001:db8::1"}},
		{"cname", []string{"LB.Example.NET."}, []string{"lb.example.net."}},
		{"MX", []string{"010 Mail.example.net."}, []string{"10 mail.example.net."}},
		{"TXT", []string{`Unquoted`}, []string{`"Unquoted"`}},
		{"TXT", []string{`"Keeps  Case; and \"quotes\""`}, []string{`"Keeps  Case; and \"quotes\""`}},
		{"TXT", []string{"\"\xc3\xa4\""}, []string{`"\195\164"`}},
		{"SRV", []string{"1 2 443 Host.Example.net."}, []string{"1 2 443 host.example.net."}},
		{"TYPE65280", []string{`\# 3 ABCDEF`}, []string{`\# 3 abcdef`}},
		{"A", []string{`\# 4 C0000201`}, []string{"192.0.2.1"}},
	}
	for _, test := range tests {
		got, err := NewRecordSet("A.Example.com.", test.typ, 60, test.data...)
		if err != nil {
			t.Errorf("%s %q: %v", test.typ, test.data, err)
			continue
		}
		if got.Name != "a.example.com" || !reflect.DeepEqual(got.Data, test.want) {
			t.Errorf("%s %q: got %s %q, want %q", test.typ, test.data, got.Name, got.Data, test.want)
		}
	}
}

func TestCanonicalRefusesWhatDNSCannotCarry(t *testing.T) {
	long := "a123456789a123456789a123456789a123456789a123456789a123456789abcd.example.com"
	tests := []struct {
		what string
		set  RecordSet
	}{
		{"no name", RecordSet{Key: Key{Type: "A"}, Data: []string{"192.0.2.1"}}},
		{"a label of 64 bytes", RecordSet{Key: Key{Name: long, Type: "A"}, Data: []string{"192.0.2.1"}}},
		{"two dots", RecordSet{Key: Key{Name: "a..b", Type: "A"}, Data: []string{"192.0.2.1"}}},
		{"no data", RecordSet{Key: Key{Name: "a.b", Type: "A"}}},
		{"no address", RecordSet{Key: Key{Name: "a.b", Type: "A"}, Data: []string{"lb.example.com."}}},
		{"an IPv6 address in A", RecordSet{Key: Key{Name: "a.b", Type: "A"}, Data: []string{"2001:db8::1"}}},
		{"empty data", RecordSet{Key: Key{Name: "a.b", Type: "A"}, Data: []string{""}}},
		{"a comment", RecordSet{Key: Key{Name: "a.b", Type: "A"}, Data: []string{"; 192.0.2.1"}}},
		{"two lines", RecordSet{Key: Key{Name: "a.b", Type: "A"}, Data: []string{"192.0.2.1\nc.d 60 IN A 192.0.2.2"}}},
		{"an open bracket", RecordSet{Key: Key{Name: "a.b", Type: "A"}, Data: []string{"( 192.0.2.1"}}},
		{"a relative name", RecordSet{Key: Key{Name: "a.b", Type: "CNAME"}, Data: []string{"lb"}}},
		{"a TTL over 31 bits", RecordSet{Key: Key{Name: "a.b", Type: "A"}, TTL: 1 << 31, Data: []string{"192.0.2.1"}}},
		{"an unknown type", RecordSet{Key: Key{Name: "a.b", Type: "ALIAS"}, Data: []string{"lb.example.com."}}},
		{"a question type", RecordSet{Key: Key{Name: "a.b", Type: "ANY"}, Data: []string{`\# 0`}}},
		{"a message's option", RecordSet{Key: Key{Name: "a.b", Type: "OPT"}, Data: []string{`\# 0`}}},
	}
	for _, test := range tests {
		if got, err := test.set.Canonical(); err == nil {
			t.Errorf("%s: got %v and no error", test.what, got)
		}
	}
}

func TestEqual(t *testing.T) {
	base := set(t, "a.example.com", "A", 60, "192.0.2.1", "192.0.2.2")
	change := func(edit func(*RecordSet)) RecordSet {
		changed := base.Clone()
		edit(&changed)
		return changed
	}
	tests := []struct {
		what  string
		other RecordSet
		want  bool
	}{
		{"itself", base, true},
		{"another order", change(func(s *RecordSet) { s.Data = []string{"192.0.2.2", "192.0.2.1"} }), true},
		{"another TTL", change(func(s *RecordSet) { s.TTL = 61 }), false},
		{"fewer data", change(func(s *RecordSet) { s.Data = s.Data[:1] }), false},
		{"other data", change(func(s *RecordSet) { s.Data[0] = "192.0.2.3" }), false},
		{"another name", change(func(s *RecordSet) { s.Name = "b.example.com" }), false},
		{"another type", change(func(s *RecordSet) { s.Type = "AAAA" }), false},
		{"another set id", change(func(s *RecordSet) { s.SetID = "blue" }), false},
		{"another native", change(func(s *RecordSet) { s.Native = "weight=1" }), false},
	}
	for _, test := range tests {
		if got := Equal(base, test.other); got != test.want {
			t.Errorf("%s: got %v", test.what, got)
		}
		if got := Equal(test.other, base); got != test.want {
			t.Errorf("%s, the other way round: got %v", test.what, got)
		}
	}
}

func TestSOASerialDoesNotCount(t *testing.T) {
	soa := set(t, "example.com", "SOA", 900, "ns1.example.com. root.example.com. 7 3600 600 86400 300")
	later := set(t, "example.com", "SOA", 900, "ns1.example.com. root.example.com. 8 3600 600 86400 300")
	lowered := set(t, "example.com", "SOA", 900, "ns1.example.com. root.example.com. 7 3600 600 86400 60")
	if !Equal(soa, later) {
		t.Error("another serial: got a difference")
	}
	if Equal(soa, lowered) {
		t.Error("another minimum: got no difference")
	}
}

func TestNextSOA(t *testing.T) {
	held := set(t, "example.com", "SOA", 900, "ns1.example.com. root.example.com. 4294967295 3600 600 86400 300")
	want := set(t, "example.com", "SOA", 60, "ns1.example.com. root.example.com. 7 3600 600 86400 60")
	got, err := NextSOA(held, want)
	if err != nil {
		t.Fatal(err)
	}
	if data := "ns1.example.com. root.example.com. 0 3600 600 86400 60"; got.Data[0] != data || got.TTL != 60 {
		t.Errorf("got %v, want %s", got, data)
	}
	facts, err := SOAOf("Example.com.", []RecordSet{got})
	if wanted := (SOA{TTL: 60, Minimum: 60, Primary: "ns1.example.com"}); err != nil || facts != wanted {
		t.Errorf("got %+v, %v; want %+v", facts, err, wanted)
	}
}

func TestNegativeLifetimeIsTheLower(t *testing.T) {
	if got := (SOA{TTL: 900, Minimum: 86400}).Negative(); got != 15*time.Minute {
		t.Errorf("got %s, want 15m (RFC 2308, section 5)", got)
	}
	if got := (SOA{TTL: 900, Minimum: 60}).Negative(); got != time.Minute {
		t.Errorf("got %s, want 1m", got)
	}
}

func TestTexts(t *testing.T) {
	before := set(t, "pay.example.com", "A", 60, "192.0.2.4")
	want := set(t, "pay.example.com", "A", 60, "198.51.100.4")
	held := set(t, "pay.example.com", "A", 60, "192.0.2.9")
	weighted := held
	weighted.SetID, weighted.Native = "blue", "weight=1"
	tests := []struct{ got, want string }{
		{held.Key.String(), "pay.example.com A"},
		{weighted.Key.String(), "pay.example.com A [blue]"},
		{weighted.String(), "192.0.2.9 (ttl 60) weight=1"},
		{Swap{Old: &before, New: &want}.String(), "pay.example.com A: 192.0.2.4 (ttl 60) -> 198.51.100.4 (ttl 60)"},
		{Swap{Old: &want}.String(), "pay.example.com A: 198.51.100.4 (ttl 60) -> nothing"},
		{Difference{Key: held.Key, Want: &before, Have: &held}.String(),
			"pay.example.com A: holds 192.0.2.9 (ttl 60), expected 192.0.2.4 (ttl 60)"},
		{Foreign{Key: held.Key, Before: &before, Want: &want, Have: &held}.String(),
			"pay.example.com A: holds 192.0.2.9 (ttl 60), expected 192.0.2.4 (ttl 60) or 198.51.100.4 (ttl 60)"},
		{Foreign{Key: held.Key, Before: &before, Want: &before}.String(),
			"pay.example.com A: holds nothing, expected 192.0.2.4 (ttl 60)"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got  %s\nwant %s", test.got, test.want)
		}
	}
}
