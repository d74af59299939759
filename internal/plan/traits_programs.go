package plan

// What is known of public programs, by the names of their images (see imageNames):
// after the vendors' images, charts and documentation.

// stores keep data: databases, caches, search engines, message brokers, object
// stores, registries and directories.
var stores = set(`
	postgres postgresql postgis timescaledb timescaledb-ha spilo crunchy-postgres crunchy-postgres-gis crunchy-postgres-ha pgvector pgvector-rs pgvecto-rs vectorchord citus patroni stolon/keeper supabase/postgres edb-postgres
	cloudnative-pg/postgresql enterprisedb/postgresql pg_auto_failover neondatabase/pageserver neondatabase/safekeeper greenplum cloudberry agensgraph paradedb postgres-operator/postgres
	mysql mysql-server mysql-cluster mysql-ndb mariadb mariadb-galera mariadb-enterprise percona percona-server percona-xtradb-cluster percona-xtradb-cluster-operator/pxc pxc percona-server-mongodb percona-postgresql tokudb
	mongo mongodb mongodb-community-server mongodb-enterprise-server mongodb-replicaset mongodb-sharded psmdb documentdb
	redis redis-cluster redis-sentinel redis-stack redislabs/redis redis-ha redict kvrocks ardb valkey valkey-cluster valkey-sentinel valkey-bundle keydb dragonfly garnet skytable redisai redisearch redisgraph redisjson redistimeseries rejson rebloom
	memcached couchbase couchbase-server couchbase/server couchdb pouchdb-server cassandra cassandra-lucene dse dse-server scylla scylla-enterprise hbase hbase-regionserver accumulo riak riak-kv riak-ts riak-cs
	elasticsearch elasticsearch-oss opensearch opendistro-for-elasticsearch solr zincsearch zinc meilisearch typesense manticore manticoresearch sonic sphinxsearch vespa vespaengine/vespa quickwit openobserve toshi
	etcd zookeeper zk cp-zookeeper consul vault openbao nacos-server nacos foundationdb fdb tikv pd tiflash cockroach cockroachdb yugabyte yugabytedb dolt dolt-sql-server rqlite dqlite immudb xtdb datomic surrealdb edgedb
	kafka kafka-native cp-kafka cp-server cp-enterprise-kafka wurstmeister/kafka strimzi/kafka redpanda pulsar pulsar-all pulsar-standalone bookkeeper bookie rabbitmq cluster-operator/rabbitmq lavinmq nats nats-server nats-streaming
	activemq activemq-classic activemq-artemis artemis amq-broker amq-broker-rhel8 artemiscloud/activemq-artemis-broker-kubernetes activemq-artemis-broker-kubernetes rocketmq rocketmq-broker nsq nsqd beanstalkd beanstalk gearmand gearman faktory elasticmq elasticmq-native
	solace-pubsub-standard solace-pubsub solace-pubsub-enterprise mq mqadvanced-server ibm-messaging/mq qpid qpid-dispatch qpid-broker mosquitto eclipse-mosquitto vernemq emqx emqx-enterprise emqx-edge hivemq hivemq4 hivemq-ce nanomq rumqttd aedes ejabberd-mqtt bifromq
	kubemq iggy memphis automq warpstream liftbridge eventstore eventstoredb kurrentdb axonserver axoniq/axonserver
	influxdb influxdb3 clickhouse clickhouse-server clickhouse-keeper questdb victoria-metrics vmstorage victoria-logs vlogs vlstorage victoria-traces vtstorage prometheus thanos loki mimir cortexproject/cortex tempo pyroscope m3dbnode m3db graphite graphite-statsd go-carbon
	opentsdb-hbase tdengine iotdb greptimedb cnosdb warp10 druid pinot doris doris-fe doris-be doris.fe doris.be starrocks fe-ubuntu be-ubuntu allin1-ubuntu monetdb vertica exasol crate cratedb singlestore memsql singlestoredb hsqldb firebird firebirdsql
	neo4j arangodb dgraph orientdb memgraph memgraph-mage falkordb nebula-metad nebula-storaged graphdb ontotext/graphdb stardog blazegraph virtuoso virtuoso-opensource-7 fuseki jena-fuseki terminusdb typedb janusgraph-berkeleyje tigergraph
	mssql mssql/server mssql-server server-mssql azure-sql-edge database/free oracle oracle-free oracle-xe database/enterprise database/express oracle/free db2 db2_developer_c sybase informix-developer informix hana hanaexpress teradata cubrid
	qdrant weaviate milvus chroma chromadb vald-agent-ngt marqo lancedb-server vearch
	hazelcast hazelcast-enterprise ignite gridgain infinispan infinispan/server infinispan-server datagrid-8-rhel8 datagrid jboss-datagrid geode gemfire coherence aerospike-server aerospike-server-enterprise aerospike aerospike-server-community tarantool terracotta voltdb ehcache-server olric apacheignite/ignite
	minio aistor seaweedfs ceph-osd ceph-mon garage rustfs openstack-swift leofs s3ninja s3mock adobe/s3mock fake-gcs-server fakes3 localstack azurite azure-storage/azurite dynamodb-local zot zot-linux-amd64 zot-minimal
	registry docker-registry registry-photon harbor-registry nexus3 nexus artifactory artifactory-oss artifactory-pro artifactory-jcr artifactory-cpp-ce verdaccio chartmuseum devpi devpi-server pypiserver pulp reposilite gitea forgejo gogs
	gitlab-ce gitlab-ee gitlab/gitlab gitaly jenkins openldap slapd 389ds 389-ds 389ds/dirsrv dirsrv apacheds opendj pingdirectory lldap freeipa freeipa-server samba-ad-dc kanidm/server
	nfs-server nfs-server-alpine volume-nfs nfs-ganesha kubo ipfs go-ipfs arweave
	rethinkdb ravendb raven tigerbeetle scylladb unqlite leveldb-server ncache hdfs-namenode hdfs-datanode hadoop-namenode hadoop-datanode
`)

