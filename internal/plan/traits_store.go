package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

func seeStatefulSet(s shape, _ Workload, _ context) string {
	if s.kind != "StatefulSet" {
		return ""
	}
	if len(s.claims) == 0 {
		return "it is a StatefulSet: its pods have names of their own, and no claims"
	}
	mode := corev1.ReadWriteOnce
	if modes := s.claims[0].Spec.AccessModes; len(modes) > 0 {
		mode = modes[0]
	}
	n := int(s.replicas) * len(s.claims)
	if n == 1 {
		return fmt.Sprintf("StatefulSet with 1 %s claim", mode)
	}
	return fmt.Sprintf("StatefulSet with %d %s claims", n, mode)
}

// lasting tells whether a kind's pods are there to stay, so that what they keep is
// state and not what passes through a job.
func lasting(kind string) bool {
	return kind == "Deployment" || kind == "StatefulSet" || kind == "ReplicaSet" || kind == "Pod"
}

func seeVolume(s shape, _ Workload, _ context) string {
	if !lasting(s.kind) {
		return ""
	}
	for _, v := range s.pod.Spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil && !v.PersistentVolumeClaim.ReadOnly && written(s, v.Name):
			return "mounts the claim " + v.PersistentVolumeClaim.ClaimName
		case v.HostPath != nil && written(s, v.Name) && !nodesOwn(v.HostPath.Path):
			return "keeps files in the node's path " + v.HostPath.Path
		}
	}
	return ""
}

// written tells whether any container may write to a volume. One that nobody mounts
// counts as written: a template may have been cut.
func written(s shape, volume string) bool {
	mounted := false
	for _, c := range slices.Concat(s.pod.Spec.Containers, s.pod.Spec.InitContainers) {
		for _, m := range c.VolumeMounts {
			if m.Name == volume {
				mounted = true
				if !m.ReadOnly {
					return true
				}
			}
		}
	}
	return !mounted
}

// nodesOwn are paths in which a node shows itself: who mounts them looks at the
// node, and keeps nothing there.
func nodesOwn(path string) bool {
	for _, own := range []string{"/proc", "/sys", "/dev", "/etc", "/run", "/var/run", "/lib/modules", "/usr", "/var/log", "/boot"} {
		if path == own || strings.HasPrefix(path, own+"/") {
			return true
		}
	}
	return path == "/"
}

// storePorts are ports registered for, or by long custom used by, stores and
// brokers (IANA Service Name and Port Number Registry; vendors' defaults).
var storePorts = map[int32]string{
	1414: "IBM MQ", 1433: "SQL Server", 1521: "Oracle", 1883: "MQTT", 2181: "ZooKeeper", 2379: "etcd", 3306: "MySQL", 4222: "NATS", 4730: "Gearman", 5432: "PostgreSQL",
	5671: "AMQP", 5672: "AMQP", 5984: "CouchDB", 6379: "Redis", 6650: "Pulsar", 7687: "Neo4j", 8529: "ArangoDB", 9042: "Cassandra",
	9092: "Kafka", 9200: "Elasticsearch", 11211: "memcached", 11300: "beanstalkd", 26257: "CockroachDB", 27017: "MongoDB",
	27018: "MongoDB", 28015: "RethinkDB", 33060: "MySQL", 55555: "Solace", 61616: "ActiveMQ", 8883: "MQTT", 10911: "RocketMQ",
}

// storePortName matches names of ports by which stores and brokers are known.
var storePortName = regexp.MustCompile(`^(tcp-)?(redis|valkey|mongo|mongodb|mysql|mariadb|postgres|postgresql|pgsql|amqp|amqps|mqtts?|kafka|cql|memcache|memcached|couchdb|zookeeper|bolt|nats|etcd|ldap)$`)

// gates are programs that stand in front of stores and keep nothing themselves, or
// look at them.
var gates = regexp.MustCompile(`(pgbouncer|pgpool|pgcat|odyssey|proxysql|maxscale|mysql-router|haproxy|envoy|nginx|twemproxy|nutcracker|mcrouter|` +
	`sql-proxy|sqlproxy|alloydb-auth-proxy|cloudsql|redis-proxy|kafka-proxy|kafka-rest|schema-registry|kafka-ui|akhq|kafdrop|toxiproxy|socat|exporter|` +
	`adminer|phpmyadmin|pgadmin.*|mongo-express|redis-commander|redisinsight|dashboard)`)

func seeStorePort(s shape, _ Workload, _ context) string {
	if !lasting(s.kind) {
		return ""
	}
	for _, c := range s.pod.Spec.Containers {
		if gates.MatchString(imageName(c.Image)) {
			continue
		}
		for _, p := range c.Ports {
			if store, ok := storePorts[p.ContainerPort]; ok {
				return fmt.Sprintf("listens on port %d (%s)", p.ContainerPort, store)
			}
			if storePortName.MatchString(p.Name) {
				return fmt.Sprintf("listens on a port named %s (%d)", p.Name, p.ContainerPort)
			}
		}
	}
	return ""
}

