package zone

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// estate returns n names with one A set each, as they were and as they shall be.
func estate(t testing.TB, n int) (before, want []RecordSet) {
	for i := range n {
		name := fmt.Sprintf("app-%d.example.test", i)
		before = append(before, set(t, name, "A", 5, "192.0.2.1"))
		want = append(want, set(t, name, "A", 5, "198.51.100.1"))
	}
	return Sorted(before), Sorted(want)
}

func TestNextLeadsAShareOfNames(t *testing.T) {
	before, want := estate(t, 40)
	for _, test := range []struct{ percent, led int }{
		{-1, 0}, {0, 0}, {1, 1}, {2, 1}, {3, 2}, {25, 10}, {50, 20}, {99, 40}, {100, 40}, {101, 40},
	} {
		step := Next(before, want, before, test.percent)
		if step.Led != test.led || len(step.Swaps) != test.led || step.Names != 40 || step.Leading != 0 {
			t.Errorf("%d %%: got %d led, %d swaps of %d names, %d leading; want %d led",
				test.percent, step.Led, len(step.Swaps), step.Names, step.Leading, test.led)
		}
	}
}

func TestNextChoosesTheSameNamesEverywhere(t *testing.T) {
	before, want := estate(t, 8)
	var led []string
	for _, swap := range Next(before, want, before, 25).Swaps {
		led = append(led, swap.Key().Name)
	}
	// Written down, because another choice in another version would move names of a
	// migration under way.
	if expected := []string{"app-0.example.test", "app-6.example.test"}; !slices.Equal(led, expected) {
		t.Errorf("got %v, want %v", led, expected)
	}
}

func TestNextMovesAllSetsOfANameTogether(t *testing.T) {
	before := []RecordSet{
		set(t, "pay.example.test", "A", 5, "192.0.2.1"),
		set(t, "pay.example.test", "AAAA", 5, "2001:db8::1"),
		set(t, "pay.example.test", "TXT", 5, "stays"),
	}
	want, err := Want(before, AddressMap{"192.0.2.1": {"198.51.100.1"}, "2001:db8::1": {"2001:db8:2::1"}})
	if err != nil {
		t.Fatal(err)
	}
	step := Next(before, want, before, 1)
	if len(step.Swaps) != 2 || step.Names != 1 {
		t.Errorf("got %v of %d names, want both addresses of the one name", step.Swaps, step.Names)
	}
	if len(step.Want) != 3 || !Equal(step.Want[2], before[2]) {
		t.Errorf("got %v, want the TXT set to stay", step.Want)
	}
}

func TestNextHoldsForeignSets(t *testing.T) {
	old := set(t, "pay.example.test", "A", 60, "192.0.2.4")
	goal := set(t, "pay.example.test", "A", 5, "198.51.100.4")
	lowered := set(t, "pay.example.test", "A", 5, "192.0.2.4")
	native := old.Clone()
	native.Native = "alias"
	tests := []struct {
		what    string
		held    []RecordSet
		foreign bool
	}{
		{"as before", []RecordSet{old}, false},
		{"led", []RecordSet{goal}, false},
		{"as before, with the TTL lowered", []RecordSet{lowered}, false},
		{"led, with the TTL raised", []RecordSet{set(t, "pay.example.test", "A", 60, "198.51.100.4")}, false},
		{"other data", []RecordSet{set(t, "pay.example.test", "A", 60, "192.0.2.9")}, true},
		{"both addresses", []RecordSet{set(t, "pay.example.test", "A", 60, "192.0.2.4", "198.51.100.4")}, true},
		{"a TTL that is nobody's", []RecordSet{set(t, "pay.example.test", "A", 7, "192.0.2.4")}, true},
		{"another native", []RecordSet{native}, true},
		{"deleted", nil, true},
	}
	for _, test := range tests {
		for _, percent := range []int{0, 100} {
			step := Next([]RecordSet{old}, []RecordSet{goal}, test.held, percent)
			if got := len(step.Foreign) > 0; got != test.foreign {
				t.Errorf("%s, %d %%: foreign is %v, want %v", test.what, percent, got, test.foreign)
			}
			if test.foreign && (len(step.Swaps) > 0 || step.Done()) {
				t.Errorf("%s, %d %%: touched by %v", test.what, percent, step.Swaps)
			}
		}
	}
}