// gates stand in front of stores, or reach one of their own elsewhere, and keep
// nothing themselves, even though they listen on a store's port.
var gates = set(`
	pgbouncer pgbouncer-exporter pgpool pgpool2 pgcat pgdog pgagroal odyssey supavisor spqr pgbouncer-rr crunchy-pgbouncer spqr-router pg-pooler stolon-proxy pooler
	proxysql maxscale mysql-router mysqlrouter percona/haproxy vitess/vtgate vtgate chproxy tidb tiproxy ticdc nebula-graphd ratel dbproxy shardingsphere-proxy shardingsphere mycat mycat2 kingshard
	haproxy envoy nginx openresty traefik caddy httpd squid varnish trafficserver ats angie tengine apisix kong kong-gateway tyk-gateway krakend gost ghostunnel stunnel socat spiped toxiproxy rinetd 3proxy frps frpc nghttpx hitch sniproxy
	twemproxy nutcracker mcrouter dynomite predixy redis-cluster-proxy redis-proxy codis-proxy camellia envoyproxy/envoy istio/proxyv2 proxyv2 redis-envoy
	cloud-sql-proxy cloudsql-proxy gce-proxy sql-proxy alloydb-auth-proxy alloydb-proxy cloudsql-docker/gce-proxy rds-proxy
	mongos mongobetween mongoproxy ferretdb stargate stargate-4_0 coordinator-4_0 zdm-proxy cassandra-proxy cql-proxy
	kafka-proxy kafka-rest cp-kafka-rest kafka-bridge schema-registry cp-schema-registry karapace apicurio-registry zilla kroxylicious conduktor-gateway amqproxy amqpproxy nats-proxy pulsar-proxy rocketmq-proxy rocketmq-namesrv
	kine etcd-proxy grpc-proxy s3proxy oauth2-proxy s3gw juicefs juicefs-s3 minio-gateway s3-proxy s3-gateway keycloak-gatekeeper ldap-proxy glauth goauthentik/ldap authentik-ldap
	tb-mqtt-transport tb-coap-transport tb-http-transport tb-lwm2m-transport chirpstack-gateway-bridge mqtt-gateway mqtt-proxy
	boundary teleport teleport-distroless strongdm hoop cloudflared tailscale ngrok materialize-balancerd edgedb-proxy neon-proxy compute-node vald-gateway vald-lb-gateway
	litellm hasura graphql-engine postgrest pgwatch janusgraph opentsdb kairosdb gotenberg
`)

