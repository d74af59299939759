package zone

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDelegationOf(t *testing.T) {
	parentNS := set(t, "example.test", "NS", 172800, "ns2.example.test.", "ns1.elsewhere.test.")
	glue := set(t, "ns2.example.test", "A", 3600, "192.0.2.53")
	parent := []RecordSet{
		parentNS, glue,
		set(t, "ns1.elsewhere.test", "A", 3600, "192.0.2.54"), // below another zone: no glue of ours
		set(t, "www.test", "A", 3600, "192.0.2.55"),
	}
	apexNS := set(t, "example.test", "NS", 200, "ns1.elsewhere.test.", "ns2.example.test.")
	own := []RecordSet{
		apexNS,
		set(t, "example.test", "SOA", 900, "ns1.elsewhere.test. root.example.test. 7 3600 600 86400 60"),
	}
	got, err := DelegationOf("Example.test.", parent, own)
	if err != nil {
		t.Fatal(err)
	}
	want := Delegation{
		Zone: "example.test", Parent: parentNS, Glue: []RecordSet{glue}, Apex: apexNS,
		SOA: SOA{TTL: 900, Serial: 7, Minimum: 60, Primary: "ns1.elsewhere.test"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Longest() != 48*time.Hour {
		t.Errorf("longest: got %s, want 48h", got.Longest())
	}
	if err := got.Check(); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestDelegationOfSaysWhatIsMissing(t *testing.T) {
	ns := set(t, "example.test", "NS", 60, "ns1.example.test.")
	soa := set(t, "example.test", "SOA", 900, "ns1.example.test. root.example.test. 7 3600 600 86400 60")
	tests := []struct {
		parent, own []RecordSet
		mentions    string
	}{
		{nil, []RecordSet{ns, soa}, "parent zone does not delegate example.test"},
		{[]RecordSet{ns}, []RecordSet{soa}, "no NS set at its apex"},
		{[]RecordSet{ns}, []RecordSet{ns}, "example.test SOA: no such set"},
	}
	for _, test := range tests {
		if _, err := DelegationOf("example.test", test.parent, test.own); err == nil || !strings.Contains(err.Error(), test.mentions) {
			t.Errorf("got %v, want %q", err, test.mentions)
		}
	}
}

func TestDelegationCheck(t *testing.T) {
	ds := set(t, "example.test", "DS", 60, "1 8 2 "+strings.Repeat("ab", 32))
	d := Delegation{
		Zone:   "example.test",
		Parent: set(t, "example.test", "NS", 60, "ns1.example.test."),
		Apex:   set(t, "example.test", "NS", 60, "ns1.example.test.", "ns2.example.test."),
		DS:     &ds,
	}
	err := d.Check()
	if err == nil {
		t.Fatal("got no finding")
	}
	for _, finding := range []string{"parent delegates example.test to ns1.example.test, but", "has a DS"} {
		if !strings.Contains(err.Error(), finding) {
			t.Errorf("got %v, want %q", err, finding)
		}
	}
}

func TestDiff(t *testing.T) {
	same := set(t, "a.example.test", "A", 60, "192.0.2.1")
	old, now := set(t, "b.example.test", "A", 60, "192.0.2.1"), set(t, "b.example.test", "A", 60, "192.0.2.2")
	gone, added := set(t, "c.example.test", "A", 60, "192.0.2.1"), set(t, "d.example.test", "A", 60, "192.0.2.1")
	want, have := []RecordSet{gone, same, old}, []RecordSet{now, added, same}
	var got []string
	for _, difference := range Diff(want, have) {
		got = append(got, difference.String())
	}
	expected := []string{
		"b.example.test A: holds 192.0.2.2 (ttl 60), expected 192.0.2.1 (ttl 60)",
		"c.example.test A: holds nothing, expected 192.0.2.1 (ttl 60)",
		"d.example.test A: holds 192.0.2.1 (ttl 60), expected nothing",
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("got  %q\nwant %q", got, expected)
	}
	var swaps []Swap
	for _, difference := range Diff(want, have) {
		swaps = append(swaps, difference.Swap())
	}
	if left := Diff(want, apply(t, have, swaps)); len(left) > 0 {
		t.Errorf("the swaps leave %v", left)
	}
}

func TestCopiedLeavesOutWhatNamesTheServers(t *testing.T) {
	sets := []RecordSet{
		set(t, "example.test", "A", 60, "192.0.2.1"),
		set(t, "example.test", "NS", 60, "ns1.example.test."),
		set(t, "example.test", "SOA", 60, "ns1.example.test. root.example.test. 7 3600 600 86400 60"),
		set(t, "sub.example.test", "NS", 60, "ns1.example.test."),
	}
	if got, want := Copied("Example.test.", sets), []RecordSet{sets[0], sets[3]}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
