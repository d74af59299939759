package finding

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/room"
)

// roomRules are about what the target has room for.
var roomRules = []rule{
	{"CF-CAP-001", seeQuotas},
	{"CF-CAP-002", seeLimitRanges},
	{"CF-CAP-003", seeNoRoom},
	{"CF-CAP-004", seeNoRoomWithout},
	{"CF-CAP-005", seeNoRequests},
}

func seeQuotas(l *look) {
	if l.Target == nil {
		return
	}
	for _, q := range l.Target.Objects.Quotas {
		if !l.InEstate(q.Namespace) || len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil {
			continue
		}
		need, pods := l.wantedIn(q.Namespace)
		for name, hard := range q.Spec.Hard {
			var more int64
			switch baseName(name) {
			case "pods", "count/pods":
				more = int64(pods) * 1000
			case "cpu":
				more = need.CPU
			case "memory":
				more = need.Memory * 1000
			default:
				continue
			}
			if used := q.Status.Used[name]; more > 0 && over(used, hard, more) {
				l.say(title("ResourceQuota", q), "allows %s of %s; %s are in use and %s are to come", hard.String(), name, used.String(), amount(name, more))
			}
		}
	}
}

func amount(name corev1.ResourceName, milli int64) string {
	if baseName(name) == "memory" {
		return resource.NewQuantity(milli/1000, resource.BinarySI).String()
	}
	return resource.NewMilliQuantity(milli, resource.DecimalSI).String()
}

// wantedIn is what the moving workloads of a namespace request at 100/0, with what
// they may have above their replicas on the way.
func (l *look) wantedIn(namespace string) (need room.Need, pods int32) {
	l.moving(func(w plan.Workload) {
		if w.Namespace == namespace && w.Decide == v1.DecideMove {
			need = need.Plus(room.NeedOf(&w.Pod.Spec).Times(w.Replicas))
			pods += w.Replicas
		}
	})
	return need, pods
}

func seeLimitRanges(l *look) {
	if l.Target == nil {
		return
	}
	for _, r := range l.Target.Objects.LimitRanges {
		for _, item := range r.Spec.Limits {
			if item.Type != corev1.LimitTypeContainer {
				continue
			}
			l.moving(func(w plan.Workload) {
				if w.Namespace != r.Namespace {
					return
				}
				for _, c := range w.Pod.Spec.Containers {
					if said := outOfRange(item, c); said != "" {
						l.sayOf(w, "container %s %s, by LimitRange %s", c.Name, said, r.Name)
						return
					}
				}
			})
		}
	}
}

// outOfRange says what of a container a limit range refuses, "" if nothing.
func outOfRange(item corev1.LimitRangeItem, c corev1.Container) string {
	for name, most := range item.Max {
		if have, ok := c.Resources.Limits[name]; ok && have.Cmp(most) > 0 {
			return fmt.Sprintf("has the limit %s of %s, above %s", have.String(), name, most.String())
		}
		if have, ok := c.Resources.Requests[name]; ok && have.Cmp(most) > 0 {
			return fmt.Sprintf("requests %s of %s, above %s", have.String(), name, most.String())
		}
	}
	for name, least := range item.Min {
		if have, ok := c.Resources.Requests[name]; ok && have.Cmp(least) < 0 {
			return fmt.Sprintf("requests %s of %s, below %s", have.String(), name, least.String())
		}
	}
	return ""
}

func seeNoRoom(l *look) {
	if l.Target == nil || len(l.Target.Objects.Nodes) == 0 {
		return
	}
	coming := Coming(*l.Facts, 100)
	specs := map[string]*corev1.PodSpec{}
	for _, p := range coming {
		specs[p.Name] = p.Spec
	}
	for _, short := range room.Pack(l.Target.Objects.Nodes, coming).Short {
		// One that no node is for is another finding.
		if slices.ContainsFunc(l.Target.Objects.Nodes, func(n *corev1.Node) bool { return room.Schedulable(specs[short.Name], n) }) {
			l.say(short.Name, "%d of its pods find no place in %s at 100/0%s", short.Pods, l.Target.Name, because(short.Never))
		}
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func seeNoRoomWithout(l *look) {
	if l.Target == nil {
		return
	}
	zones := room.Zones(l.Target.Objects.Nodes)
	if len(zones) < 2 || room.Pack(l.Target.Objects.Nodes, Coming(*l.Facts, 100)).Unplaced > 0 {
		return
	}
	for _, zone := range zones {
		fit := room.Pack(room.Without(l.Target.Objects.Nodes, zone), Coming(*l.Facts, 100))
		if fit.Unplaced > 0 {
			l.say("zone "+zone, "%d pods find no place in %s without it, first of %s", fit.Unplaced, l.Target.Name, fit.Short[0].Name)
		}
	}
}

func seeNoRequests(l *look) {
	l.moving(func(w plan.Workload) {
		if need := room.NeedOf(&w.Pod.Spec); need.CPU == 0 || need.Memory == 0 {
			var missing []string
			if need.CPU == 0 {
				missing = append(missing, "cpu")
			}
			if need.Memory == 0 {
				missing = append(missing, "memory")
			}
			l.say(nameOf(w), "requests no %s", strings.Join(missing, " and no "))
		}
	})
}

// Coming are the pods that the target runs when percent of the moving workloads'
// replicas stand there: its own, and the estate's.
func Coming(f Facts, percent int32) []room.Pods {
	facts := plan.RoomFacts{Estate: f.Estate, InEstate: f.InEstate}
	if f.Target != nil {
		facts.Target.Objects = f.Target.Objects
	}
	return facts.Coming(percent)
}
