package finding

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// runRules are about how pods start, end and share what there is once.
var runRules = []rule{
	{"CF-APP-001", seeGaps},
	{"CF-APP-002", seeUnready},
	{"CF-APP-003", seeHardEnds},
	{"CF-APP-004", seeMutableTags},
	{"CF-APP-005", seePullSecrets},
	{"CF-APP-006", seeBare},
	{"CF-PDB-001", seeBudgets},
	{"CF-RUN-001", seeLeaders},
	{"CF-RUN-002", seeStaticMembers},
	{"CF-RUN-003", seeTransactions},
	{"CF-RUN-004", seeZonelessSchedules},
	{"CF-RUN-005", seeLateRuns},
}

func seeGaps(l *look) {
	l.moving(func(w plan.Workload) {
		for _, t := range w.Traits {
			if t.Trait == v1.Singleton && w.Replicas == 1 && len(w.Services) > 0 {
				l.say(nameOf(w), "%s", t.Evidence)
			}
		}
	})
}

// serves tells whether clients reach a workload that lasts by a Service.
func serves(w plan.Workload) bool {
	return len(w.Services) > 0 && (w.Kind == "Deployment" || w.Kind == "StatefulSet" || w.Kind == "ReplicaSet")
}

func seeUnready(l *look) {
	l.moving(func(w plan.Workload) {
		ready := slices.ContainsFunc(w.Pod.Spec.Containers, func(c corev1.Container) bool { return c.ReadinessProbe != nil })
		if serves(w) && !ready {
			l.say(nameOf(w), "none of its containers has a readiness probe")
		}
	})
}

// shortestGrace is below what proxies and balancers take to let go of a pod.
const shortestGrace = 10

func seeHardEnds(l *look) {
	l.moving(func(w plan.Workload) {
		if !serves(w) {
			return
		}
		if g := w.Pod.Spec.TerminationGracePeriodSeconds; g != nil && *g < shortestGrace {
			l.say(nameOf(w), "its grace period is %d s", *g)
			return
		}
		waits := slices.ContainsFunc(w.Pod.Spec.Containers, func(c corev1.Container) bool { return c.Lifecycle != nil && c.Lifecycle.PreStop != nil })
		if !waits {
			l.say(nameOf(w), "has no preStop hook")
		}
	})
}

func seeMutableTags(l *look) {
	l.moving(func(w plan.Workload) {
		for _, c := range slices.Concat(w.Pod.Spec.InitContainers, w.Pod.Spec.Containers) {
			if mutable(c.Image) {
				l.say(nameOf(w), "runs %s", c.Image)
			}
		}
	})
}

// moving tags are those that are pushed again and again by their very meaning.
var movingTags = []string{"", "latest", "stable", "edge", "main", "master", "dev", "develop", "nightly", "staging", "production", "prod", "canary", "alpine", "snapshot"}

func mutable(image string) bool {
	if image == "" || strings.Contains(image, "@sha256:") {
		return false
	}
	name := image[strings.LastIndexByte(image, '/')+1:]
	_, tag, _ := strings.Cut(name, ":")
	return slices.Contains(movingTags, strings.ToLower(tag))
}

func seePullSecrets(l *look) {
	if l.Source.missed("secrets") {
		return
	}
	l.moving(func(w plan.Workload) {
		for _, s := range w.Pod.Spec.ImagePullSecrets {
			if l.ix.secrets[key(w.Namespace, s.Name)] == nil {
				l.say(nameOf(w), "pulls with Secret %s, which does not exist", s.Name)
			}
		}
	})
}

func seeBare(l *look) {
	l.moving(func(w plan.Workload) {
		if w.Kind == "Pod" || w.Kind == "ReplicaSet" {
			l.say(nameOf(w), "a %s that no controller owns", w.Kind)
		}
	})
}

func seeBudgets(l *look) {
	replicas := map[string][]plan.Workload{}
	for _, app := range l.Estate.Apps {
		for _, w := range app.Workloads {
			replicas[w.Namespace] = append(replicas[w.Namespace], w)
		}
	}
	for _, b := range l.Source.Objects.Budgets {
		if !l.InEstate(b.Namespace) || b.Spec.Selector == nil {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil || selector.Empty() {
			continue
		}
		var total int32
		for _, w := range replicas[b.Namespace] {
			if selector.Matches(labels.Set(w.Pod.Labels)) {
				total += w.Replicas
			}
		}
		if said := unmet(b.Spec, total); said != "" && total > 0 {
			l.say(title("PodDisruptionBudget", b), "%s of %d", said, total)
		}
	}
}

// unmet says why a budget for so many pods lets none go, "" if it lets some.
func unmet(s policyv1.PodDisruptionBudgetSpec, total int32) string {
	if s.MinAvailable != nil {
		if n, err := intstr.GetScaledValueFromIntOrPercent(s.MinAvailable, int(total), true); err == nil && n >= int(total) {
			return "minAvailable " + s.MinAvailable.String()
		}
	}
	if s.MaxUnavailable != nil {
		if n, err := intstr.GetScaledValueFromIntOrPercent(s.MaxUnavailable, int(total), true); err == nil && n == 0 {
			return "maxUnavailable " + s.MaxUnavailable.String()
		}
	}
	return ""
}

func seeLeaders(l *look) {
	l.moving(func(w plan.Workload) {
		for _, t := range w.Traits {
			if t.Trait == v1.LeaderElecting {
				l.say(nameOf(w), "%s", t.Evidence)
			}
		}
	})
}

var (
	staticMember = regexp.MustCompile(`(?i)group[._]instance[._]id`)
	transaction  = regexp.MustCompile(`(?i)transactional[._]id`)
)

// settings tells where a workload has a setting: in its environment, its arguments, or
// a ConfigMap that it needs.
func (l *look) settings(w plan.Workload, is *regexp.Regexp) string {
	for _, c := range w.Pod.Spec.Containers {
		for _, e := range c.Env {
			if is.MatchString(e.Name) || is.MatchString(e.Value) {
				return "variable " + e.Name
			}
		}
		for _, a := range slices.Concat(c.Command, c.Args) {
			if is.MatchString(a) {
				return "argument " + a
			}
		}
	}
	for _, need := range w.Needs {
		if need.Kind != "ConfigMap" {
			continue
		}
		for _, m := range l.ix.settings[key(w.Namespace, need.Name)] {
			if is.MatchString(m) {
				return "ConfigMap " + need.Name
			}
		}
	}
	return ""
}

func seeStaticMembers(l *look) {
	l.moving(func(w plan.Workload) {
		if where := l.settings(w, staticMember); where != "" {
			l.say(nameOf(w), "group.instance.id in %s", where)
		}
	})
}

func seeTransactions(l *look) {
	l.moving(func(w plan.Workload) {
		if where := l.settings(w, transaction); where != "" {
			l.say(nameOf(w), "transactional.id in %s", where)
		}
	})
}

func seeZonelessSchedules(l *look) {
	for _, c := range l.Source.Objects.CronJobs {
		if l.InEstate(c.Namespace) && c.Spec.TimeZone == nil {
			l.say(title("CronJob", c), "%s, no timeZone", c.Spec.Schedule)
		}
	}
}

func seeLateRuns(l *look) {
	for _, c := range l.Source.Objects.CronJobs {
		if l.InEstate(c.Namespace) && c.Spec.StartingDeadlineSeconds == nil {
			l.say(title("CronJob", c), "%s, no startingDeadlineSeconds", c.Spec.Schedule)
		}
	}
}
