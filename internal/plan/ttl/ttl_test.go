package ttl

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"crossfade.dev/internal/zone"
)

var now = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func set(name, typ string, ttl uint32, data ...string) zone.RecordSet {
	return zone.RecordSet{Key: zone.Key{Name: name, Type: typ}, TTL: ttl, Data: data}
}

// live is a zone whose TTLs are given, with two names.
func live(parent, apex, soa, minimum, record uint32) Facts {
	const z = "live.test.example"
	return Facts{
		Zone: z, Ceiling: 60, Now: now,
		Parent: []zone.RecordSet{
			set("test.example", "SOA", 900, "ns.test.example. admin.test.example. 1 2 3 4 5"),
			set(z, "NS", parent, "ns1."+z+"."), set("ns1."+z, "A", parent, "192.0.2.53"), set("other.test.example", "A", 86400, "192.0.2.9"),
		},
		Own: []zone.RecordSet{
			set(z, "NS", apex, "ns1."+z+"."),
			set(z, "SOA", soa, "ns1."+z+". admin."+z+". 1 7200 900 1209600 "+strconv.FormatUint(uint64(minimum), 10)),
			set("www."+z, "A", record, "192.0.2.1"), set("pay."+z, "A", record, "192.0.2.1"), set("text."+z, "TXT", 86400, "\"x\""),
		},
	}
}

func TestWaitAndWaysBack(t *testing.T) {
	tests := []struct {
		name                               string
		facts                              Facts
		lower                              int
		wait                               time.Duration
		entry, apexBack, parentBack, noone int64 // before
	}{
		{"all is low", live(60, 60, 60, 60, 30), 0, 0, 30, 60, 60, 60},
		{"records alone", live(60, 60, 60, 60, 300), 2, 330 * time.Second, 300, 60, 60, 60},
		{"the parent's delegation is the longest", live(172800, 60, 60, 60, 60), 2, 172800 * 11 * time.Second / 10, 60, 172800, 172800, 60},
		{"the zone's own NS is the longest", live(60, 172800, 60, 60, 60), 1, 172800 * 11 * time.Second / 10, 60, 172800, 60, 60},
		{"no such name is kept for the lower of both", live(60, 60, 900, 86400, 60), 2, 990 * time.Second, 60, 60, 60, 900},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Of(tt.facts)
			if len(r.Lower) != tt.lower || r.WaitSeconds != int64(tt.wait.Seconds()) || !r.Safe.Equal(now.Add(tt.wait)) {
				t.Errorf("lower %q, wait %d s, safe %s; want %d sets and %s", r.Lower, r.WaitSeconds, r.Safe, tt.lower, tt.wait)
			}
			for i, want := range []int64{tt.entry, tt.apexBack, tt.parentBack, tt.noone} {
				if b := r.Back[i]; b.Before != want || b.After != min(want, 60) {
					t.Errorf("%s: %d s, lowered %d s; want %d and %d", b.What, b.Before, b.After, want, min(want, 60))
				}
			}
		})
	}
}

func TestThePathIsToldInTheOrderOfResolving(t *testing.T) {
	var got []string
	for _, e := range Of(live(172800, 300, 900, 86400, 3600)).Path {
		got = append(got, e.What)
	}
	want := []string{"parent NS", "parent glue", "apex NS", "SOA", "no such name", "zone A"}
	if !slices.Equal(got, want) {
		t.Errorf("path %q, want %q", got, want)
	}
	if last := Of(live(60, 60, 60, 60, 3600)).Path[5]; last.Sets != 2 || last.Seconds != 3600 || last.To != 60 {
		t.Errorf("the two names are %+v, want one entry to be lowered", last)
	}
}

func TestAdvice(t *testing.T) {
	signed := live(60, 60, 60, 60, 60)
	signed.Parent = append(signed.Parent, set(signed.Zone, "DS", 3600, "1 8 2 00"))
	blind := live(60, 60, 60, 60, 60)
	blind.Parent = nil
	top := live(172800, 60, 60, 60, 60)
	top.Parent[0].Name = "example"
	tests := []struct {
		name  string
		facts Facts
		want  string
	}{
		{"a signed parent", signed, "Publish both services' keys"},
		{"a parent that was not seen is unknown", blind, "is unknown"},
		{"a registry's TTL", top, "the registry's"},
		{"parent and zone differ", live(172800, 300, 60, 60, 60), "Resolvers obey one or the other"},
		{"negative answers", live(60, 60, 900, 900, 60), "is kept for 15m0s"},
		{"when a start is safe", live(3600, 60, 60, 60, 60), "start no earlier than 2026-03-01T10:06:00Z"},
		{"nothing to wait for", live(60, 60, 60, 60, 60), "a start is safe now"},
	}
	for _, tt := range tests {
		var all []string
		for _, a := range Of(tt.facts).Advice {
			all = append(all, a.Text)
			if a.Source == "" {
				t.Errorf("%q has no source", a.Text)
			}
		}
		if !strings.Contains(strings.Join(all, "\n"), tt.want) {
			t.Errorf("%s: %q does not say %q", tt.name, all, tt.want)
		}
	}
}

func TestNobodyLowersWhatARegistryHolds(t *testing.T) {
	f := live(172800, 60, 60, 60, 300)
	f.Parent[0].Name = "example"
	r := Of(f)
	if len(r.Lower) != 2 || r.WaitSeconds != 330 {
		t.Errorf("lower %q and wait %d s, want the two names and 330 s: the delegation follows last, and is not waited for", r.Lower, r.WaitSeconds)
	}
	if b := r.Back[2]; b.Before != 172800 || b.After != 172800 {
		t.Errorf("%+v, want two days before and after", b)
	}
}

// Property: whatever the TTLs are, nobody who obeys them holds an old answer when a
// start is called safe, and no way back takes longer than the ceiling once they are low.
func TestSafeIsAfterEveryOldAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) uint32 { return rapid.Uint32Range(1, 200000).Draw(t, what) }
		f := live(draw("parent"), draw("apex"), draw("soa"), draw("minimum"), draw("record"))
		f.Ceiling = rapid.Uint32Range(1, 3600).Draw(t, "ceiling")
		r := Of(f)
		for _, e := range r.Path {
			if e.Seconds > f.Ceiling && r.Safe.Before(now.Add(time.Duration(e.Seconds)*time.Second)) {
				t.Fatalf("%+v outlives %s", e, r.Safe)
			}
		}
		for _, b := range r.Back {
			if b.After > int64(f.Ceiling) || b.After > b.Before {
				t.Fatalf("%+v, ceiling %d", b, f.Ceiling)
			}
		}
	})
}
