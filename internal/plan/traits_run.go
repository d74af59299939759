package plan

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	v1 "crossfade.dev/api/v1alpha1"
)

func seeLeaderElection(s *subject) string {
	for _, l := range s.containers() {
		if said := l.said[v1.LeaderElecting].always; said != "" && !l.vetoed[v1.LeaderElecting] {
			return said
		}
		if strings.Contains(l.name, "leader-elector") {
			return "has a container that elects a leader (" + l.Image + ")"
		}
	}
	return ""
}

func seeHeldLease(s *subject) string {
	for _, l := range s.around.leases[s.meta.Namespace] {
		if l.Spec.HolderIdentity == nil {
			continue
		}
		rest, mine := strings.CutPrefix(*l.Spec.HolderIdentity, s.meta.Name)
		if mine && (rest == "" || podSuffix(rest)) {
			return fmt.Sprintf("holds Lease %s (%s)", l.Name, *l.Spec.HolderIdentity)
		}
	}
	return ""
}

// podSuffix tells whether a text is what follows the name of a workload in that of a
// pod which a ReplicaSet, a DaemonSet or a StatefulSet made, alone or with what
// libraries of leader election add to it. "-webhook-x2k4j" is of another workload: the
// hash of a pod template has digits.
func podSuffix(rest string) bool {
	rest, found := strings.CutPrefix(rest, "-")
	if !found {
		return false
	}
	first, after := cutName(rest)
	hash := len(first) >= 6 && len(first) <= 10 && strings.ContainsAny(first, "0123456789")
	switch {
	case first != "" && strings.Trim(first, "0123456789") == "":
		return true // a StatefulSet's ordinal
	case hash && strings.HasPrefix(after, "-"):
		random, _ := cutName(after[1:])
		return len(random) == 5
	}
	return len(first) == 5 && (after == "" || after[0] != '-')
}

// cutName cuts off the letters and digits with which a text begins.
func cutName(text string) (name, rest string) {
	end := strings.IndexFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	if end < 0 {
		return text, ""
	}
	return text[:end], text[end:]
}

func seeScheduler(s *subject) string {
	if !s.lasting() {
		return ""
	}
	for _, l := range s.containers() {
		if l.idle {
			continue
		}
		if role := l.scheduling(len(s.w.Services) > 0); role != "" {
			return role
		}
		if said := l.said[v1.SelfScheduled].always; said != "" && !l.vetoed[v1.SelfScheduled] {
			return said
		}
	}
	return ""
}

// scheduling is how a container is started as a scheduler, "" if it is not. A name of
// a team's own counts only where it does not serve: it may speak of anything.
func (l look) scheduling(served bool) string {
	if said := schedulers.said(l); said != "" && l.does&(computes|looksOn) == 0 {
		return "is started with " + said
	}
	if l.does&schedules != 0 {
		return "runs the scheduler " + l.Image
	}
	if said := l.said[v1.SelfScheduled].role; said != "" && l.does&(computes|looksOn) == 0 {
		return said
	}
	if said := l.role(schedulerWord); said != "" && !served && l.does&(computes|looksOn|keeps) == 0 && !l.in(gates) {
		return "is started with " + said
	}
	return ""
}

func seeGossip(s *subject) string {
	if !s.lasting() {
		return ""
	}
	for _, l := range s.containers() {
		if l.idle || l.does&looksOn != 0 {
			continue
		}
		if said := l.gossipPort(); said != "" {
			return said
		}
		if l.vetoed[v1.Gossiping] {
			continue
		}
		if said := l.said[v1.Gossiping].always; said != "" {
			return said
		}
		if said := meeting.said(l); said != "" {
			return "is started with " + said
		}
		if l.does&gossips != 0 && s.replicas > 1 {
			return fmt.Sprintf("runs %d of %s, which find each other", s.replicas, l.Image)
		}
		if i := slices.IndexFunc(l.settings, func(s setting) bool { return strings.HasSuffix(s.key, "COOKIE") && erlangCookie(s.key) }); i >= 0 && s.replicas > 1 {
			return fmt.Sprintf("has %s for its %d replicas", l.settings[i].text, s.replicas)
		}
	}
	return ""
}

