package plan

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	v1 "crossfade.dev/api/v1alpha1"
)

func TestNextScale(t *testing.T) {
	steady := func(n int32) Capacity { return Capacity{Spec: n, Ready: n, Settled: n, Current: true} }
	tests := []struct {
		name  string
		b     Balance
		next  Scale
		level bool
	}{
		{"one replica is doubled before it moves",
			Balance{Wanted: 1, Goal: Scale{0, 1}, MaxTotalPercent: 125, Source: steady(1), Target: steady(0)}, Scale{1, 1}, false},
		{"one replica goes once the other serves",
			Balance{Wanted: 1, Goal: Scale{0, 1}, MaxTotalPercent: 125, Source: steady(1), Target: steady(1)}, Scale{0, 1}, false},
		{"one replica has moved",
			Balance{Wanted: 1, Goal: Scale{0, 1}, MaxTotalPercent: 125, Source: steady(0), Target: steady(1)}, Scale{0, 1}, true},
		{"eight grow by two at 125 percent",
			Balance{Wanted: 8, Goal: Scale{4, 4}, MaxTotalPercent: 125, Source: steady(8), Target: steady(0)}, Scale{8, 2}, false},
		{"a pod that is ready but not settled is not counted on",
			Balance{Wanted: 2, Goal: Scale{1, 1}, MaxTotalPercent: 100, Source: steady(2),
				Target: Capacity{Spec: 1, Ready: 1, Settled: 0, Current: true}}, Scale{2, 1}, false},
		{"a status older than the spec gives nothing up",
			Balance{Wanted: 2, Goal: Scale{1, 1}, MaxTotalPercent: 100, Source: Capacity{Spec: 2, Ready: 2, Settled: 2},
				Target: steady(1)}, Scale{2, 1}, false},
		{"an unready source pod is not given up in place of a ready one",
			Balance{Wanted: 3, Goal: Scale{1, 2}, MaxTotalPercent: 125, Source: Capacity{Spec: 3, Ready: 2, Settled: 2, Current: true},
				Target: steady(1)}, Scale{3, 1}, false},
		{"a warm pod stands by while the source keeps all",
			Balance{Wanted: 3, Goal: Warm(3, 1, 125), MaxTotalPercent: 125, Source: steady(3), Target: steady(0)}, Scale{3, 1}, false},
		{"nothing wanted is level",
			Balance{Wanted: 0, Goal: Scale{0, 0}, MaxTotalPercent: 125, Source: steady(0), Target: steady(0)}, Scale{0, 0}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next, level := NextScale(tt.b)
			if next != tt.next || level != tt.level {
				t.Errorf("NextScale = %+v, level %v; want %+v, level %v", next, level, tt.next, tt.level)
			}
		})
	}
}

// Property: from any reachable state, towards any goal and with pods that become
// ready whenever they like, the serving total never falls below wanted, the told
// total never exceeds the bound, and the goal is reached.
func TestNextScaleKeepsCapacityWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted := rapid.Int32Range(0, 40).Draw(t, "wanted")
		percent := rapid.Int32Range(100, 200).Draw(t, "maxTotal")
		b := Balance{
			Wanted: wanted, Goal: Split(wanted, rapid.Int32Range(0, 100).Draw(t, "share")), MaxTotalPercent: percent,
			Source: Capacity{Spec: wanted, Ready: wanted, Settled: wanted, Current: true}, Target: Capacity{Current: true},
		}
		level := false
		for i := 0; !level && i < 400; i++ {
			var next Scale
			next, level = NextScale(b)
			settle(t, &b.Source, next.Source)
			settle(t, &b.Target, next.Target)
			if total := b.Source.Spec + b.Target.Spec; total > Bound(wanted, percent) {
				t.Fatalf("step %d: %d replicas told, bound %d", i, total, Bound(wanted, percent))
			}
			if have := b.Source.serving() + b.Target.serving(); have < wanted {
				t.Fatalf("step %d: %d of %d serve: %+v", i, have, wanted, b)
			}
		}
		if !level {
			t.Fatalf("not level after 400 steps: %+v", b)
		}
	})
}

