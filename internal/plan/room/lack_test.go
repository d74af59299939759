package room

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pool is so many nodes of 4 CPU and 8 GiB in a zone.
func pool(zone string, count int) []*corev1.Node {
	var out []*corev1.Node
	for i := range count {
		n := node(zone+string(rune('0'+i)), zone, "4", "8Gi")
		n.Labels["pool"], n.Labels[corev1.LabelHostname] = "m5", n.Name
		out = append(out, n)
	}
	return out
}

func spread(key string, p Pods) Pods {
	spec := *p.Spec
	spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels},
	}}
	p.Spec = &spec
	return p
}

func away(p Pods, from string) Pods {
	spec := *p.Spec
	spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": from}}}}}}
	p.Spec = &spec
	return p
}

func beside(p Pods, whom string) Pods {
	spec := *p.Spec
	spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": whom}}}}}}
	p.Spec = &spec
	return p
}

func TestWhatIsLacking(t *testing.T) {
	two := slices.Concat(pool("a", 1), pool("b", 1))
	daemon := many("agent", pod("1", "1Gi"), 0)
	daemon.Daemon = true
	there := many("there", pod("3", "1Gi"), 1)
	there.Node = "a0"
	lost := there
	lost.Node = "c0"
	picky := pod("1", "1Gi")
	picky.NodeSelector = map[string]string{"disk": "fast"}
	tests := []struct {
		name     string
		nodes    []*corev1.Node
		pods     []Pods
		unplaced int32
		lacking  []Lack
		never    string
	}{
		{"nothing", two, []Pods{many("web", pod("1", "1Gi"), 8)}, 0, nil, ""},
		{"a node in each zone", two, []Pods{many("web", pod("1", "1Gi"), 16)}, 8, []Lack{{"m5", "a", 1}, {"m5", "b", 1}}, ""},
		{"three nodes where a spread leads", slices.Concat(pool("a", 6), pool("b", 3)), []Pods{spread(ZoneLabel, many("web", pod("2", "1Gi"), 12))}, 0, nil, ""},
		{"three nodes of one zone", slices.Concat(pool("a", 6), pool("b", 3)), []Pods{spread(ZoneLabel, many("web", pod("4", "1Gi"), 12))}, 5, []Lack{{"m5", "b", 3}}, ""},
		{"a daemon takes its part of new nodes too", two, []Pods{daemon, many("web", pod("1", "1Gi"), 9)}, 3, []Lack{{"m5", "a", 1}}, ""},
		{"what stands already", two, []Pods{there, many("web", pod("1", "1Gi"), 6)}, 1, []Lack{{"m5", "a", 1}}, ""},
		{"what stood in a zone that is lost", two, []Pods{lost, many("web", pod("1", "1Gi"), 5)}, 0, nil, ""},
		{"one on each node", two, []Pods{away(many("web", pod("1", "1Gi"), 3), "web")}, 1, []Lack{{"m5", "a", 1}}, ""},
		{"who keeps away is kept away from", pool("a", 1), []Pods{away(many("web", pod("2", "1Gi"), 1), "cart"), many("cart", pod("1", "1Gi"), 1)}, 1, []Lack{{"m5", "a", 1}}, ""},
		{"who follows goes after", two, []Pods{beside(many("big", pod("2", "2Gi"), 1), "web"), many("web", pod("1", "1Gi"), 1)}, 0, nil, ""},
		{"who follows nobody", two, []Pods{beside(many("web", pod("2", "2Gi"), 1), "cart")}, 1, nil, "its rules of spread and affinity leave it no node"},
		{"larger than any node", two, []Pods{many("web", pod("1", "9Gi"), 1)}, 1, nil, "it requests 9Gi of memory, and the largest node has 8Gi"},
		{"no node of the kind", two, []Pods{many("web", picky, 1)}, 1, nil, "no node meets its selector, its affinity and its tolerations"},
		{"nothing left beside the daemons", pool("a", 1), []Pods{daemon, many("web", pod("4", "1Gi"), 1)}, 1, nil, "what runs on every node leaves it no room"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fit := Pack(tt.nodes, tt.pods)
			if fit.Unplaced != tt.unplaced || !slices.Equal(fit.Lacking, tt.lacking) {
				t.Errorf("%d find no place, lacking %+v; want %d and %+v", fit.Unplaced, fit.Lacking, tt.unplaced, tt.lacking)
			}
			if tt.never != "" && (len(fit.Short) != 1 || fit.Short[0].Never != tt.never) {
				t.Errorf("short %+v, want %q", fit.Short, tt.never)
			}
		})
	}
}

func TestNodesThatTakeNoPods(t *testing.T) {
	nodes := pool("a", 3)
	nodes[0].Spec.Unschedulable = true
	nodes[1].Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}
	stays := many("stays", pod("1", "1Gi"), 2)
	stays.Node = nodes[0].Name
	fit := Pack(nodes, []Pods{stays, many("web", pod("1", "1Gi"), 5)})
	if fit.Out != 2 || fit.Placed != 6 || fit.Unplaced != 1 {
		t.Errorf("%+v, want two nodes out of use, the pods on one of them left there, and room for four more", fit)
	}
}
