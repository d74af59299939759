package probe

import (
	"math/rand/v2"
	"testing"

	"crossfade.dev/internal/judge"
)

// Whatever is counted, in whatever seconds and with whatever gaps, the sum since a
// moment that was asked for is that of the seconds since, and nothing is lost.
func TestSumsSinceAMoment(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	for range 20 {
		var b book
		names := 1 + random.IntN(3)
		for range names {
			b.take()
		}
		type counted struct {
			second int64
			name   int
		}
		var all []counted
		var marks []int64
		second := int64(random.IntN(100))
		for second < 30000 {
			second += 1 + int64(random.IntN(1+random.IntN(60)))
			late := second - int64(random.IntN(3))
			for range 1 + random.IntN(4) {
				name := random.IntN(names)
				b.at(late).cell(name).add(pairOf(keptPairs, judge.Success, judge.ServerError), 1)
				all = append(all, counted{late, name})
			}
			if len(marks) < mostMarks-1 && random.IntN(100) == 0 {
				marks = append(marks, second)
				b.mark(second)
			}
		}
		for _, from := range append(marks, 0) {
			got := b.sum(from)
			want := make([]int64, names)
			for _, c := range all {
				if c.second >= from {
					want[c.name]++
				}
			}
			for name := range names {
				if n := got.cells[name].Kept[judge.Success][judge.ServerError]; n != want[name] {
					t.Errorf("name %d since %d: %d, want %d", name, from, n, want[name])
				}
			}
		}
		if len(b.spans) > seconds+minutes+mostMarks+1 {
			t.Errorf("%d spans are kept", len(b.spans))
		}
	}
}

func TestSettledSecond(t *testing.T) {
	var b book
	quick, struck := b.take(), b.take()
	s := b.at(5)
	s.cell(quick).add(timedPairs, 10)
	s.cell(struck).add(timedPairs, 10)
	s.cell(struck).add(slowTarget+judge.P99, 4)
	s.cell(struck).add(slowSource+judge.P99, 1)
	s.cell(struck).add(slowSource, 2)
	s.cell(struck).add(ownTarget, 9)
	s.cell(quick).add(ownTarget, 2)
	for range 2 { // being looked at changes nothing
		b.settle(6)
		sum := b.sum(0)
		e := sum.cells[struck]
		if e.Slow[judge.P99] != (judge.Discord{Target: 1}) || e.Slow[0] != (judge.Discord{Source: 1}) {
			t.Errorf("slow seconds %+v", e.Slow)
		}
		if e.SlowPairs != (judge.Discord{Target: 4, Source: 1}) || e.Timed != 10 {
			t.Errorf("slow pairs %+v of %d", e.SlowPairs, e.Timed)
		}
		if sum.cells[quick].Slow != [judge.Levels]judge.Discord{} {
			t.Errorf("the other name: %+v", sum.cells[quick])
		}
		if sum.estate.Slow[judge.P99] != (judge.Discord{Target: 1}) || sum.estate.Seconds != 1 || sum.estate.SlowSeconds != [2]int64{0, 1} {
			t.Errorf("the estate: %+v", sum.estate)
		}
	}
}

func TestFreedCellIsEmptyForTheNextName(t *testing.T) {
	var b book
	first := b.take()
	b.at(1).cell(first).add(invalid, 7)
	b.free(first)
	if second := b.take(); second != first {
		t.Errorf("cell %d, want %d again", second, first)
	}
	if e := b.sum(0).cells[first]; e.Invalid != 0 {
		t.Errorf("%+v", e)
	}
}

func TestBeforeIsOfUseEarlyAndFrozenInTheEnd(t *testing.T) {
	var b before
	note := func(n int, class judge.Class) {
		for range n {
			b.note([2]half{{}, {class: class}}, !class.Failed(), 100)
		}
	}
	note(19, judge.Success)
	if b.timed || b.now.Pairs != 0 {
		t.Errorf("after 19 pairs: %+v", b)
	}
	note(1, judge.ServerError)
	if !b.timed || b.now.Pairs != 20 || b.now.Failed != [2]int64{0, 1} {
		t.Errorf("after 20 pairs: %+v", b)
	}
	note(19, judge.Success)
	if b.now.Pairs != 20 {
		t.Errorf("after 39 pairs: %+v", b)
	}
	note(1, judge.Success)
	if b.now.Pairs != 40 {
		t.Errorf("after 40 pairs: %+v", b)
	}
	note(60, judge.Success)
	note(100, judge.ServerError)
	if b.now.Pairs != 100 || b.now.Failed != [2]int64{0, 1} || !b.frozen || b.latencies[0] != nil {
		t.Errorf("after 200 pairs: %+v", b)
	}
}
