package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	v1 "crossfade.dev/api/v1alpha1"
)

// A settingRow tells what settings say that have one of its names. A name is found
// anywhere in a key (see setting), between its words: CONSUMER_GROUP is found in
// KAFKA_CONSUMER_GROUP_ID; ^NAME must begin the key, NAME$ must end it.
type settingRow struct {
	trait v1.Trait
	// unserved rows count only where no Service leads: a server with such a setting
	// may only send.
	unserved bool
	// flags rows count for flags only, vars rows for variables only.
	flags, vars bool
	// values are those that count; any that is not off, if empty.
	values string
	names  string
}

// settingRows lists the settings by which programs and libraries tell what they are:
// after the documentation of each.
var settingRows = []settingRow{
	// Leader election: controller-runtime, client-go, Kubernetes' own components, CSI
	// sidecars, Knative, Datadog, ingress-nginx, Kong, Vault's injector, Spring Cloud.
	{trait: v1.LeaderElecting, names: `LEADER_ELECT LEADER_ELECTION LEADERELECT LEADERELECTION LEADER_ELECTOR LEADER_LEASE ENABLE_LEADER$
		LEADER_ELECTED LEADER_LOCK KUBERNETES_LEADER CLUSTER_KUBERNETES_LEADER LEADER_ENABLED$ LEADER_ROLE USE_LEADER_ELECTOR CONFIG_LEADER
		CONTROLLER_ELECTION_ID LEADER_KEY$ HA_LEADER LEASE_NAME$ LEASE_LOCK`},
	{trait: v1.LeaderElecting, values: "kubernetes zookeeper", names: `HIGH_AVAILABILITY$ HIGH_AVAILABILITY_TYPE$`},
	{trait: v1.LeaderElecting, flags: true, names: `^ELECTION_ID$ ^ENABLE_LEADER ^ELECT_LEADER$ ^LEADER$ ^LEASE_LOCK_NAME$ ^ENABLE_HA$`},

	// Schedules inside the process: common switches, Quartz, ShedLock, APScheduler, Good
	// Job, Odoo, Airflow's standalone, RQ, Sidekiq's and Laravel's extensions.
	{trait: v1.SelfScheduled, names: `ENABLE_CRON$ ENABLE_CRONS$ ENABLE_CRONJOBS$ ENABLE_CRON_JOBS$ ENABLE_SCHEDULER$ ENABLE_SCHEDULERS$ ENABLE_SCHEDULE$
		ENABLE_SCHEDULES$ ENABLE_SCHEDULING$ ENABLE_SCHEDULED_JOBS$ ENABLE_SCHEDULED_TASKS$ ENABLE_BEAT$ ENABLE_CELERY_BEAT$ ENABLE_CLOCK$
		RUN_CRON$ RUN_CRONS$ RUN_CRONJOBS$ RUN_CRON_JOBS$ RUN_SCHEDULER$ RUN_SCHEDULES$ RUN_SCHEDULED_JOBS$ RUN_SCHEDULED_TASKS$ RUN_BEAT$
		START_CRON$ START_SCHEDULER$ START_BEAT$ USE_CRON$ USE_SCHEDULER$ WITH_CRON$ WITH_SCHEDULER$ WITH_BEAT$ IS_SCHEDULER$ IS_CRON$
		CRON_ENABLED$ CRON_ENABLE$ CRONS_ENABLED$ CRONJOBS_ENABLED$ CRON_JOBS_ENABLED$ SCHEDULER_ENABLED$ SCHEDULER_ENABLE$ SCHEDULERS_ENABLED$
		SCHEDULE_ENABLED$ SCHEDULES_ENABLED$ SCHEDULING_ENABLED$ SCHEDULED_TASKS_ENABLED$ SCHEDULED_JOBS_ENABLED$ SCHEDULER_AUTO_STARTUP$
		BEAT_ENABLED$ CELERY_BEAT_ENABLED$ CLOCK_ENABLED$ SCHEDULER_ACTIVE$ SCHEDULER_AUTOSTART$ CRON_AUTOSTART$
		SIDEKIQ_CRON SIDEKIQ_SCHEDULER RECURRING_JOBS_ENABLED$ ENABLE_RECURRING_JOBS$ RECURRING_TASKS_ENABLED$ CRON_SCHEDULER
		QUARTZ SHEDLOCK APSCHEDULER CELERY_BEAT_SCHEDULE CELERY_BEAT_SCHEDULER CELERYBEAT MAX_CRON_THREADS CRON_THREADS
		CRON_SPEC$ CRON_SCHEDULE_ENABLED$ LARAVEL_SCHEDULE LARAVEL_SCHEDULER AUTORUN_LARAVEL_SCHEDULER AGENDA_ENABLED$ JOB_SCHEDULER_ENABLED$
		BACKUP_SCHEDULER_ENABLED$ NODE_CRON ENABLE_TIMERS$ TIMERS_ENABLED$ DB_SCHEDULER`},
	{trait: v1.SelfScheduled, values: "true 1 yes on enabled", names: `CRON$ CRONS$ CRONJOBS$ ^SCHEDULER$ ^SCHEDULES$ ^BEAT$`},
	{trait: v1.SelfScheduled, values: "hourly daily weekly monthly", names: `SCHEDULE$`},
	{trait: v1.SelfScheduled, values: "cron internal", names: `CRON_MODE$`},

	// Members that find each other: Hazelcast, Infinispan and JGroups, Akka and Pekko,
	// Orleans, Ignite, Coherence, Erlang and Elixir, etcd, Cassandra, memberlist and Serf,
	// Elasticsearch, EMQX, VerneMQ and HiveMQ, Zeebe, Keycloak, Grafana, Mattermost.
	{trait: v1.Gossiping, names: `HZ_NETWORK ^HZ_CLUSTER ^HZ_CLUSTERNAME ^HZ_JOIN HAZELCAST_JOIN HAZELCAST_KUBERNETES HAZELCAST_DISCOVERY HAZELCAST_CLUSTER
		HAZELCAST_MULTICAST HAZELCAST_SERVICE_DNS HAZELCAST_SERVICE_NAME HAZELCAST_NETWORK HAZELCAST_DNS HAZELCAST_PEERS HAZELCAST_KUBERNETES_SERVICE
		JGROUPS KUBERNETES_PING KUBE_PING DNS_PING OPENSHIFT_KUBE_PING PING_SVC_NAME AMQ_CLUSTERED INFINISPAN_CLUSTER INFINISPAN_TRANSPORT
		KC_CACHE KC_CACHE_STACK KEYCLOAK_CACHE_TYPE KEYCLOAK_CACHE_STACK CACHE_OWNERS_COUNT
		AKKA_CLUSTER AKKA_REMOTE AKKA_DISCOVERY AKKA_MANAGEMENT AKKA_SEED AKKA_ARTERY PEKKO_CLUSTER PEKKO_REMOTE PEKKO_DISCOVERY PEKKO_MANAGEMENT PEKKO_SEED
		REQUIRED_CONTACT_POINT_NR REQUIRED_CONTACT_POINT_NUMBER CLUSTER_INITIALCONTACTPOINTS CLUSTER_INITIAL_CONTACT_POINTS CLUSTER_CONTACTPOINT CONTACT_POINT_DISCOVERY
		ORLEANS_CLUSTER ORLEANS_CLUSTERING ORLEANS_SERVICE_ID ORLEANS_SILO SILO_PORT SILO_NAME
		IGNITE_DISCOVERY IGNITE_KUBERNETES IGNITE_CLUSTER COHERENCE_WKA COHERENCE_CLUSTER COHERENCE_CLUSTERNAME COHERENCE_OPERATOR
		RELEASE_DISTRIBUTION DNS_CLUSTER LIBCLUSTER ERLANG_CLUSTER ERL_CLUSTER PHX_CLUSTER DNS_NODES$ PEERAGE
		RABBITMQ_CLUSTERING RABBITMQ_CLUSTER_FORMATION CLUSTER_FORMATION RABBITMQ_CLUSTER_NODE_NAME RABBITMQ_CLUSTER_PARTITION_HANDLING
		ETCD_INITIAL_CLUSTER ETCD_DISCOVERY CASSANDRA_SEEDS SCYLLA_SEEDS DISCOVERY_SEED_HOSTS DISCOVERY_SEED_PROVIDERS CLUSTER_INITIAL_MASTER_NODES
		CLUSTER_INITIAL_CLUSTER_MANAGER_NODES ELASTICSEARCH_CLUSTER_HOSTS OPENSEARCH_CLUSTER_HOSTS DISCOVERY_ZEN
		MEMBERLIST GOSSIP SERF CLUSTER_JOIN CLUSTER_JOIN_ADDRESSES JOIN_ADDRESSES RETRY_JOIN CLUSTER_PEERS CLUSTER_PEER CLUSTER_SEEDS CLUSTER_SEED SEED_NODES SEED_NODE SEED_HOSTS
		HA_PEERS PEER_SEEDS PEER_DISCOVERY CLUSTER_DISCOVERY CLUSTERING_DISCOVERY DISCOVERY_PEERS DISCOVERY_MEMBERS INITIAL_DISCOVERY_MEMBERS CLUSTER_ENDPOINTS_DISCOVERY
		INITIAL_DISCOVERY INITIAL__DISCOVERY DBMS_CLUSTER_DISCOVERY DBMS_CLUSTER_ENDPOINTS
		EMQX_CLUSTER EMQX_JOIN_CLUSTER VERNEMQ_DISCOVERY VERNEMQ_KUBERNETES HIVEMQ_DNS_DISCOVERY HIVEMQ_CLUSTER DNS_DISCOVERY_ADDRESS
		MM_CLUSTERSETTINGS_ENABLE MM_CLUSTER_SETTINGS_ENABLE REDIS_CLUSTER_CREATOR REDIS_CLUSTER_REPLICAS QDRANT_CLUSTER_ENABLED
		RINGPOP OLRIC_PEERS GROUPCACHE_PEERS ATL_CLUSTER_TYPE ATL_CLUSTER_NAME ATL_CLUSTER_PEERS CLUSTER_NODES_DISCOVERY PROTOACTOR
		AEROSPIKE_MESH MESH_SEED HAZELCAST_PLUGIN CRATE_DISCOVERY VERTX_CLUSTER VERTX_CLUSTERED GEMFIRE_LOCATORS TOMCAT_CLUSTER
		NATS_CLUSTER_ROUTES NATS_ROUTES RQLITE_DISCO NOMAD_RETRY_JOIN CONSUL_RETRY_JOIN`},
	{trait: v1.Gossiping, values: "zen", names: `DISCOVERY_TYPE`},
	{trait: v1.Gossiping, flags: true, names: `^JOIN$ ^SEEDS$ ^PEERS$ ^INITIAL_CLUSTER CLUSTER_LISTEN_ADDRESS CLUSTER_ADVERTISE_ADDRESS ^BOOTSTRAP_EXPECT$
		^CLUSTER_ENABLED$ ^DISCO_MODE$ ^ROUTES$ ^LOCATORS$ ^CLUSTERMODE$ ^HAZELCAST ^INFINISPAN ^COHERENCE ^IGNITE_DISCOVERY ^SEED_PROVIDER_PARAMETERS ^SEED_PROVIDER ^START_JOIN`},

	// Consumers: groups, subscriptions, what is read, and the switches of workers.
	{trait: v1.QueueClient, names: `CONSUMER_GROUP CONSUMER_GROUPS CONSUMERGROUP CONSUMER_ID CONSUMER_NAME CONSUMER_TOPIC CONSUMER_TOPICS CONSUMER_CONCURRENCY CONSUMER_THREADS
		CONSUMER_COUNT CONSUMER_ENABLED$ CONSUMERS_ENABLED$ ENABLE_CONSUMER$ ENABLE_CONSUMERS$ RUN_CONSUMER$ RUN_CONSUMERS$ START_CONSUMER$ START_CONSUMERS$
		KAFKA_CONSUMER KAFKA_CONSUMERS KAFKA_GROUP KAFKA_GROUP_ID KAFKA_GROUPID CONSUMER_AUTO_OFFSET_RESET AUTO_OFFSET_RESET AUTOOFFSETRESET GROUP_INSTANCE_ID
		LISTENER_CONCURRENCY LISTENER_SIMPLE LISTENER_DIRECT KAFKA_LISTENER$ SPRING_KAFKA_LISTENER SPRING_RABBITMQ_LISTENER SPRING_JMS_LISTENER
		CONFIG_STORAGE_TOPIC OFFSET_STORAGE_TOPIC CONNECT_GROUP_ID CONNECT_OFFSET_STORAGE_TOPIC KSQL_SERVICE_ID STREAMS_APPLICATION_ID KAFKA_STREAMS
		MP_MESSAGING_INCOMING IN_0_GROUP IN_0_CONSUMER IN_0_DESTINATION INPUT_GROUP INPUT_TOPIC INPUT_TOPICS SOURCE_TOPIC SOURCE_TOPICS INPUT_QUEUE INPUT_QUEUE_URL SOURCE_QUEUE SOURCE_QUEUE_URL
		CONSUME_QUEUE CONSUMER_QUEUE CONSUME_TOPIC CONSUME_TOPICS LISTEN_QUEUE INBOUND_QUEUE INCOMING_QUEUE READ_QUEUE WORK_QUEUE_URL
		SUBSCRIPTION_ID SUBSCRIPTION_NAME SUBSCRIPTION_PATH PUBSUB_SUBSCRIPTION PUBSUB_SUBSCRIPTIONS PULSAR_SUBSCRIPTION SERVICEBUS_SUBSCRIPTION SERVICE_BUS_SUBSCRIPTION TOPIC_SUBSCRIPTION
		SUBSCRIPTION_CLIENT_NAME BUS_SUBSCRIPTION_NAME MQTT_SHARED_SUBSCRIPTION SNS_SUBSCRIPTION SUBSCRIPTION$ SUBSCRIBE_TOPIC SUBSCRIBE_TOPICS QUEUE_GROUP WAIT_TIME_SECONDS MAX_NUMBER_OF_MESSAGES SQS_MAX_MESSAGES SQS_CONCURRENCY RECEIVE_QUEUE
		PREFETCH$ PREFETCH_COUNT VISIBILITY_TIMEOUT DURABLE_NAME NATS_CONSUMER NATS_DURABLE NATS_QUEUE_GROUP JETSTREAM_CONSUMER JETSTREAM_DURABLE
		KCL_APPLICATION_NAME KINESIS_APPLICATION_NAME KINESIS_CONSUMER EVENTHUB_CONSUMER EVENT_HUB_CONSUMER
		SOLID_QUEUE_IN_PUMA RUN_SOLID_QUEUE OBAN_QUEUES OBAN_QUEUE RUN_WORKER$ RUN_WORKERS$ ENABLE_WORKER$ ENABLE_WORKERS$ START_WORKER$ START_WORKERS$ WORKER_ENABLED$ WORKERS_ENABLED$
		QUEUE_WORKER_ENABLED$ BACKGROUND_JOB_SERVER_ENABLED$ ENABLE_QUEUE_WORKER$ RUN_QUEUE_WORKER$ AUTORUN_LARAVEL_QUEUE AUTORUN_LARAVEL_HORIZON HANGFIRE_SERVER HANGFIRE_WORKER_COUNT HANGFIRE_QUEUES
		HANGFIRE_WORKERS PROCESS_QUEUES BROADWAY BULLMQ_CONCURRENCY BULL_CONCURRENCY QUEUE_CONCURRENCY IS_WORKER$ ONLY_QUEUE$ ASYNQ_CONCURRENCY ASYNQ_QUEUES
		WORKER_QUEUES CELERY_WORKER_QUEUES CELERY_QUEUES RIVER_WORKERS RIVER_QUEUES RIVER_MAX_WORKERS`},
	{trait: v1.QueueClient, values: "true 1 yes on enabled", names: `^WORKER$ ^WORKERS$ ^CONSUMER$`},
	{trait: v1.QueueClient, values: "async async_all async_server", names: `GOOD_JOB_EXECUTION_MODE`},
	// Where queues are. SQS_QUEUE_URL may be one to send to.
	{trait: v1.QueueClient, unserved: true, names: `SQS_QUEUE SQS_QUEUE_URL QUEUE_URL QUEUE_URLS QUEUE_NAME QUEUE_NAMES QUEUES$ QUEUE$ TASK_QUEUE TASK_QUEUES TASKQUEUE WORKER_QUEUE WORKER_CONCURRENCY
		SIDEKIQ_CONCURRENCY SIDEKIQ_QUEUES REDIS_STREAM REDIS_STREAMS STREAM_NAME CLOUD_TASKS TRANSACTIONAL_ID CONDUCTOR_SERVER CAMUNDA_BPM_CLIENT HATCHET_CLIENT PGBOSS PG_BOSS RQ HUEY TASKIQ ARQ`},
	{trait: v1.QueueClient, unserved: true, vars: true, names: `KAFKA RABBITMQ RABBIT RABBIT_MQ AMQP AMQPS NATS SQS PUBSUB PUB_SUB KINESIS ACTIVEMQ ACTIVE_MQ ARTEMIS PULSAR CELERY SIDEKIQ SERVICEBUS
		SERVICE_BUS EVENTHUB EVENTHUBS EVENT_HUB EVENT_HUBS EVENT_BUS EVENTBUS STOMP MQTT IBMMQ IBM_MQ REDPANDA BEANSTALKD BEANSTALK NSQ NSQD NSQLOOKUPD JETSTREAM STAN ROCKETMQ ROCKET_MQ GEARMAN
		SOLACE MASSTRANSIT MASS_TRANSIT NSERVICEBUS NSERVICE_BUS WOLVERINE REBUS BULL BULLMQ BULL_MQ RESQUE DRAMATIQ FAKTORY ASYNQ MQ ZEEBE KAFKA_BROKER KAFKAJS MSK JMS QPID TIBCO TDMQ`},
}