// erlangCookie tells whether a variable is the secret that nodes of Erlang share.
func erlangCookie(key string) bool {
	for _, name := range []string{"RELEASE_COOKIE", "ERLANG_COOKIE", "ERL_COOKIE", "NODE_COOKIE"} {
		if key == name || strings.HasSuffix(key, "_"+name) {
			return true
		}
	}
	return false
}

// gossipPort tells by which of its ports a container meets others of its kind.
func (l look) gossipPort() string {
	for _, p := range l.Ports {
		who, known := gossipPorts[p.ContainerPort]
		if p.ContainerPort == meshPort && l.in(meshed) && !l.vetoed[v1.Gossiping] {
			who, known = "Alertmanager cluster", true
		}
		if known && l.does&passes == 0 {
			return fmt.Sprintf("listens on port %d (%s)", p.ContainerPort, who)
		}
		if gossipName(p.Name) {
			return fmt.Sprintf("listens on a port named %s (%d)", p.Name, p.ContainerPort)
		}
	}
	return ""
}

// meshed are the programs that use Alertmanager's port as it does.
var meshed = set("alertmanager grafana grafana-enterprise mimir vmalertmanager")

// gossipName tells whether a port's name is that of a protocol between members.
func gossipName(name string) bool {
	if gossipPortNames[name] {
		return true
	}
	words := subwords(name)
	return slices.ContainsFunc(words, func(word string) bool { return gossipPortWords[word] }) &&
		(len(words) < 2 || !clientPortWords[words[len(words)-1]])
}

// queueKinds are the triggers of KEDA that watch a queue or a stream.
var queueKinds = set(`kafka apache-kafka rabbitmq aws-sqs-queue aws-kinesis-stream aws-dynamodb-streams gcp-pubsub gcp-cloudtasks azure-queue azure-servicebus azure-eventhub nats-jetstream stan pulsar activemq artemis-queue
	redis redis-streams redis-cluster redis-cluster-streams redis-sentinel redis-sentinel-streams ibmmq solace-event-queue solace-direct-messaging beanstalkd liiklus nsq temporal`)

func seeTrigger(s *subject) string {
	if !s.lasting() {
		return ""
	}
	for _, u := range s.around.triggers[s.meta.Namespace] {
		name, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "name")
		kind, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", "kind")
		if name != s.meta.Name || kind != "" && kind != s.kind {
			continue
		}
		triggers, _, _ := unstructured.NestedSlice(u.Object, "spec", "triggers")
		for _, t := range triggers {
			if m, ok := t.(map[string]any); ok {
				if text, _ := m["type"].(string); queueKinds[text] {
					return fmt.Sprintf("%s %s scales it by %s", u.GetKind(), u.GetName(), text)
				}
			}
		}
	}
	return ""
}

func seeConsumer(s *subject) string {
	if !s.lasting() {
		return ""
	}
	for _, l := range s.containers() {
		if l.idle || l.does&(keeps|looksOn) != 0 {
			continue
		}
		if said := consumers.said(l); said != "" {
			return "is started with " + said
		}
		if l.does&consumes != 0 {
			return "runs " + l.Image + ", which takes messages"
		}
		said := l.said[v1.QueueClient].always
		if said != "" && !l.vetoed[v1.QueueClient] && l.scheduling(true) == "" {
			return said
		}
	}
	return ""
}

func seeQueue(s *subject) string {
	if len(s.w.Services) > 0 || !s.lasting() {
		return ""
	}
	for _, l := range s.containers() {
		if l.idle || l.does&(keeps|looksOn) != 0 || l.in(gates) || l.scheduling(false) != "" {
			continue
		}
		if said := l.role(workerWord); said != "" && l.does&computes == 0 {
			return "is started with " + said + " and has no Service"
		}
		if said := l.said[v1.QueueClient].role; said != "" && l.does&computes == 0 {
			return said + " and no Service"
		}
		if said := l.said[v1.QueueClient].unserved; said != "" && !l.vetoed[v1.QueueClient] {
			return said + " and no Service"
		}
	}
	return ""
}
