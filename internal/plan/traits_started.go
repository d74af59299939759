package plan

import "strings"

// consumers are the ways in which workers of known libraries and products are
// started, a Service or not.
var consumers = phrasesOf(`
	celery worker, celery -B, celery --beat, celeryworker, celery multi, celery-worker, run-celery-with-beat.sh, celery_with_exporter.sh, celery-exportworker, rq worker, rqworker, manage.py rqworker, manage.py qcluster, manage.py run_huey,
	manage.py process_tasks, manage.py db_worker, manage.py runworker, manage.py celery_worker, manage.py consume, manage.py dramatiq, manage.py rundramatiq, manage.py rundelayedworker,
	dramatiq, arq, saq, huey_consumer, huey_consumer.py, faust worker, taskiq worker, procrastinate worker, streaq, nameko run, faststream run, mrq-worker, pgqueuer run, dagster-celery worker,
	funcx-worker, prefect worker, prefect agent, luigid-worker, superset worker, airflow worker, redash worker,
	sidekiq, sidekiqswarm, resque, resque:work, resque:workers, jobs:work, jobs:workoff, delayed_job, good_job start, good_job, solid_queue, solid_queue:start, bin/jobs, que, shoryuken, sneakers, sneakers:run,
	hutch, karafka server, karafka, racecar, racecarctl, phobos start, backburner, qu:work, bunny_worker, faktory-worker, faktory_worker, qless-worker, queue_classic, qc:work, cloudtasker, advance_jobs,
	queue:work, queue:listen, queue:consume, queue:run, queue/listen, queue/run, queue:consumers:start, queue:process, artisan horizon, horizon:work, vapor:work, kafka:consume, rabbitmq:consume, rabbitevents:listen,
	messenger:consume, messenger:consume-messages, enqueue:consume, rabbitmq:consumer, rabbitmq:batch:consumer, rabbitmq:multiple-consumer, swarrot:consume, bernard:consume, sqs:consume,
	oro:message-queue:consume, oro:message-queue:transport:consume, akeneo:batch:job-queue-consumer-daemon, jobqueue:run, resque:start, jms-job-queue:run, ezplatform:queue, shopware:messenger, drush queue:run, queue-worker,
	advancedqueue:queue:process, action-scheduler run, cake queue, yii queue/listen, craft queue/listen, bullmq, bee-queue, graphile-worker, pg-boss, agenda-worker, moleculer-worker, nodemq,
	n8n worker, bench worker, sentry consumer, sentry taskworker, sentry worker, snuba consumer, snuba rust-consumer, snuba subscriptions-scheduler-executor, snuba subscriptions-executor, snuba replacer,
	docker-worker, docker-worker-celery, asynq worker, machinery worker, watermill, mix oban,
	connect-distributed, connect-distributed.sh, connect-standalone, connect-standalone.sh, connect-mirror-maker, connect-mirror-maker.sh, kafka-mirror-maker, kafka-mirror-maker.sh,
	kafka_connect_run.sh, kafka_mirror_maker_2_run.sh, kafka_mirror_maker_run.sh, kafka-console-consumer, kafka-console-consumer.sh, ksql-server-start, ksql-server-start.sh, nsq_to_file, nsq_to_http, nsq_tail, nsq_to_nsq,
	flagsmith run-task-processor, run-task-processor, postal worker, pretix taskworker, taskworker, lago worker, immich-microservices, immich microservices, plugin-server, mattermost jobserver, kestra worker,
	queue.sh, gearman worker, gearman:job:execute, gearman:worker:execute, beanstalkd:worker, hangfire-server, hangfire server, temporal-worker, sensor-service, river work, queue-proxy-worker`)

// schedulers are the ways in which schedulers inside a process are started.
var schedulers = phrasesOf(`
	celery beat, celery -B, celery --beat, celery-beat, celerybeat, start-celerybeat, rqscheduler, rq scheduler, manage.py rqscheduler, manage.py runapscheduler, manage.py run_scheduler, manage.py runcrons, apscheduler,
	taskiq scheduler, airflow scheduler, airflow standalone, airflow-scheduler, dagster-daemon, dagster dev, redash scheduler, bench schedule, sentry cron, sentry taskworker-scheduler, prefect scheduler, luigi-scheduler,
	schedule:work, schedule:run, schedule:run-scheduler, short-schedule:run, schedule:start, scheduled-task:run, scheduler:run, scheduler:start, scheduler:work, cron:run, oro:cron, oro:cron-daemon, cron:install, scheduled_tasks:run,
	supercronic, crond, cron, go-crond, go-cron, fcron, dcron, anacron, busybox crond, yacron, tini crond, jobber, jobberrunner, ofelia, chadburn, dkron, gocron, kala, chronos, cronicle, deck-chores, mcron, cronn, pycron, cron.sh, simplecron,
	clockwork, clockworkd, clock, zhong, rufus-scheduler, resque:scheduler, resque-scheduler, sidekiq-scheduler, sidekiq-cron, arask, crono,
	bull-scheduler, bullmq-scheduler, agenda, bree, quartz, jobrunr, rundeck, xxl-job-admin, powerjob-server, kestra scheduler, kestra standalone, zammad-scheduler, zammad scheduler, postal cron, lago clock, st2timersengine,
	docker-worker-celery --with-scheduler, worker --with-scheduler, dolphinscheduler-master, dapr-scheduler, glitchtip beat, messenger:consume scheduler_default, messenger:consume scheduler, sidekiq scheduler`)