// asides match keys that speak of a queue's programs, not of a queue.
var asides = set(`IMAGE IMAGES VERSION VERSIONS TAG EXPORTER METRICS STATSD DOCS HEARTBEAT UI`)

// A row at a place of a name is what a name of settingRows stands for.
type namedRow struct {
	row        *settingRow
	start, end bool
}

var rowsByName, longestName = func() (map[string][]namedRow, int) {
	byName, longest := map[string][]namedRow{}, 0
	for i := range settingRows {
		for _, name := range strings.Fields(settingRows[i].names) {
			n := namedRow{row: &settingRows[i], start: strings.HasPrefix(name, "^"), end: strings.HasSuffix(name, "$")}
			name = strings.TrimSuffix(strings.TrimPrefix(name, "^"), "$")
			byName[name] = append(byName[name], n)
			longest = max(longest, strings.Count(name, "_")+1)
		}
	}
	return byName, longest
}()

// readSettings tells what settings say of each trait, and what they switch off: a
// switch that is off counts more than what else speaks of the trait.
func readSettings(all []setting) (said map[v1.Trait]told, vetoed map[v1.Trait]bool) {
	said, vetoed = map[v1.Trait]told{}, map[v1.Trait]bool{}
	for _, s := range all {
		eachName(s.key, func(name string, start, end int) {
			for _, n := range rowsByName[name] {
				if n.start && start > 0 || n.end && end < len(s.key) || n.row.flags && !s.flag || n.row.vars && s.flag {
					continue
				}
				on, veto := n.row.holds(s, s.key[end:])
				if veto {
					vetoed[n.row.trait] = true
				}
				if on {
					said[n.row.trait] = said[n.row.trait].with(s.evidence(), n.row.unserved)
				}
			}
		})
		if trait := switchOf(s.key); trait != "" {
			if off(s.value) {
				vetoed[trait] = vetoed[trait] || trait == v1.QueueClient
			} else {
				said[trait] = said[trait].with(s.evidence(), false)
			}
		}
		if schedule := cronIn(s.value); schedule != "" {
			said[v1.SelfScheduled] = said[v1.SelfScheduled].with(fmt.Sprintf("has the schedule %s=%s", s.text, schedule), false)
		}
		if queueURL(s.value) {
			said[v1.QueueClient] = said[v1.QueueClient].with(s.evidence(), true)
		}
		if trait, role := roleIn(s); role != "" {
			said[trait] = said[trait].as(fmt.Sprintf("has %s=%s", s.text, s.value))
		}
	}
	return said, vetoed
}

