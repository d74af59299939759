package estate

import (
	"fmt"
)

// A feature is something that an application of the catalogue has for certain,
// whatever the seed.
type feature uint32

const (
	ingress       feature = 1 << iota // an Ingress with the host <app>.<zone>
	paths                             // of which some paths lead to neighbours
	balancer                          // a Service of type LoadBalancer
	peers                             // a headless Service beside the ordinary one
	grpc                              // answers gRPC, not HTTP
	scaled                            // a HorizontalPodAutoscaler
	disrupted                         // a PodDisruptionBudget
	guarded                           // a NetworkPolicy
	configured                        // a ConfigMap
	secretive                         // a Secret
	accounted                         // a ServiceAccount of its own
	readsConfig                       // a Role, bound to that account
	readsNodes                        // a ClusterRole, bound to that account
	pullsPrivate                      // a Secret with the registry's credentials
	critical                          // a PriorityClass
	singleton                         // one pod at any time: replaced, never doubled
	queueClient                       // reads from a message queue; nobody calls it
	statefulSet                       // a StatefulSet
	daemonSet                         // a DaemonSet
	cronJob                           // a CronJob
	job                               // a Job
	preparesFirst                     // an init container
	stopsByExec                       // a command before it stops
)

// A row is one application of the catalogue.
type row struct {
	name      string
	namespace string
	role      Role // of the real service; empty for a stand-in
	replicas  int32
	features  feature
}

// catalogue is in the order in which a smaller estate takes from it: whoever
// calls somebody comes after them.
var catalogue = []row{
	{"titles", "catalog", Service, 2, ingress | configured},
	{"gateway", "edge", "", 3, balancer | disrupted | configured | accounted},
	{"core-store", "core", Store, 1, singleton | guarded},
	{"core-api", "core", API, 3, disrupted | configured | accounted},
	{"web", "edge", Web, 3, ingress | scaled | disrupted | critical | accounted},
	{"live-origin", "live", Origin, 1, singleton | ingress | critical | configured},
	{"manifest", "playback", "", 0, configured},
	{"player", "playback", "", 4, ingress | paths | disrupted | configured},
	{"search", "discovery", "", 3, ingress | peers | scaled},
	{"drm", "playback", "", 3, grpc | disrupted | secretive},
	{"upload", "ingest", "", 2, balancer | pullsPrivate | accounted},
	{"ledger-db", "billing", "", 1, statefulSet | secretive},
	{"transcode-worker", "ingest", "", 3, queueClient | configured},
	{"catalog-indexer", "catalog", Task, 1, cronJob},
	{"schema-migrate", "ingest", Task, 1, job},
	{"node-agent", "edge", "", 1, daemonSet | accounted},
	{"payments", "billing", "", 3, ingress | scaled | disrupted | guarded | secretive | preparesFirst},
	{"sign-in", "accounts", Service, 2, ingress | disrupted | secretive},
	{"metrics-relay", "insight", "", 1, readsNodes | accounted},
	{"live-scheduler", "live", "", 1, readsConfig | accounted | configured},
	{"live-packager", "live", "", 0, configured | stopsByExec},
	{"live-captions", "live", "", 0, grpc},
	{"heartbeat", "playback", "", 6, configured},
	{"recommendations", "discovery", "", 0, grpc | configured},
	{"rails", "discovery", "", 0, 0},
	{"autocomplete", "discovery", "", 0, ingress},
	{"rights", "catalog", "", 0, secretive},
	{"media-probe", "ingest", "", 0, 0},
	{"images", "artwork", "", 5, ingress | scaled | configured},
	{"resizer", "artwork", "", 0, 0},
	{"thumbnails", "artwork", "", 0, ingress},
	{"profiles", "accounts", "", 0, ingress | configured},
	{"devices", "accounts", "", 0, secretive},
	{"invoices", "billing", "", 0, 0},
	{"plans", "billing", "", 0, ingress},
	{"ad-decision", "ads", "", 4, ingress | scaled},
	{"ad-events", "ads", "", 0, queueClient | secretive},
	{"flags", "core", "", 0, readsConfig | accounted | configured},
	{"dashboards", "insight", "", 0, ingress},
	{"reports", "insight", "", 0, balancer},
}

// unitOf is the business unit of each namespace.
var unitOf = map[string]string{
	"live": "viewing", "playback": "viewing", "discovery": "viewing",
	"catalog": "content", "ingest": "content", "artwork": "content",
	"accounts": "commerce", "billing": "commerce", "ads": "commerce",
	"core": "platform", "edge": "platform", "insight": "platform",
}

// onlyOnce are the features that further teams do not repeat: what needs a
// decision of its own, what belongs to the whole cluster, and neighbours by name.
const onlyOnce = paths | singleton | statefulSet | daemonSet | cronJob | job |
	queueClient | critical | readsNodes | pullsPrivate

// choose returns the applications that options ask for, with their shapes.
func choose(options Options) []app {
	chosen := make([]app, 0, options.Apps)
	for _, r := range catalogue[:min(options.Apps, len(catalogue))] {
		chosen = append(chosen, shape(r, r.namespace, options))
	}
	plain := plainRows()
	for further := 0; len(chosen) < options.Apps; further++ {
		r := plain[further%len(plain)]
		team := further/len(plain) + 2
		namespace := r.namespace
		r.name = fmt.Sprintf("%s-%02d", r.name, team)
		r.namespace = fmt.Sprintf("%s-%02d", r.namespace, team)
		r.role, r.replicas = "", 0
		chosen = append(chosen, shape(r, namespace, options))
	}
	return chosen
}

func plainRows() []row {
	var plain []row
	for _, r := range catalogue {
		if r.features&onlyOnce == 0 {
			plain = append(plain, r)
		}
	}
	return plain
}
