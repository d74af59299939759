package plan

import (
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan/room"
)

// Rates are how fast things go. They come from measurements, and are to be replaced
// by those of the clusters at hand where there are any.
type Rates struct {
	// WritesPerSecond is what one API server takes while the mirror fills it.
	WritesPerSecond float64
	// Ready is how long a pod takes to be ready.
	Ready time.Duration
	// Batch is how many workloads change capacity at the same time.
	Batch int
	// Freeze is how long a hand-over of the writer refuses teams' changes.
	Freeze time.Duration
}

// MeasuredRates are those of two API servers on four cores, both loaded at once: 180
// to 200 writes a second each, pods ready after 0.8 s and at the slowest start-up
// that the sandbox gives them, and a hand-over of some seconds.
var MeasuredRates = Rates{WritesPerSecond: 180, Ready: 10 * time.Second, Batch: 50, Freeze: 5 * time.Second}

// An Estimate is what a move would take.
type Estimate struct {
	Objects int `json:"objects"`
	// Writes are those to both clusters: one for each object, and those that change
	// capacity step by step.
	Writes int `json:"writes"`
	// Seconds is the time of moving, without soaking and without waits for TTLs;
	// FreezeSeconds the part of it in which teams' changes are refused.
	Seconds       int64 `json:"seconds"`
	FreezeSeconds int64 `json:"freezeSeconds"`
	// ExtraPods, ExtraCPU and ExtraMemory are what spec.shift.maxTotalPercent costs at
	// the worst moment, above what is wanted.
	ExtraPods   int32  `json:"extraPods"`
	ExtraCPU    string `json:"extraCPU"`
	ExtraMemory string `json:"extraMemory"`
}

// EstimateOf estimates the move of an estate of so many objects.
func EstimateOf(e Estate, objects int, shift v1.Shift, steps int, rates Rates) Estimate {
	percent := shift.MaxTotalPercent
	if percent == 0 {
		percent = 125
	}
	out := Estimate{Objects: objects, Writes: objects}
	var need room.Need
	rounds, moving := 0, 0
	for _, w := range e.Workloads(Moving) {
		extra := Bound(w.Replicas, percent) - w.Replicas
		if w.Replicas == 0 {
			continue
		}
		moving++
		out.ExtraPods += extra
		need = need.Plus(room.NeedOf(&w.Pod.Spec).Times(extra))
		own := int((w.Replicas + extra - 1) / extra) // as many as there is room for at once
		out.Writes += 4 * own
		rounds = max(rounds, own)
	}
	settle := time.Duration(shift.SettleSeconds) * time.Second
	if settle == 0 {
		settle = 10 * time.Second
	}
	batches := (moving + rates.Batch - 1) / max(1, rates.Batch)
	took := time.Duration(float64(out.Writes) / rates.WritesPerSecond * float64(time.Second))
	took += time.Duration(rounds) * (rates.Ready + settle) * time.Duration(max(1, batches/4))
	took += time.Duration(steps) * time.Minute
	took += rates.Freeze
	if moving == 0 {
		took = time.Duration(float64(out.Writes) / rates.WritesPerSecond * float64(time.Second))
	}
	out.Seconds, out.FreezeSeconds = int64(took.Seconds()), int64(rates.Freeze.Seconds())
	out.ExtraCPU = resource.NewMilliQuantity(need.CPU, resource.DecimalSI).String()
	out.ExtraMemory = resource.NewQuantity(need.Memory, resource.BinarySI).String()
	return out
}