// eachName calls do with every run of words in a key, and where it begins and ends.
func eachName(key string, do func(name string, start, end int)) {
	for start := 0; start < len(key); {
		end, words := start, 0
		for words < longestName && end < len(key) {
			next := strings.IndexByte(key[end+1:], '_')
			if next < 0 {
				end = len(key)
			} else {
				end += 1 + next
			}
			words++
			do(key[start:end], start, end)
		}
		next := strings.IndexByte(key[start:], '_')
		if next < 0 {
			return
		}
		start += next + 1
	}
}

// holds tells whether a setting says what its row stands for, or switches it off.
// Rest is what follows the row's name in the key.
func (r *settingRow) holds(s setting, rest string) (on, veto bool) {
	isOff := off(s.value) || r.trait == v1.Gossiping && alone[strings.ToLower(s.value)]
	if strings.Contains(s.key, "AZURE_SUBSCRIPTION") || strings.Contains(s.key, "ARM_SUBSCRIPTION") {
		return false, false // whose cloud it is, not what it reads
	}
	for word := range strings.SplitSeq(s.key, "_") {
		if r.trait == v1.QueueClient && asides[word] {
			return false, false
		}
		if word == "DISABLE" || word == "DISABLED" || word == "NO" && s.flag {
			return false, !isOff
		}
	}
	if isOff && r.values != "" && r.trait != v1.Gossiping {
		return false, false // one schedule that is off says nothing of others
	}
	if isOff {
		switch rest {
		case "", "_ENABLED", "_ENABLE", "_AUTO_STARTUP", "_AUTOSTART", "_STARTUP":
			return false, true
		}
		return false, false
	}
	return r.values == "" || set(r.values)[strings.ToLower(s.value)], false
}