func TestNextCreatesAndTakesBack(t *testing.T) {
	want := []RecordSet{set(t, "new.example.test", "A", 5, "198.51.100.1")}
	forward := Next(nil, want, nil, 100)
	if len(forward.Swaps) != 1 || forward.Swaps[0].Old != nil || len(forward.Absent) != 0 {
		t.Errorf("forward: got %+v, want one creation", forward)
	}
	back := Next(nil, want, want, 0)
	if len(back.Swaps) != 1 || back.Swaps[0].New != nil || !slices.Equal(back.Absent, []Key{want[0].Key}) {
		t.Errorf("back: got %+v, want one deletion", back)
	}
}

func TestNextNeverDeletesWhatWantLeavesOut(t *testing.T) {
	before, _ := estate(t, 3)
	step := Next(before, nil, before, 100)
	if !step.Done() || step.Names != 0 || step.Reached() != 100 {
		t.Errorf("got %+v, want nothing to do", step)
	}
}

func TestReachedFindsTheStepAgain(t *testing.T) {
	steps := []int{5, 25, 50, 100}
	for names := 1; names <= 60; names++ {
		before, want := estate(t, names)
		for i, percent := range steps {
			have := apply(t, before, Next(before, want, before, percent).Swaps)
			reached := Next(before, want, have, percent).Reached()
			if reached < percent {
				t.Fatalf("%d names at %d %%: reached %d", names, percent, reached)
			}
			next, more := NextPercent(steps, reached)
			if more != (reached < 100) || more && next <= percent {
				t.Fatalf("%d names at %d %% (step %d): next is %d, %v", names, percent, i, next, more)
			}
		}
	}
}

