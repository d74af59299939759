package migration

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/mirror"
)

var (
	capacityGauge = gauge("capacity_ratio", "Part of the moving capacity that serves from the target, 0 to 1.")
	entryGauge    = gauge("entry_ratio", "Part of the names that lead to the target, 0 to 1.")
	lagGauge      = gauge("mirror_lag_seconds", "Age of the oldest write that the mirror has not confirmed; -1 if unknown.")
	differGauge   = gauge("mirror_differing_objects", "Objects that the mirror has not brought level.")
	inFlightGauge = gauge("mirror_requests_limit", "Requests that the mirror lets be under way at once; it falls while an API server is slow or asks for a pause.")
	waitedGauge   = waitedFor()
	heldGauge     = gauge("held", "1 while a gate of the stage under way does not pass.")
	stageGauge    = gauge("stage", "Stage under way or last in force, 1 (Preflight) to 6 (Release); 0 is none.")
)

func gauge(name, help string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "crossfade", Name: name, Help: help}, []string{"migration"})
	metrics.Registry.MustRegister(g)
	return g
}

func waitedFor() *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "crossfade", Name: "mirror_waited_seconds",
		Help: "Time that the mirror's passes, since it last began, have waited for the writer's side, the side that follows, and the ledger.",
	}, []string{"migration", "for"})
	metrics.Registry.MustRegister(g)
	return g
}

// observeMirror shows what the mirror waits for.
func observeMirror(m *v1.Migration, r mirror.Report) {
	inFlightGauge.WithLabelValues(m.Name).Set(r.InFlight)
	for whom, waited := range r.Waited {
		waitedGauge.WithLabelValues(m.Name, string(whom)).Set(waited.Seconds())
	}
}

// observe shows the status of a migration as metrics.
func observe(m *v1.Migration) {
	capacityGauge.WithLabelValues(m.Name).Set(float64(m.Status.Capacity) / 100)
	entryGauge.WithLabelValues(m.Name).Set(float64(m.Status.Entry) / 100)
	differGauge.WithLabelValues(m.Name).Set(float64(m.Status.Mirror.Differing))
	lag := float64(m.Status.Mirror.LagMillis) / 1000
	if m.Status.Mirror.LagMillis < 0 {
		lag = -1
	}
	lagGauge.WithLabelValues(m.Name).Set(lag)
	held := 0.0
	for _, g := range m.Status.Gates {
		if g.Verdict != v1.Passed && g.Waived == "" {
			held = 1
		}
	}
	heldGauge.WithLabelValues(m.Name).Set(held)
	stageGauge.WithLabelValues(m.Name).Set(float64(slices.Index(v1.Stages, m.Status.Stage) + 1))
}

// forget shows nothing more of a migration that is gone: what was last shown of it would
// raise alarms for ever.
func forget(name string) {
	for _, g := range []*prometheus.GaugeVec{
		capacityGauge, entryGauge, lagGauge, differGauge, inFlightGauge, waitedGauge, heldGauge, stageGauge,
	} {
		g.DeletePartialMatch(prometheus.Labels{"migration": name})
	}
}