// switchOf is the trait that a setting switches by its first and last words and one
// between: ENABLE_EMAIL_SCHEDULER, KAFKA_LISTENER_ENABLED.
func switchOf(key string) v1.Trait {
	first, last := key[:max(strings.IndexByte(key, '_'), 0)], key[strings.LastIndexByte(key, '_')+1:]
	if !switches[first] && last != "ENABLED" && last != "ENABLE" && last != "ACTIVE" || first == "AIRFLOW" {
		return ""
	}
	trait, broker := v1.Trait(""), false
	for word := range strings.SplitSeq(key, "_") {
		switch {
		case besideSwitch[word]:
			return ""
		case schedulerNouns[word]:
			trait = v1.SelfScheduled
		case consumerNouns[word]:
			trait = v1.QueueClient
		case brokerNouns[word]:
			broker = true
		}
	}
	if trait == v1.QueueClient && !broker {
		return ""
	}
	return trait
}

var (
	switches       = set(`ENABLE RUN START WITH USE`)
	schedulerNouns = set(`SCHEDULER SCHEDULERS CRON CRONS CRONJOB CRONJOBS SCHEDULING BEAT CELERYBEAT`)
	consumerNouns  = set(`CONSUMER CONSUMERS LISTENER LISTENERS SUBSCRIBER SUBSCRIBERS WORKER WORKERS`)
	brokerNouns    = set(`KAFKA RABBIT RABBITMQ AMQP SQS JMS MQ QUEUE QUEUES MESSAGE MESSAGING NATS PUBSUB KINESIS EVENT EVENTS JOB JOBS BACKGROUND CELERY SIDEKIQ MQTT PULSAR`)
	// besideSwitch are words that tell that something else is switched.
	besideSwitch = set(`METRICS METRIC UI TLS SSL HEALTH CHECK CLIENT LOG LOGGING DISABLE DISABLED TRACING AUTH SASL EXPORTER PRODUCER`)
)

