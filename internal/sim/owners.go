package sim

import (
	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
)

// judgeChange holds one change against what the engine may touch.
func (w *world) judgeChange(v1.Side, memory.Change) {}
