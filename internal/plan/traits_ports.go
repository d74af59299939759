package plan

// storePorts are ports registered for, or by long custom used by, stores and
// brokers (IANA Service Name and Port Number Registry; vendors' defaults).
var storePorts = map[int32]string{
	389: "LDAP", 636: "LDAP", 1389: "LDAP", 1414: "IBM MQ", 1433: "SQL Server", 1521: "Oracle", 1883: "MQTT", 2181: "ZooKeeper", 2379: "etcd", 3306: "MySQL", 4150: "NSQ", 4222: "NATS", 4730: "Gearman", 5432: "PostgreSQL",
	5671: "AMQP", 5672: "AMQP", 5984: "CouchDB", 6379: "Redis", 6650: "Pulsar", 7687: "Neo4j", 8529: "ArangoDB", 9042: "Cassandra",
	9092: "Kafka", 9200: "Elasticsearch", 11211: "memcached", 11300: "beanstalkd", 26257: "CockroachDB", 26379: "Redis Sentinel", 27017: "MongoDB",
	27018: "MongoDB", 27019: "MongoDB", 33060: "MySQL", 55555: "Solace", 61613: "STOMP", 61616: "ActiveMQ", 8883: "MQTT", 10911: "RocketMQ",
	11210: "Couchbase", 10800: "Ignite", 11222: "Infinispan", 19530: "Milvus", 6333: "Qdrant", 7700: "Meilisearch", 8108: "Typesense", 8983: "Solr", 8812: "QuestDB",
}

// storePortNames are names of ports by which stores and brokers are known.
var storePortNames = set(`redis valkey keydb memcached memcache mongo mongodb mysql mariadb mysqlx postgres postgresql pgsql pg amqp amqps mqtt mqtts mqttssl kafka cql couchdb zookeeper zk bolt nats etcd ldap ldaps ldap-port ldaps-port
	elasticsearch opensearch cassandra clickhouse influxdb neo4j pulsar stomp openwire beanstalk beanstalkd redis-port mysql-port postgres-port mongo-port sentinel redis-sentinel
	tcp-redis tcp-valkey tcp-mysql tcp-mariadb tcp-postgresql tcp-postgres tcp-mongodb tcp-mongo tcp-amqp tcp-amqps tcp-mqtt tcp-kafka tcp-cql tcp-memcached tcp-memcache tcp-couchdb tcp-zookeeper tcp-bolt tcp-nats tcp-etcd tcp-ldap tcp-elasticsearch
	mssql sqlserver oracle db2 arangodb cockroachdb aerospike rethinkdb tcp-mssql milvus qdrant meilisearch typesense solr minio-api nfs`)

// asidePortWords in a port's name tell that it only shows how the program is.
var asidePortWords = set(`metrics prom prometheus health healthz probe readyz livez debug`)

// gossipPorts are ports by which members of a cluster find each other, which are
// used for little else (vendors' defaults).
var gossipPorts = map[int32]string{
	2380: "etcd peers", 4369: "Erlang epmd", 5701: "Hazelcast", 6222: "NATS routes", 7800: "JGroups", 7600: "JGroups", 7946: "memberlist", 8301: "Serf", 8302: "Serf",
	8558: "Akka management", 9300: "Elasticsearch transport", 11111: "Orleans silo", 16379: "Redis cluster bus",
	25520: "Akka remoting", 2552: "Akka remoting", 2551: "Akka remoting", 25672: "RabbitMQ cluster", 47500: "Ignite discovery", 47100: "Ignite communication", 4648: "Nomad Serf", 8946: "dkron Serf",
	4370: "EMQX cluster", 44053: "VerneMQ cluster", 26502: "Zeebe members", 10334: "Geode locator", 7574: "Coherence", 6933: "ringpop", 6934: "ringpop", 6935: "ringpop", 6939: "ringpop",
	5702: "Hazelcast", 17355: "Akka management", 4053: "Akka remoting",
}

// meshPort is Alertmanager's, and what is built on it; Kafka's brokers use it too.
const meshPort = 9094

// gossipPortNames are what such ports are called; gossipPortWords are words that are
// enough in a longer name.
var (
	gossipPortNames = set(`cluster peer peers dist tcp-dist epmd silo ekka vmq heartbeat mesh-tcp mesh-udp intra-node tls-intra-node intra-node-comm intra internode tcp-intra remoting akka akka-remote akka-remoting cluster-bus
		tcp-redis-bus redis-bus redisbus tcp-peer etcd-peer transport tcp-transport swim tribes hz discovery-ignite locator cluster-tcp tcp-cluster cluster-port cluster-comm cluster-udp jg`)
	gossipPortWords = set(`gossip memberlist jgroups serf serflan serfwan hazelcast membership orleans ringpop pekko epmd silo akka`)
)

// clientPortWords in a name tell that the port is for others than the members.
var clientPortWords = set(`http client api management mgmt admin metrics rest`)