// alone are the values of settings of clusters that have one member.
var alone = set("local single single-node standalone singleton")

func (t told) with(evidence string, unserved bool) told {
	switch {
	case unserved && t.unserved == "":
		t.unserved = evidence
	case !unserved && t.always == "":
		t.always = evidence
	}
	return t
}

func (t told) as(role string) told {
	if t.role == "" {
		t.role = role
	}
	return t
}

func (s setting) evidence() string {
	if s.flag {
		return "is started with " + s.text
	}
	return "has " + s.text
}

var (
	cronNames = `(?i:mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)`
	cronField = `(\*|\?|H|L|[0-9]{1,2}|` + cronNames + `)([-/,#](\*|[0-9]{1,2}|` + cronNames + `))*L?W?`
	cronText  = regexp.MustCompile(`(^|[\s"'=(\[{:])(` + cronField + `[ \t]+){4,5}` + cronField + `($|[\s"')\]},;])`)
	cronAt    = regexp.MustCompile(`^@(hourly|daily|weekly|monthly|yearly|annually|midnight|every [0-9a-z]+)$`)
)

// cronIn is the cron expression in a text, "" if there is none.
func cronIn(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "@") && cronAt.MatchString(text):
		return text
	case strings.Count(text, " ") >= 4 && strings.ContainsAny(text, "*?"):
		return strings.Trim(cronText.FindString(text), " \"'=([{:)]},;")
	}
	return ""
}