// Property: whatever part of the target's pods comes up, what is led back to the source
// after that gets there, within the same bounds.
func TestNextScaleGivesUpWhatNeverComesUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted := rapid.Int32Range(0, 40).Draw(t, "wanted")
		percent := rapid.Int32Range(100, 200).Draw(t, "maxTotal")
		most := rapid.Int32Range(0, wanted).Draw(t, "comeUp")
		b := Balance{
			Wanted: wanted, Goal: Split(wanted, rapid.Int32Range(0, 100).Draw(t, "share")), MaxTotalPercent: percent,
			Source: Capacity{Spec: wanted, Ready: wanted, Settled: wanted, Current: true}, Target: Capacity{Current: true},
		}
		given := rapid.IntRange(0, 40).Draw(t, "given up after")
		level := false
		for i := 0; !level && i < 400; i++ {
			if i >= given {
				b.Goal, b.GivenUp = Scale{Source: wanted}, true
			}
			var next Scale
			next, level = NextScale(b)
			level = level && b.GivenUp
			for _, told := range []Scale{{next.Source, b.Target.Spec}, {b.Source.Spec, next.Target}} { // one side is told first
				if total := told.Source + told.Target; total > Bound(wanted, percent) {
					t.Fatalf("step %d: %d replicas told on the way, bound %d", i, total, Bound(wanted, percent))
				}
			}
			settle(t, &b.Source, next.Source)
			settle(t, &b.Target, next.Target)
			b.Target.Ready, b.Target.Settled = min(b.Target.Ready, most), min(b.Target.Settled, most)
			if total := b.Source.Spec + b.Target.Spec; total > Bound(wanted, percent) {
				t.Fatalf("step %d: %d replicas told, bound %d", i, total, Bound(wanted, percent))
			}
			if have := b.Source.serving() + b.Target.serving(); have < wanted {
				t.Fatalf("step %d: %d of %d serve: %+v", i, have, wanted, b)
			}
		}
		if !level {
			t.Fatalf("not level after 400 steps: %+v", b)
		}
	})
}

// settle tells a side its new count and lets some of its pods become ready.
func settle(t *rapid.T, c *Capacity, spec int32) {
	c.Spec = spec
	c.Ready = min(c.Ready, spec)
	c.Settled = min(c.Settled, spec)
	c.Ready += rapid.Int32Range(0, spec-c.Ready).Draw(t, "ready")
	if rapid.Bool().Draw(t, "settled") {
		c.Settled = c.Ready
	}
}

func TestAWorkloadIsQuarantinedForTheStageInWhichItIsLate(t *testing.T) {
	asked := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	up, down := Capacity{Spec: 2, Ready: 2}, Capacity{Spec: 2, Ready: 1}
	tests := []struct {
		name     string
		standing Standing
		target   Capacity
		after    time.Duration
		want     v1.Stage
	}{
		{"up in time", Standing{Asked: asked}, up, time.Hour, ""},
		{"not up yet, but in time", Standing{Asked: asked}, down, time.Minute, ""},
		{"late", Standing{Asked: asked}, down, time.Minute + 1, v1.Shifting},
		{"nothing was asked of it", Standing{}, down, time.Hour, ""},
		{"stays so for the stage", Standing{Asked: asked, QuarantinedIn: v1.Shifting}, up, time.Hour, v1.Shifting},
		{"is tried again in the next", Standing{Asked: asked, QuarantinedIn: v1.Prepare}, up, time.Hour, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.standing.Try(v1.Shifting, tt.target, asked.Add(tt.after), time.Minute).QuarantinedIn; got != tt.want {
				t.Errorf("quarantined in %q, want %q", got, tt.want)
			}
		})
	}
}

