package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// A sign is one way to recognise a trait: it returns the evidence, or "".
type sign struct {
	trait v1.Trait
	see   func(s shape, w Workload, c context) string
}

// signs lists how traits are recognised. Several may hold for one workload; what
// no sign tells stays unknown and is asked for.
var signs = []sign{
	{v1.Operated, seeOperator},
	{v1.Daemon, ofKind("DaemonSet")},
	{v1.Scheduled, ofKind("CronJob")},
	{v1.JobTrait, ofKind("Job")},
	{v1.JobTrait, ofKind("Pod")},
	{v1.Stateful, ofKind("StatefulSet")},
	{v1.Stateful, seeVolume},
	{v1.Stateful, seeStorePort},
	{v1.Stateful, seeStoreImage},
	{v1.Singleton, seeRecreate},
	{v1.LeaderElecting, seeLeaderElection},
	{v1.QueueClient, seeQueue},
	{v1.SessionAffine, seeAffinity},
	{v1.Serving, seeService},
}

func traits(s shape, w Workload, c context) []v1.TraitEvidence {
	var found []v1.TraitEvidence
	for _, sign := range signs {
		evidence := sign.see(s, w, c)
		known := slices.ContainsFunc(found, func(t v1.TraitEvidence) bool { return t.Trait == sign.trait })
		if evidence != "" && !known {
			found = append(found, v1.TraitEvidence{Trait: sign.trait, Evidence: evidence})
		}
	}
	return found
}

// decide tells how a workload moves: by the most specific decision about it, else
// by its traits. A decision to move counts for Deployments only: nothing else can be
// moved yet. Only a Deployment that serves, and shows no stricter trait, moves
// unasked.
func decide(w Workload, decisions []v1.Decision) v1.Decide {
	if d, ok := decision(w, decisions); ok && (d != v1.DecideMove || w.Kind == "Deployment") {
		return d
	}
	serving := false
	for _, t := range w.Traits {
		switch t.Trait {
		case v1.Serving:
			serving = true
		case v1.SessionAffine:
		default:
			return v1.Undecided
		}
	}
	if w.Kind == "Deployment" && serving {
		return v1.DecideMove
	}
	return v1.Undecided
}

func decision(w Workload, decisions []v1.Decision) (v1.Decide, bool) {
	for _, name := range []string{
		w.ID(), w.Kind + "/" + w.Namespace + "/*", w.Kind + "/*/*",
	} {
		i := slices.IndexFunc(decisions, func(d v1.Decision) bool { return d.Workload == name })
		if i >= 0 {
			return decisions[i].Decide, true
		}
	}
	return "", false
}

func ofKind(kind string) func(shape, Workload, context) string {
	return func(s shape, _ Workload, _ context) string {
		if s.kind != kind {
			return ""
		}
		return "it is a " + kind
	}
}

func seeOperator(s shape, _ Workload, _ context) string {
	owner := metav1.GetControllerOf(s.meta)
	if owner == nil {
		return ""
	}
	return fmt.Sprintf("controlled by %s %s", owner.Kind, owner.Name)
}

func seeVolume(s shape, _ Workload, _ context) string {
	for _, v := range s.pod.Spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil:
			return "mounts the claim " + v.PersistentVolumeClaim.ClaimName
		case v.HostPath != nil:
			return "mounts the node's path " + v.HostPath.Path
		case v.Ephemeral != nil:
			return "mounts the ephemeral claim " + v.Name
		}
	}
	return ""
}

// storePorts are ports registered for, or by long custom used by, stores and
// brokers (IANA Service Name and Port Number Registry; vendors' defaults).
var storePorts = map[int32]string{
	1433: "SQL Server", 2181: "ZooKeeper", 2379: "etcd", 3306: "MySQL", 4222: "NATS", 5432: "PostgreSQL",
	5672: "AMQP", 5984: "CouchDB", 6379: "Redis", 7000: "Cassandra", 8086: "InfluxDB", 9042: "Cassandra",
	9092: "Kafka", 9200: "Elasticsearch", 11211: "memcached", 26257: "CockroachDB", 27017: "MongoDB",
}

func seeStorePort(s shape, _ Workload, _ context) string {
	for _, c := range s.pod.Spec.Containers {
		for _, p := range c.Ports {
			if store, ok := storePorts[p.ContainerPort]; ok {
				return fmt.Sprintf("listens on port %d (%s)", p.ContainerPort, store)
			}
		}
	}
	return ""
}

// storeImage matches the last path element of images of stores and brokers.
var storeImage = regexp.MustCompile(`^(mongo|mongodb|mysql|mariadb|percona.*|postgres|postgresql|postgis|redis|redis-stack.*|valkey|keydb|` +
	`cassandra|scylla|elasticsearch|opensearch|etcd|zookeeper|kafka|cp-kafka|rabbitmq|nats|activemq.*|memcached|couchdb|influxdb|` +
	`clickhouse.*|cockroach|neo4j|minio|mssql.*|consul|vault|.*-(db|database))$`)

func seeStoreImage(s shape, _ Workload, _ context) string {
	for _, c := range s.pod.Spec.Containers {
		if storeImage.MatchString(imageName(c.Image)) {
			return "runs the store image " + c.Image
		}
	}
	return ""
}

// imageName is the last path element of an image reference, without tag or digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	image = image[strings.LastIndex(image, "/")+1:]
	image, _, _ = strings.Cut(image, ":")
	return image
}

func seeRecreate(s shape, _ Workload, _ context) string {
	if !s.recreate {
		return ""
	}
	return "its strategy is Recreate: two of its pods must not run at once"
}

var leaderFlag = regexp.MustCompile(`^--?(enable-)?leader-elect(ion)?(=true)?$`)

func seeLeaderElection(s shape, _ Workload, _ context) string {
	for _, c := range s.pod.Spec.Containers {
		for _, arg := range slices.Concat(c.Command, c.Args) {
			if leaderFlag.MatchString(arg) {
				return "is started with " + arg
			}
		}
	}
	return ""
}

var queueEnv = regexp.MustCompile(`(^|_)(KAFKA|RABBITMQ|AMQP|NATS|SQS|PUBSUB|KINESIS|ACTIVEMQ|CELERY|SIDEKIQ)(_|$)`)

func seeQueue(s shape, w Workload, _ context) string {
	if len(w.Services) > 0 {
		return ""
	}
	for _, c := range s.pod.Spec.Containers {
		i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return queueEnv.MatchString(e.Name) })
		if i >= 0 {
			return "has " + c.Env[i].Name + " and no Service"
		}
	}
	return ""
}

func seeAffinity(_ shape, w Workload, c context) string {
	service, yes := c.affine(w)
	if !yes {
		return ""
	}
	return fmt.Sprintf("Service %s pins clients to pods (sessionAffinity ClientIP)", service)
}

func seeService(_ shape, w Workload, _ context) string {
	if len(w.Services) == 0 {
		return ""
	}
	return "reached through Service " + strings.Join(w.Services, ", ")
}