// queueSchemes are those of URLs of brokers, queueHosts parts of the names of queues
// in the clouds, and queuePorts the ports on which brokers listen.
var (
	queueSchemes = []string{"amqp://", "amqps://", "amqp+ssl://", "kafka://", "kafka+ssl://", "nats://", "stomp://", "stomp+ssl://", "mqtt://", "mqtts://", "mqtt+ssl://", "pulsar://", "pulsar+ssl://",
		"beanstalk://", "beanstalkd://", "sqs://", "failover:(", "rabbitmq://", "sb://", "gearman://", "nsq://"}
	queueHosts = []string{"://sqs.", ".servicebus.windows.net", ".queue.core.windows.net", "arn:aws:sqs:"}
	queuePorts = []string{":9092", ":5671", ":5672", ":4222", ":6650", ":61616", ":11300", ":1883", ":8883"}
)

// queueURL tells whether a text leads to a broker.
func queueURL(text string) bool {
	if len(text) < 6 || !strings.Contains(text, ":") && !strings.HasPrefix(text, "projects/") {
		return false
	}
	has := func(part string) bool { return strings.Contains(text, part) }
	if slices.ContainsFunc(queueSchemes, has) || slices.ContainsFunc(queueHosts, has) || has("projects/") && has("/subscriptions/") {
		return true
	}
	return slices.ContainsFunc(queuePorts, func(port string) bool {
		before, after, found := strings.Cut(text, port)
		return found && hostEnd.MatchString(before) && !strings.HasSuffix(before, "0.0.0.0") && (after == "" || strings.ContainsAny(after[:1], ",/ ;)"))
	})
}