// storeImage matches the last path element of images of stores and brokers.
var storeImage = regexp.MustCompile(`^(mongo|mongodb|mongodb-(community|enterprise)-server|mongodb-replicaset|mysql|mysql-server|mysql-cluster|mariadb|mariadb-galera|` +
	`percona.*|postgres|postgresql|postgresql-repmgr|postgis|timescaledb(-ha)?|spilo.*|crunchy-postgres|pgvector|redis|redis-cluster|redis-sentinel|redis-stack.*|` +
	`valkey|valkey-cluster|keydb|dragonfly|garnet|cassandra|dse-server|scylla|elasticsearch|opensearch|solr|etcd|zookeeper|kafka|kafka-native|` +
	`cp-(server|kafka|zookeeper)|cp-enterprise-kafka|redpanda|pulsar(-all)?|rabbitmq|nats|nats-streaming|activemq.*|artemis.*|beanstalkd|nsq|memcached|couchdb|couchbase(-server)?|` +
	`influxdb|clickhouse.*|questdb|victoria-metrics|vmstorage|prometheus|thanos|loki|m3dbnode|cockroach|yugabyte|tikv|pd|neo4j|arangodb|dgraph|` +
	`minio|seaweedfs|mssql.*|server-mssql|oracle|oracle-free|oracle-xe|db2|(eclipse-)?mosquitto|vernemq|emqx|hivemq.*|rethinkdb|qdrant|weaviate|milvus|chroma|typesense|meilisearch|` + //nolint:misspell // the broker is spelled so
	`consul|vault|openldap|gitea|gitlab-ce|nexus3|registry|jenkins|eventstore|immudb|surrealdb|ferretdb|mongos|.*-(db|database|postgres|mysql|mongo|redis))$`)

// otherProgram matches the first words of commands that start something else out of a
// store's image: a client, a console, or a part of it that keeps nothing.
var otherProgram = regexp.MustCompile(`^((/bin/)?(ba)?sh\s+-[a-z]*c\s+)?(\S*/)?(mysqldump|mysqladmin|pg_dump|pg_dumpall|pg_isready|psql|mongodump|mongosh|mongoexport|redis-cli|cqlsh|etcdctl|` +
	`kafka-topics(\.sh)?|kafka-console-\w+(\.sh)?|influx|clickhouse-client|mc|sleep|tail|nc|nsqadmin|nsqlookupd|mongos|` +
	`(connect|kafka)-(distributed|standalone|mirror-maker)(\.sh)?|kafka-rest-start|schema-registry-start)(\s|$)`)

// roleWords match the parts that keep nothing of stores with one image for every part
// (Loki, Mimir and Tempo; Thanos).
var roleWords = regexp.MustCompile(`((^|\s)--?target=(distributor|querier|query-frontend|query-scheduler|gateway|overrides-exporter)(\s|$)|^(\S*thanos\s+)?(query|query-frontend|sidecar)(\s|$))`)

// elsewhere tells whether a container's settings lead what it stores to an object store.
func elsewhere(c corev1.Container) bool {
	return slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool {
		return storageEnv.MatchString(e.Name) && objectStore.MatchString(e.Value)
	})
}

var (
	storageEnv  = regexp.MustCompile(`(^|_)STORAGE(_TYPE|_BACKEND|_DRIVER)?$`)
	objectStore = regexp.MustCompile(`(?i)^(s3|gcs|azure|azblob|swift|oss|cos)$`)
)

func seeStoreImage(s shape, _ Workload, _ context) string {
	if !lasting(s.kind) {
		return ""
	}
	for _, c := range s.pod.Spec.Containers {
		started := words(c)
		if !storeImage.MatchString(imageName(c.Image)) || gates.MatchString(imageName(c.Image)) ||
			otherProgram.MatchString(started) || roleWords.MatchString(started) || elsewhere(c) {
			continue
		}
		evidence := "runs the store image " + c.Image
		if scratch := scratchOf(s, c); scratch != "" {
			evidence += " on an emptyDir (" + scratch + ")"
		}
		return evidence
	}
	return ""
}

// scratchOf is where a container writes to an emptyDir, other than /tmp and /run.
func scratchOf(s shape, c corev1.Container) string {
	for _, m := range c.VolumeMounts {
		passing := strings.HasPrefix(m.MountPath, "/tmp") || strings.HasPrefix(m.MountPath, "/run") || strings.HasPrefix(m.MountPath, "/var/run")
		for _, v := range s.pod.Spec.Volumes {
			if v.Name == m.Name && v.EmptyDir != nil && !passing {
				return m.MountPath
			}
		}
	}
	return ""
}

// words is how a container is started, as one text.
func words(c corev1.Container) string { return strings.Join(slices.Concat(c.Command, c.Args), " ") }

// imageName is the last path element of an image reference, without tag or digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	image = image[strings.LastIndex(image, "/")+1:]
	image, _, _ = strings.Cut(image, ":")
	return cmp.Or(strings.ToLower(image), "-")
}