// engines compute on data that others keep. Their workers take no messages.
var engines = set(`
	trino trinodb presto prestodb prestosql prestosql/presto starburst-enterprise spark spark-py pyspark spark-connect flink flink-scala ray ray-ml ray-llm dask daskdev/dask dask-notebook dask-gateway dask-gateway-server
	hive metastore impala impalad kyuubi livy drill dremio dremio-executor dremio-oss databend-query concourse locust gatling jmeter k6 buildkitd buildkit gitlab-runner actions-runner woodpecker-agent drone-runner-kube
	buildbarn bazel-remote horovod h2o kubeflow-trainer vllm-openai tritonserver synapse matrixdotorg/synapse selenium chrome browserless selenoid
	kube-scheduler yunikorn vc-scheduler kai-scheduler koord-scheduler stork scheduler-plugins/kube-scheduler tdarr temporalio/server temporal-server auto-setup cadence ubercadence/server
`)

// besides are words in names of images of what looks at programs, copies them or runs
// them, and is not them: redis-exporter, rabbitmq-cluster-operator.
var besides = set(`exporter exporters operator operators controller ui gui webui console admin administrator dashboard dashboards viewer browser explorer commander insight manager management mgmt
	backup backups restore dump dumper client cli tools toolbox box shell adapter webhook webhooks provisioner plugin plugins init initializer migrate migration migrations
	proxy proxies pooler bouncer balancer lb router gateway bridge agent sidecar reloader reload injector csi driver express phpmyadmin phpredisadmin adminer pgadmin cerebro kafdrop akhq
	benchmark bench tester test loader monitor monitoring watcher web frontend backend api app service svc server-ui sync syncer copier connect mirrormaker replicator cleaner
	crd crds configurator config setup bootstrap schema checker health healthcheck probe relay tunnel collector scraper`)

// onlookers are those of besides that look at brokers, or run them, and take nothing
// off their queues; others may be what a team calls its own program, device-manager,
// and are onlookers if the name has that of a broker too, as kafka-manager.
var (
	onlookers      = set(`exporter exporters operator operators`)
	maybeOnlookers = set(`controller ui gui webui console admin administrator dashboard dashboards viewer browser explorer monitor monitoring manager`)
	brokerWords    = set(`kafka rabbitmq rabbit nats redis celery rq rqueue bull bullmq pulsar mqtt sqs queue queues activemq artemis beanstalkd sidekiq resque nsq redpanda rocketmq jobs`)
)

// tools are words in names of images that work on a store, and are none.
var tools = set(`backup backups restore dump exporter operator controller client cli tools init migrate migration migrations proxy agent adapter ui admin sync loader seed check checker wait test`)

// storeEndings end the names of images of teams' own stores.
var storeEndings = set(`db database postgres postgresql mysql mariadb mongo mongodb redis valkey memcached rabbitmq kafka elasticsearch opensearch cassandra couchdb clickhouse influxdb minio zookeeper`)

// lookers see a broker to show or to manage it, and take nothing off its queues.
var lookers = set(`mqtt2prometheus flower celery-exporter kafka-ui akhq kafdrop kafka-manager cmak burrow kminion kowl redpanda-console conduktor-console cruise-control kafka-lag-exporter nats-box nats-surveyor nui
	asynqmon rq-dashboard rqmonitor bull-board arena bull-exporter resque-web sidekiq-web rabbitmq-exporter rabbitmq-monitor kafka-topics-ui kafka-connect-ui schema-registry-ui mqtt-explorer
	topic-operator entity-operator pulsar-manager hawtio celery-insights leek kouncil kpow redpanda-connectors-ui queue-proxy eventbus-controller lenses cp-enterprise-control-center control-center`)

