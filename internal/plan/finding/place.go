package finding

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/room"
)

// placeRules are about where pods and their volumes may stand.
var placeRules = []rule{
	{"CF-VOL-001", seeStorageClasses},
	{"CF-VOL-002", seeVolumeZones},
	{"CF-VOL-003", seeOneWriter},
	{"CF-VOL-004", seeHostPaths},
	{"CF-VOL-005", seeScratchStores},
	{"CF-NODE-001", seeHostPorts},
	{"CF-NODE-002", seeHostNetwork},
	{"CF-NODE-003", seeSelectors},
	{"CF-NODE-004", seeTaints},
	{"CF-NODE-005", seeSpread},
	{"CF-NODE-006", seePriorities},
}

// claimsOf are the claims that a workload's pods mount: by name, or made from its
// templates. A template of which no claim was seen, as in manifests, stands for those
// that will be made.
func (l *look) claimsOf(w plan.Workload) []*corev1.PersistentVolumeClaim {
	var out []*corev1.PersistentVolumeClaim
	for _, v := range w.Pod.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		if c := l.ix.claims[key(w.Namespace, v.PersistentVolumeClaim.ClaimName)]; c != nil {
			out = append(out, c)
		}
	}
	if set := l.ix.sets[key(w.Namespace, w.Name)]; set != nil && w.Kind == "StatefulSet" {
		for _, t := range set.Spec.VolumeClaimTemplates {
			out = append(out, l.madeFrom(t, set)...)
		}
	}
	return out
}

func (l *look) madeFrom(template corev1.PersistentVolumeClaim, set *appsv1.StatefulSet) []*corev1.PersistentVolumeClaim {
	var out []*corev1.PersistentVolumeClaim
	name := template.Name + "-" + set.Name
	first, wanted := 0, 1 // one replica if it is not set
	if set.Spec.Ordinals != nil {
		first = int(set.Spec.Ordinals.Start)
	}
	if set.Spec.Replicas != nil {
		wanted = int(*set.Spec.Replicas)
	}
	for n := range wanted {
		if c := l.ix.claims[key(set.Namespace, fmt.Sprintf("%s-%d", name, first+n))]; c != nil {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		template.Namespace, template.Name = set.Namespace, name
		out = append(out, &template)
	}
	return out
}

// claims calls do with every claim of workloads that move or may yet be decided to,
// and whether one that moves mounts it.
func (l *look) claims(do func(c *corev1.PersistentVolumeClaim, moves bool)) {
	moves := map[string]bool{}
	var all []*corev1.PersistentVolumeClaim
	l.moving(func(w plan.Workload) {
		for _, c := range l.claimsOf(w) {
			name := key(c.Namespace, c.Name)
			if _, seen := moves[name]; !seen {
				all = append(all, c)
			}
			moves[name] = moves[name] || w.Decide == v1.DecideMove
		}
	})
	for _, c := range all {
		do(c, moves[key(c.Namespace, c.Name)])
	}
}

func severityIf(moves bool) Severity {
	if moves {
		return Blocks
	}
	return Warns
}

func seeStorageClasses(l *look) {
	inPart := l.Target != nil && l.Target.InPart && len(l.Target.Objects.StorageClasses) == 0 // a dump without them
	if l.Target == nil || inPart || l.Target.missed("storageclasses") {
		return
	}
	theirs := named(l.Target.Objects.StorageClasses)
	l.claims(func(c *corev1.PersistentVolumeClaim, moves bool) {
		switch name := c.Spec.StorageClassName; {
		case name == nil:
			if !slices.ContainsFunc(l.Target.Objects.StorageClasses, isDefault) {
				l.sayAs(severityIf(moves), title("PersistentVolumeClaim", c), "names no class, and %s has no default one", l.Target.Name)
			}
		case *name != "" && theirs[*name] == nil:
			l.sayAs(severityIf(moves), title("PersistentVolumeClaim", c), "has the class %s", *name)
		}
	})
}

func isDefault(c *storagev1.StorageClass) bool {
	return c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true"
}

func seeVolumeZones(l *look) {
	if l.Target == nil || len(l.Target.Objects.Nodes) == 0 {
		return
	}
	zones := room.Zones(l.Target.Objects.Nodes)
	l.claims(func(c *corev1.PersistentVolumeClaim, moves bool) {
		volume := l.ix.volumes[c.Spec.VolumeName]
		if volume == nil || volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
			return
		}
		for _, term := range volume.Spec.NodeAffinity.Required.NodeSelectorTerms {
			for _, e := range term.MatchExpressions {
				zone := e.Key == room.ZoneLabel || e.Key == "failure-domain.beta.kubernetes.io/zone" || strings.HasPrefix(e.Key, "topology.") && strings.HasSuffix(e.Key, "/zone")
				if zone && !slices.ContainsFunc(e.Values, func(z string) bool { return slices.Contains(zones, z) }) {
					l.sayAs(severityIf(moves), title("PersistentVolumeClaim", c), "its volume is in %s; %s has %s", strings.Join(e.Values, ", "), l.Target.Name, orNone(zones))
				}
			}
		}
	})
}

