package sim

import (
	"flag"
	"testing"
)

var (
	seed  = flag.Uint64("seed", 0, "run this seed alone, and log everything")
	count = flag.Uint64("seeds", 9, "how many seeds to run")
	apps  = flag.Int("apps", 0, "with -seed, the size of the estate")
)

func TestSimulation(t *testing.T) {
	if *seed != 0 {
		run(t, Options{Seed: *seed, Apps: *apps, Log: func(line string) { t.Log(line) }})
		return
	}
	for s := uint64(1); s <= *count; s++ {
		run(t, Options{Seed: s})
	}
}

func run(t *testing.T, o Options) {
	t.Helper()
	result, err := Run(t.Context(), o)
	t.Logf("seed %d: %d apps, %d passes, %s: %s", o.Seed, result.Apps, result.Passes, result.Simulated, result.Plan)
	if err != nil {
		t.Error(err)
	}
}