func TestWant(t *testing.T) {
	before := []RecordSet{
		set(t, "b.example.test", "CNAME", 60, "LB.source.example."),
		set(t, "a.example.test", "A", 60, "192.0.2.1", "192.0.2.2"),
		set(t, "a.example.test", "MX", 60, "10 mx.example.test."),
	}
	got, err := Want(before, AddressMap{
		"192.0.2.1":         {"198.51.100.1"},
		"192.0.2.2":         {"198.51.100.1"}, // two entries become one
		"lb.Source.example": {"LB.Target.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []RecordSet{
		set(t, "a.example.test", "A", 60, "198.51.100.1"),
		set(t, "b.example.test", "CNAME", 60, "lb.target.example."),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestWantGuessesNothing(t *testing.T) {
	before := []RecordSet{
		set(t, "a.example.test", "A", 60, "192.0.2.1", "192.0.2.9"),
		set(t, "b.example.test", "CNAME", 60, "lb.source.example."),
		set(t, "c.example.test", "A", 60, "192.0.2.3"),
		set(t, "d.example.test", "A", 60, "192.0.2.4"),
	}
	got, err := Want(before, AddressMap{
		"192.0.2.1":         {"198.51.100.1"},
		"192.0.2.3":         {"lb.target.example"},
		"192.0.2.4":         nil, // not known yet
		"lb.source.example": {"198.51.100.2"},
	})
	if err == nil || got != nil {
		t.Fatalf("got %v, %v; want an error", got, err)
	}
	for _, line := range []string{
		"a.example.test A: no address in the target stands for 192.0.2.9",
		"b.example.test CNAME: lb.source.example. leads to 198.51.100.2, but a CNAME needs a host name",
		`c.example.test A: data "lb.target.example"`,
		"d.example.test A: no address in the target stands for 192.0.2.4",
	} {
		if !strings.Contains(err.Error(), line) {
			t.Errorf("error does not say %q:\n%v", line, err)
		}
	}
}

// apply does swaps as a DNS service does, and ends the test if one does not fit.
func apply(t interface{ Fatalf(string, ...any) }, have []RecordSet, swaps []Swap) []RecordSet {
	held := index(slices.Clone(have))
	for _, swap := range swaps {
		if !equalOrAbsent(held[swap.Key()], swap.Old) {
			t.Fatalf("swap %s, but the zone holds %s", swap, describe(held[swap.Key()]))
		}
		if held[swap.Key()] = swap.New; swap.New == nil {
			delete(held, swap.Key())
		}
	}
	var after []RecordSet
	for _, s := range held {
		after = append(after, *s)
	}
	return Sorted(after)
}

// A world is a zone in any state in which a migration may find it.
type world struct {
	before, want, have []RecordSet
	foreign            map[Key]bool
}

// worlds draws names with one or two sets, each of which stays, moves or is created,
// and is held as before, as wanted, with the other's TTL, or in a foreign form.
// Some sets of other keys are held besides.
func worlds(t *rapid.T) world {
	w := world{foreign: map[Key]bool{}}
	for i := range rapid.IntRange(0, 30).Draw(t, "names") {
		name := fmt.Sprintf("n%d.example.test", i)
		types := rapid.SampledFrom([][]string{{"A"}, {"A", "AAAA"}, {"CNAME"}}).Draw(t, "types")
		for _, typ := range types {
			w.draw(t, name, typ)
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "bystanders") {
		name := fmt.Sprintf("other%d.example.test", i)
		w.have = append(w.have, RecordSet{Key: Key{Name: name, Type: "A"}, TTL: 1, Data: []string{"203.0.113.1"}})
	}
	w.have = Sorted(w.have)
	return w
}

func (w *world) draw(t *rapid.T, name, typ string) {
	data := map[string][3]string{
		"A":     {"192.0.2.1", "198.51.100.1", "203.0.113.9"},
		"AAAA":  {"2001:db8:1::1", "2001:db8:2::1", "2001:db8:9::9"},
		"CNAME": {"source.test.", "target.test.", "foreign.test."},
	}[typ]
	key := Key{Name: name, Type: typ}
	old := RecordSet{Key: key, TTL: rapid.SampledFrom([]uint32{5, 60}).Draw(t, "old ttl"), Data: []string{data[0]}}
	goal := RecordSet{Key: key, TTL: 5, Data: []string{data[1]}}
	kind := rapid.SampledFrom([]string{"moves", "moves", "moves", "stays", "is created"}).Draw(t, "kind")
	forms := []*RecordSet{&old, &goal}
	switch kind {
	case "moves":
		w.before, w.want = append(w.before, old), append(w.want, goal)
		lowered, raised := old.Clone(), goal.Clone()
		lowered.TTL, raised.TTL = goal.TTL, old.TTL
		forms = append(forms, &lowered, &raised)
	case "stays":
		w.before = append(w.before, old)
		forms = []*RecordSet{&old}
	case "is created":
		w.want = append(w.want, goal)
		forms = []*RecordSet{nil, &goal}
	}
	if rapid.IntRange(0, 9).Draw(t, "luck") == 0 {
		w.foreign[key] = true
		forms = []*RecordSet{{Key: key, TTL: 5, Data: []string{data[2]}}}
	}
	if held := rapid.SampledFrom(forms).Draw(t, "held"); held != nil {
		w.have = append(w.have, *held)
	}
}

// expected returns what the zone shall hold in the end: goal, or before where it has
// none, except that foreign sets and bystanders are as they were.
func (w world) expected(goal []RecordSet) []RecordSet {
	result := index(slices.Clone(w.have))
	for _, key := range keys(w.before, w.want) {
		if !w.foreign[key] {
			delete(result, key)
		}
	}
	for _, sets := range [][]RecordSet{w.before, goal} {
		for _, s := range sets {
			if !w.foreign[s.Key] {
				result[s.Key] = &s
			}
		}
	}
	var sets []RecordSet
	for _, s := range result {
		sets = append(sets, *s)
	}
	return Sorted(sets)
}

// Property: from any mixture, through any steps each cut short anywhere, 100 percent
// reaches Want and 0 percent reaches Before, exactly; sets that are foreign or not
// asked about are never touched.
func TestNextReachesWantAndBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := worlds(t)
		have := w.have
		for range rapid.IntRange(0, 6).Draw(t, "detours") {
			swaps := Next(w.before, w.want, have, rapid.IntRange(0, 100).Draw(t, "percent")).Swaps
			have = apply(t, have, swaps[:rapid.IntRange(0, len(swaps)).Draw(t, "cut")])
		}
		for percent, goal := range map[int][]RecordSet{100: w.want, 0: nil} {
			end := apply(t, have, Next(w.before, w.want, have, percent).Swaps)
			if left := Diff(w.expected(goal), end); len(left) > 0 {
				t.Fatalf("%d %%: %v", percent, left)
			}
			if step := Next(w.before, w.want, end, percent); len(step.Swaps) > 0 {
				t.Fatalf("%d %%: still to do after everything was done: %v", percent, step.Swaps)
			}
		}
	})
}

// Property: Foreign lists exactly the sets that someone else changed.
func TestNextFindsWhatIsForeign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := worlds(t)
		step := Next(w.before, w.want, w.have, rapid.IntRange(0, 100).Draw(t, "percent"))
		found := map[Key]bool{}
		for _, foreign := range step.Foreign {
			found[foreign.Key] = true
		}
		if !maps.Equal(found, w.foreign) {
			t.Fatalf("got %v, want %v", found, w.foreign)
		}
	})
}