func orNone(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	return strings.Join(items, ", ")
}

func seeOneWriter(l *look) {
	l.claims(func(c *corev1.PersistentVolumeClaim, _ bool) {
		for _, m := range c.Spec.AccessModes {
			if m == corev1.ReadWriteOnce || m == corev1.ReadWriteOncePod {
				l.say(title("PersistentVolumeClaim", c), "is %s", m)
				return
			}
		}
	})
}

func seeHostPaths(l *look) {
	l.moving(func(w plan.Workload) {
		for _, t := range w.Traits {
			if t.Trait == v1.Stateful && strings.HasPrefix(t.Evidence, "keeps files in the node's path") {
				l.say(nameOf(w), "%s", t.Evidence)
			}
		}
	})
}

func seeScratchStores(l *look) {
	l.moving(func(w plan.Workload) {
		for _, t := range w.Traits {
			if t.Trait == v1.Stateful && strings.HasPrefix(t.Evidence, "runs the store image") && len(l.claimsOf(w)) == 0 && w.Kind != "StatefulSet" {
				l.say(nameOf(w), "%s, and mounts no claim", t.Evidence)
			}
		}
	})
}

func seeHostPorts(l *look) {
	l.moving(func(w plan.Workload) {
		for _, c := range w.Pod.Spec.Containers {
			for _, p := range c.Ports {
				if p.HostPort != 0 && !w.Pod.Spec.HostNetwork {
					l.say(nameOf(w), "takes port %d of its node", p.HostPort)
				}
			}
		}
	})
}

func seeHostNetwork(l *look) {
	l.moving(func(w plan.Workload) {
		if w.Pod.Spec.HostNetwork {
			l.say(nameOf(w), "hostNetwork: true")
		}
	})
}

// targetNodes are the target's nodes that take pods; nil if none were seen.
func (l *look) targetNodes() []*corev1.Node {
	if l.Target == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(l.Target.Objects.Nodes), func(n *corev1.Node) bool { return n.Spec.Unschedulable })
}

func seeSelectors(l *look) {
	nodes := l.targetNodes()
	if len(nodes) == 0 {
		return
	}
	l.moving(func(w plan.Workload) {
		if w.Kind == "DaemonSet" {
			return // it goes where its nodes are, or nowhere
		}
		if slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return room.Selects(&w.Pod.Spec, n) }) {
			return
		}
		l.sayOf(w, "wants %s", wantsOf(&w.Pod.Spec))
	})
}

// wantsOf is what a pod asks of its node, for people.
func wantsOf(spec *corev1.PodSpec) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		out = append(out, k+"="+spec.NodeSelector[k])
	}
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		for _, t := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			for _, e := range t.MatchExpressions {
				out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Key, e.Operator, strings.Join(e.Values, ","))))
			}
		}
	}
	return strings.Join(out, ", ")
}

func seeTaints(l *look) {
	nodes := l.targetNodes()
	if len(nodes) == 0 {
		return
	}
	l.moving(func(w plan.Workload) {
		selected := slices.DeleteFunc(slices.Clone(nodes), func(n *corev1.Node) bool { return !room.Selects(&w.Pod.Spec, n) })
		if w.Kind == "DaemonSet" || len(selected) == 0 || slices.ContainsFunc(selected, func(n *corev1.Node) bool { return room.Tolerates(&w.Pod.Spec, n) }) {
			return
		}
		t := selected[0].Spec.Taints[0]
		l.sayOf(w, "does not tolerate %s=%s:%s", t.Key, t.Value, t.Effect)
	})
}

func seeSpread(l *look) {
	nodes := l.targetNodes()
	if len(nodes) == 0 {
		return
	}
	l.moving(func(w plan.Workload) {
		for _, c := range w.Pod.Spec.TopologySpreadConstraints {
			has := slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return n.Labels[c.TopologyKey] != "" })
			if c.WhenUnsatisfiable == corev1.DoNotSchedule && !has {
				l.sayOf(w, "spreads over %s, which no node of %s has", c.TopologyKey, l.Target.Name)
			}
		}
	})
}

func seePriorities(l *look) {
	if l.Target == nil {
		return
	}
	theirs := named(l.Target.Objects.PriorityClasses)
	for _, c := range l.Source.Objects.PriorityClasses {
		if other := theirs[c.Name]; other != nil && other.Value != c.Value {
			l.say(title("PriorityClass", c), "has the value %d, in %s %d", c.Value, l.Target.Name, other.Value)
		}
	}
}

// missed tells whether a resource of a side could not be listed.
func (s *Side) missed(resource string) bool {
	return slices.ContainsFunc(s.Unseen, func(u Unseen) bool { return u.Verb == "list" && u.Resource == resource })
}