// gossipers are programs of which several members always find each other.
var gossipers = set(`cassandra dse-server scylla scylla-enterprise hazelcast hazelcast-enterprise ignite gridgain redis-cluster valkey-cluster aerospike-server aerospike-server-enterprise aerospike
	consul nomad serf geode gemfire coherence riak riak-kv infinispan infinispan/server infinispan-server datagrid-8-rhel8 elasticsearch elasticsearch-oss opensearch opendistro-for-elasticsearch
	rabbitmq emqx emqx-enterprise vernemq hivemq hivemq4 couchdb couchbase couchbase-server couchbase/server ejabberd mongooseim dkron crate cratedb etcd bifromq quickwit`)

// ownSchedulers are programs that run schedules whatever they are started with.
var ownSchedulers = set(`ofelia dkron supercronic rundeck airflow-scheduler go-crond gocron cronicle jobber xxl-job-admin powerjob-server yacron cron crond crontab chadburn dolphinscheduler-master dagster-daemon
	postgres-backup-local docker-volume-backup kala deck-chores jobscheduler celery-beat celerybeat rq-scheduler alpine-cron docker-cron zammad-scheduler diun azkaban oozie elasticjob ofelia/ofelia
	schedulix joc-cockpit js7-controller cronmaster crontab-ui`)

// ownConsumers are programs that take messages whatever they are started with.
var ownConsumers = set(`airflow-worker datahub-mae-consumer datahub-mce-consumer kafka-connect cp-kafka-connect cp-kafka-connect-base cp-server-connect debezium/connect debezium/server-consumer debezium-connect connect-base kafka-connect-base cp-kafka-mirrormaker cp-replicator cp-enterprise-replicator mirrormaker kafka-mirror-maker
	jaeger-ingester ksqldb-server cp-ksqldb-server ksqldb gitlab-sidekiq-ee gitlab-sidekiq-ce gitlab-sidekiq snuba-consumer langfuse-worker novu/worker airbyte/worker opencti/worker trigger.dev/worker queue-worker openfaas/queue-worker faas-queue-worker
	posthog-plugin-server plugin-server appflowy_worker knative-kafka-broker-dispatcher kafka-broker-dispatcher celery-worker rq-worker sidekiq
	skywalking-kafka-fetcher kafka-consumer tb-js-executor`)

// A part is one of several that an image holds, and what that part does.
type part struct {
	of      map[string]bool
	started phrases
	does    does
}

// does is what a program does, as bits.
type does int

const (
	keeps does = 1 << iota
	passes
	looksOn
	gossips
	schedules
	consumes
	computes
	// otherwise holds if a part was recognised that does none of these.
	otherwise
)

