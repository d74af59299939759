package sim

import (
	"context"

	"crossfade.dev/internal/cluster/memory"
	dnsmemory "crossfade.dev/internal/dns/memory"
)

// faults decide what goes wrong.
type faults struct {
	w *world
}

func newFaults(w *world) *faults { return &faults{w: w} }

func (f *faults) decide(memory.Op) memory.Fault { return memory.Fault{} }

func (f *faults) name(context.Context, dnsmemory.Call, bool) error { return nil }

// turn is the engine that makes the next pass.
func (f *faults) turn(ctx context.Context) *process {
	if len(f.w.engines) == 0 {
		p := f.w.launch(ctx, "engine-1")
		f.w.renew(ctx)
		return p
	}
	return f.w.engines[0]
}