// meeting are the ways in which members that find each other are started.
var meeting = phrasesOf(`java -cluster, vertx -cluster, vertx run -cluster, serf agent, nomad agent, consul agent, --serf, dkron agent --server, standalone-ha.xml, standalone-full-ha.xml, standalone-microprofile-ha.xml,
	-Djboss.server.default.config=standalone-ha.xml, --clustermode, jgroups, hazelcast-start, hz-start, ignite.sh, gfsh start`)

// words of names of scripts, modules and subcommands that tell a worker or a scheduler.
var (
	workerWord = set(`sidekiq worker workers consumer consumers consume subscriber subscribers celeryworker queueworker taskworker exportworker jobworker rqworker sqsworker kafkaconsumer
		jobrunner jobprocessor queuelistener taskprocessor indexworker mailworker`)
	schedulerWord = set(`scheduler schedulers schedule scheduled cron crond cronjobs crontab beat celerybeat clock clockwork rqscheduler apscheduler runapscheduler supercronic cronjob cronworker`)
)

// apart are the words beside which those words mean something else: schedulers of
// pods and of queries, and computers that are called workers.
var apart = set(`kube vc volcano yunikorn dask koord koordinator stork topolvm query spark k8s hami kai ray trino presto placement kubernetes generic flink hadoop
	web uvicorn gunicorn static pod disable no snapshot descheduler locust concourse nginx kueue runpod buildkit`)

// subwords are the words in a name: docker-entrypoint-worker.sh has four.
func subwords(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

// carriers are the flags whose value is what is started.
var carriers = set(`-m -c -jar -ec -ecx -lc -exc -lic -l -ic -u -x -euxc -xec -cx -eux -eu -ce -xc -- --services --role --mode --type --component --process --worker-type --run`)

// role is the word by which a container is started in a role, and the trait that it
// tells: "worker" or "scheduler".
func (l look) role(of map[string]bool) string {
	for i, word := range l.words {
		if strings.HasPrefix(word, "-") {
			flag, value, given := strings.Cut(word, "=")
			if !given || !carriers[flag] {
				continue
			}
			word = value
		} else if i > 0 && strings.HasPrefix(l.words[i-1], "-") && !strings.Contains(l.words[i-1], "=") && !carriers[l.words[i-1]] {
			continue
		}
		if strings.HasPrefix(word, "/") {
			word = lastName(word)
		}
		if strings.ContainsAny(word, "=@") || strings.Contains(word, "://") {
			continue
		}
		names := subwords(word)
		found := false
		for _, name := range names {
			if apart[name] {
				found = false
				break
			}
			found = found || of[name] || of["worker"] && (strings.HasSuffix(name, "worker") || strings.HasSuffix(name, "consumer")) ||
				of["scheduler"] && strings.HasSuffix(name, "scheduler")
		}
		if found {
			return word
		}
	}
	return ""
}

// plainScripts are names of scripts that say nothing; the folder does.
var plainScripts = set(`run start entrypoint main index app server docker cmd sh py js bash mjs ts rb php`)

// lastName is the last element of a path that says something.
func lastName(path string) string {
	name := base(path)
	for _, word := range subwords(name) {
		if !plainScripts[word] {
			return name
		}
	}
	return base(strings.TrimSuffix(path, "/"+name))
}

// waits are what a container runs that only waits for people.
var waits = phrasesOf(`sleep infinity, sleep inf, tail -f, tail -F, sleep 3600, sleep 86400, sleep 99999, sleep 999999, sleep 9999999, sleep 365d, sleep 1d, pause`)

// idle tells whether words start only something that waits for people.
func idle(words []string) bool {
	l := look{words: words}
	said := waits.said(l)
	switch {
	case said == "":
		return false
	case strings.HasPrefix(said, "tail"):
		return l.started([]string{"tail", "/dev/null"})
	}
	return !l.started([]string{"while"}) && !l.started([]string{"until"}) && !l.started([]string{"done"})
}