// parts lists the parts of programs with one image for several; the first that fits
// counts. What is not listed is what the image is known for.
var parts = []part{
	{set(`loki loki-distributed mimir tempo cortexproject/cortex pyroscope phlare enterprise-metrics enterprise-logs enterprise-traces grafana/enterprise-logs`), phrasesOf(`-target=distributor, -target=querier, -target=query-frontend, -target=query-scheduler, -target=gateway,
		-target=overrides-exporter, -target=compactor, -target=store-gateway, -target=ruler, -target=read, -target=query-backend, -target=metrics-generator, -target=index-gateway, -target=admin-api, -target=cache,
		-target=bloom-gateway, -target=bloom-compactor, -target=bloom-planner, -target=bloom-builder, -target=pattern-ingester, -target=table-manager, -target=federation-frontend, -target=alertmanager, -target=configs, -target=purger, -target=ruler-querier,
		-target=adaptive-metrics, -target=graphite-querier, -target=backend-scheduler, -target=segment-writer, -target=metastore-client, -target=mimir-write-proxy, -target=backend-worker, -target=block-builder-scheduler, -target=frontend`), passes},
	{set(`thanos`), phrasesOf(`query, query-frontend, sidecar, store, compact, tools, bucket, downsample, receive --receive.hashrings-route`), passes},
	{set(`airflow`), phrasesOf(`celery worker, worker`), consumes},
	{set(`airflow`), phrasesOf(`scheduler, standalone`), schedules},
	{set(`airflow`), phrasesOf(`webserver, api-server, triggerer, dag-processor, flower, kerberos, db, users`), looksOn},
	{set(`mongo mongodb mongodb-sharded percona-server-mongodb mongodb-community-server mongodb-enterprise-server`), phrasesOf(`mongos`), passes},
	{set(`vault openbao`), phrasesOf(`agent, proxy, vault-agent`), passes},
	{set(`consul`), phrasesOf(`connect, snapshot, join, kv, watch`), passes},
	{set(`etcd`), phrasesOf(`gateway, grpc-proxy`), passes},
	{set(`minio`), phrasesOf(`gateway`), passes},
	{set(`pulsar pulsar-all`), phrasesOf(`proxy, websocket, functions-worker, initialize-cluster-metadata, pulsar-admin`), passes},
	{set(`nsq`), phrasesOf(`nsqadmin, nsqlookupd`), looksOn},
	{set(`rocketmq`), phrasesOf(`mqnamesrv, mqproxy, mqadmin, mqcontroller`), passes},
	{set(`seaweedfs`), phrasesOf(`s3, webdav, mount, filer.sync, filer.backup, iam, admin, worker`), passes},
	{set(`ceph rook/ceph`), phrasesOf(`ceph-mon, ceph-osd`), keeps},
	{set(`ceph rook/ceph`), phrasesOf(`radosgw, ceph-mgr, ceph-mds, rbd-mirror, ceph-exporter`), passes},
	{set(`milvus`), phrasesOf(`run standalone`), keeps},
	{set(`milvus`), phrasesOf(`run`), passes},
	{set(`druid`), phrasesOf(`coordinator, overlord, broker, router`), passes},
	{set(`pinot`), phrasesOf(`startcontroller, startbroker, startminion`), passes},
	{set(`lite vitess`), phrasesOf(`vtgate, vtctld, vtorc, vtadmin, vtctl, vtbackup`), passes},
	{set(`lite vitess`), phrasesOf(`vttablet, mysqld, mysqlctld`), keeps},
	{set(`starrocks doris`), phrasesOf(`cn, start_cn.sh, cn_entrypoint.sh, start_broker.sh`), passes},
	{set(`quickwit`), phrasesOf(`searcher, control_plane, janitor, metastore, control-plane`), passes},
	{set(`yugabyte`), phrasesOf(`yugaware`), passes},
	{set(`hbase hbase-regionserver`), phrasesOf(`thrift, rest`), passes},
	{set(`victoria-metrics victoria-logs`), phrasesOf(`vmagent, vmalert, vmauth, vminsert, vmselect, vlinsert, vlselect, vlagent`), passes},
	{set(`dgraph`), phrasesOf(`dgraph-ratel, ratel`), passes},
	{set(`snuba`), phrasesOf(`api, admin, bootstrap, migrations`), looksOn},
	{set(`sentry`), phrasesOf(`run web, upgrade, devserver`), looksOn},
	{set(`n8n`), phrasesOf(`webhook, start`), looksOn},
	{set(`kestra`), phrasesOf(`webserver, executor, indexer`), looksOn},
	{set(`prefect`), phrasesOf(`prefect worker, prefect agent`), consumes},
	{set(`kafka cp-kafka strimzi/kafka kafka-native cp-server`), phrasesOf(`connect-distributed, connect-distributed.sh, connect-standalone, connect-standalone.sh, connect-mirror-maker, connect-mirror-maker.sh,
		kafka-mirror-maker, kafka-mirror-maker.sh, kafka_connect_run.sh, kafka_mirror_maker_2_run.sh, kafka-console-consumer, kafka-console-consumer.sh`), consumes},
	{set(`strimzi/kafka`), phrasesOf(`cruise_control_run.sh, kafka_exporter_run.sh, kafka_bridge_run.sh, entity_operator_run.sh`), looksOn},
	{set(`redash`), phrasesOf(`server`), looksOn},
	{set(`espocrm`), phrasesOf(`docker-daemon.sh`), schedules},
	{set(`taiga-back`), phrasesOf(`async_entrypoint.sh`), consumes},
	{set(`celery flower`), phrasesOf(`flower`), looksOn},
}