// Property: the names that lead at a percentage lead at every higher one too, and
// their number is the share, rounded up.
func TestShareOfNamesIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := worlds(t)
		low := rapid.IntRange(0, 100).Draw(t, "low")
		high := rapid.IntRange(low, 100).Draw(t, "high")
		names := moves(w.before, w.want)
		few, many := leaders(names, low), leaders(names, high)
		for name := range few {
			if !many[name] {
				t.Fatalf("%s leads at %d %% and not at %d %%", name, low, high)
			}
		}
		if exact := len(names) * low; len(few)*100 < exact || len(few)*100 >= exact+100 {
			t.Fatalf("%d of %d names lead at %d %%", len(few), len(names), low)
		}
	})
}

// Property: Want and Absent of a step are what the zone holds after its swaps, as
// far as nothing is foreign.
func TestStepSaysWhatServersAnswerAfterIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := worlds(t)
		step := Next(w.before, w.want, w.have, rapid.IntRange(0, 100).Draw(t, "percent"))
		after := index(apply(t, w.have, step.Swaps))
		for _, wanted := range step.Want {
			if !w.foreign[wanted.Key] && !equalOrAbsent(after[wanted.Key], &wanted) {
				t.Fatalf("%s: holds %s, said %s", wanted.Key, describe(after[wanted.Key]), wanted)
			}
		}
		for _, key := range step.Absent {
			if !w.foreign[key] && after[key] != nil {
				t.Fatalf("%s: holds %s, said nothing", key, after[key])
			}
		}
		if len(step.Want)+len(step.Absent) != len(keys(w.before, w.want)) {
			t.Fatalf("%d wanted and %d absent of %d keys", len(step.Want), len(step.Absent), len(keys(w.before, w.want)))
		}
	})
}

// The engine asks on every pass, for 1,600 names.
func BenchmarkNext(b *testing.B) {
	before, want := estate(b, 1600)
	for b.Loop() {
		Next(before, want, before, 25)
	}
}

func TestWantLeadsToEveryAddressOfAnEntry(t *testing.T) {
	both := []string{"198.51.100.2", "2001:db8:2::1", "198.51.100.1"}
	before := []RecordSet{
		set(t, "a.example.test", "A", 60, "192.0.2.1", "192.0.2.2"),
		set(t, "a.example.test", "AAAA", 60, "2001:db8::1"),
		set(t, "b.example.test", "A", 60, "192.0.2.2"),
	}
	got, err := Want(before, AddressMap{"192.0.2.1": both, "192.0.2.2": both, "2001:db8::1": both})
	if err != nil {
		t.Fatal(err)
	}
	want := []RecordSet{
		set(t, "a.example.test", "A", 60, "198.51.100.1", "198.51.100.2"),
		set(t, "a.example.test", "AAAA", 60, "2001:db8:2::1"),
		set(t, "b.example.test", "A", 60, "198.51.100.1", "198.51.100.2"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// The source is entered by IPv6 too, the target is not: that is not left out.
	if got, err := Want(before[1:2], AddressMap{"2001:db8::1": {"198.51.100.1"}}); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}
