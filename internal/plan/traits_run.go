package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// off tells whether a setting switches something off.
func off(value string) bool {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "false", "0", "no", "off", "disabled", "none", "never":
		return true
	}
	return false
}

var leaderFlag = regexp.MustCompile(`^--?(enable-)?leader-?elect(ion|or)?(-enabled|-lease-name|-id|-namespace|-resource-lock)?(=(.*))?$`)

var leaderEnv = regexp.MustCompile(`(^|_)LEADER_?ELECT(ION|OR)?(_|$)`)

func seeLeaderElection(s shape, _ Workload, _ context) string {
	for _, c := range s.pod.Spec.Containers {
		for i, arg := range slices.Concat(c.Command, c.Args) {
			m := leaderFlag.FindStringSubmatch(arg)
			if m == nil || off(m[5]) {
				continue
			}
			if all := slices.Concat(c.Command, c.Args); m[4] == "" && i+1 < len(all) && off(all[i+1]) {
				continue
			}
			return "is started with " + arg
		}
		for _, e := range c.Env {
			if leaderEnv.MatchString(e.Name) && !off(e.Value) {
				return "has " + e.Name
			}
		}
		if strings.Contains(imageName(c.Image), "leader-elector") {
			return "has a container that elects a leader (" + c.Image + ")"
		}
	}
	return ""
}

// podSuffix matches what follows the name of a workload in that of a pod that a ReplicaSet or a StatefulSet made, alone or
// with a suffix as client-go's leader election adds it.
var podSuffix = regexp.MustCompile(`^-(([a-z0-9]{6,10}-)?[a-z0-9]{5}|[0-9]+)([_.].*)?$`)

func seeHeldLease(s shape, _ Workload, c context) string {
	for _, l := range c.leases[s.meta.Namespace] {
		if l.Spec.HolderIdentity == nil {
			continue
		}
		rest, mine := strings.CutPrefix(*l.Spec.HolderIdentity, s.meta.Name)
		if mine && (rest == "" || podSuffix.MatchString(rest)) {
			return fmt.Sprintf("holds Lease %s (%s)", l.Name, *l.Spec.HolderIdentity)
		}
	}
	return ""
}

// idleWords match how a container is started that only waits for people.
var idleWords = regexp.MustCompile(`(\bsleep\s+(infinity|inf|[0-9]{4,})|\btail\s+-f\s+/dev/null|\bpause$)`)

// schedulerWords match how in-process schedulers are started.
var schedulerWords = regexp.MustCompile(`(?i)(celery\b.*\bbeat\b|celery\b.*\s-B\b|\bschedule:(work|run)\b|\bairflow\b.*\bscheduler\b|^scheduler$|\bsupercronic\b|` +
	`\bcrond?\b(\s+-[a-z]|$)|\bgo-crond\b|\bclockwork\b|\brqscheduler\b|\brq\s+scheduler\b|\bofelia\b|\bdkron\b|\bapscheduler\b|\bresque[:-]scheduler\b|\bsidekiq-cron\b|` +
	`\bdagster-daemon\b|\bbull(mq)?-scheduler\b|\bquartz\b|\bjobrunr\b|\brundeck\b|\byacron\b)`)

var (
	schedulerEnv  = regexp.MustCompile(`^((ENABLE|RUN|WITH|START|USE)_?(CRON|CRONS|CRONJOBS|SCHEDULER|SCHEDULES?|SCHEDULED_(JOBS|TASKS)|BEAT|CLOCK)|(.*_)?(CRON|SCHEDULER|SCHEDULING|QUARTZ|SCHEDULED_TASKS)_(ENABLED?|AUTO_?STARTUP)|SPRING_QUARTZ_.*|ORG_QUARTZ_.*)$`)
	cronText      = regexp.MustCompile(`^(@(hourly|daily|weekly|monthly|yearly|midnight|every .+)|((\*|[0-9]+|\?)([-/,][0-9]+)*\s+){4,5}(\*|\?|[0-9A-Z]+)([-/,#][0-9A-Z]+)*)$`)
	scheduleNamed = regexp.MustCompile(`(CRON|SCHEDULE)`)
)

func seeScheduler(s shape, _ Workload, _ context) string {
	if !lasting(s.kind) {
		return ""
	}
	for _, c := range s.pod.Spec.Containers {
		if m := schedulerWords.FindString(words(c)); m != "" {
			return "is started with " + strings.TrimSpace(m)
		}
		if m := schedulerImage.FindString(imageName(c.Image)); m != "" {
			return "runs the scheduler image " + c.Image
		}
		for _, e := range c.Env {
			switch {
			case schedulerEnv.MatchString(e.Name) && !off(e.Value):
				return "has " + e.Name
			case scheduleNamed.MatchString(e.Name) && cronText.MatchString(strings.TrimSpace(e.Value)):
				return fmt.Sprintf("has the schedule %s=%s", e.Name, e.Value)
			}
		}
	}
	return ""
}

