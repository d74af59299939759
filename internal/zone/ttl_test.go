package zone

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestLowerSwaps(t *testing.T) {
	have := []RecordSet{
		set(t, "example.test", "NS", 172800, "ns1.example.test."),
		set(t, "example.test", "SOA", 900, "ns1.example.test. root.example.test. 7 3600 600 86400 86400"),
		set(t, "low.example.test", "A", 30, "192.0.2.1"),
		set(t, "pay.example.test", "A", 300, "192.0.2.1"),
	}
	swaps, err := LowerSwaps(have, 60)
	if err != nil {
		t.Fatal(err)
	}
	got := apply(t, have, swaps)
	want := []RecordSet{
		set(t, "example.test", "NS", 60, "ns1.example.test."),
		set(t, "example.test", "SOA", 60, "ns1.example.test. root.example.test. 7 3600 600 86400 60"),
		set(t, "low.example.test", "A", 30, "192.0.2.1"),
		set(t, "pay.example.test", "A", 60, "192.0.2.1"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if len(swaps) != 3 {
		t.Errorf("got %v, want no swap of what is low", swaps)
	}
	if again, err := LowerSwaps(got, 60); err != nil || len(again) > 0 {
		t.Errorf("again: got %v, %v; want nothing to do", again, err)
	}
	if have[3].TTL != 300 {
		t.Error("the sets that were passed in were changed")
	}
}

func TestLowerSwapsLowersTheMinimumOfALowSOA(t *testing.T) {
	soa := set(t, "example.test", "SOA", 5, "ns1.example.test. root.example.test. 7 3600 600 86400 300")
	swaps, err := LowerSwaps([]RecordSet{soa}, 60)
	if err != nil || len(swaps) != 1 || swaps[0].New.TTL != 5 {
		t.Errorf("got %v, %v; want one swap that leaves the TTL", swaps, err)
	}
}

func TestOldAnswers(t *testing.T) {
	soa := set(t, "example.test", "SOA", 900, "ns1.example.test. root.example.test. 7 3600 600 86400 86400")
	pay := set(t, "pay.example.test", "A", 300, "192.0.2.1")
	ds := set(t, "example.test", "DS", 7200, "1 8 2 "+strings.Repeat("ab", 32))
	delegation := Delegation{
		Parent: set(t, "example.test", "NS", 3600, "ns1.example.test."),
		Apex:   set(t, "example.test", "NS", 60, "ns1.example.test."),
	}
	signed := delegation
	signed.DS = &ds
	tests := []struct {
		what   string
		before []RecordSet
		facts  []Delegation
		want   time.Duration
	}{
		{"nothing", nil, nil, 0},
		{"a record", []RecordSet{pay}, nil, 330 * time.Second},
		{"no such name", []RecordSet{pay, soa}, nil, 990 * time.Second},
		{"the parent's NS", []RecordSet{pay, soa}, []Delegation{delegation}, 66 * time.Minute},
		{"the parent's DS", []RecordSet{pay}, []Delegation{delegation, signed}, 132 * time.Minute},
	}
	for _, test := range tests {
		if got := OldAnswers(test.before, test.facts...); got != test.want {
			t.Errorf("%s: got %s, want %s", test.what, got, test.want)
		}
	}
}