// hostEnd matches what ends like the name of a host.
var hostEnd = regexp.MustCompile(`[A-Za-z0-9]$`)

// roleNames end the names of variables that tell which of its roles a program takes.
var roleNames = []string{"ROLE", "MODE", "TYPE", "PROCESS", "CONTAINER", "COMPONENT", "DYNO", "RUN_AS", "COMMAND", "PROC", "PURPOSE", "CMD", "WEBLATE_SERVICE"}

// accounts begin the names of variables that tell whose rights a program has.
var accounts = []string{"VAULT_", "IAM_", "AWS_", "DB_", "DATABASE_", "POSTGRES", "MYSQL_", "NODE_", "KUBERNETES_"}

// roleIn is the role that a variable gives to a program with several.
func roleIn(s setting) (v1.Trait, string) {
	if s.flag || s.value == "" || len(s.value) > 40 {
		return "", ""
	}
	if slices.ContainsFunc(accounts, func(of string) bool { return strings.HasPrefix(s.key, of) }) {
		return "", ""
	}
	for _, name := range roleNames {
		if s.key != name && !strings.HasSuffix(s.key, "_"+name) {
			continue
		}
		trait := v1.Trait("")
		for _, word := range subwords(strings.ToLower(s.value)) {
			switch {
			case schedulerWord[word]:
				return v1.SelfScheduled, s.value
			case workerWord[word] || word == "queue" || word == "queues" || word == "jobs":
				trait = v1.QueueClient
			}
		}
		if trait != "" && s.key != "EXECUTIONS_MODE" {
			return trait, s.value
		}
	}
	return "", ""
}