var schedulerImage = regexp.MustCompile(`^(ofelia|dkron|supercronic|rundeck|airflow-scheduler|.*-(cron|crond|crontab))$`)

// gossipPorts are ports by which members of a cluster find each other, which are
// used for little else (vendors' defaults).
var gossipPorts = map[int32]string{
	2380: "etcd peers", 4369: "Erlang epmd", 5701: "Hazelcast", 6222: "NATS routes", 7800: "JGroups", 7946: "memberlist", 8301: "Serf",
	8558: "Akka management", 9094: "Alertmanager cluster", 9300: "Elasticsearch transport", 11111: "Orleans silo", 16379: "Redis cluster bus",
	25520: "Akka remoting", 2552: "Akka remoting", 25672: "RabbitMQ cluster", 47500: "Ignite discovery", 47100: "Ignite communication", 4648: "Nomad Serf",
}

var gossipPortName = regexp.MustCompile(`(gossip|memberlist|jgroups|serf|hazelcast|epmd|akka-remote|remoting|silo|intra-node|cluster-bus|membership|heartbeat|^cluster$|^peers?$|^management$)`)

var gossipEnv = regexp.MustCompile(`^(HZ_.*|HAZELCAST_.*|JGROUPS_.*|KUBERNETES_PING_.*|OPENSHIFT_KUBE_PING_.*|AKKA_CLUSTER_.*|PEKKO_CLUSTER_.*|REQUIRED_CONTACT_POINT_NR|` +
	`.*_CLUSTER_INITIAL_?CONTACT_?POINTS|RELEASE_DISTRIBUTION|RELEASE_COOKIE|ERLANG_COOKIE|RABBITMQ_ERLANG_COOKIE|LIBCLUSTER_.*|ORLEANS_.*|IGNITE_.*|MEMBERLIST_.*|GOSSIP_.*|CASSANDRA_SEEDS|` +
	`discovery\.seed_hosts|DISCOVERY_SERVICE|KC_CACHE_STACK|INFINISPAN_CLUSTER.*|COHERENCE_WKA|EMQX_CLUSTER__.*|.*_GOSSIP_.*)$`)

var gossipWords = regexp.MustCompile(`(--cluster\.peers?|--cluster\.listen-address|-memberlist\.|--memberlist|-Dhazelcast|-Djgroups|-Dinfinispan\.cluster|-Dakka\.cluster|-Dpekko\.cluster|` +
	`--join[= ]|-retry-join|--initial-cluster|--seeds[= ]|--serf|-Dcoherence)`)

func seeGossip(s shape, _ Workload, _ context) string {
	if !lasting(s.kind) {
		return ""
	}
	for _, c := range s.pod.Spec.Containers {
		for _, p := range c.Ports {
			if who, ok := gossipPorts[p.ContainerPort]; ok {
				return fmt.Sprintf("listens on port %d (%s)", p.ContainerPort, who)
			}
			if m := gossipPortName.FindString(p.Name); m != "" && p.Name != "management" {
				return fmt.Sprintf("listens on a port named %s (%d)", p.Name, p.ContainerPort)
			}
		}
		if m := gossipWords.FindString(words(c)); m != "" {
			return "is started with " + strings.TrimRight(m, "= ")
		}
		for _, e := range c.Env {
			if m := gossipWords.FindString(e.Value); m != "" {
				return fmt.Sprintf("has %s with %s", e.Name, strings.TrimRight(m, "= "))
			}
			if gossipEnv.MatchString(e.Name) && !off(e.Value) && e.Value != "local" {
				return "has " + e.Name
			}
		}
	}
	return ""
}

// queueKinds are the triggers of KEDA that watch a queue or a stream.
var queueKinds = regexp.MustCompile(`^(kafka|apache-kafka|rabbitmq|aws-sqs-queue|aws-kinesis-stream|aws-dynamodb-streams|gcp-pubsub|azure-(queue|servicebus|eventhub)|nats-jetstream|stan|pulsar|activemq|artemis-queue|redis(-\w+)*-streams|redis|redis-cluster|redis-sentinel|ibmmq|solace-event-queue|beanstalkd|liiklus)$`)