// serverWords start a store, in whatever image: by the name of the program.
var serverWords = phrasesOf(`redis-server, valkey-server, keydb-server, dragonfly, redis-sentinel, mongod, mysqld, mysqld_safe, mariadbd, postgres -c, pg_ctl start, patroni, memcached, nats-server, nats-streaming-server, rabbitmq-server,
	minio server, minio standalone, weed server, weed volume, weed master, weed filer, influxd, clickhouse-server, clickhouse-keeper, mosquitto, slapd, etcd, kafka-server-start.sh, kafka-server-start, kafka_run.sh, zkserver.sh, zookeeper-server-start.sh, sqlservr,
	beanstalkd, gearmand, nsqd, arangod, cockroach start, cockroach start-single-node, neo4j start, couchdb, elasticsearch, opensearch, solr start, solr-foreground, qdrant, meilisearch, typesense-server, surreal start, ceph-mon, ceph-osd,
	verdaccio, registry serve, chartmuseum, dolt sql-server, rqlited, scylla, asd, tarantool, questdb.sh, prometheus --storage.tsdb.path, victoria-metrics, victoria-metrics-prod, emulators pubsub, emulators firestore, emulators bigtable, emulators datastore,
	softwaremill elasticmq, rethinkdb, vault server, bao server, couchbase-server, garage server, lavinmq, docker-registry, zot serve`)

// otherWords start something else out of a store's image: a client, a dump, a tool.
var otherWords = phrasesOf(`mysqldump, mysqladmin, mysql -h, mysql -e, mysql --host, mysqlsh, mydumper, mysqlrouter, mariadb-dump, mariadb-backup, xtrabackup, pg_dump, pg_dumpall, pg_isready, pg_basebackup, pg_receivewal, psql, pg_restore, pgbench, pgbackrest, wal-g, barman,
	mongodump, mongosh, mongoexport, mongoimport, mongorestore, redis-cli, valkey-cli, redis-benchmark, cqlsh, nodetool, etcdctl, etcdutl, kafka-topics, kafka-topics.sh, kafka-console-producer, kafka-console-producer.sh, kafka-acls.sh, kafka-configs.sh, kafka-consumer-groups.sh, kafka-run-class.sh,
	influx, clickhouse-client, mc, nc, curl, wget, rabbitmqadmin, rabbitmqctl, zkcli.sh, kafka-rest-start, schema-registry-start, nats, nsqadmin, nsqlookupd, vault-agent, promtool, cypher-shell, ldapsearch, mosquitto_sub, mosquitto_pub, redis-exporter, sqlcmd, cbbackupmgr, solr-exporter, elasticdump, crond, cron, supercronic`)

// editions end names of images and tell which build of the same program it is.
var editions = set(`alpine slim bookworm bullseye buster jammy focal noble debian ubuntu ubi rhel centos rocky fedora wolfi chainguard distroless static scratch fips iron
	server cluster ha ce ee oss community enterprise standalone single node data stack lite light full all core dev edge nightly latest stable release prod production
	master slave primary secondary replica replicas leader amd64 arm64 arm64v8 amd64v8 aarch64 x86 x64 linux native kraft photon unprivileged rootless repmgr contrib image docker official free xe community-edition tls ssl
	c8s c9s c10s el7 el8 el9 rhel7 rhel8 rhel9 ubi8 ubi9 jdk java openjdk temurin corretto cpu cuda gpu jre x86_64`)
