package plan

import (
	"slices"
	"testing"

	v1 "crossfade.dev/api/v1alpha1"
)

func TestImagesAreKnownByNameWithoutTheEdition(t *testing.T) {
	tests := []struct {
		image string
		want  []string
	}{
		{"redis", []string{"redis"}},
		{"docker.io/redis/redis-stack-server:7.4@sha256:00", []string{"redis/redis-stack-server", "redis-stack-server", "redis-stack", "redis"}},
		{"ghcr.io/zalando/spilo-16:3.3", []string{"zalando/spilo-16", "spilo-16", "spilo"}},
		{"oliver006/redis_exporter:v1", []string{"oliver006/redis_exporter", "redis_exporter"}},
		{"registry:5000/hivemq/hivemq4", []string{"hivemq/hivemq4", "hivemq4", "hivemq"}},
	}
	for _, tt := range tests {
		if got := imageNames(tt.image); !slices.Equal(got, tt.want) {
			t.Errorf("imageNames(%s) = %v, want %v", tt.image, got, tt.want)
		}
	}
}

func TestSettingsAreReadInAnySpelling(t *testing.T) {
	for name, want := range map[string]string{
		"--cluster.peer": "CLUSTER_PEER", "RabbitMq__Host": "RABBIT_MQ_HOST", "discovery.seed_hosts": "DISCOVERY_SEED_HOSTS",
		"--leaderElectionRetryPeriod": "LEADER_ELECTION_RETRY_PERIOD", "KAFKA_BROKERS": "KAFKA_BROKERS",
	} {
		if got := keyOf(name); got != want && got != "_"+want {
			t.Errorf("keyOf(%s) = %s, want %s", name, got, want)
		}
	}
}

func TestCronExpressionsAreFoundInSettings(t *testing.T) {
	for text, want := range map[string]string{
		"0 3 * * *": "0 3 * * *", "0 0 6 * * MON-FRI": "0 0 6 * * MON-FRI", "@weekly": "@weekly", "@every 5m": "@every 5m", "*/15 * * * *": "*/15 * * * *",
		`{"cron": "0 1 * * *"}`: "0 1 * * *", "0 30 1 ? * MON#1": "0 30 1 ? * MON#1",
		"30s": "", "-": "", ".*": "", "select * from a where b": "", "": "", "@daily backup": "",
	} {
		if got := cronIn(text); got != want {
			t.Errorf("cronIn(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestPodsAreToldFromThoseOfNamesakes(t *testing.T) {
	for rest, want := range map[string]bool{
		"-6c9f7d5b8-x2k4j": true, "-6c9f7d5b8-x2k4j_3f0a": true, "-7d4b5f8c9d-x2k8p-external-controller": true, "-0": true, "-x2k4j": true,
		"-webhook-5c5695d979-6hw4v": false, "-worker-6c9f7d5b8-x2k4j": false, "-server-x2k4j": false, "x": false, "-": false,
	} {
		if got := podSuffix(rest); got != want {
			t.Errorf("podSuffix(%s) = %v, want %v", rest, got, want)
		}
	}
}

// What is switched off counts more than what else speaks of the trait.
func TestASwitchThatIsOffOverrulesWhatElseIsSaid(t *testing.T) {
	read := func(values ...string) (map[v1.Trait]told, map[v1.Trait]bool) {
		var all []setting
		for i := 0; i < len(values); i += 2 {
			all = append(all, setting{text: values[i], key: keyOf(values[i]), value: values[i+1]})
		}
		return readSettings(all)
	}
	for _, tt := range []struct {
		trait  v1.Trait
		values []string
		vetoed bool
	}{
		{v1.LeaderElecting, []string{"LEADER_ELECTION_NAMESPACE", "x", "LEADER_ELECTION_ENABLED", "false"}, true},
		{v1.LeaderElecting, []string{"LEADER_ELECTION_DISABLE", "true"}, true},
		{v1.LeaderElecting, []string{"LEADER_ELECTION_DISABLE", "false"}, false},
		{v1.Gossiping, []string{"KC_CACHE_STACK", "kubernetes", "KC_CACHE", "local"}, true},
		{v1.SelfScheduled, []string{"SPRING_QUARTZ_JOB_STORE_TYPE", "jdbc", "SPRING_QUARTZ_AUTO_STARTUP", "false"}, true},
		{v1.SelfScheduled, []string{"A_CRON", "-", "B_CRON", "0 1 * * *"}, false},
		{v1.QueueClient, []string{"KAFKA_BROKERS", "k:9092", "KAFKA_SSL_ENABLED", "false"}, false},
	} {
		if _, vetoed := read(tt.values...); vetoed[tt.trait] != tt.vetoed {
			t.Errorf("%s of %v vetoed: %v, want %v", tt.trait, tt.values, vetoed[tt.trait], tt.vetoed)
		}
	}
}

func TestPodsOfCustomControllersAreWorkloads(t *testing.T) {
	for _, tt := range []struct {
		owner string
		found int
	}{{"ReplicaSet", 0}, {"Node", 0}, {"StrimziPodSet", 1}} {
		shape := labelled{Name: "kafka-0", Kind: "Pod", Image: "quay.io/strimzi/kafka:0.43", Owner: tt.owner}
		got := Inventory(shape.objects(), nil).Workloads(func(w Workload) bool { return w.Has(v1.Operated) })
		if len(got) != tt.found {
			t.Errorf("a pod of a %s: %d workloads, want %d", tt.owner, len(got), tt.found)
		}
	}
}