func seeTrigger(s shape, _ Workload, c context) string {
	for _, u := range c.triggers[s.meta.Namespace] {
		name, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "name")
		kind, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "kind")
		if name != s.meta.Name || kind != "" && kind != s.kind {
			continue
		}
		triggers, _, _ := unstructured.NestedSlice(u.Object, "spec", "triggers")
		for _, t := range triggers {
			if m, ok := t.(map[string]any); ok {
				if text, _ := m["type"].(string); queueKinds.MatchString(text) {
					return fmt.Sprintf("%s %s scales it by %s", u.GetKind(), u.GetName(), text)
				}
			}
		}
	}
	return ""
}

// consumerWords match how queue workers are started.
var consumerWords = regexp.MustCompile(`(?i)(\bcelery\b.*\bworker\b|\bsidekiq\b|\brq\s+worker\b|\bqueue:(work|listen)\b|\bhorizon$|\bmessenger:consume\b|\bjobs:work\b|\bresque(:work)?\b|` +
	`\bdramatiq\b|\barq\b|\bhuey_consumer\b|\bdelayed_job\b|\bgood_job\b|\bsolid_queue\b|\bfaktory[-_]worker\b|\bqueue:consume\b|\bconsumer:start\b|\brabbitmq:consumer\b|\bkafka[-_]consumer\b|` +
	`--consumer[-_.]group\b|\bconnect-(distributed|standalone|mirror-maker)\b)`)

// consumerEnv matches settings that only a consumer has: its group, what it keeps of
// Kafka Connect's own topics, and a queue's workers inside a web server.
var consumerEnv = regexp.MustCompile(`(^|_)(KAFKA_CONSUMER_\w+|(CONFIG|OFFSET)_STORAGE_TOPIC|SOLID_QUEUE_IN_PUMA|CONSUMER_GROUP(_ID)?|GROUP_INSTANCE_ID|KAFKA_(CONSUMER_)?GROUP(_ID)?|SUBSCRIPTION_(ID|NAME)|PUBSUB_SUBSCRIPTION|SQS_QUEUE(_URL|_NAME)?|TRANSACTIONAL_ID)$`)

func seeConsumer(s shape, _ Workload, _ context) string {
	if !lasting(s.kind) {
		return ""
	}
	for _, c := range s.pod.Spec.Containers {
		if m := consumerWords.FindString(words(c)); m != "" && !schedulerWords.MatchString(words(c)) {
			return "is started with " + m
		}
		if i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return consumerEnv.MatchString(e.Name) && !off(e.Value) }); i >= 0 {
			return "has " + c.Env[i].Name
		}
	}
	return ""
}

var (
	queueEnv = regexp.MustCompile(`(^|_)(KAFKA|RABBITMQ|RABBIT|AMQP|NATS|SQS|PUBSUB|KINESIS|ACTIVEMQ|ARTEMIS|PULSAR|CELERY|SIDEKIQ|SERVICEBUS|EVENTHUB|STOMP|MQTT|IBMMQ|REDPANDA|BEANSTALKD|NSQ|JETSTREAM)(_|$)`)
	// queueAside matches names that speak of a queue's programs, not of a queue.
	queueAside = regexp.MustCompile(`(^|_)(IMAGES?|VERSIONS?|TAG|EXPORTER|METRICS)(_|$)`)
	// workerWord is the role by which programs with several are told to work off a queue.
	workerWord = regexp.MustCompile(`(^|\s)(worker|(rust-)?consumer)(\s|$)`)
	queueURL   = regexp.MustCompile(`(^|[\s,=])(amqps?|kafka|nats|stomp|mqtts?|pulsar|beanstalk)(\+ssl)?://|[a-z0-9]:(9092|5671|5672|4222|6650|61616|11300|1883)(,|/|$)`)
)

func seeQueue(s shape, w Workload, _ context) string {
	if len(w.Services) > 0 || !lasting(s.kind) {
		return ""
	}
	for _, c := range s.pod.Spec.Containers {
		if storeImage.MatchString(imageName(c.Image)) || strings.Contains(imageName(c.Image), "exporter") || idleWords.MatchString(words(c)) {
			continue
		}
		if m := workerWord.FindString(words(c)); m != "" && !schedulerWords.MatchString(words(c)) {
			return "is started as a " + strings.TrimSpace(m) + " and has no Service"
		}
		for _, e := range c.Env {
			named := queueEnv.MatchString(e.Name) && !queueAside.MatchString(e.Name)
			if named && !off(e.Value) || queueURL.MatchString(e.Value) {
				return "has " + e.Name + " and no Service"
			}
		}
	}
	return ""
}