func TestACountReadInAnOlderStateIsOutdated(t *testing.T) {
	seen := Told{Was: 3, Is: 3, Generation: 7, Version: "70"}
	for version, want := range map[string]bool{"69": true, "70": false, "71": false, "": false} {
		if got := seen.Outdated(Count{Value: 4, Version: version}); got != want {
			t.Errorf("version %q: outdated %v, want %v", version, got, want)
		}
	}
}

func TestStandingObserve(t *testing.T) {
	told := Standing{Wanted: 6, Source: Told{4, 3, 7, "70"}, Target: Told{2, 3, 7, "70"}}
	tests := []struct {
		name           string
		writer         v1.Side
		source, target Count
		autoscaled     bool
		want           int32
	}{
		{"our own last write", v1.Source, Count{3, 8, "80", true}, Count{3, 8, "80", true}, false, 6},
		{"our write that did not arrive", v1.Source, Count{4, 7, "70", true}, Count{2, 7, "70", true}, false, 6},
		{"our first write did not arrive", v1.Source, Count{4, 7, "70", false}, Count{2, 7, "70", false}, false, 6},
		{"our write did not arrive, and the team changed something else", v1.Source, Count{4, 8, "80", true}, Count{2, 7, "70", true}, false, 6},
		{"the team scales on the writer's side", v1.Source, Count{10, 8, "80", false}, Count{3, 8, "80", true}, false, 10},
		{"the team scales to what there was before our write", v1.Source, Count{4, 9, "90", false}, Count{3, 8, "80", true}, false, 4},
		{"the team scales to the very count of our write, which did not arrive", v1.Source, Count{3, 8, "80", false}, Count{3, 8, "80", true}, false, 3},
		{"an autoscaler obeys the floor before our write arrives", v1.Source, Count{3, 8, "80", false}, Count{3, 8, "80", true}, true, 6},
		{"our write did not arrive, and the team deployed twice beside an autoscaler", v1.Source, Count{4, 9, "90", false}, Count{3, 8, "80", true}, true, 6},
		{"an autoscaler speaks for its side only", v1.Source, Count{5, 9, "90", false}, Count{3, 8, "80", true}, true, 8},
		{"a change on the side that does not write changes nothing wanted", v1.Source, Count{3, 8, "80", true}, Count{9, 9, "90", false}, false, 6},
		{"after the hand-over the target's side is believed", v1.Target, Count{3, 8, "80", true}, Count{9, 9, "90", false}, false, 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := told.Observe(tt.writer, tt.source, tt.target, tt.autoscaled).Wanted; got != tt.want {
				t.Errorf("wanted = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestASourceAloneRunsWhatIsWanted(t *testing.T) {
	half := Standing{Wanted: 4, Source: Told{Was: 2, Is: 2}, Target: Told{Was: 2, Is: 2}}
	all := Standing{Wanted: 4, Source: Told{Was: 4, Is: 4}, Target: Told{Was: 2, Is: 2}}
	telling := Standing{Wanted: 4, Source: Told{Was: 2, Is: 4, Generation: 7}, Target: Told{Was: 2, Is: 2}}
	tests := []struct {
		name       string
		standing   Standing
		source     Count
		autoscaled bool
		want       int32
	}{
		{"nobody scaled", half, Count{Value: 2}, false, 4},
		{"a person scaled", half, Count{Value: 3}, false, 3},
		{"an autoscaler speaks for its half", half, Count{Value: 3}, true, 5},
		{"an autoscaler speaks for all", all, Count{Value: 6}, true, 6},
		{"an autoscaler needs less", all, Count{Value: 3}, true, 3},
		{"the write has not arrived", telling, Count{Value: 2, Generation: 7}, false, 4},
		{"the write has arrived", telling, Count{Value: 4, Generation: 8, Ours: true}, false, 4},
	}
	for _, test := range tests {
		if got := test.standing.ObserveAlone(test.source, test.autoscaled).Wanted; got != test.want {
			t.Errorf("%s: wanted %d, want %d", test.name, got, test.want)
		}
	}
}
